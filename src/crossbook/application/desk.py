"""The order desk: group commit at the door.

While a transaction is in flight, the next requests gather; they go in as one batch, with a number of
statements that does not depend on how many they are. Nobody waits for a timer. What the desk answers
is safe on disk.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from crossbook.application import validation
from crossbook.application.admission import Admission
from crossbook.application.books import Books, Needs
from crossbook.application.clock import WallClock
from crossbook.application.errors import OutcomeUnknown, Overloaded, StoreRefused
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import (
    AmendRequest,
    CancelAllRequest,
    CancelRequest,
    NewOrder,
    PlacedOrder,
    Request,
    SystemRequest,
)
from crossbook.domain.errors import CrossbookError

MAX_BATCH: Final = 256
MAX_WAITING: Final = 10_000
ID_TAKEN: Final = "orders_pkey"
"""The store's rule that an id is one order's."""
OTHER_IDS: Final = 3
"""How many more ids are tried for an order whose id is taken: by a clock set back by years, say."""


class IdSource(Protocol):
    """Gives order ids."""

    def next(self) -> int:
        """An id that nobody had before."""
        ...


class AdmissionStore(Protocol):
    """Where admitted requests become durable. `crossbook.storage.admission` is one."""

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        """Read what `needs` says under lock, let `decide` change the books, write them, commit.

        All in one transaction. `followed` tells, at the commit, whether another call comes right after. Returns what
        `decide` returned, once it is durable. `decide` may run again when another transaction was in the way. Raises
        StoreRefused for books that break a rule of the store, and the store's own CrossbookError when it can not be
        reached.
        """
        ...

    async def close(self) -> None:
        """No more calls come."""
        ...


@dataclass
class _Waiting:
    """One request and the answer that somebody awaits."""

    request: Request
    order_id: int
    answer: "asyncio.Future[Any]"


class Desk:
    """Takes requests from any number of callers and commits them in batches.

    `committed` is called with the numbers of the markets whose logs grew, right after each commit.
    """

    def __init__(
        self,
        store: AdmissionStore,
        markets: Markets,
        marks: Marks,
        clock: WallClock,
        ids: IdSource,
        committed: Callable[[Iterable[int]], None],
        batch_taken: Callable[[int], None] = lambda _: None,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._store = store
        self._markets = markets
        self._marks = marks
        self._clock = clock
        self._ids = ids
        self._committed = committed
        self._batch_taken = batch_taken
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()

    async def submit(self, order: NewOrder) -> PlacedOrder:
        """Enter an order.

        Raises InvalidOrder, MarketNotFound, InsufficientMargin, InsufficientFunds, DuplicateClientOrderId,
        Overloaded, and OutcomeUnknown or the store's error when it is unknown whether the order was entered:
        ask again with the same client id.
        """
        market = self._markets.numbered(order.market_id)
        validation.check(order, market.instrument, self._clock.now_ms())
        placed: PlacedOrder = await self._enqueue(order, self._ids.next())
        return placed

    async def submit_many(self, orders: Sequence[NewOrder]) -> list[PlacedOrder | CrossbookError]:
        """Enter several orders, each for itself; a refused one does not stop the others."""
        answers = await asyncio.gather(*(self.submit(order) for order in orders), return_exceptions=True)
        outcome: list[PlacedOrder | CrossbookError] = []
        for answer in answers:
            if not isinstance(answer, PlacedOrder | CrossbookError):
                raise answer
            outcome.append(answer)
        return outcome

    async def cancel(self, account_id: int, order_id: int) -> None:
        """Log the cancel of an order. Raises OrderNotFound, OrderNotOpen, Overloaded, the store's errors."""
        await self._enqueue(CancelRequest(account_id, order_id))

    async def cancel_all(self, account_id: int, market_id: int = 0) -> list[int]:
        """Log the cancel of an account's live orders, of one market or all; gives their ids."""
        cancelled: list[int] = await self._enqueue(CancelAllRequest(account_id, market_id))
        return cancelled

    async def amend(self, request: AmendRequest) -> None:
        """Log the amendment of an order; what it may need more is held from now on, and a new name holds at once.

        Raises OrderNotFound (also for another's order), OrderNotOpen, InvalidOrder, InsufficientMargin,
        InsufficientFunds, DuplicateClientOrderId, Overloaded, and the store's errors. The engine may still refuse it:
        then the order stays as it is, under the new name.
        """
        await self._enqueue(request)

    async def system(self, request: SystemRequest) -> None:
        """Log commands of the venue itself."""
        await self._enqueue(request)

    async def run(self, stop: asyncio.Event) -> None:
        """Commit batches until `stop` is set and nothing waits."""
        stopping = asyncio.ensure_future(stop.wait())
        try:
            while self._waiting or not stop.is_set():
                if not self._waiting:
                    self._wake.clear()
                    waking = asyncio.ensure_future(self._wake.wait())
                    await asyncio.wait((waking, stopping), return_when=asyncio.FIRST_COMPLETED)
                    waking.cancel()
                    continue
                batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
                self._batch_taken(len(batch))
                try:
                    await self._serve(batch)
                except BaseException:
                    # The desk ends here. Nobody may wait for ever, and nobody knows whether the commit came through.
                    for waiting in batch:
                        _answer(waiting, OutcomeUnknown("the order desk stopped in the middle of it"))
                    raise
        finally:
            stopping.cancel()
            await self._store.close()

    def _more_wait(self) -> bool:
        return bool(self._waiting)

    def _enqueue(self, request: Request, order_id: int = 0) -> "asyncio.Future[Any]":
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded("too many requests wait to be stored")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request, order_id, answer))
        self._wake.set()
        return answer

    async def _serve(self, batch: list[_Waiting], ids_left: int = OTHER_IDS) -> None:
        """Commit a batch and answer it. A batch that breaks a rule of the schema is taken apart.

        An order whose id somebody has already gets another one, `ids_left` times.
        """
        now_ms = self._clock.now_ms()
        touched: set[int] = set()

        def decide(books: Books) -> list[Any]:
            admission = Admission(books, self._markets, self._marks, now_ms)
            answers = [_decide(admission, waiting) for waiting in batch]
            touched.clear()
            touched.update(market_id for market_id, _ in books.commands)
            return answers

        try:
            needs = _needs([waiting.request for waiting in batch])
            answers = await self._store.commit(needs, decide, now_ms, self._more_wait)
        except StoreRefused as error:
            if len(batch) > 1:
                for waiting in batch:
                    await self._serve([waiting])
            elif error.rule == ID_TAKEN and ids_left:
                batch[0].order_id = self._ids.next()
                await self._serve(batch, ids_left - 1)
            else:
                _answer(batch[0], error)
        except CrossbookError as error:
            for waiting in batch:
                _answer(waiting, error)
        else:
            if touched:
                self._committed(touched)
            for waiting, answer in zip(batch, answers, strict=True):
                _answer(waiting, answer)


def _needs(requests: Sequence[Request]) -> Needs:
    """What the decisions on these requests must know."""
    orders: list[NewOrder | AmendRequest] = [r for r in requests if isinstance(r, NewOrder | AmendRequest)]
    return Needs(
        sorted({order.account_id for order in orders}),
        [
            (order.account_id, order.client_order_id)
            for order in orders
            if isinstance(order, NewOrder) and order.client_order_id is not None
        ],
        [request.order_id for request in requests if isinstance(request, CancelRequest)],
        [request.account_id for request in requests if isinstance(request, CancelAllRequest)],
        sorted({order.order_id for order in orders if isinstance(order, AmendRequest)}),
        [(order.account_id, order.external_id) for order in orders if order.external_id is not None],
    )


def _decide(admission: Admission, waiting: _Waiting) -> object:
    """The answer to one request; a refusal is an answer too."""
    request = waiting.request
    try:
        if isinstance(request, NewOrder):
            return admission.submit(request, waiting.order_id)
        if isinstance(request, CancelRequest):
            admission.cancel(request)
            return None
        if isinstance(request, AmendRequest):
            admission.amend(request)
            return None
        if isinstance(request, CancelAllRequest):
            return admission.cancel_all(request)
        admission.system(request)
        return None
    except CrossbookError as error:
        return error


def _answer(waiting: _Waiting, answer: object) -> None:
    if waiting.answer.done():  # its caller has gone
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)
