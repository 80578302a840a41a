"""Step 7 of the way of an order: the engine of a market, fed from the log, feeding the stream of events.

One matcher works for a market, by lease; the others stand by. Two at once (one of them asleep past its lease) could
only make the same events twice, and the stream refuses the second.
"""

import asyncio
from typing import Final

from crossbook.logs import Log
from crossbook.matching import Engine
from crossbook.storage.database import Database
from crossbook.storage.errors import LeaseLost
from crossbook.streams.port import Stream
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.lease_keeper import LeaseKeeper
from crossbook.workers.matching_session import EventsLost, MatcherSettings, MatchingSession, Ports
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import TRANSIENT, Backoff, pause
from crossbook.workers.recovery import MarketStopped

__all__ = ["ROLE", "Matcher", "MatcherSettings"]

ROLE: Final = "matcher"
"""The job that the lease is for."""

_log: Final = Log("matcher")


class Matcher:
    """The matcher of one market. `holder` names this process in the lease.

    `health` tells what it does. FAILED is for ever: the log holds what no engine takes, or the engine broke. Then
    nothing is stored any more, the lease is given back, and the engine stays in `engine` as it was.
    """

    def __init__(
        self,
        market: MarketName,
        database: Database,
        commands: Stream,
        events: Stream,
        clock: Clock,
        holder: str,
        *,
        metrics: Metrics | None = None,
        settings: MatcherSettings | None = None,
    ) -> None:
        self.health = Health()
        self._market = market
        self._clock = clock
        self._settings = settings or MatcherSettings()
        self._metrics = metrics or NoMetrics()
        self._keeper = LeaseKeeper(database, market.market_id, ROLE, holder, clock, self._settings.lease_ms)
        self._ports = Ports(database, commands, events, clock, self._metrics, self._keeper)
        self._session: MatchingSession | None = None
        self._backoff = Backoff(limit_ms=500)

    @property
    def engine(self) -> Engine | None:
        """The engine at work, or the one that worked last; None before the first. To be read only."""
        return self._session.engine if self._session else None

    async def run(self, stop: asyncio.Event) -> None:
        """Match until `stop`, whenever the lease is ours. A failed market waits for `stop` without doing anything."""
        try:
            while not stop.is_set():
                await self._run_once(stop)
        except Exception as error:
            self.health.set(Condition.FAILED, repr(error))
            raise
        await self._release()
        if self.health.condition is not Condition.FAILED:
            self.health.set(Condition.STOPPED)

    async def _run_once(self, stop: asyncio.Event) -> None:
        """One try to get the lease, and the work under it."""
        try:
            if await self._keeper.acquire():
                await self._work(stop)
            else:
                self.health.set(Condition.STANDBY)
                await pause(self._clock, stop, self._settings.lease_ms // 10)
        except EventsLost as error:
            _log.warning("events have to be made again", market=self._market.symbol, error=str(error))
            self._metrics.count("event_streams_lost", self._market.symbol)
            await pause(self._clock, stop, self._backoff.next_ms())
        except LeaseLost as error:
            _log.warning("lease lost: standing by", market=self._market.symbol, error=str(error))
            self._metrics.count("leases_lost", self._market.symbol)
            self.health.set(Condition.STANDBY, str(error))
        except TRANSIENT as error:
            await self._wait(error, stop)
        except MarketStopped as error:
            await self._fail(error, stop)

    async def _work(self, stop: asyncio.Event) -> None:
        """One session, to its end."""
        self.health.set(Condition.STARTING)
        session = self._session = await MatchingSession.open(self._market, self._ports, self._settings)
        try:
            while not stop.is_set():
                try:
                    await session.turn()
                except TRANSIENT as error:
                    await self._wait(error, stop)
                    continue
                self._backoff.reset()
                self.health.set(Condition.STARTING if session.replaying else Condition.RUNNING)
            await self._finish(session)
        finally:
            await session.close()

    async def _finish(self, session: MatchingSession) -> None:
        """End in order, if that can be done in time; the next one recovers in any case."""
        try:
            async with asyncio.timeout(self._settings.shutdown_ms / 1000):
                await session.finish()
        except (TimeoutError, LeaseLost, EventsLost, *TRANSIENT) as error:
            _log.warning("stopped without a last snapshot", market=self._market.symbol, error=str(error))

    async def _wait(self, error: Exception, stop: asyncio.Event) -> None:
        """Something is out of reach: a pause, which grows."""
        pause_ms = self._backoff.next_ms()
        _log.warning("matcher waits", market=self._market.symbol, error=str(error), again_in_ms=pause_ms)
        self._metrics.count("matcher_waits", self._market.symbol)
        self.health.set(Condition.WAITING, str(error))
        await pause(self._clock, stop, pause_ms)

    async def _fail(self, error: MarketStopped, stop: asyncio.Event) -> None:
        """What must not happen: say so, leave everything as it is, and do nothing more."""
        _log.error("market stopped", market=self._market.symbol, error=str(error))
        self._metrics.gauge("market_failed", self._market.symbol, 1)
        self.health.set(Condition.FAILED, str(error))
        await self._release()
        await stop.wait()

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(self._settings.shutdown_ms / 1000):
                await self._keeper.release()
        except (TimeoutError, *TRANSIENT) as error:
            _log.warning("lease not given back: it will run out", market=self._market.symbol, error=str(error))
