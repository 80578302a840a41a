"""What a picture keeps of a run."""

from dataclasses import dataclass, field

import pytest

from crossbook.domain.commands import Command
from crossbook.domain.events import Event
from crossbook.domain.orders import Side
from crossbook.matching.views import OrderView
from crossbook.replay import history
from crossbook.replay.history import BookHistory, BookSample
from crossbook.replay.trades import TapeTrade


@dataclass
class StillBook:
    """An engine whose book never changes."""

    bids: list[tuple[int, int, int]] = field(default_factory=lambda: [(99, 5, 1), (98, 7, 2)])
    asks: list[tuple[int, int, int]] = field(default_factory=lambda: [(101, 4, 1)])

    def depth(self, side: Side, levels: int) -> list[tuple[int, int, int]]:
        return (self.bids if side is Side.BUY else self.asks)[:levels]

    def apply(self, command: Command) -> list[Event]:
        raise NotImplementedError

    def snapshot(self) -> bytes:
        raise NotImplementedError

    @classmethod
    def restore(cls, data: bytes) -> "StillBook":
        raise NotImplementedError

    def state_hash(self) -> str:
        raise NotImplementedError

    def order(self, order_id: int) -> OrderView | None:
        raise NotImplementedError


def trade(quantity: int) -> TapeTrade:
    return TapeTrade(1, 2, 3, 3, 100, quantity)


def test_a_sample_is_the_best_prices_and_the_lots_near_them() -> None:
    kept = BookHistory()
    kept.add(7, StillBook(), [])
    kept.add(8, StillBook(bids=[], asks=[]), [])
    assert kept.samples == [BookSample(7, 99, 101, 12, 4), BookSample(8, None, None, 0, 0)]


def test_samples_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_SAMPLES", 4)
    kept = BookHistory()
    for time_ms in range(20):
        kept.add(time_ms, StillBook(), [])
        assert len(kept.samples) <= 4
    assert [sample.time_ms for sample in kept.samples] == [0, 8, 16]


def test_the_largest_trades_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_TRADES", 3)
    kept = BookHistory()
    kept.add(1, StillBook(), [trade(5), trade(1), trade(9)])
    kept.add(2, StillBook(), [trade(7), trade(2), trade(5)])
    assert sorted((mark.quantity_lots, mark.time_ms) for mark in kept.trades) == [(5, 1), (7, 2), (9, 1)]
