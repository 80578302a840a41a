"""What was just committed reaches the stream without being read back, and nothing depends on it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.streams.entries import Entry
from crossbook.system import ManualClock
from crossbook.workers import recovery
from crossbook.workers.fresh import FreshCommands
from crossbook.workers.wake import Wake
from tests.workers.test_relay import held, reaches
from tests.workers.world import QUICK_REFILL, World, in_world, running


def record(sequence: int) -> bytes:
    return b"%d" % sequence


def filled(*sequences: int, kept: int = 100) -> FreshCommands:
    fresh = FreshCommands(kept)
    for sequence in sequences:
        fresh.add(sequence, record(sequence))
    return fresh


def test_what_follows_is_given_once_up_to_the_limit() -> None:
    fresh = filled(4, 5, 6)
    assert fresh.take_after(3, 2) == [(4, b"4"), (5, b"5")]
    assert fresh.take_after(5, 2) == [(6, b"6")]
    assert fresh.take_after(6, 2) == []
    assert fresh.take_after(5, 2) is None  # whoever goes back reads the log


def test_a_gap_is_left_to_the_log() -> None:
    assert filled(4, 5).take_after(2, 10) is None
    assert filled(4, 7, 8).take_after(3, 10) is None
    assert filled(4, 7, 8).take_after(6, 10) == [(7, b"7"), (8, b"8")]
    assert filled().take_after(0, 10) is None


def test_no_more_than_so_many_are_kept() -> None:
    fresh = filled(*range(1, 11), kept=3)
    assert fresh.take_after(0, 10) is None
    assert fresh.take_after(7, 10) == [(8, b"8"), (9, b"9"), (10, b"10")]


@given(st.lists(st.integers(1, 12)), st.integers(0, 12), st.integers(1, 5))
def test_what_is_given_follows_and_has_no_gap(added: list[int], after: int, limit: int) -> None:
    taken = filled(*added).take_after(after, limit)
    expected = list(range(after + 1, after + 1 + len(taken or [])))
    assert [sequence for sequence, _ in taken or []] == expected
    assert all(payload == record(sequence) for sequence, payload in taken or [])


def test_the_relay_carries_on_what_was_committed_here_without_reading_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(world: World) -> None:
        committed, fresh = Wake(), FreshCommands()
        reads: list[Sequence[Entry]] = []
        read_log = recovery.read_log

        async def counted(*arguments: object) -> list[Entry]:
            reads.append(await read_log(*arguments))  # type: ignore[arg-type]
            return list(reads[-1])

        await world.grow(3)
        settings = replace(QUICK_REFILL, idle_ms=10_000)
        relay = world.relay(clock=ManualClock(), committed=committed, fresh=fresh, settings=settings)
        monkeypatch.setattr(recovery, "read_log", counted)
        async with running(relay):
            await reaches(world, 3)
            while not reads or reads[-1]:  # it has seen the end of the log
                await asyncio.sleep(0)
            before = len(reads)
            for _ in range(5):
                last = len(world.expected)
                await world.grow(4)
                for sequence, payload in await read_log(world.database, world.market.market_id, last, 10):
                    fresh.add(sequence, payload)
                committed.set()
                await reaches(world, last + 4)
            assert len(reads) == before
        assert await held(world) == await read_log(world.database, world.market.market_id, 0, 100)

    in_world(database_url, scene)


def test_what_another_process_committed_is_found_in_the_log(database_url: str) -> None:
    async def scene(world: World) -> None:
        fresh = FreshCommands()
        async with running(world.relay(fresh=fresh)):
            await world.grow(3)
            await reaches(world, 3)
            await world.grow(2)
            for sequence, payload in await recovery.read_log(world.database, world.market.market_id, 4, 1):
                fresh.add(sequence, payload)  # 4 is another's
            await reaches(world, 5)

    in_world(database_url, scene)
