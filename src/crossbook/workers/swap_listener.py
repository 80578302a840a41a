"""Hears what other processes did to the board of swaps, and publishes it in this one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from crossbook.application.swap_events import SwapEvent
from crossbook.logs import Log
from crossbook.storage.database import Database
from crossbook.storage.swap_events import CHANNEL, reader
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

_log: Final = Log("swap listener")


class SwapListener:
    """Listens until stopped. After a lost connection it publishes that anything may have happened."""

    def __init__(
        self, database: Database, origin: str, publish: Callable[[Sequence[SwapEvent]], None], clock: Clock
    ) -> None:
        self.health = Health()
        self._database = database
        self._read = reader(origin, publish)
        self._clock = clock
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`."""
        missed = False
        while not stop.is_set():
            try:
                async with self._database.listening(CHANNEL, self._read) as lost:
                    if missed:
                        self._read(None)
                    missed = True
                    self._backoff.reset()
                    self.health.set(Condition.RUNNING)
                    await _first_of(stop, lost)
            except TRANSIENT_LOG as error:
                _log.warning("the swap listener waits", error=str(error))
                self.health.set(Condition.WAITING, str(error))
            if not stop.is_set():
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)


async def _first_of(*events: asyncio.Event) -> None:
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
