"""The public state of one market after a sequence: book, last trades, statistics. Memory only, no waiting."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from crossbook.domain.events import Event, PricesUpdated, StateChanged, Trade
from crossbook.domain.orders import MarketState, Side
from crossbook.matching.depth import BookDelta, DepthBook
from crossbook.storage.market_history import SettledTrade
from crossbook.workers.day_stats import DayWindow

TRADES_KEPT: Final = 500

PublicTrade = SettledTrade
"""A trade as anybody may see it."""

Level = tuple[int, int, int]
"""A price in ticks, what it shows in lots, and the number of orders there."""


class BookView(NamedTuple):
    """The best levels of both sides, best first, after the command `sequence`."""

    sequence: int
    bids: list[Level]
    asks: list[Level]


class MarketUpdate(NamedTuple):
    """What one command changed: levels as they are now (each once), and the trades it made."""

    sequence: int
    deltas: tuple[BookDelta, ...]
    trades: tuple[PublicTrade, ...]


class MarketView:
    """The state of one market, moved on by the events of each command in turn."""

    def __init__(
        self,
        sequence: int = 0,
        book: DepthBook | None = None,
        trades: Sequence[PublicTrade] = (),
        window: DayWindow | None = None,
        last_price_ticks: int | None = None,
        mark_price_ticks: int = 0,
        index_price_ticks: int = 0,
        state: MarketState = MarketState.ACTIVE,
    ) -> None:
        self.sequence = sequence
        self.book = book or DepthBook()
        self.window = window or DayWindow()
        self.last_price_ticks = last_price_ticks
        self.mark_price_ticks = mark_price_ticks
        self.index_price_ticks = index_price_ticks
        self.state = state
        self.prices_stated = 0
        """How often mark and index were stated since it began."""
        self._trades: deque[PublicTrade] = deque(trades, maxlen=TRADES_KEPT)

    def orderbook(self, depth: int) -> BookView:
        """The best `depth` levels of both sides."""
        return BookView(self.sequence, self.book.levels(Side.BUY, depth), self.book.levels(Side.SELL, depth))

    def trades(self, limit: int) -> list[PublicTrade]:
        """The last `limit` trades, newest first."""
        kept = len(self._trades)
        return [self._trades[kept - 1 - ago] for ago in range(min(max(0, limit), kept))]

    def apply(self, sequence: int, events: Sequence[Event], times_ms: Mapping[int, int]) -> MarketUpdate | None:
        """Take the events of the next command; what they changed, None for nothing.

        `times_ms` has the time of every command that traded. Raises ValueError for any but the next sequence.
        """
        if sequence != self.sequence + 1:
            raise ValueError(f"events of {sequence} where those of {self.sequence + 1} belong")
        levels: dict[tuple[Side, int], BookDelta] = {}
        trades: list[PublicTrade] = []
        for event in events:
            for delta in self.book.apply(event):
                levels[delta.side, delta.price_ticks] = delta
            if isinstance(event, Trade):
                trades.append(self._trade(event, times_ms[sequence]))
            elif isinstance(event, PricesUpdated):
                self.mark_price_ticks = event.mark_price_ticks
                self.index_price_ticks = event.index_price_ticks
                self.prices_stated += 1
            elif isinstance(event, StateChanged):
                self.state = event.state
        self.sequence = sequence
        if not levels and not trades:
            return None
        return MarketUpdate(sequence, tuple(levels.values()), tuple(trades))

    def _trade(self, event: Trade, time_ms: int) -> PublicTrade:
        trade = PublicTrade(
            event.trade_id, event.sequence, event.price_ticks, event.quantity_lots, event.taker_side, time_ms
        )
        self.last_price_ticks = event.price_ticks
        self._trades.append(trade)
        self.window.add(time_ms, event.price_ticks, event.quantity_lots)
        return trade
