"""One crashing task is started again, and the others go on."""

import asyncio
from itertools import pairwise

from crossbook.supervisor import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Crew
from crossbook.system import ManualClock
from crossbook.workers.health import Condition, Health


def test_a_crashing_task_is_started_again_and_the_others_go_on() -> None:
    clock = ManualClock()
    starts: list[int] = []
    beats: list[int] = []

    async def crashing(stop: asyncio.Event) -> None:
        starts.append(clock.now_ms())
        raise ValueError("on purpose")

    async def steady(stop: asyncio.Event) -> None:
        while not stop.is_set():
            beats.append(clock.now_ms())
            await clock.sleep(0.05)

    async def work() -> list[str]:
        crew = Crew("test", clock)
        crew.start("crashing", crashing)
        crew.start("steady", steady)
        await clock.run_for(1_000)
        stopping = asyncio.create_task(crew.stop(60_000))
        await clock.run_for(10_000)
        return await stopping

    assert asyncio.run(work()) == []
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses == [FIRST_PAUSE_MS, 2 * FIRST_PAUSE_MS, 4 * FIRST_PAUSE_MS]
    assert len(beats) > 15


def test_the_pause_has_a_limit() -> None:
    clock = ManualClock()
    starts: list[int] = []

    async def ending(stop: asyncio.Event) -> None:
        starts.append(clock.now_ms())

    async def work() -> int:
        crew = Crew("test", clock)
        crew.start("ending", ending)
        await clock.run_for(60_000)
        await crew.stop(60_000)
        return crew.restarts

    restarts = asyncio.run(work())
    assert restarts == len(starts)
    assert starts[-1] - starts[-2] == LONGEST_PAUSE_MS


def test_a_task_that_does_not_stop_is_cut_off() -> None:
    clock = ManualClock()
    ended: list[str] = []

    async def deaf(stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("deaf")

    async def work() -> list[str]:
        crew = Crew("test", clock)
        crew.start("deaf", deaf)
        await asyncio.sleep(0)
        return await crew.stop(1)

    assert asyncio.run(work()) == ["deaf"]
    assert ended == ["deaf"]


def test_a_task_whose_part_was_cancelled_is_started_again() -> None:
    clock = ManualClock()
    starts: list[int] = []

    async def giving_up(stop: asyncio.Event) -> None:
        starts.append(clock.now_ms())
        part = asyncio.create_task(stop.wait())
        if len(starts) == 1:
            part.cancel()
        await part

    async def work() -> list[str]:
        crew = Crew("test", clock)
        crew.start("giving up", giving_up)
        await clock.run_for(1_000)
        stopping = asyncio.create_task(crew.stop(60_000))
        await clock.run_for(1_000)
        return await stopping

    assert asyncio.run(work()) == []
    assert len(starts) == 2


def test_who_crashes_waits_until_it_works_again_and_who_failed_stays_so() -> None:
    clock = ManualClock()
    crashed, failed = Health(clock=clock), Health(clock=clock)

    async def crashing(stop: asyncio.Event) -> None:
        if clock.monotonic_s() < 1:
            crashed.set(Condition.RUNNING)
            raise ValueError("on purpose")
        crashed.set(Condition.RUNNING)
        await stop.wait()

    async def failing(stop: asyncio.Event) -> None:
        failed.set(Condition.FAILED, "it met what must not happen")
        raise ValueError("on purpose")

    async def work() -> list[Condition]:
        crew = Crew("test", clock)
        crew.start("crashing", crashing, crashed)
        crew.start("failing", failing, failed)
        seen = []
        for passed_ms in (50, 2_000):
            await clock.run_for(passed_ms)
            seen += [crashed.condition, failed.condition]
        stopping = asyncio.create_task(crew.stop(60_000))
        await clock.run_for(10_000)
        await stopping
        return seen

    assert asyncio.run(work()) == [Condition.WAITING, Condition.FAILED, Condition.RUNNING, Condition.FAILED]
    assert crashed.reason == ""
    assert failed.reason == "it met what must not happen"
