"""A market is told the time when, and only when, one of its orders is due."""

from collections.abc import Sequence

import pytest

from crossbook.domain.commands import AdvanceTime, SingleCommand
from crossbook.domain.orders import DAY_MS, TimeInForce
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.workers.health import Condition
from crossbook.workers.timers import Timers, TimersSettings
from tests.workers.world import World, in_world, running, until

OPEN, CANCELLED = 2, 5


async def add_order(
    world: World, order_id: int, time_in_force: TimeInForce, expire_time_ms: int = 0, created_at_ms: int = 0
) -> None:
    async with world.database.transaction() as transaction:
        await transaction.execute(
            """
            INSERT INTO orders (order_id, account_id, market_id, sequence, side, type, time_in_force, quantity_lots,
                price_ticks, expire_time_ms, status, open_lots, maker_fee_ppm, taker_fee_ppm, created_at_ms,
                updated_at_ms)
            VALUES ($1, 1, $2, 1, 1, 1, $3, 5, 100, $4, 2, 5, 0, 0, $5, $5)
            """,
            order_id,
            world.market.market_id,
            time_in_force,
            expire_time_ms,
            created_at_ms,
        )


async def end_order(world: World, order_id: int) -> None:
    async with world.database.transaction() as transaction:
        await transaction.execute(
            "UPDATE orders SET status = 5, reason = 400, open_lots = 0 WHERE order_id = $1", order_id
        )


class Port:
    """Logs what the timers send, in the sequence that comes next."""

    def __init__(self, world: World) -> None:
        self.times_ms: list[int] = []
        self.failures: list[Exception] = []
        self._world = world

    async def submit(self, market_id: int, commands: Sequence[SingleCommand]) -> None:
        if self.failures:
            raise self.failures.pop()
        assert market_id == self._world.market.market_id
        for command in commands:
            assert isinstance(command, AdvanceTime)
            self.times_ms.append(command.time_ms)
            await self._world.log([AdvanceTime(len(self._world.expected) + 1, command.time_ms)])


@pytest.mark.parametrize(
    ("time_in_force", "terms"),
    [(TimeInForce.GTD, {"expire_time_ms": 5 * DAY_MS}), (TimeInForce.DAY, {"created_at_ms": 4 * DAY_MS + 7})],
)
def test_the_time_is_told_when_an_order_is_due(
    database_url: str, time_in_force: TimeInForce, terms: dict[str, int]
) -> None:
    async def scene(world: World) -> None:
        port = Port(world)
        timers = Timers(world.database, port.submit, world.clock)
        await add_order(world, 1, TimeInForce.GTC)
        await add_order(world, 2, time_in_force, **terms)
        world.clock.ahead_ms = 5 * DAY_MS - 60_000 - world.clock.now_ms()
        assert await timers.look() == []
        world.clock.ahead_ms += 60_000
        assert await timers.look() == [world.market.market_id]
        assert port.times_ms[0] >= 5 * DAY_MS
        assert await timers.look() == []  # what it said is not settled yet
        await world.settle(1)
        assert await timers.look() == [world.market.market_id]  # the order lives, so it has to be said again
        await world.settle(2)
        await end_order(world, 2)
        assert await timers.look() == []

    in_world(database_url, scene)


def test_it_looks_again_and_bears_a_lost_database(database_url: str) -> None:
    async def scene(world: World) -> None:
        port = Port(world)
        port.failures = [DatabaseUnavailable("away")]
        timers = Timers(world.database, port.submit, world.clock, TimersSettings(look_every_ms=2))
        async with running(timers):
            await add_order(world, 1, TimeInForce.GTD, expire_time_ms=1)

            async def told() -> bool:
                return len(port.times_ms) == 1

            async def recovered() -> bool:
                return str(timers.health.condition) == str(Condition.RUNNING)

            await until(told)
            await until(recovered)
            assert len(port.times_ms) == 1
        assert str(timers.health.condition) == "stopped"

    in_world(database_url, scene)
