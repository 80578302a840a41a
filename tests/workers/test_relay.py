"""The stream of commands is the log, at once when somebody tells, and soon when nobody does."""

import asyncio
from dataclasses import replace

import pytest

from crossbook.domain.commands import COMMAND_VERSION
from crossbook.storage import commands_log, snapshots
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.snapshots import StoredSnapshot
from crossbook.streams.entries import Entry
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind
from crossbook.system import ManualClock
from crossbook.workers import recovery
from crossbook.workers.health import Condition
from crossbook.workers.wake import Wake
from tests.workers.world import QUICK_REFILL, Luck, World, in_world, running, until


async def held(world: World) -> list[Entry]:
    after = await world.carriers.commands.first_sequence(world.market.symbol) - 1
    return await world.carriers.commands.read(world.market.symbol, after, 1_000)


async def reaches(world: World, sequence: int) -> None:
    async def there() -> bool:
        return await world.carriers.commands.last_sequence(world.market.symbol) == sequence

    await until(there)


def test_the_stream_is_the_log(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        await world.grow(40)
        relay = world.relay()
        async with running(relay):
            await reaches(world, 40)
            await world.grow(5)
            await reaches(world, 45)
            assert relay.health.condition is Condition.RUNNING
        assert await held(world) == await recovery.read_log(world.database, world.market.market_id, 0, 100)
        assert str(relay.health.condition) == "stopped"

    in_world(database_url, scene, redis_url)


def test_a_commit_that_is_told_needs_no_clock(database_url: str) -> None:
    async def scene(world: World) -> None:
        committed = Wake()
        relay = world.relay(clock=ManualClock(), committed=committed, settings=replace(QUICK_REFILL, idle_ms=10_000))
        async with running(relay):
            for number in range(1, 6):
                await world.grow(1)
                committed.set()
                await reaches(world, number)

    in_world(database_url, scene)


def test_an_emptied_stream_is_filled_from_the_newest_snapshot_on(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        await world.grow(40)
        async with world.database.transaction() as transaction:
            for sequence in (10, 25):
                await snapshots.store(transaction, StoredSnapshot(world.market.market_id, sequence, b"any"), 0)
        async with running(world.relay()):
            await reaches(world, 40)
            await world.carriers.empty()
            await reaches(world, 40)
        assert [sequence for sequence, _ in await held(world)] == list(range(26, 41))

    in_world(database_url, scene, redis_url)


def test_a_full_stream_is_waited_for(database_url: str) -> None:
    async def scene(world: World) -> None:
        small = InProcessStreams(StreamKind.COMMANDS, max_length=15)
        relay = world.relay(commands=small)
        await world.grow(40)
        async with running(relay):
            for sequence in (15, 30, 40):

                async def waits(last: int = sequence) -> bool:
                    return await small.last_sequence(world.market.symbol) == last

                await until(waits)
                await small.trim(world.market.symbol, sequence)

            async def goes_on() -> bool:
                return relay.health.condition is Condition.RUNNING

            await until(goes_on)

    in_world(database_url, scene)


def test_a_lost_stream_shows_in_the_health(database_url: str) -> None:
    async def scene(world: World) -> None:
        luck = Luck(1)
        relay = world.relay(commands=luck.stream(world.carriers.commands))
        await world.grow(5)
        async with running(relay):

            async def is_now(condition: Condition) -> bool:
                return relay.health.condition is condition

            await until(lambda: is_now(Condition.WAITING))
            luck.over = True
            await until(lambda: is_now(Condition.RUNNING))
            await reaches(world, 5)

    in_world(database_url, scene)


def test_a_command_of_a_version_to_come_stops_the_market(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(3)
        market_id = world.market.market_id
        async with world.database.transaction() as transaction:
            await commands_log.take_sequences(transaction, {market_id: 1})
            await commands_log.append(transaction, [LoggedCommand(market_id, 4, bytes(112), 0, COMMAND_VERSION + 1)])
        relay, matcher = world.relay(), world.matcher()
        async with running(relay, matcher):

            async def both_failed() -> bool:
                return {relay.health.condition, matcher.health.condition} == {Condition.FAILED}

            await until(both_failed)
            assert "version 2" in matcher.health.reason

    in_world(database_url, scene)


def test_the_newest_settled_snapshot_is_never_removed(database_url: str) -> None:
    async def scene(world: World) -> None:
        async with world.database.transaction() as transaction:
            with pytest.raises(ValueError, match="never removed"):
                await snapshots.prune_settled(transaction, world.market.market_id, 5, 0)
            assert await snapshots.newest_sequence(transaction, world.market.market_id) == 0
            for sequence in (2, 4, 6, 8):
                await snapshots.store(transaction, StoredSnapshot(world.market.market_id, sequence, b"any"), 0)
            assert await snapshots.prune_settled(transaction, world.market.market_id, 1, 1) == 0
            assert await snapshots.prune_settled(transaction, world.market.market_id, 7, 2) == 1
            assert await snapshots.prune_settled(transaction, world.market.market_id, 7, 1) == 1
        assert await world.snapshot_sequences() == [6, 8]

    in_world(database_url, scene)


def test_a_call_is_not_lost_while_nobody_waits() -> None:
    async def scene() -> None:
        wake, clock = Wake(), ManualClock()
        wake.set()
        await wake.wait(clock, 10)
        waiting = asyncio.create_task(wake.wait(clock, 10))
        await clock.run_for(9_000)
        assert not waiting.done()
        await clock.run_for(1_000)
        assert waiting.done()

    asyncio.run(scene())
