"""Runs the rows of a tape through an engine and keeps the figures of the run."""

from collections.abc import Iterable, Iterator
from time import perf_counter_ns
from typing import Final, NamedTuple

from crossbook.domain.orders import MarketState, Side
from crossbook.replay.feeds import CommandFeed, Feed, MatchingEngine, RecordEngine, RecordFeed
from crossbook.replay.tape import Op, TapeRow, TapeTif
from crossbook.replay.trades import TapeTrade

DEFAULT_BATCH: Final = 1_000
"""Commands handed over at a time, unless told otherwise."""


class Level(NamedTuple):
    """One price level of the book."""

    price_ticks: int
    visible_lots: int
    orders: int


class Replay:
    """One run of a tape.

    The tape's numbers may have gaps and an engine's sequence may not, so commands get numbers of their
    own and the trades are told by the tape's. Before the first AUCTION row the market is put into
    its auction; UNCROSS puts it back to ACTIVE.
    """

    def __init__(self, feed: Feed, batch: int = DEFAULT_BATCH, snapshot_every: int = 0) -> None:
        """Feed the engine of `feed`, `batch` commands at a time.

        With `snapshot_every`, after that many commands each time, the engine is thrown away and the run
        goes on with one that was restored from its snapshot.
        """
        self._feed = feed
        self._batch = batch
        self._snapshot_every = snapshot_every
        self._in_auction = False
        self._pending_seqs: list[int] = []
        self.commands = 0
        self.trades = 0
        self.refused = 0
        self.snapshots = 0
        self.engine_ns = 0
        self.time_ms = 0

    @property
    def engine(self) -> MatchingEngine:
        """The engine in use; another one after each snapshot."""
        return self._feed.engine

    def run(self, rows: Iterable[TapeRow]) -> Iterator[list[TapeTrade]]:
        """The trades of each group of commands, as soon as the group is done. Raises what `rows` raises."""
        for row in rows:
            if row.tif is TapeTif.AUCTION and not self._in_auction:
                self._in_auction = True
                self._feed.add_state(self._number(row), row.time_ms, MarketState.AUCTION)
                if self._is_full():
                    yield self._flush()
            quantity_lots = row.quantity_lots
            if row.op is Op.REPLACE:
                yield self._flush()
                quantity_lots += self._executed_lots(row.order_id)
            elif row.op is Op.UNCROSS:
                self._in_auction = False
            self._feed.add_row(self._number(row), row, quantity_lots)
            if self._is_full():
                yield self._flush()
        yield self._flush()

    def _number(self, row: TapeRow) -> int:
        self._pending_seqs.append(row.seq)
        self.commands += 1
        self.time_ms = row.time_ms
        return self.commands

    def _executed_lots(self, order_id: int) -> int:
        """What an amendment's total must count besides the new open quantity."""
        order = self.engine.order(order_id)
        return 0 if order is None else order.executed_or_prevented_lots

    def _is_full(self) -> bool:
        return len(self._pending_seqs) >= self._batch or self._is_snapshot_due()

    def _is_snapshot_due(self) -> bool:
        return self._snapshot_every > 0 and self.commands % self._snapshot_every == 0

    def _flush(self) -> list[TapeTrade]:
        if not self._pending_seqs:
            return []
        began_ns = perf_counter_ns()
        self._feed.run()
        self.engine_ns += perf_counter_ns() - began_ns
        first_sequence = self.commands - len(self._pending_seqs) + 1
        trades, refused = self._feed.outcome(first_sequence, self._pending_seqs)
        self._pending_seqs = []
        self.trades += len(trades)
        self.refused += refused
        if self._is_snapshot_due():
            self._feed.restore()
            self.snapshots += 1
        return trades

    def best(self, side: Side) -> Level | None:
        """The best level of a side of the book as it stands, None when the side is empty."""
        levels = self.engine.depth(side, 1)
        return Level(*levels[0]) if levels else None


def replay_commands(engine: MatchingEngine, batch: int = DEFAULT_BATCH, snapshot_every: int = 0) -> Replay:
    """A run that hands `engine` one command object at a time."""
    return Replay(CommandFeed(engine), batch, snapshot_every)


def replay_records(engine: RecordEngine, batch: int = DEFAULT_BATCH, snapshot_every: int = 0) -> Replay:
    """A run that hands `engine` records, `batch` commands a call."""
    return Replay(RecordFeed(engine), batch, snapshot_every)
