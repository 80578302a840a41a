"""Lets time pass on the board of swaps: pending swaps that time out, and offers that get too old."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

LOOK_EVERY_MS: Final = 1_000

_log: Final = Log("swap timer")


class SwapTimer:
    """Calls `expire`, which says how many it found, every second. Two of these at once do no harm."""

    def __init__(self, expire: Callable[[], Awaitable[int]], clock: Clock, look_every_ms: int = LOOK_EVERY_MS) -> None:
        self.health = Health()
        self._expire = expire
        self._clock = clock
        self._look_every_ms = look_every_ms
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; go on at once while something is due."""
        while not stop.is_set():
            try:
                found = await self._expire()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                await pause(self._clock, stop, 1 if found else self._look_every_ms)
            except TRANSIENT_LOG as error:
                _log.warning("the swap timer waits", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)
