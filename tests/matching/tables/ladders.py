"""Ladder lines and waiting lines of the book tables."""

import re
from dataclasses import dataclass
from typing import Final

from crossbook.domain.commands import SubmitOrder
from crossbook.domain.orders import OrderType, PriceSource, Side

from .words import Line, account, number


@dataclass(frozen=True)
class Order:
    """One order as a ladder shows it; `shown` is None unless it is an iceberg."""

    order_id: int
    open_lots: int
    shown: int | None
    account_id: int


@dataclass(frozen=True)
class Rung:
    """One price of a ladder with its two queues, first in time first."""

    bids: tuple[Order, ...]
    price: int
    asks: tuple[Order, ...]


@dataclass(frozen=True)
class WaitingLine:
    """The queue of orders that wait for one source at one trigger price."""

    source: PriceSource
    rising: bool
    trigger: int
    orders: tuple[Order, ...]


def rungs_of(lines: list[Line]) -> tuple[Rung, ...]:
    """The rungs of a ladder, highest price first."""
    rungs: list[Rung] = []
    for line in lines:
        parts = line.text.split("|")
        if len(parts) != 3:
            line.fail("a ladder line is 'bids | price | asks'")
        rung = Rung(queue_of(line, parts[0]), number(line, parts[1].strip()), queue_of(line, parts[2]))
        if not rung.bids and not rung.asks:
            line.fail("a ladder line without an order")
        if rungs and rung.price >= rungs[-1].price:
            line.fail("ladder prices must fall from line to line")
        rungs.append(rung)
    return tuple(rungs)


_ORDER: Final = re.compile(r"([^:]+):([^/@]+)(?:/([^@]+))?@(\w+)")


def queue_of(line: Line, text: str) -> tuple[Order, ...]:
    """The orders of one queue, first in time first."""
    orders: list[Order] = []
    for word in text.split():
        match = _ORDER.fullmatch(word)
        if not match:
            line.fail(f"an order is id:open@account, not {word!r}")
        order_id, lots, shown, owner = match.groups()
        orders.append(
            Order(
                number(line, order_id),
                number(line, lots),
                number(line, shown) if shown else None,
                account(line, owner),
            )
        )
    return tuple(orders)


WAITING: Final = re.compile(r"(last|mark|index) (<=|>=) (\S+) \|(.*)")


def entry_of(order: Order, side: Side, price: int, sequence: int, now_ms: int) -> SubmitOrder:
    """The command that enters an order of a `before` ladder."""
    return SubmitOrder(
        sequence,
        now_ms,
        order.order_id,
        order.account_id,
        side,
        OrderType.LIMIT,
        order.open_lots,
        price,
        display_quantity_lots=order.shown or 0,
    )
