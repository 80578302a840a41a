"""The stream of events holds what a straight run of the log gives, each sequence once, whatever happens."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from crossbook.domain.commands import AdvanceTime
from crossbook.matching.codec import encode_records
from crossbook.storage import snapshots
from crossbook.storage.database import Database
from crossbook.storage.snapshots import StoredSnapshot
from crossbook.streams.entries import Entry
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind, StreamTrimmed
from crossbook.workers.health import Condition
from crossbook.workers.matcher import Matcher
from tests.workers.world import (
    QUICK,
    Carriers,
    Crossings,
    Luck,
    ShiftedClock,
    World,
    a_world,
    in_world,
    running,
    until,
    with_database,
)


async def has(matcher: Matcher, condition: Condition) -> None:
    async def holds() -> bool:
        return matcher.health.condition is condition

    await until(holds)


# -- In calm -----------------------------------------------------------------------------------------
def test_every_command_has_one_entry_and_its_own_events(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        await world.grow(60)
        async with running(world.relay(), world.matcher()):
            await world.caught_up()
            for _ in range(12):
                await world.grow(5)
            await world.caught_up()
        assert await world.held_events() == world.expected
        assert b"" in [payload for _, payload in world.expected]

    in_world(database_url, scene, redis_url)


def test_it_plays_the_log_without_a_relay(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(60)
        matcher = world.matcher()
        async with running(matcher):
            await world.caught_up()
            await has(matcher, Condition.RUNNING)
        assert matcher.health.condition is Condition.STOPPED
        assert await world.held_events() == world.expected

    in_world(database_url, scene)


def test_a_stop_leaves_a_snapshot_of_the_end_and_gives_the_lease_back(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(25)
        async with running(world.matcher("one")):
            await world.caught_up()
        assert (await world.snapshot_sequences())[-1] == 25
        await world.grow(3)
        async with running(world.matcher("two")):
            await world.caught_up()
        assert await world.held_events() == world.expected

    in_world(database_url, scene)


def test_streams_are_trimmed_behind_settlement_and_snapshot_only(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        symbol = world.market.symbol
        commands, events = world.carriers.commands, world.carriers.events
        await world.grow(40)
        async with running(world.relay(), world.matcher()):
            await world.caught_up()
            await world.settle(24)
        assert await commands.first_sequence(symbol) == 25
        assert await events.first_sequence(symbol) == 25
        assert await world.held_events() == world.expected[24:]
        await world.settle(40)
        never = replace(QUICK, snapshot_every=1_000_000, lease_ms=90)
        async with running(world.relay(), world.matcher(settings=never)):
            await world.grow(20)
            await world.caught_up()
            await world.settle(60)

            async def trimmed() -> bool:
                return [await stream.first_sequence(symbol) for stream in (commands, events)] == [41, 41]

            await until(trimmed)  # settled up to 60, and a snapshot of 40

    in_world(database_url, scene, redis_url)


def test_snapshots_that_nobody_can_need_are_removed(database_url: str) -> None:
    async def scene(world: World) -> None:
        for settled in (5, 17, 36, 36):
            await world.grow(20)
            await world.settle(settled)
            async with running(world.matcher()):
                await world.caught_up()
        kept = await world.snapshot_sequences()
        assert kept[-1] == 80
        assert len([sequence for sequence in kept if sequence <= 36]) <= QUICK.snapshots_kept
        assert len([sequence for sequence in kept if sequence > 36]) >= 2

    in_world(database_url, scene)


# -- Crashes -----------------------------------------------------------------------------------------
async def life(world: World, crash_at: int) -> bool:
    """A life that ends at a crossing, and another that goes on to the end; whether the first was ended."""
    crossings = Crossings(crash_at)
    await world.grow(20)
    await world.settle(6)
    first = world.matcher(
        "first",
        database=crossings.database(world.database),
        commands=crossings.stream(world.carriers.commands),
        events=crossings.stream(world.carriers.events),
    )
    async with running(world.relay()):
        grown = asyncio.create_task(world.grow(20))
        killed = await crossings.run(first, world.caught_up())
        await grown
        world.clock.ahead_ms += 3_600_000  # the lease of the dead is over
        async with running(world.matcher("second")):
            await world.caught_up()
    held = await world.held_events()
    assert held == world.expected[held[0][0] - 1 :], crash_at
    assert held[0][0] <= 7
    return killed


@pytest.mark.parametrize("part", range(4))
def test_a_crash_at_any_moment_changes_no_event(database_url: str, part: int) -> None:
    """Killed before, inside and after every call of a stream and the database, then started again."""

    async def scene(database: Database) -> None:
        killed = 0
        for crash_at in range(1 + part, 90, 4):
            async with a_world(database, number=crash_at) as world:
                killed += await life(world, crash_at)
        assert killed >= 10

    with_database(database_url, scene)


@pytest.mark.parametrize("seed", range(3))
def test_many_crashes_and_losses_change_no_event(database_url: str, redis_url: str | None, seed: int) -> None:
    chance = random.Random(seed)

    async def scene(world: World) -> None:
        seen = 0
        async with running(world.relay()):
            for number in range(15):
                await world.grow(chance.randrange(1, 15))
                crossings = Crossings(chance.randrange(1, 60))
                await crossings.run(
                    world.matcher(
                        f"life {number}",
                        database=crossings.database(world.database),
                        commands=crossings.stream(world.carriers.commands),
                        events=crossings.stream(world.carriers.events),
                    ),
                    world.caught_up(),
                )
                world.clock.ahead_ms += 3_600_000
                if chance.random() < 0.4:
                    held = await world.held_events()
                    if held:
                        assert held == world.expected[held[0][0] - 1 : held[-1][0]]
                        seen = max(seen, chance.randrange(held[0][0] - 1, held[-1][0] + 1))
                        await world.settle(seen)
                if chance.random() < 0.3:
                    await world.carriers.empty()
            async with running(world.matcher("last")):
                await world.caught_up()
        held = await world.held_events()
        assert held == world.expected[held[0][0] - 1 :]
        assert held[0][0] <= seen + 1

    in_world(database_url, scene, redis_url)


@pytest.mark.parametrize("seed", range(3))
def test_what_fails_for_a_time_is_waited_for(database_url: str, seed: int) -> None:
    async def scene(world: World) -> None:
        luck = Luck(seed)
        matcher = world.matcher(
            database=luck.database(world.database),
            commands=luck.stream(world.carriers.commands),
            events=luck.stream(world.carriers.events),
            settings=replace(QUICK, lease_ms=200),  # one that was taken and not answered has to run out
        )
        relay = world.relay(database=luck.database(world.database), commands=luck.stream(world.carriers.commands))
        await world.grow(20)
        async with running(relay, matcher):
            for _ in range(10):
                await world.grow(6)
                await asyncio.sleep(0.01)
            await world.caught_up()
            luck.over = True
            await has(matcher, Condition.RUNNING)
        assert await world.held_events() == world.expected

    in_world(database_url, scene)


# -- Leases ------------------------------------------------------------------------------------------
def test_one_of_two_works_and_the_other_takes_over(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        first, second = world.matcher("first"), world.matcher("second")
        await world.grow(30)
        async with running(world.relay()):
            task = asyncio.create_task(first.run(asyncio.Event()))
            await has(first, Condition.RUNNING)
            async with running(second):
                await has(second, Condition.STANDBY)
                await world.grow(10)
                await world.caught_up()
                assert second.engine is None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await world.grow(10)
                world.clock.ahead_ms += QUICK.lease_ms
                await has(second, Condition.RUNNING)
                await world.caught_up()
        assert await world.held_events() == world.expected

    in_world(database_url, scene, redis_url)


def test_one_that_slept_past_its_lease_stands_by(database_url: str) -> None:
    async def scene(world: World) -> None:
        sleeper, ahead = world.matcher("sleeper"), ShiftedClock()
        await world.grow(30)
        async with running(world.relay(), sleeper):
            await has(sleeper, Condition.RUNNING)
            ahead.ahead_ms = 2 * QUICK.lease_ms  # for the other one the lease is over, for the sleeper it is not
            async with running(world.matcher("other", clock=ahead)):
                await world.grow(10)
                await world.caught_up()
                world.clock.ahead_ms = QUICK.lease_ms  # it wakes, and asks
                await has(sleeper, Condition.STANDBY)
                await world.grow(10)
                await world.caught_up()
        assert await world.held_events() == world.expected

    in_world(database_url, scene)


# -- Damage ------------------------------------------------------------------------------------------
def test_broken_snapshots_are_skipped(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(world: World) -> None:
        await world.grow(30)
        async with running(world.matcher()):
            await world.caught_up()
        await world.grow(5)
        good = world.engine.snapshot()
        async with world.database.transaction() as transaction:
            for sequence, data in ((31, good[:-1]), (32, b"nothing"), (33, good)):  # the last one is of 35
                await snapshots.store(transaction, StoredSnapshot(world.market.market_id, sequence, data), 0)
        await world.settle(35)
        await world.carriers.empty()
        await world.grow(5)
        async with running(world.matcher()):
            await world.caught_up()
        assert await world.held_events() == world.expected[35:]
        assert len([line for line in caplog.messages if line == "snapshot skipped"]) == 3

    in_world(database_url, scene)


def test_a_log_that_cannot_be_played_stops_the_market(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(20)
        await world.log_records([encode_records(AdvanceTime(777, 0))])
        matcher = world.matcher()
        async with running(world.relay(), matcher):
            await has(matcher, Condition.FAILED)
            assert "command 21" in matcher.health.reason
            assert matcher.engine is not None
            assert matcher.engine.last_sequence == 20
        assert await world.held_events() == world.expected
        assert 21 not in await world.snapshot_sequences()

    in_world(database_url, scene)


def test_a_command_inside_another_ones_record_stops_the_market(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(5)
        await world.log_records([encode_records(AdvanceTime(6, 0)) + encode_records(AdvanceTime(7, 0))])
        matcher = world.matcher()
        async with running(matcher):
            await has(matcher, Condition.FAILED)
        assert await world.snapshot_sequences() == []

    in_world(database_url, scene)


def test_the_log_decides_what_a_damaged_stream_brings(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(10)
        async with running(world.matcher()):
            await world.caught_up()
            await world.carriers.commands.start_after(world.market.symbol, 10)
            await world.grow(3)
            junk = [(sequence, encode_records(AdvanceTime(999, 0))) for sequence in (11, 12)]
            await world.carriers.commands.append(world.market.symbol, junk)
            await until(lambda: world.ends_at(12))
        assert (await world.held_events()) == world.expected[:12]

    in_world(database_url, scene)


def test_commands_of_another_log_are_not_played(database_url: str) -> None:
    async def scene(world: World) -> None:
        junk = [(sequence, encode_records(AdvanceTime(sequence, 0))) for sequence in range(1, 91)]
        await world.carriers.commands.append(world.market.symbol, junk)
        await world.grow(40)
        matcher = world.matcher()
        async with running(matcher):
            await has(matcher, Condition.WAITING)
            assert "beyond the log" in matcher.health.reason
            async with running(world.relay()):  # which mends the stream
                await world.grow(10)
                await world.caught_up()
        assert await world.held_events() == world.expected

    in_world(database_url, scene)


def test_it_says_what_it_did(database_url: str) -> None:
    class Figures:
        def __init__(self) -> None:
            self.counts: dict[str, int] = {}
            self.gauges: dict[str, int] = {}

        def count(self, name: str, market: str, amount: int = 1) -> None:
            self.counts[name] = self.counts.get(name, 0) + amount

        def gauge(self, name: str, market: str, value: int) -> None:
            self.gauges[name] = value

    async def scene(world: World) -> None:
        figures = Figures()
        await world.grow(40)
        await world.settle(30)
        async with running(world.matcher(metrics=figures)):
            await world.caught_up()
        assert figures.counts["commands_matched"] == 40
        assert figures.counts["snapshots_stored"] >= 1
        assert figures.gauges["matched_sequence"] == 40
        assert figures.gauges["unsettled_commands"] == 10
        assert figures.gauges["unmatched_commands"] == 0

    in_world(database_url, scene)


@pytest.mark.parametrize("length", [12, 90])
def test_events_of_another_log_are_replaced(database_url: str, length: int) -> None:
    async def scene(world: World) -> None:
        junk = [(sequence, b"junk") for sequence in range(1, length + 1)]
        await world.carriers.events.append(world.market.symbol, junk)
        await world.grow(40)
        await world.settle(7)
        async with running(world.matcher()):
            await world.caught_up()
        assert await world.held_events() == world.expected[7:]

    in_world(database_url, scene)


def test_a_full_stream_of_events_is_waited_for(database_url: str) -> None:
    async def scene(world: World) -> None:
        small = InProcessStreams(StreamKind.EVENTS, max_length=25)
        world.carriers = Carriers(world.carriers.commands, small, world.carriers.empty)
        await world.grow(60)
        found: list[Entry] = []
        async with running(world.relay(), world.matcher(settings=replace(QUICK, snapshot_every=1_000, lease_ms=60))):
            for settled in (10, 30, 50, 60):
                while len(found) < settled:
                    batch = await small.read(world.market.symbol, len(found), settled - len(found), 10)
                    found += batch
                await world.settle(settled)
        assert found == world.expected

    in_world(database_url, scene)


# -- Emptied streams ---------------------------------------------------------------------------------
@asynccontextmanager
async def settling(world: World, found: list[Entry]) -> AsyncIterator[None]:
    """Meanwhile, read events from where settlement stands and settle them, as the settler does."""

    async def run() -> None:
        symbol = world.market.symbol
        while True:
            try:
                batch = await world.carriers.events.read(symbol, len(found), 5, 5)
            except StreamTrimmed:
                await asyncio.sleep(0.001)
                continue
            assert [sequence for sequence, _ in batch] == [len(found) + 1 + n for n in range(len(batch))]
            found.extend(batch)
            if batch:
                await world.settle(len(found))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_emptied_streams_lose_nothing_and_double_nothing(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        found: list[Entry] = []

        async def all_found() -> bool:
            return len(found) == len(world.expected)

        async with running(world.relay(), world.matcher()), settling(world, found):
            for number in range(12):
                await world.grow(12)
                await asyncio.sleep(0.005 * (number % 4))
                if number % 2:
                    await world.carriers.empty()
            await until(all_found)
            await world.carriers.empty()  # with nothing new to match
            await world.grow(1)
            await until(all_found)
        assert found == world.expected

    in_world(database_url, scene, redis_url)


def test_events_lost_while_nothing_happens_come_back(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(20)
        await world.settle(4)
        async with running(world.matcher()):
            await world.caught_up()
            await world.carriers.events.clear(world.market.symbol)
            await world.caught_up()
            assert await world.held_events() == world.expected[4:]

    in_world(database_url, scene)
