"""The markets of the venue, by name and by number."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from crossbook.application.errors import MarketNotFound
from crossbook.domain.instruments import Instrument, InstrumentKind
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
        self._perpetuals: dict[int, tuple[Market, ...]] = {}
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
        self._perpetuals.clear()

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

    def perpetuals_in(self, asset_id: int) -> tuple[Market, ...]:
        """The perpetuals that are settled in this asset: what the cross positions of an account stand in together."""
        found = self._perpetuals.get(asset_id)
        if found is None:
            of_asset = (market for market in self if market.quote_asset_id == asset_id)
            found = tuple(market for market in of_asset if market.instrument.kind is InstrumentKind.PERPETUAL)
            self._perpetuals[asset_id] = found
        return found

    def set_status(self, number: int, status: MarketState) -> None:
        """Note that a market is in another state. Raises MarketNotFound."""
        market = self.numbered(number)
        self.put(replace(market, instrument=market.instrument.with_status(status)))
