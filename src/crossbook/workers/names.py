"""How workers name a market: by number in the database, by symbol on the streams."""

from typing import NamedTuple


class MarketName(NamedTuple):
    """The two names of one market."""

    market_id: int
    symbol: str
