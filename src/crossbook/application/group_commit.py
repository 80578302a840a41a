"""Group commit for any kind of request: while one batch is being stored, the next requests gather.

The same idea as `crossbook.application.desk`, without what is special to orders. Nobody waits for a timer; a request
that comes alone is stored at once. It needs no task of its own: the first that waits starts the storing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from crossbook.application.errors import OutcomeUnknown, Overloaded, StoreRefused
from crossbook.domain.errors import CrossbookError

MAX_BATCH: Final = 256
MAX_WAITING: Final = 10_000

Q = TypeVar("Q")
A = TypeVar("A")

Commit = Callable[[Sequence[Q]], Awaitable[Sequence[A | CrossbookError]]]
"""Stores a batch durably, and gives an answer for each request; a refusal is an answer too."""


class GroupCommit(Generic[Q, A]):
    """Gathers requests and commits them in batches. A batch that breaks a rule of the store is taken apart."""

    def __init__(self, commit: Commit[Q, A], max_batch: int = MAX_BATCH, max_waiting: int = MAX_WAITING) -> None:
        self._commit = commit
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def do(self, request: Q) -> A:
        """Store one request; its answer, once it is durable. Raises what was answered, Overloaded, OutcomeUnknown."""
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded("too many requests wait to be stored")
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            try:
                await self._serve(batch)
            except BaseException as error:
                # Whatever it was, nobody may wait for ever.
                told = error if isinstance(error, Exception) else OutcomeUnknown("storing was interrupted")
                for _, answer in batch:
                    _refuse(answer, told)
                if not isinstance(error, Exception):
                    raise

    async def _serve(self, batch: list[tuple[Q, "asyncio.Future[A]"]]) -> None:
        try:
            answers = await self._commit([request for request, _ in batch])
        except StoreRefused:
            if len(batch) == 1:
                raise
            for one in batch:
                try:
                    await self._serve([one])
                except CrossbookError as error:
                    _refuse(one[1], error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(answer, CrossbookError):
                _refuse(future, answer)
            elif not future.done():
                future.set_result(answer)


def _refuse(answer: "asyncio.Future[A]", error: BaseException) -> None:
    if not answer.done():  # else its caller has gone
        answer.set_exception(error)
