"""Orders and trades as a client sees them who keeps the activity of its orders. Ticks, lots, quote units."""

from dataclasses import dataclass

from crossbook.application.order_filters import OrderStage
from crossbook.domain.errors import Reason
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.orders import OrderType, SelfTradePrevention, Side, TimeInForce


@dataclass(frozen=True)
class ClientOrder:
    """One order. `new_quantity_lots` and `new_price_ticks` are those of the newest change asked for, None for none."""

    order_id: int
    account_id: int
    market_id: int
    external_id: str
    ref_external_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    self_trade_prevention: SelfTradePrevention
    quantity_lots: int
    price_ticks: int
    stage: OrderStage
    reason: Reason
    open_lots: int
    filled_lots: int
    filled_notional_units: int
    created_at_ms: int
    updated_at_ms: int
    new_quantity_lots: int | None = None
    new_price_ticks: int | None = None


@dataclass(frozen=True)
class ClientTrade:
    """One side of a trade. `fee_ppm` is the rate that was taken, in parts per million."""

    fill_id: int
    account_id: int
    external_id: str
    market_id: int
    created_at_ms: int
    side: Side
    order_id: int
    price_ticks: int
    quantity_lots: int
    fee_ppm: int
    role: LiquidityRole
    trade_id: int
