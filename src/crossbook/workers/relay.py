"""Step 6 of the way of an order: keeps a market's stream of commands equal to its log.

The log is looked at again after every commit that somebody tells of, and every few milliseconds without; what this
process committed itself is taken from where it kept it. Two relays of one market do no harm: the stream refuses what
it has.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from crossbook.logs import Log
from crossbook.storage import snapshots
from crossbook.storage.database import Database
from crossbook.streams.entries import Entry
from crossbook.streams.port import Stream
from crossbook.streams.refill import LogGap, Refill, RefillSettings
from crossbook.system import Clock
from crossbook.workers import recovery
from crossbook.workers.fresh import FreshCommands
from crossbook.workers.health import Condition, Health
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import TRANSIENT_LOG
from crossbook.workers.recovery import MarketStopped
from crossbook.workers.wake import Wake

_log: Final = Log("relay")


class Relay:
    """The relay of one market. `committed` is set, and `fresh` filled, by whoever commits commands in this process."""

    def __init__(
        self,
        market: MarketName,
        database: Database,
        commands: Stream,
        clock: Clock,
        *,
        committed: Wake | None = None,
        fresh: FreshCommands | None = None,
        metrics: Metrics | None = None,
        settings: RefillSettings | None = None,
    ) -> None:
        self.health = Health()
        self._market = market
        self._database = database
        self._clock = clock
        self._committed = committed or Wake()
        self._fresh = fresh or FreshCommands()
        self._look_at_log = True
        self._metrics = metrics or NoMetrics()
        self._refill = Refill(
            market.symbol,
            commands,
            self._read_log,
            self._needed,
            self._pause_after_failure,
            wait_for_log=self._wait_for_log,
            log_errors=TRANSIENT_LOG,
            settings=settings,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the stream equal to the log until `stop`. With a damaged log it waits for `stop` and does nothing."""
        ender = asyncio.create_task(self._stop_with(stop))
        try:
            await self._refill.run()
            self.health.set(Condition.STOPPED)
        except (LogGap, MarketStopped) as error:
            _log.error("relay stopped", market=self._market.symbol, error=str(error))
            self._metrics.gauge("market_failed", self._market.symbol, 1)
            self.health.set(Condition.FAILED, str(error))
            await stop.wait()
        finally:
            ender.cancel()
            await asyncio.gather(ender, return_exceptions=True)

    async def _stop_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._refill.stop()

    async def _read_log(self, after_sequence: int, limit: int) -> Sequence[Entry]:
        fresh = self._fresh.take_after(after_sequence, limit)
        if fresh or (fresh is not None and not self._look_at_log):
            entries: Sequence[Entry] = fresh
        else:
            entries = await self._read_stored(after_sequence, limit)
        self._look_at_log = False
        self.health.set(Condition.RUNNING)
        if entries:
            self._metrics.count("commands_relayed", self._market.symbol, len(entries))
        return entries

    async def _read_stored(self, after_sequence: int, limit: int) -> Sequence[Entry]:
        try:
            return await recovery.read_log(self._database, self._market.market_id, after_sequence, limit)
        except TRANSIENT_LOG as error:
            self.health.set(Condition.WAITING, str(error))
            raise

    async def _needed(self) -> int:
        """What follows the newest snapshot: a matcher that starts from there needs it, and a running one is beyond."""
        async with self._database.each_alone() as transaction:
            return await snapshots.newest_sequence(transaction, self._market.market_id) + 1

    async def _pause_after_failure(self, duration_s: float) -> None:
        """Only failures and a full stream let the refill pause; a read of the log says that it goes on."""
        self._metrics.count("relay_waits", self._market.symbol)
        if self.health.condition is not Condition.WAITING:
            self.health.set(Condition.WAITING, "the stream of commands is out of reach, full, or lost what it held")
        await self._clock.sleep(duration_s)

    async def _wait_for_log(self, limit_s: float) -> None:
        # Without a call within the limit, what other processes committed is looked for.
        self._look_at_log = not await self._committed.wait(self._clock, limit_s)
