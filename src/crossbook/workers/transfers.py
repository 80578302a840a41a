"""Drives transfers: asks the custodian about each open one, and does what he says.

Any number of drivers may run: a change is made under the transfer's lock, and the custodian takes each id once. So a
driver may be killed at any moment; the next one finds what is open, and asks again.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from crossbook.application.errors import ApplicationError
from crossbook.application.transfers import Transfers
from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

_log: Final = Log("transfers")


@dataclass(frozen=True)
class DriverSettings:
    """How often transfers are looked for, how many at once, and how long one waits when the custodian is away."""

    look_every_ms: int = 100
    batch: int = 100
    put_off_ms: int = 2_000


class TransferDriver:
    """The one loop of all transfers. `health` tells what it does."""

    def __init__(self, transfers: Transfers, clock: Clock, settings: DriverSettings | None = None) -> None:
        self.health = Health()
        self._transfers = transfers
        self._clock = clock
        self._settings = settings or DriverSettings()
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                await pause(self._clock, stop, self._settings.look_every_ms)
            except TRANSIENT_LOG as error:
                _log.warning("transfers wait", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)

    async def look(self) -> int:
        """Ask once about every transfer that is due; how many were. Raises StorageError.

        One transfer that can not be asked about does not stop the others: it waits.
        """
        due = await self._transfers.due(self._settings.batch)
        for transfer in due:
            try:
                await self._transfers.drive(transfer)
            except ApplicationError as error:
                _log.warning("a transfer waits", transfer=transfer.transfer_id, error=str(error))
                await self._transfers.put_off(transfer, self._settings.put_off_ms)
        return len(due)
