"""Removes activity that is older than it is kept, a bounded part at a time."""

import asyncio
from dataclasses import dataclass
from typing import Final

from crossbook.application.activity import KEPT_MS, NS_PER_MS
from crossbook.logs import Log
from crossbook.storage import activity
from crossbook.storage.database import Database
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT_LOG, pause

_log: Final = Log("activity")


@dataclass(frozen=True)
class CleanerSettings:
    """How much is removed by one transaction, and how long to wait when all that is old is gone."""

    batch: int = 1_000
    every_ms: int = 60_000
    apart_ms: int = 100


class ActivityCleaner:
    """The one cleaner. Two at once do no harm."""

    def __init__(self, database: Database, clock: Clock, settings: CleanerSettings | None = None) -> None:
        self.health = Health()
        self._database = database
        self._clock = clock
        self._settings = settings or CleanerSettings()

    async def run(self, stop: asyncio.Event) -> None:
        """Clean until `stop`."""
        settings = self._settings
        while not stop.is_set():
            try:
                more = await self.clean() == settings.batch
                self.health.set(Condition.RUNNING)
                await pause(self._clock, stop, settings.apart_ms if more else settings.every_ms)
            except TRANSIENT_LOG as error:
                _log.warning("old activity stays for now", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, settings.every_ms)
        self.health.set(Condition.STOPPED)

    async def clean(self) -> int:
        """Remove a part of what is old; how many rows. Raises StorageError."""
        before_ns = (self._clock.now_ms() - KEPT_MS) * NS_PER_MS
        return await activity.remove_old(self._database, before_ns, self._settings.batch)
