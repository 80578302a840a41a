"""Step 8 of the way of an order: what the engine said becomes orders, fills, money and positions, exactly once.

Where to begin is asked of the database, never of the stream, and what is settled already is left out there. So a
settler may end at any moment, and two of them for one market do no harm: they take turns.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.application.settlement_rows import MarketTerms
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import Event, Trade
from crossbook.logs import Log
from crossbook.matching.codec import decode_records
from crossbook.storage.commands_log import UnknownMarket
from crossbook.storage.database import Database
from crossbook.storage.settlement import Entry, read_terms, settle_batch, settled_sequence
from crossbook.streams.port import Stream, StreamTrimmed
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import TRANSIENT, Backoff, pause

_log: Final = Log("settler")

_PASSING: Final = (*TRANSIENT, StreamTrimmed)
"""What a pause cures. A stream that was trimmed or emptied is filled again, from where settlement stands."""


@dataclass(frozen=True, slots=True)
class SettlerSettings:
    """How many commands are settled at once, how long a read waits for the first, and the least time between batches.

    A batch costs the same dozen of messages to the database whatever its size, so under load a little patience
    settles more; the first command after a quiet time is settled at once.
    """

    batch_length: int = 512
    read_block_ms: int = 50
    apart_ms: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """What one batch settled: every command from `first_sequence` to `last_sequence`, and its events."""

    market: MarketName
    first_sequence: int
    last_sequence: int
    events: Sequence[Event]
    trades: int


OnSettled = Callable[[Settled], None]
"""Hears of every batch after its commit, in order and without a gap; must be quick and must not raise."""


class Settler:
    """The settler of one market. `health` tells what it does.

    FAILED is for ever: events that can not have come from the stored orders, or a rule of the schema that would be
    broken. Nothing of that batch is stored, and nothing after it: the market must stop, not continue wrong.
    """

    def __init__(
        self,
        market: MarketName,
        database: Database,
        events: Stream,
        clock: Clock,
        *,
        on_settled: OnSettled | None = None,
        metrics: Metrics | None = None,
        settings: SettlerSettings | None = None,
    ) -> None:
        self.health = Health()
        self._market = market
        self._database = database
        self._events = events
        self._clock = clock
        self._on_settled = on_settled
        self._metrics = metrics or NoMetrics()
        self._settings = settings or SettlerSettings()
        self._backoff = Backoff()
        self._terms: MarketTerms | None = None
        self._position: int | None = None
        self._next_at_s = 0.0

    @property
    def settled_sequence(self) -> int:
        """The last sequence that this settler knows to be settled; 0 before it knows any."""
        return self._position or 0

    async def lag(self) -> int:
        """How many commands are matched and not yet settled, as far as the stream knows. Raises StreamUnavailable."""
        return max(0, await self._events.last_sequence(self._market.symbol) - self.settled_sequence)

    async def run(self, stop: asyncio.Event) -> None:
        """Settle until `stop`; the batch in hand is finished. A failed market waits for `stop` doing nothing."""
        while not stop.is_set():
            try:
                await self.turn()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
            except _PASSING as error:
                await self._wait(error, stop)
            except (CrossbookError, UnknownMarket) as error:
                await self._fail(error, stop)
                return
        self.health.set(Condition.STOPPED)

    async def turn(self) -> int:
        """Settle one batch, waiting a while for it; return how many commands it had.

        Raises what `run` tries again, StreamTrimmed, and, for what stops a market, CrossbookError and UnknownMarket.
        """
        terms, position = await self._locate()
        limit, block_ms = self._settings.batch_length, self._settings.read_block_ms
        early_s = self._next_at_s - self._clock.monotonic_s()
        if early_s > 0:
            await self._clock.sleep(early_s)
        found = await self._events.read(self._market.symbol, position, limit, block_ms)
        if not found:
            return 0
        self._next_at_s = self._clock.monotonic_s() + self._settings.apart_ms / 1000
        entries: list[Entry] = [(sequence, decode_records(payload)) for sequence, payload in found]
        async with self._database.transaction() as transaction:
            await settle_batch(transaction, terms, entries, self._clock.now_ms())
        # Settled by this settler or by another one: here they are told of once, in any case.
        self._position = entries[-1][0]
        self._report(entries)
        return len(entries)

    async def _locate(self) -> tuple[MarketTerms, int]:
        """The market's terms, and the sequence to go on after.

        Both are read once. Later the sequence is what was told of: a commit whose answer was lost must be told of too.
        """
        if self._terms is None or self._position is None:
            async with self._database.transaction(read_only=True) as transaction:
                self._terms = await read_terms(transaction, self._market.symbol)
                self._position = await settled_sequence(transaction, self._market.market_id)
        return self._terms, self._position

    def _report(self, entries: Sequence[Entry]) -> None:
        events = [event for _, of_one in entries for event in of_one]
        trades = sum(isinstance(event, Trade) for event in events)
        symbol = self._market.symbol
        self._metrics.count("commands_settled", symbol, len(entries))
        self._metrics.count("events_settled", symbol, len(events))
        self._metrics.count("trades_settled", symbol, trades)
        self._metrics.count("batches_settled", symbol)
        self._metrics.gauge("settled_sequence", symbol, entries[-1][0])
        if self._on_settled is not None:
            self._on_settled(Settled(self._market, entries[0][0], entries[-1][0], events, trades))

    async def _wait(self, error: Exception, stop: asyncio.Event) -> None:
        """Something is out of reach, or stood in the way: a pause, which grows."""
        pause_ms = self._backoff.next_ms()
        _log.warning("settler waits", market=self._market.symbol, error=str(error), again_in_ms=pause_ms)
        self._metrics.count("settler_waits", self._market.symbol)
        self.health.set(Condition.WAITING, str(error))
        await pause(self._clock, stop, pause_ms)

    async def _fail(self, error: Exception, stop: asyncio.Event) -> None:
        """What must not happen: say so, and do nothing more."""
        _log.error("market stopped", market=self._market.symbol, error=str(error))
        self._metrics.gauge("market_failed", self._market.symbol, 1)
        self.health.set(Condition.FAILED, str(error))
        await stop.wait()
