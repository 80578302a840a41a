"""What a settlement reports about the orders that keep their activity."""

from collections.abc import Mapping, Sequence

from crossbook.application.activity import ActivityKind, Step
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
