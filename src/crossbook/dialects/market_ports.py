"""What dialects are given to read of the venue: the time, books, trades and statistics of its markets."""

from collections.abc import Sequence
from typing import Protocol

from crossbook.domain.orders import Side


class Clock(Protocol):
    """The time of day, and the time that passed."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class Book(Protocol):
    """The public book of a market after the command `sequence`.

    Levels are best first: price in ticks, quantity in lots, and the number of orders there.
    """

    @property
    def sequence(self) -> int:
        """The last command that the book has seen."""
        ...

    @property
    def bids(self) -> Sequence[tuple[int, int, int]]:
        """Who buys."""
        ...

    @property
    def asks(self) -> Sequence[tuple[int, int, int]]:
        """Who sells."""
        ...


class PublicTrade(Protocol):
    """A trade as anybody may see it."""

    @property
    def trade_id(self) -> int:
        """The trade's number in its market."""
        ...

    @property
    def price_ticks(self) -> int:
        """The maker's price."""
        ...

    @property
    def quantity_lots(self) -> int:
        """What traded."""
        ...

    @property
    def taker_side(self) -> Side:
        """Which way the taker went."""
        ...

    @property
    def time_ms(self) -> int:
        """When, in milliseconds since the epoch."""
        ...


class DayStats(Protocol):
    """What a market did in the last 24 hours."""

    @property
    def volume_lots(self) -> int:
        """What traded."""
        ...

    @property
    def notional(self) -> int:
        """The sum of price times quantity, in ticks times lots."""
        ...


class MarketData(Protocol):
    """Every market's public data, by symbol. `crossbook.workers.market_data` is one.

    Each read raises MarketNotFound, and one of the errors that mean "not now" while the data are being built.
    """

    def orderbook(self, market: str, depth: int) -> Book:
        """The best `depth` levels of both sides."""
        ...

    def trades(self, market: str, limit: int) -> Sequence[PublicTrade]:
        """The last trades, newest first: `limit` of them, or as many as are kept."""
        ...

    def last_price_ticks(self, market: str) -> int | None:
        """The price of the last trade, None before the first."""
        ...

    def index_price_ticks(self, market: str) -> int | None:
        """The index, None while the market has none."""
        ...

    def updated_ms(self, market: str) -> int:
        """When book or trades last changed, by the clock of whoever follows them; milliseconds since the epoch."""
        ...

    def day_stats(self, market: str) -> DayStats:
        """The last 24 hours."""
        ...
