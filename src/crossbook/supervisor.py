"""Keeps tasks running: one that crashes is started again after a pause, and the others go on meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import Backoff, pause

Work = Callable[[asyncio.Event], Awaitable[None]]
"""Works until the event is set, and returns soon after."""

FIRST_PAUSE_MS: Final = 100
LONGEST_PAUSE_MS: Final = 5_000
STEADY_S: Final = 60.0
"""After running so long, a task that crashes is started again after the shortest pause."""

_log: Final = Log("supervisor")


class Crew:
    """Tasks that are started and stopped together."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.restarts = 0
        self._clock = clock
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Work, health: Health | None = None) -> None:
        """Run `work` until the crew stops, again and again if it crashes or ends before.

        `health` is that of the worker, which can not tell of its crash itself: from then on it waits, until it works
        again. One that has failed stays so.
        """
        self._tasks[name] = asyncio.create_task(self._keep(name, work, health), name=f"{self.name}: {name}")

    async def stop(self, timeout_ms: int) -> list[str]:
        """Ask every task to end, and cut off those that have not after `timeout_ms`; gives the names of these."""
        self._stop.set()
        if not self._tasks:
            return []
        _, late = await asyncio.wait(self._tasks.values(), timeout=max(timeout_ms, 0) / 1000)
        cut_off = [name for name, task in self._tasks.items() if task in late]
        for task in late:
            task.cancel()
        if late:
            _log.warning("tasks cut off", crew=self.name, tasks=cut_off)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
        return cut_off

    async def _keep(self, name: str, work: Work, health: Health | None) -> None:
        backoff = Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
        while not self._stop.is_set():
            started_s = self._clock.monotonic_s()
            try:
                await work(self._stop)
                if self._stop.is_set():
                    return
                _log.error("task ended by itself", crew=self.name, task=name)
            except asyncio.CancelledError:
                # Ours only when somebody cancels this very task: else a part of the work was, and passed it on.
                if _is_cancelled():
                    raise
                _log.exception("task gave up a part of its work", crew=self.name, task=name)
            except Exception:
                _log.exception("task crashed", crew=self.name, task=name)
            if health is not None and health.condition is not Condition.FAILED:
                health.set(Condition.WAITING, "it crashed")
            if self._clock.monotonic_s() - started_s > STEADY_S:
                backoff.reset()
            self.restarts += 1
            await pause(self._clock, self._stop, backoff.next_ms())


def _is_cancelled() -> bool:
    """Whether somebody asked the task that runs now to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
