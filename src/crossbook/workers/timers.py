"""Tells the markets what time it is when an order's time is over: only the command AdvanceTime expires orders."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.domain.commands import AdvanceTime, SingleCommand
from crossbook.logs import Log
from crossbook.storage import commands_log, expiring_orders
from crossbook.storage.database import Database
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

SubmitSystem = Callable[[int, Sequence[SingleCommand]], Awaitable[object]]
"""Puts commands of the venue itself into a market's log. They come with sequence 0; the log gives them theirs."""

_log: Final = Log("timers")


@dataclass(frozen=True)
class TimersSettings:
    """How often the orders are looked at."""

    look_every_ms: int = 1_000


class Timers:
    """The timers of all markets. Two at once do no harm: the second AdvanceTime finds nothing to end."""

    def __init__(
        self, database: Database, submit_system: SubmitSystem, clock: Clock, settings: TimersSettings | None = None
    ) -> None:
        self.health = Health()
        self._database = database
        self._submit_system = submit_system
        self._clock = clock
        self._settings = settings or TimersSettings()
        self._waits_for: dict[int, int] = {}
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Look every second until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                await pause(self._clock, stop, self._settings.look_every_ms)
            except TRANSIENT_LOG as error:
                _log.warning("timers wait", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)

    async def look(self) -> list[int]:
        """Send the time to every market with an order that is due; their numbers. Raises StorageError.

        A market whose log is not settled up to the last time it was told is left alone: its orders are still shown
        as live, and another command would change nothing.
        """
        now_ms = self._clock.now_ms()
        async with self._database.transaction(read_only=True) as transaction:
            due = await expiring_orders.markets_due(transaction, now_ms)
            sequences = await commands_log.last_sequences(transaction) if due else {}
        told = [market_id for market_id in due if sequences[market_id][1] >= self._waits_for.get(market_id, 0)]
        for market_id in told:
            await self._submit_system(market_id, [AdvanceTime(0, now_ms)])
        if told:
            async with self._database.transaction(read_only=True) as transaction:
                sequences = await commands_log.last_sequences(transaction)
            self._waits_for.update({market_id: sequences[market_id][0] for market_id in told})
        return told
