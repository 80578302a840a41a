"""Clock, ids, randomness."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.server.middleware import SANE_ID
from crossbook.system import (
    EPOCH_MS,
    MAX_ID,
    NODES,
    Clock,
    Ids,
    ManualClock,
    SystemClock,
    made_at_ms,
    random_for,
    request_ids,
    secret_token,
)

NOW_MS = EPOCH_MS + 60_000_000_000


# -- Clock -------------------------------------------------------------------------------------------
def test_the_system_s_clock_is_the_machine_s() -> None:
    clock: Clock = SystemClock()
    before_ms, before_s = time.time_ns() // 1_000_000, time.monotonic()
    assert before_ms <= clock.now_ms() <= time.time_ns() // 1_000_000
    assert before_s <= clock.monotonic_s() <= time.monotonic()


def test_the_system_s_clock_lets_others_run() -> None:
    async def main() -> list[str]:
        order: list[str] = []

        async def other() -> None:
            order.append("other")

        task = asyncio.create_task(other())
        await SystemClock().sleep(-1)
        order.append("me")
        await task
        return order

    assert asyncio.run(main()) == ["other", "me"]


def test_a_manual_clock_moves_when_told() -> None:
    clock = ManualClock(NOW_MS)
    assert (clock.now_ms(), clock.monotonic_s()) == (NOW_MS, 0)
    clock.advance(1500)
    assert (clock.now_ms(), clock.monotonic_s()) == (NOW_MS + 1500, 1.5)
    clock.set_now(NOW_MS - 1)
    assert (clock.now_ms(), clock.monotonic_s()) == (NOW_MS - 1, 1.5)
    clock.advance(1)
    assert clock.now_ms() == NOW_MS
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="backwards"):
        asyncio.run(clock.run_for(-1))


def test_sleepers_wake_at_their_time_and_in_order() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = ManualClock(NOW_MS)
        woken: list[tuple[str, float]] = []

        async def sleeper(name: str, duration_s: float) -> None:
            await clock.sleep(duration_s)
            woken.append((name, clock.monotonic_s()))

        async with asyncio.TaskGroup() as group:
            for name, duration_s in (("b", 2.0), ("a", 1.0), ("c", 2.0), ("at once", 0.0), ("late", 9.0)):
                group.create_task(sleeper(name, duration_s))
            await clock.run_for(999)
            assert [name for name, _ in woken] == ["at once"]
            await clock.run_for(2000)
            assert [name for name, _ in woken] == ["at once", "a", "b", "c"]
            clock.advance(60_000)  # in one leap: who wakes then, wakes late
        return woken

    assert asyncio.run(main()) == [("at once", 0.0), ("a", 1.0), ("b", 2.0), ("c", 2.0), ("late", 62.999)]


def test_who_sleeps_again_wakes_at_every_beat() -> None:
    async def main() -> list[float]:
        clock = ManualClock(NOW_MS)
        beats: list[float] = []

        async def beat() -> None:
            while True:
                await clock.sleep(0.5)
                beats.append(clock.monotonic_s())

        task = asyncio.create_task(beat())
        await clock.run_for(2_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await clock.run_for(2_000)  # the cancelled sleeper does not stand in the way
        return beats

    assert asyncio.run(main()) == [0.5, 1.0, 1.5, 2.0]


# -- Ids ---------------------------------------------------------------------------------------------
def test_an_id_holds_its_time_and_fits_62_bits() -> None:
    first = Ids(ManualClock(NOW_MS), node=0).next()
    last = Ids(ManualClock(NOW_MS), node=NODES - 1).next()
    assert made_at_ms(first) == made_at_ms(last) == NOW_MS
    assert 0 < first < last <= MAX_ID == 2**62 - 1


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 3000)), min_size=1, max_size=12))
def test_ids_strictly_rise_whatever_the_clock_does(steps: list[tuple[int, int]]) -> None:
    clock = ManualClock(NOW_MS)
    ids = Ids(clock, node=7)
    made: list[int] = []
    for step_ms, count in steps:
        clock.set_now(clock.now_ms() + step_ms)
        batch = ids.take(count)
        assert len(batch) == count
        made += batch
    assert all(a < b for a, b in pairwise(made))


def test_more_ids_than_a_millisecond_has_borrow_from_the_next() -> None:
    ids = Ids(ManualClock(NOW_MS), node=1)
    made = ids.take(1025)
    assert made_at_ms(made[0]) == made_at_ms(made[1023]) == NOW_MS
    assert made_at_ms(made[1024]) == NOW_MS + 1
    assert len(set(made)) == 1025


def test_nodes_never_share_an_id_within_a_millisecond() -> None:
    clock = ManualClock(NOW_MS)
    makers = [Ids(clock, node) for node in (0, 1, 2, NODES - 1)]
    made = [id_ for maker in makers for id_ in maker.take(3000)]
    assert len(set(made)) == len(made)


def test_a_restart_on_the_same_node_with_the_clock_set_back_goes_on_above() -> None:
    clock = ManualClock(NOW_MS)
    before = Ids(clock, node=3).take(5000)
    clock.set_now(NOW_MS - 3_600_000)
    after = Ids(clock, node=3, after=before[-1]).take(10)
    assert after[0] > before[-1]
    clock.set_now(NOW_MS + 1000)
    assert made_at_ms(Ids(clock, node=3, after=before[-1]).next()) == NOW_MS + 1000


def test_a_clock_before_the_first_id_still_gives_ids() -> None:
    made = Ids(ManualClock(0), node=0).take(2000)
    assert made[0] >= 1
    assert len(set(made)) == 2000


def test_threads_never_get_the_same_id() -> None:
    ids = Ids(SystemClock(), 7)
    made: list[list[int]] = []
    threads = [threading.Thread(target=lambda: made.append([ids.next() for _ in range(2000)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [id_ for part in made for id_ in part]
    assert len(everything) == len(set(everything)) == 8000
    assert all(part == sorted(part) for part in made)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_refused() -> None:
    code = """
import os
from crossbook.system import Ids, SystemClock
ids = Ids(SystemClock(), 1)
child = os.fork()
if child == 0:
    try:
        ids.next()
    except RuntimeError:
        os._exit(42)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
assert ids.next() > 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Ids(ManualClock(), node=-1),
        lambda: Ids(ManualClock(), node=NODES),
        lambda: Ids(ManualClock(), node=0, after=-1),
        lambda: Ids(ManualClock(), node=0, after=MAX_ID + 1),
        lambda: Ids(ManualClock(), node=0).take(0),
    ],
)
def test_what_makes_no_ids_is_refused(wrong: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        wrong()


def test_the_last_id_is_an_end_and_not_a_wrap() -> None:
    ids = Ids(ManualClock(EPOCH_MS + 2**41 - 1), node=NODES - 1)
    assert ids.take(1024)[-1] == MAX_ID
    with pytest.raises(OverflowError):
        ids.next()


# -- Randomness --------------------------------------------------------------------------------------
def test_secret_tokens_are_long_and_differ() -> None:
    tokens = {secret_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)
    assert len(secret_token(16)) == 22
    with pytest.raises(ValueError, match="at least 16"):
        secret_token(15)


def test_choices_repeat_by_seed_and_name() -> None:
    def draws(seed: int, name: str) -> list[float]:
        source = random_for(seed, name)
        return [source.random() for _ in range(5)]

    assert draws(1, "maker/BTC-PERP") == draws(1, "maker/BTC-PERP")
    different = [draws(1, "a"), draws(2, "a"), draws(1, "b"), draws(12, "3"), draws(1, "23")]
    assert len({tuple(row) for row in different}) == len(different)


def test_choices_are_the_same_on_every_machine() -> None:
    assert random_for(7, "noise").getrandbits(64) == 14730197460490566908


def test_ids_of_requests_differ_in_and_across_processes() -> None:
    first, second = request_ids(), request_ids()
    made = [make() for _ in range(100) for make in (first, second)]
    assert len(set(made)) == 200
    assert all(SANE_ID.fullmatch(each.encode("ascii")) for each in made)
