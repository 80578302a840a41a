"""Stores an engine's state now and then, beside the work: only the making of the bytes holds up the loop."""

import asyncio
from typing import Final

from crossbook.logs import Log
from crossbook.matching import Engine
from crossbook.storage import leases, snapshots
from crossbook.storage.database import Database
from crossbook.storage.snapshots import StoredSnapshot
from crossbook.system import Clock
from crossbook.workers.lease_keeper import LeaseKeeper
from crossbook.workers.metrics import Metrics
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff
from crossbook.workers.recovery import progress_in

_log: Final = Log("matcher")


class SnapshotTaker:
    """Takes the snapshots of one engine, one at a time, each stored under the lease of its matcher.

    `durable` is the sequence of the newest good one that is stored. With each new one go those that nobody can need
    any more: all before the newest `kept` ones up to the settled sequence.
    """

    def __init__(
        self,
        market: MarketName,
        database: Database,
        keeper: LeaseKeeper,
        clock: Clock,
        metrics: Metrics,
        *,
        durable: int,
        every: int,
        kept: int,
    ) -> None:
        self.durable = durable
        self._market = market
        self._database = database
        self._keeper = keeper
        self._clock = clock
        self._metrics = metrics
        self._every = every
        self._kept = kept
        self._backoff = Backoff(first_ms=100, limit_ms=10_000)
        self._not_before_s = clock.monotonic_s()
        self._storing: asyncio.Task[int] | None = None

    def take_if_due(self, engine: Engine, *, force: bool = False) -> None:
        """Begin to store a snapshot when enough has happened since the last one, or at once with `force`.

        Raises what storing the one before raised, LeaseLost above all; a lost database only delays the next.
        """
        self._collect()
        behind = engine.last_sequence - self.durable
        wanted = behind >= self._every or (force and behind > 0)
        if wanted and self._storing is None and self._clock.monotonic_s() >= self._not_before_s:
            self._begin(engine)

    async def finish(self, engine: Engine) -> None:
        """Have the state of now stored when this returns. Raises LeaseLost and StorageError."""
        if self._storing is not None:
            await asyncio.wait((self._storing,))
            self._collect()
        if engine.last_sequence > self.durable:
            self._begin(engine)
            assert self._storing is not None
            storing, self._storing = self._storing, None
            self.durable = await storing

    async def cancel(self) -> None:
        """Give up what is being stored."""
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.gather(self._storing, return_exceptions=True)
            self._storing = None

    def _begin(self, engine: Engine) -> None:
        snapshot = StoredSnapshot(self._market.market_id, engine.last_sequence, engine.snapshot())
        self._storing = asyncio.create_task(self._store(snapshot))

    def _collect(self) -> None:
        """Note what the last one came to, if it has come to anything."""
        if self._storing is None or not self._storing.done():
            return
        storing, self._storing = self._storing, None
        try:
            self.durable = storing.result()
            self._backoff.reset()
        except TRANSIENT_LOG as error:
            pause_ms = self._backoff.next_ms()
            self._not_before_s = self._clock.monotonic_s() + pause_ms / 1000
            _log.warning("snapshot not stored", market=self._market.symbol, error=str(error), again_in_ms=pause_ms)

    async def _store(self, snapshot: StoredSnapshot) -> int:
        async with self._database.transaction() as transaction:
            await leases.require(transaction, self._keeper.lease)
            await snapshots.store(transaction, snapshot, self._clock.now_ms())
            settled = (await progress_in(transaction, snapshot.market_id)).settled
            await snapshots.prune_settled(transaction, snapshot.market_id, settled, self._kept)
        self._metrics.count("snapshots_stored", self._market.symbol)
        self._metrics.gauge("snapshot_bytes", self._market.symbol, len(snapshot.data))
        _log.debug("snapshot stored", market=self._market.symbol, sequence=snapshot.sequence, bytes=len(snapshot.data))
        return snapshot.sequence
