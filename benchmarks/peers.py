"""Two other engines from the package index on the same flow: `bourse` (Rust) and `order-matching` (Python).

Neither knows self-trade prevention, and both are driven command by command. Where they lack a command
it is put together from those they have:

- IOC: a limit order, then its cancel.
- Amend: `bourse` has `modify_order`, which takes the new quantity for what is open; for `order-matching`
  it is a cancel and a new order of the same id.
- Time: a step before each command. Without it `bourse` lets orders of one price replace each other.

What `bourse` is called with is prepared before the clock starts. Both are optional: the table says so
when one is not installed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from importlib import import_module
from typing import Any, Final

from crossbook.domain.commands import AmendOrder, CancelOrder, SingleCommand, SubmitOrder
from crossbook.domain.orders import OrderType, Side, TimeInForce

START: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - the package compares with times without a zone
TIMESTAMP_STEP: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Peer:
    """Another engine: how to make one, prepare commands for it, run them, and count the trades it has made."""

    make: Callable[[], Any]
    prepare: Callable[[Sequence[SingleCommand]], Sequence[Any]]
    run: Callable[[Any, Sequence[Any]], None]
    trades: Callable[[Any], int]


def bourse() -> Peer:
    """The order book of `bourse`; raises ImportError when it is not installed."""
    core: Any = import_module("bourse.core")
    return Peer(
        make=lambda: BourseBook(core.OrderBook(0, 1, True)),
        prepare=lambda commands: [_bourse_call(command) for command in commands],
        run=BourseBook.run,
        trades=lambda subject: len(subject.book.get_trades()),
    )


class _BourseCall(IntEnum):
    PLACE = 1
    PLACE_AND_CANCEL = 2
    CANCEL = 3
    MODIFY = 4


def _bourse_call(command: SingleCommand) -> tuple[_BourseCall, tuple[Any, ...]]:
    """The call for a command. Orders are numbered from 0 in the order in which they come, as flows do from 1."""
    if isinstance(command, SubmitOrder):
        stays = command.time_in_force is not TimeInForce.IOC
        limit_ticks = command.price_ticks or None
        arguments = (command.side is Side.BUY, command.quantity_lots, command.account_id, limit_ticks)
        return _BourseCall.PLACE if stays else _BourseCall.PLACE_AND_CANCEL, arguments
    if isinstance(command, CancelOrder):
        return _BourseCall.CANCEL, (command.order_id - 1,)
    if isinstance(command, AmendOrder):
        return _BourseCall.MODIFY, (command.order_id - 1, command.price_ticks or None, command.quantity_lots or None)
    raise TypeError(f"no flow has a {type(command).__name__}")


class BourseBook:
    """A `bourse` book and its time."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self._time = 0

    def run(self, calls: Sequence[tuple[_BourseCall, tuple[Any, ...]]]) -> None:
        """Make the calls one after another."""
        book = self.book
        for time, (call, arguments) in enumerate(calls, self._time):
            book.set_time(time)
            if call is _BourseCall.PLACE:
                book.place_order(*arguments)
            elif call is _BourseCall.CANCEL:
                book.cancel_order(*arguments)
            elif call is _BourseCall.MODIFY:
                book.modify_order(*arguments)
            else:
                book.cancel_order(book.place_order(*arguments))
        self._time += len(calls)


def order_matching() -> Peer:
    """The engine of `order-matching`; raises ImportError when it, or what it needs, is not installed."""
    import_module("loguru").logger.disable("order_matching")
    return Peer(
        make=OrderMatchingBook,
        prepare=list,
        run=OrderMatchingBook.run,
        trades=lambda subject: subject.trades,
    )


class OrderMatchingBook:
    """An `order-matching` engine, its orders by id, and how many trades it made."""

    def __init__(self) -> None:
        orders: Any = import_module("order_matching.order")
        self._limit_order = orders.LimitOrder
        self._market_order = orders.MarketOrder
        self._orders = import_module("order_matching.orders").Orders
        side: Any = import_module("order_matching.enums").Side
        self._sides = {Side.BUY: side.BUY, Side.SELL: side.SELL}
        self._engine = import_module("order_matching.matching_engine").MatchingEngine(seed=1)
        self._by_id: dict[int, Any] = {}
        self._timestamp = START
        self.trades = 0

    def run(self, commands: Sequence[SingleCommand]) -> None:
        """Carry out commands one after another."""
        for command in commands:
            if isinstance(command, SubmitOrder):
                self._submit(command)
            elif isinstance(command, CancelOrder):
                self._cancel(command.order_id)
            elif isinstance(command, AmendOrder):
                self._amend(command)

    def _submit(self, command: SubmitOrder) -> None:
        terms = {
            "side": self._sides[command.side],
            "size": float(command.quantity_lots),
            "order_id": str(command.order_id),
            "trader_id": str(command.account_id),
        }
        if command.type is OrderType.MARKET:
            order = self._place(self._market_order, terms)
        else:
            order = self._place(self._limit_order, terms | {"price": float(command.price_ticks)})
        if command.time_in_force is not TimeInForce.IOC:
            self._by_id[command.order_id] = order
        elif order.size > 0:
            self._engine.cancel_order(order.order_id)

    def _place(self, order_class: Any, terms: dict[str, Any]) -> Any:
        self._timestamp += TIMESTAMP_STEP
        order = order_class(timestamp=self._timestamp, **terms)
        self._engine.place(orders=self._orders([order]))
        self.trades += len(self._engine.match(timestamp=self._timestamp).trades)
        return order

    def _cancel(self, order_id: int) -> Any:
        """Take an order out and give it; None when it is filled. `size` is what was open."""
        order = self._by_id.pop(order_id, None)
        if order is None or order.size <= 0:
            return None
        self._engine.cancel_order(order.order_id)
        return order

    def _amend(self, command: AmendOrder) -> None:
        order = self._cancel(command.order_id)
        if order is None:
            return
        terms = {
            "side": order.side,
            "size": float(command.quantity_lots or order.size),
            "order_id": order.order_id,
            "trader_id": order.trader_id,
            "price": float(command.price_ticks or order.price),
        }
        self._by_id[command.order_id] = self._place(self._limit_order, terms)
