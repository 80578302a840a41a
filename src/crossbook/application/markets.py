"""The markets of the venue, by name and by number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from crossbook.application.errors import MarketNotFound
from crossbook.domain.instruments import Instrument
from crossbook.domain.orders import MarketState


@dataclass(frozen=True)
class Market:
    """One market: its number, its terms, and the ids under which its two assets are stored."""

    number: int
    instrument: Instrument
    base_asset_id: int
    quote_asset_id: int

    @property
    def symbol(self) -> str:
        """Its public name."""
        return self.instrument.symbol


class Markets:
    """Every market of the venue. Terms change rarely; a change replaces the market's entry."""

    def __init__(self, markets: Iterable[Market] = ()) -> None:
        self._by_number: dict[int, Market] = {}
        self._by_symbol: dict[str, Market] = {}
        for market in markets:
            self.put(market)

    def __iter__(self) -> Iterator[Market]:
        return iter(self._by_number.values())

    def put(self, market: Market) -> None:
        """Add a market, or replace the one of this number."""
        before = self._by_number.get(market.number)
        if before is not None:
            del self._by_symbol[before.symbol]
        self._by_number[market.number] = market
        self._by_symbol[market.symbol] = market

    def named(self, symbol: str) -> Market:
        """The market of this name. Raises MarketNotFound."""
        market = self._by_symbol.get(symbol)
        if market is None:
            raise MarketNotFound(symbol)
        return market

    def numbered(self, number: int) -> Market:
        """The market of this number. Raises MarketNotFound."""
        market = self._by_number.get(number)
        if market is None:
            raise MarketNotFound(str(number))
        return market

    def set_status(self, number: int, status: MarketState) -> None:
        """Note that a market is in another state. Raises MarketNotFound."""
        market = self.numbered(number)
        self.put(replace(market, instrument=market.instrument.with_status(status)))
