"""Group commit: what comes meanwhile goes together, and nobody waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest

from crossbook.application.errors import Overloaded, StoreRefused
from crossbook.application.group_commit import GroupCommit
from crossbook.domain.errors import CrossbookError


class Store:
    """Answers each number with its double; refuses 13 by a rule and 7 by an answer."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.fault: Exception | None = None

    async def commit(self, numbers: Sequence[int]) -> list[int | CrossbookError]:
        self.batches.append(list(numbers))
        await asyncio.sleep(0.001)
        if self.fault:
            raise self.fault
        if 13 in numbers:
            raise StoreRefused("no_thirteen")
        return [Overloaded("seven") if number == 7 else 2 * number for number in numbers]


def test_requests_gather_while_a_batch_is_stored() -> None:
    async def scenario() -> None:
        store = Store()
        group: GroupCommit[int, int] = GroupCommit(store.commit, max_batch=4)
        first = asyncio.ensure_future(group.do(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        answers = await asyncio.gather(first, *(group.do(number) for number in range(2, 9)), return_exceptions=True)
        assert [each for each in answers if isinstance(each, int)] == [2, 4, 6, 8, 10, 12, 16]
        assert isinstance(answers[6], Overloaded)
        assert store.batches == [[1], [2, 3, 4, 5], [6, 7, 8]]
        assert await group.do(9) == 18

    asyncio.run(scenario())


def test_one_that_breaks_a_rule_does_not_stop_its_neighbours() -> None:
    async def scenario() -> None:
        store = Store()
        group: GroupCommit[int, int] = GroupCommit(store.commit)
        answers = await asyncio.gather(*(group.do(number) for number in (1, 13, 2)), return_exceptions=True)
        assert (answers[0], answers[2]) == (2, 4)
        assert isinstance(answers[1], StoreRefused)
        assert store.batches == [[1, 13, 2], [1], [13], [2]]

    asyncio.run(scenario())


def test_a_fault_reaches_all_who_wait_and_too_many_are_refused() -> None:
    async def scenario() -> None:
        store = Store()
        store.fault = ZeroDivisionError("bug")
        group: GroupCommit[int, int] = GroupCommit(store.commit, max_waiting=2)
        waiting = [asyncio.ensure_future(group.do(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in answers] == [ZeroDivisionError] * 2
        store.fault = None
        assert await group.do(3) == 6
        late = [asyncio.ensure_future(group.do(number)) for number in (4, 5, 6, 7)]
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert [type(each) for each in answers].count(Overloaded) >= 1
        with pytest.raises(StoreRefused):
            await group.do(13)

    asyncio.run(scenario())
