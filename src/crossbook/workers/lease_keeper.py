"""Holds a lease while its worker works: takes it, renews it in time, and says when it is gone."""

from crossbook.storage import leases
from crossbook.storage.database import Database
from crossbook.storage.errors import LeaseLost
from crossbook.storage.leases import Lease
from crossbook.system import Clock
from crossbook.workers.pauses import TRANSIENT_LOG


class LeaseKeeper:
    """The lease of one worker for one market and role.

    How long it is still good is measured by passing time from before the database was asked, so it is
    over for us before it is over for others, whatever is done to the time of day on this machine.
    """

    def __init__(
        self, database: Database, market_id: int, role: str, holder: str, clock: Clock, duration_ms: int
    ) -> None:
        self._database = database
        self._market_id = market_id
        self._role = role
        self._holder = holder
        self._clock = clock
        self._duration_ms = duration_ms
        self._lease: Lease | None = None
        self._good_until_s = 0.0
        self._renew_at_s = 0.0

    @property
    def lease(self) -> Lease:
        """The lease that is held. Raises LeaseLost without one."""
        if self._lease is None:
            raise LeaseLost(f"no lease of the {self._role} of market {self._market_id} is held")
        return self._lease

    async def acquire(self) -> bool:
        """Take the lease, or renew the one that is held; False when somebody else has it. Raises StorageError."""
        if self._lease is not None:
            try:
                await self._renew(self._lease)
            except LeaseLost:
                self._lease = None
        if self._lease is None:
            asked_s = self._clock.monotonic_s()
            async with self._database.transaction() as transaction:
                lease = await leases.acquire(
                    transaction, self._market_id, self._role, self._holder, self._clock.now_ms(), self._duration_ms
                )
            self._note(lease, asked_s)
        return self._lease is not None

    async def keep(self) -> bool:
        """Renew the lease when a third of its time is over; whether that was so. Call it before every piece of work.

        Raises LeaseLost when somebody else took it; StorageError when it could not be renewed and its time is over.
        """
        now_s = self._clock.monotonic_s()
        lease = self.lease
        if now_s < self._renew_at_s:
            return False
        try:
            await self._renew(lease)
        except LeaseLost:
            self._lease = None
            raise
        except TRANSIENT_LOG:
            if self._clock.monotonic_s() >= self._good_until_s:
                raise
            # It is still ours for a while: work on, and ask again soon.
            self._renew_at_s = self._clock.monotonic_s() + self._duration_ms / 10_000
            return False
        return True

    async def release(self) -> None:
        """Give the lease back, if one is held. Raises StorageError."""
        if self._lease is not None:
            lease, self._lease = self._lease, None
            async with self._database.transaction() as transaction:
                await leases.release(transaction, lease)

    async def _renew(self, lease: Lease) -> None:
        asked_s = self._clock.monotonic_s()
        async with self._database.transaction() as transaction:
            renewed = await leases.renew(transaction, lease, self._clock.now_ms(), self._duration_ms)
        self._note(renewed, asked_s)

    def _note(self, lease: Lease | None, asked_s: float) -> None:
        self._lease = lease
        self._good_until_s = asked_s + self._duration_ms / 1000
        self._renew_at_s = asked_s + self._duration_ms / 3000
