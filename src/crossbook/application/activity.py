"""Activity: every step in the life of an order, for those whose dialect keeps it (`NewOrder.keeps_activity`).

Requests are written by the transaction that accepts them, reports by the one that settles them. Orders that keep no
activity cost nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from crossbook.application.settlement_rows import FillRow, OrderRow
from crossbook.domain.events import (
    CommandRejected,
    Event,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    Trade,
    TradePrevented,
)

KEPT_MS: Final = 28 * 24 * 3_600_000
"""How long activity is kept."""
NS_PER_MS: Final = 1_000_000


class ActivityKind(IntEnum):
    """What happened. Numbers are stored and never change meaning."""

    REQUEST_NEW = 1
    REQUEST_CANCEL = 2
    REQUEST_MODIFY = 3
    REPORT_CONFIRM = 4
    REPORT_REJECT = 5
    REPORT_TRADE = 6
    REPORT_CANCELED = 7
    REPORT_MODIFIED = 8


@dataclass(frozen=True)
class Step:
    """One thing that happened to an order, before it is stored. Ticks, lots, parts per million; 0 for none.

    `sequence` is the command that asked for it or caused it. `role`, `fee_ppm` and `trade_id` are a trade's; of a
    step that is no trade they are None.
    """

    order_id: int
    kind: ActivityKind
    sequence: int
    price_ticks: int = 0
    quantity_lots: int = 0
    role: int | None = None
    fee_ppm: int | None = None
    trade_id: int | None = None
    reason: int = 0


@dataclass(frozen=True)
class Activity:
    """A step as stored."""

    activity_id: int
    account_id: int
    order_id: int
    market_id: int
    kind: ActivityKind
    side: int
    external_id: str | None
    price_ticks: int
    quantity_lots: int
    role: int | None
    fee_ppm: int | None
    trade_id: int | None
    reason: int
    recorded_at_ns: int


class Reporter:
    """Notes what the events of a settlement mean for the orders that keep their activity, as it goes along.

    `orders` are the rows at work. `is_needed` says whether any of them keeps its activity.
    """

    def __init__(self, orders: Mapping[int, OrderRow]) -> None:
        self.steps: list[Step] = []
        self.is_needed = any(order.keeps_activity for order in orders.values())
        self._orders = orders

    def note(self, event: Event, fills: Sequence[FillRow]) -> None:
        """Note an event that has just been settled. `fills` ends with those of the event, if it is a trade."""
        if isinstance(event, Trade):
            for fill in fills[-2:]:
                self._note_fill(event, fill)
        elif isinstance(event, TradePrevented):
            if event.quantity_lots:
                self._note_changed(event.maker_order_id, event.sequence)
                self._note_changed(event.taker_order_id, event.sequence)
        elif isinstance(event, OrderAccepted):
            self._note(event.order_id, ActivityKind.REPORT_CONFIRM, event.sequence)
        elif isinstance(event, CommandRejected):
            self._note(event.order_id, ActivityKind.REPORT_REJECT, event.sequence, int(event.reason))
        elif isinstance(event, OrderAmended | OrderReduced):
            self._note_changed(event.order_id, event.sequence)
        elif isinstance(event, OrderCancelled | OrderExpired):
            self._note(event.order_id, ActivityKind.REPORT_CANCELED, event.sequence, int(event.reason))

    def _note_changed(self, order_id: int, sequence: int) -> None:
        self._note(order_id, ActivityKind.REPORT_MODIFIED, sequence)

    def _note(self, order_id: int, kind: ActivityKind, sequence: int, reason: int = 0) -> None:
        """Note a step of an order with its terms as they are now."""
        order = self._orders.get(order_id)
        if order is not None and order.keeps_activity:
            self.steps.append(Step(order_id, kind, sequence, order.price_ticks, order.quantity_lots, reason=reason))

    def _note_fill(self, event: Trade, fill: FillRow) -> None:
        _, _, order_id, _, role, price_ticks, quantity_lots, _, _, fee_ppm, *_ = fill
        if self._orders[order_id].keeps_activity:
            kind, number = ActivityKind.REPORT_TRADE, event.trade_id
            step = Step(order_id, kind, event.sequence, price_ticks, quantity_lots, role, fee_ppm, number)
            self.steps.append(step)
