"""What the venue answers about orders, fills, positions and balances: stored values, before any dialect's words."""

from dataclasses import dataclass

from crossbook.domain.errors import Reason
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import OrderType, PriceSource, SelfTradePrevention, Side, TimeInForce
from crossbook.domain.risk import MarginMode


@dataclass(frozen=True)
class LastAmendment:
    """The newest amendment of an order: when it was accepted, and the engine's answer, None while there is none.

    The answer is `Reason.NONE` when it was taken, else why it was refused.
    """

    accepted_at_ms: int
    answer: Reason | None


@dataclass(frozen=True)
class OrderDetails:
    """One order as its owner sees it. Ticks, lots and units of the market's quote asset; rates in parts per million."""

    order_id: int
    account_id: int
    market_id: int
    client_order_id: str | None
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    reduce_only: bool
    leverage: int
    quantity_lots: int
    price_ticks: int
    trigger_price_ticks: int
    expire_time_ms: int
    status: OrderStatus
    reason: Reason
    open_lots: int
    filled_lots: int
    filled_notional_units: int
    held_units: int
    created_at_ms: int
    updated_at_ms: int
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    external_id: str | None = None
    ref_external_id: str | None = None
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER
    budget: int = 0
    display_quantity_lots: int = 0
    trigger_source: PriceSource = PriceSource.LAST
    trail: int = 0
    trail_in_basis_points: bool = False
    oco_order_id: int = 0
    asked_time_in_force: TimeInForce | None = None
    last_amendment: LastAmendment | None = None


@dataclass(frozen=True)
class FillDetails:
    """One side of one trade."""

    fill_id: int
    trade_id: int
    order_id: int
    account_id: int
    market_id: int
    side: Side
    role: LiquidityRole
    price_ticks: int
    quantity_lots: int
    notional_units: int
    fee_units: int
    realised_pnl_units: int
    created_at_ms: int


@dataclass(frozen=True)
class PositionDetails:
    """One account's row in one perpetual market.

    `isolated_units` is what is set apart for an isolated position, `funding_units` what funding brought (negative:
    cost) since the position was opened.
    """

    account_id: int
    market_id: int
    position_lots: int
    cost_units: int
    realised_pnl_units: int
    margin: MarginRow
    mode: MarginMode = MarginMode.CROSS
    isolated_units: int = 0
    funding_units: int = 0
    in_liquidation: bool = False

    @property
    def leverage(self) -> int:
        """The account's leverage in this market."""
        return self.margin.leverage


@dataclass(frozen=True)
class BalanceDetails:
    """One account's amount of one asset. For a margin asset, what margin ties up is not in `held_units`."""

    account_id: int
    asset: str
    decimals: int
    total_units: int
    held_units: int
    transfer_hold_units: int = 0

    @property
    def free_units(self) -> int:
        """What neither spot orders nor withdrawals hold."""
        return self.total_units - self.held_units - self.transfer_hold_units


@dataclass(frozen=True)
class Holdings:
    """All that an account has, at one moment: its balances by asset name, its positions by market number."""

    balances: list[BalanceDetails]
    positions: list[PositionDetails]


@dataclass(frozen=True)
class Page:
    """Which part of a list: at most `limit` rows older than the row of id `before` (0 for the newest)."""

    limit: int
    before: int = 0
