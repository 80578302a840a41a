"""Takes flagged accounts to the end of their liquidation, one step at a time (3.6).

Each step is a transaction of its own and waits for the settlement of the one before, so a liquidator may end at
any moment and another goes on. It holds nothing in memory.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crossbook.application.markets import Markets
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.liquidating import Clear, Wait
from crossbook.logs import Log
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database
from crossbook.storage.liquidations import Taken, open_ids, repay_bad_debt, take_step
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import TRANSIENT, Backoff, pause

_log: Final = Log("liquidator")


@dataclass(frozen=True)
class LiquidatorSettings:
    """How often open liquidations are looked for, how soon again while there are some, and how many at once."""

    look_every_ms: int = 200
    busy_every_ms: int = 10
    at_once: int = 100


class Liquidator:
    """The liquidator of all markets. `committed` hears what was logged; `next_order_id` gives ids of orders."""

    def __init__(
        self,
        database: Database,
        markets: Markets,
        clock: Clock,
        next_order_id: Callable[[], int],
        committed: Callable[[Sequence[LoggedCommand]], None],
        settings: LiquidatorSettings | None = None,
    ) -> None:
        self.health = Health()
        self._database = database
        self._clock = clock
        self._next_order_id = next_order_id
        self._committed = committed
        self._settings = settings or LiquidatorSettings()
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)
        self._margin_assets = sorted(
            {
                (market.instrument.quote.name, market.quote_asset_id)
                for market in markets
                if market.instrument.kind is InstrumentKind.PERPETUAL
            }
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Take steps until `stop`."""
        while not stop.is_set():
            try:
                taken = await self.turn()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                settings = self._settings
                await pause(self._clock, stop, settings.busy_every_ms if taken else settings.look_every_ms)
            except TRANSIENT as error:
                _log.warning("liquidator waits", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)

    async def turn(self) -> Sequence[Taken]:
        """One step of every open liquidation that waits for nothing; the steps taken. Raises StorageError."""
        async with self._database.transaction(read_only=True) as transaction:
            ids = await open_ids(transaction, self._settings.at_once)
        taken = [step for step in [await self._step(liquidation_id) for liquidation_id in ids] if step is not None]
        if any(isinstance(each.step, Clear) for each in taken):
            await self._repay()
        return [each for each in taken if not isinstance(each.step, Wait)]

    async def _step(self, liquidation_id: int) -> Taken | None:
        now_ms = self._clock.now_ms()
        async with self._database.transaction() as transaction:
            taken = await take_step(transaction, liquidation_id, self._next_order_id(), now_ms)
        if taken is None:
            return None
        if taken.commands:
            self._committed(taken.commands)
        if not isinstance(taken.step, Wait):
            _log.info(
                "liquidation step",
                liquidation=liquidation_id,
                account=taken.liquidation.account_id,
                step=type(taken.step).__name__,
            )
        return taken

    async def _repay(self) -> None:
        """What the fund earned goes to open bad debt first, so that withdrawals open again."""
        for asset, asset_id in self._margin_assets:
            async with self._database.transaction() as transaction:
                units = await repay_bad_debt(transaction, asset, asset_id, self._clock.now_ms())
            if units:
                _log.info("bad debt repaid", asset=asset, units=units)
