"""The desk ends in the middle of a batch: who waited learns that nobody knows, and the next run serves the rest."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from crossbook.application.books import Books, Needs
from crossbook.application.desk import Desk
from crossbook.application.errors import OutcomeUnknown
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import SystemRequest
from crossbook.domain.instruments import btc_perp
from crossbook.system import Ids, ManualClock

DEADLINE_S = 30.0


class FailingStore:
    """Fails in the middle of the first commit, and commits after that."""

    def __init__(self) -> None:
        self.commits = 0
        self.reached = asyncio.Event()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        pass

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        self.commits += 1
        if self.commits == 1:
            self.reached.set()
            await self.failure
        return decide(Books())


@pytest.mark.parametrize("cancelled", [False, True])
def test_who_waited_learns_that_the_outcome_is_unknown(cancelled: bool) -> None:
    async def scene() -> None:
        store, clock, stop = FailingStore(), ManualClock(), asyncio.Event()
        markets = Markets([Market(1, btc_perp(), 1, 2)])
        desk = Desk(store, markets, Marks(), clock, Ids(clock, 0), lambda _: None)
        running = asyncio.create_task(desk.run(stop))
        asked = [asyncio.create_task(desk.system(SystemRequest(1, ()))) for _ in range(3)]
        await store.reached.wait()
        later = asyncio.create_task(desk.system(SystemRequest(1, ())))
        await asyncio.sleep(0)
        if cancelled:
            running.cancel()
        else:
            store.failure.set_exception(RuntimeError("on purpose"))
        (ending,) = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ending, asyncio.CancelledError if cancelled else RuntimeError)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [OutcomeUnknown] * 3
        assert not later.done()

        running = asyncio.create_task(desk.run(stop))
        await later
        stop.set()
        await running

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await scene()

    asyncio.run(bounded())
