"""What the engines answer when asked about themselves."""

from dataclasses import dataclass

from crossbook.domain.orders import OrderType, Side


@dataclass(frozen=True)
class OrderView:
    """One live order. Quantities in lots, prices in ticks; `waiting` until its trigger fires."""

    order_id: int
    account_id: int
    side: Side
    type: OrderType
    price_ticks: int
    open_lots: int
    visible_lots: int
    executed_or_prevented_lots: int
    trigger_price_ticks: int
    waiting: bool
