"""Limits of many tasks, looked at together."""

import asyncio

import pytest

from crossbook.dialects.deadlines import Deadlines, Limit


async def forever() -> None:
    await asyncio.Event().wait()


def test_what_takes_too_long_is_ended() -> None:
    async def run() -> None:
        limit = Limit(Deadlines(), 0.01)
        with pytest.raises(TimeoutError), limit:
            await forever()
        assert limit.expired
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0  # the task goes on as if nothing had been

    asyncio.run(run())


def test_what_ends_in_time_is_left_alone() -> None:
    async def run() -> None:
        deadlines = Deadlines()
        limit = Limit(deadlines, 60)
        with limit:
            await asyncio.sleep(0)
        assert not limit.expired
        with pytest.raises(KeyError, match="own"), Limit(deadlines, 60):
            raise KeyError("own")

    asyncio.run(run())


def test_another_ones_cancel_goes_on() -> None:
    async def run() -> None:
        async def limited() -> None:
            with Limit(Deadlines(), 60):
                await forever()

        task = asyncio.create_task(limited())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_only_those_that_are_due_are_ended() -> None:
    async def run() -> None:
        deadlines = Deadlines()
        ended: list[str] = []

        async def limited(name: str, seconds: float, works: asyncio.Event) -> None:
            try:
                with Limit(deadlines, seconds):
                    await works.wait()
            except TimeoutError:
                ended.append(name)

        works = asyncio.Event()
        short = [asyncio.create_task(limited(f"short {place}", 0.01, works)) for place in range(3)]
        long = asyncio.create_task(limited("long", 600, works))
        await asyncio.gather(*short)
        assert sorted(ended) == ["short 0", "short 1", "short 2"]
        works.set()
        await long
        assert len(ended) == 3

    asyncio.run(run())
