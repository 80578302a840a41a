"""Keeps what a picture of a replay needs, in bounded memory however long the tape is."""

from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Final, NamedTuple

from crossbook.domain.orders import Side
from crossbook.replay.feeds import MatchingEngine
from crossbook.replay.trades import TapeTrade

MAX_SAMPLES: Final = 4_000
"""When there are more samples of the book than this, every other one is dropped."""
MAX_TRADES: Final = 10_000
"""The largest trades that are kept."""
DEPTH_LEVELS: Final = 10
"""Best levels of a side whose quantities are summed up in a sample."""


class BookSample(NamedTuple):
    """The book at one moment: best prices (None for an empty side) and the lots of the best levels."""

    time_ms: int
    bid_ticks: int | None
    ask_ticks: int | None
    bid_lots: int
    ask_lots: int


class TradeMark(NamedTuple):
    """One trade, largest first in order; the time is that of the sample which followed it."""

    quantity_lots: int
    number: int
    time_ms: int
    price_ticks: int


@dataclass
class BookHistory:
    """Samples of the book over time, and the largest trades."""

    samples: list[BookSample] = field(default_factory=list)
    trades: list[TradeMark] = field(default_factory=list)
    _stride: int = 1
    _calls: int = 0
    _trades_seen: int = 0

    def add(self, time_ms: int, engine: MatchingEngine, trades: list[TapeTrade]) -> None:
        """Take in the trades made since the last call and look at the book as it stands now."""
        for trade in trades:
            self._add_trade(time_ms, trade)
        if self._calls % self._stride == 0:
            self._add_sample(time_ms, engine)
        self._calls += 1

    def _add_trade(self, time_ms: int, trade: TapeTrade) -> None:
        self._trades_seen += 1
        mark = TradeMark(trade.quantity_lots, -self._trades_seen, time_ms, trade.price_ticks)
        if len(self.trades) < MAX_TRADES:
            heappush(self.trades, mark)
        else:
            heappushpop(self.trades, mark)

    def _add_sample(self, time_ms: int, engine: MatchingEngine) -> None:
        bids = engine.depth(Side.BUY, DEPTH_LEVELS)
        asks = engine.depth(Side.SELL, DEPTH_LEVELS)
        self.samples.append(
            BookSample(
                time_ms,
                bids[0][0] if bids else None,
                asks[0][0] if asks else None,
                sum(level[1] for level in bids),
                sum(level[1] for level in asks),
            )
        )
        if len(self.samples) > MAX_SAMPLES:
            del self.samples[1::2]
            self._stride *= 2
