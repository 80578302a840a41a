"""The public channels of an instrument: its row, best bid and offer, trades and depth.

There are two of each instrument: for those who signed, what changes as it changes; for the others, gathered for about a
second.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from crossbook.application.feeds import DropReason
from crossbook.application.markets import Market
from crossbook.dialects.feed_ports import MarketUpdate
from crossbook.dialects.market_ports import PublicTrade
from crossbook.dialects.market_pump import MarketPump, touched_by
from crossbook.dialects.socket import keep_going
from crossbook.dialects.truex import market_rows, schemas
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.socket_lines import Line, Lines, text_of
from crossbook.dialects.truex.socket_schemas import Channel, DepthData, DepthLevel, TradeData
from crossbook.domain.orders import Side
from crossbook.matching.depth import DepthBook
from crossbook.matching.window import DepthWindow, Level

LIVE_S: Final = 0.02
BATCHED_S: Final = 1.0
DEPTH: Final = 1_000
LOOK_S: Final = 1.0
TAKER: Final = "TAKER"
"""A public trade is told once, as what the taker got."""
PUMPED: Final[tuple[Channel, ...]] = ("EBBO", "TRADE", "DEPTH")


class MarketChannels:
    """EBBO, TRADE and DEPTH of one instrument at one pace: the `Publisher` of its pump."""

    def __init__(self, market: Market, services: Services, gather_s: float) -> None:
        self._market = market
        self._services = services
        self._lines = {channel: Lines() for channel in PUMPED}
        self._pump = MarketPump(market.symbol, services.market_data, services.unavailable, self, gather_s)
        self._window: DepthWindow | None = None
        self._best: object = None

    def prepare(self) -> None:
        """Make sure that `join` can be done now. Raises what `MarketPump.catch_up` does."""
        self._pump.catch_up()

    def join(self, line: Line) -> None:
        """Send the state, and every change from there on."""
        book, _ = self._pump.catch_up()
        lines = self._lines[line.channel]
        if line.channel == "DEPTH" and not len(lines):
            self._window = DepthWindow(book, DEPTH)
        if line.channel == "EBBO" and not len(lines):
            self._best = self._best_of(book)
        line.tell("SNAPSHOT", self._state(line.channel, book))
        lines.add(line)

    def leave(self, line: Line) -> None:
        """Send it nothing more."""
        self._lines[line.channel].remove(line)
        self.rest()

    def rest(self) -> None:
        """Stop following the market when nobody listens."""
        if not any(len(lines) for lines in self._lines.values()):
            self._pump.stop()

    # -- What the pump brings ------------------------------------------------------------------------
    def changed(self, updates: Sequence[MarketUpdate]) -> None:
        """Tell the trades, then the best prices if they or the last trade are others, then the levels that changed."""
        trades = [trade for update in updates for trade in update.trades]
        if len(self._lines["TRADE"]):
            for trade in trades:
                self._lines["TRADE"].tell("UPDATE", self._trade(trade))
        if len(self._lines["EBBO"]):
            self._tell_best()
        if self._window is not None and len(self._lines["DEPTH"]):
            touched = touched_by(updates)
            bids = self._window.changes(Side.BUY, touched[Side.BUY])
            asks = self._window.changes(Side.SELL, touched[Side.SELL])
            if bids or asks:
                self._lines["DEPTH"].tell("UPDATE", self._depth(bids, asks))

    def lost(self, reason: DropReason) -> None:
        """Nothing to say: the snapshots that follow take the place of all that was told."""
        del reason

    def found(self, book: DepthBook, sequence: int) -> None:
        """Begin again with snapshots."""
        del sequence
        self._window = DepthWindow(book, DEPTH)
        self._best = self._best_of(book)
        for channel, lines in self._lines.items():
            if len(lines):
                lines.tell("SNAPSHOT", self._state(channel, book))

    def _tell_best(self) -> None:
        row = self._quote()
        best = (row.info.best_bid, row.info.best_ask, row.info.last_trade)
        if best != self._best:
            self._best = best
            self._lines["EBBO"].tell("UPDATE", text_of(row))

    def _best_of(self, book: DepthBook) -> object:
        del book
        row = self._quote()
        return (row.info.best_bid, row.info.best_ask, row.info.last_trade)

    # -- Data ----------------------------------------------------------------------------------------
    def _state(self, channel: Channel, book: DepthBook) -> str:
        if channel == "EBBO":
            return text_of(self._quote())
        if channel == "TRADE":
            last = next(iter(self._services.market_data.trades(self._market.symbol, 1)), None)
            return self._trade(last)
        return self._depth(book.levels(Side.BUY, DEPTH), book.levels(Side.SELL, DEPTH))

    def _quote(self) -> schemas.QuoteRow:
        return market_rows.current_quote(self._services.market_data, self._market)

    def _trade(self, trade: PublicTrade | None) -> str:
        market, instrument = self._market, self._market.instrument
        data = TradeData(
            match_id="0" if trade is None else str(trade.trade_id),
            trade_price="0" if trade is None else instrument.price_text(trade.price_ticks),
            trade_qty="0" if trade is None else instrument.quantity_text(trade.quantity_lots),
            liq_flag=TAKER,
            id=str(market.number),
            symbol=market.symbol,
        )
        return text_of(data)

    def _depth(self, bids: Sequence[Level], asks: Sequence[Level]) -> str:
        return text_of(DepthData(symbol=self._market.symbol, bids=self._levels(bids), asks=self._levels(asks)))

    def _levels(self, levels: Sequence[Level]) -> list[DepthLevel]:
        instrument = self._market.instrument
        return [
            DepthLevel(price=instrument.price_text(price), qty=instrument.quantity_text(lots), order_count=str(orders))
            for price, lots, orders in levels
        ]


class InstrumentChannel:
    """INSTRUMENT of every instrument: looked at once a second, and told when its row is another."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lines: dict[int, Lines] = {}
        self._told: dict[int, str] = {}
        self._looking: asyncio.Task[None] | None = None

    def join(self, market: Market, line: Line) -> None:
        """Send the row, and every other row from now on. Raises what reading it does."""
        row = self._row(market)
        lines = self._lines.setdefault(market.number, Lines())
        if len(lines) and row != self._told[market.number]:
            lines.tell("UPDATE", row)
        self._told[market.number] = row
        line.tell("SNAPSHOT", row)
        lines.add(line)
        if self._looking is None:
            self._looking = asyncio.create_task(keep_going("instruments", self._look))

    def leave(self, market: Market, line: Line) -> None:
        """Send it nothing more."""
        lines = self._lines.get(market.number)
        if lines is None:
            return
        lines.remove(line)
        if not len(lines):
            del self._lines[market.number]
        if not self._lines and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for number, lines in list(self._lines.items()):
                try:
                    row = self._row(self._services.markets.numbered(number))
                except self._services.unavailable:
                    continue
                if row != self._told[number]:
                    self._told[number] = row
                    lines.tell("UPDATE", row)

    def _row(self, market: Market) -> str:
        services = self._services
        return text_of(market_rows.current_instrument(services.market_data, services.limits, market))
