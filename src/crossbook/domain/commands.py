"""The commands of one market: everything that may change it, with everything it needs to decide.

Each carries its sequence in the market's log (gap-free, from 1) and the time at which it was accepted,
in milliseconds since the epoch. Prices are in ticks, quantities in lots, both whole numbers; 0 stands
for "none" wherever a field is optional. The rules are in docs/matching.md.
"""

# SubmitOrder is frozen, and mypy forbids what only a class's own __init__ does.
# mypy: disable-error-code="misc"

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from crossbook.domain.orders import (
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.domain.records import initialise_without_compiler, make_copyable

COMMAND_VERSION: Final = 1
"""Version of the command vocabulary; it rises whenever the meaning of a stored command would change."""

OPERATOR: Final = 0
"""The account id of the venue itself in cancels: it may touch every order."""


class CommandKind(IntEnum):
    """The number of each command in records and in rejections; UNKNOWN only names a record of no known kind."""

    UNKNOWN = 0
    SUBMIT = 1
    CANCEL = 2
    CANCEL_ALL = 3
    REDUCE = 4
    AMEND = 5
    SET_STATE = 6
    UPDATE_PRICES = 7
    ADVANCE_TIME = 8
    SET_POSITION = 9
    CONFIGURE = 10
    APPLY_FUNDING = 11
    FORCE_TRADE = 12
    SETTLE_POSITIONS = 13


@dataclass(frozen=True, init=False)
class SubmitOrder:
    """Enter an order.

    `price_ticks` is the limit of a limit kind and the protection price (0 for none) of a market kind.
    `budget` replaces the quantity of a MARKET order by amount, in ticks times lots. `trail` is the
    distance of a trailing stop, in ticks, or in basis points when `trail_in_basis_points`.
    `display_quantity_lots` makes an iceberg. `oco_order_id` names the live order of the same account
    that this one forms a one-cancels-the-other pair with. `trade_group` widens self-trade prevention
    from the account to a group.
    """

    sequence: int
    time_ms: int
    order_id: int
    account_id: int
    side: Side
    type: OrderType
    quantity_lots: int
    price_ticks: int = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    self_trade_prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER
    trade_group: int = 0
    expire_time_ms: int = 0
    budget: int = 0
    display_quantity_lots: int = 0
    trigger_price_ticks: int = 0
    trigger_source: PriceSource = PriceSource.LAST
    trail: int = 0
    trail_in_basis_points: bool = False
    oco_order_id: int = 0

    def __init__(
        self,
        sequence: int,
        time_ms: int,
        order_id: int,
        account_id: int,
        side: Side,
        type: OrderType,
        quantity_lots: int,
        price_ticks: int = 0,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
        self_trade_prevention: SelfTradePrevention = SelfTradePrevention.EXPIRE_TAKER,
        trade_group: int = 0,
        expire_time_ms: int = 0,
        budget: int = 0,
        display_quantity_lots: int = 0,
        trigger_price_ticks: int = 0,
        trigger_source: PriceSource = PriceSource.LAST,
        trail: int = 0,
        trail_in_basis_points: bool = False,
        oco_order_id: int = 0,
    ) -> None:
        self.sequence = sequence
        self.time_ms = time_ms
        self.order_id = order_id
        self.account_id = account_id
        self.side = side
        self.type = type
        self.quantity_lots = quantity_lots
        self.price_ticks = price_ticks
        self.time_in_force = time_in_force
        self.post_only = post_only
        self.reduce_only = reduce_only
        self.self_trade_prevention = self_trade_prevention
        self.trade_group = trade_group
        self.expire_time_ms = expire_time_ms
        self.budget = budget
        self.display_quantity_lots = display_quantity_lots
        self.trigger_price_ticks = trigger_price_ticks
        self.trigger_source = trigger_source
        self.trail = trail
        self.trail_in_basis_points = trail_in_basis_points
        self.oco_order_id = oco_order_id


@dataclass(frozen=True)
class CancelOrder:
    """Take one order out. `account_id` must own it; `OPERATOR` may cancel any."""

    sequence: int
    time_ms: int
    order_id: int
    account_id: int


@dataclass(frozen=True)
class CancelAll:
    """Take out every order of `account_id` (or of all accounts, for `OPERATOR`), of one side or both."""

    sequence: int
    time_ms: int
    account_id: int
    side: Side | None = None


@dataclass(frozen=True)
class ReduceOrder:
    """Take `quantity_lots` off what is open of an order; it keeps its place."""

    sequence: int
    time_ms: int
    order_id: int
    account_id: int
    quantity_lots: int


@dataclass(frozen=True)
class AmendOrder:
    """Change an order. `quantity_lots` is the new total, executed part included; 0 leaves a field as is."""

    sequence: int
    time_ms: int
    order_id: int
    account_id: int
    quantity_lots: int = 0
    price_ticks: int = 0
    trigger_price_ticks: int = 0


@dataclass(frozen=True)
class SetMarketState:
    """Move the market to another state; entering ACTIVE or POST_ONLY uncrosses a crossed book.

    `reference_price_ticks` decides between equally good auction prices; 0 takes the market's own.
    """

    sequence: int
    time_ms: int
    state: MarketState
    reference_price_ticks: int = 0


@dataclass(frozen=True)
class UpdatePrices:
    """New mark and index prices; 0 leaves one as it is."""

    sequence: int
    time_ms: int
    mark_price_ticks: int = 0
    index_price_ticks: int = 0


@dataclass(frozen=True)
class AdvanceTime:
    """The clock: orders whose time has come expire."""

    sequence: int
    time_ms: int


@dataclass(frozen=True)
class SetPosition:
    """State an account's signed position in this market, in lots."""

    sequence: int
    time_ms: int
    account_id: int
    position_lots: int


@dataclass(frozen=True)
class ConfigureMarket:
    """Set the market's limits, all of them at once.

    `band_basis_points` 0 means no price band, `max_open_orders` 0 no limit per account.
    """

    sequence: int
    time_ms: int
    reference_price_ticks: int = 0
    band_basis_points: int = 0
    band_reference: BandReference = BandReference.MIDPOINT
    max_open_orders: int = 0
    max_iceberg_parts: int = 100
    max_trailing_orders: int = 1000


@dataclass(frozen=True)
class ApplyFunding:
    """The funding of one period falls due at this place in the log: whoever holds a position here pays or receives.

    `rate_ppb` is the signed rate in parts per billion, positive when longs pay; `index_price_ticks` is the
    price it is taken of. The book does not change.
    """

    sequence: int
    time_ms: int
    period_start_ms: int
    rate_ppb: int
    index_price_ticks: int


@dataclass(frozen=True)
class ForceTrade:
    """Close a short against a long at a stated price, outside the book, as auto-deleveraging does.

    The quantity is trimmed to what reduces both positions.
    """

    sequence: int
    time_ms: int
    buyer_account_id: int
    seller_account_id: int
    price_ticks: int
    quantity_lots: int


@dataclass(frozen=True)
class SettlePositions:
    """Close every position of a market in SETTLEMENT_ONLY at one price."""

    sequence: int
    time_ms: int
    price_ticks: int


SingleCommand = (
    SubmitOrder
    | CancelOrder
    | CancelAll
    | ReduceOrder
    | AmendOrder
    | SetMarketState
    | UpdatePrices
    | AdvanceTime
    | SetPosition
    | ConfigureMarket
    | ApplyFunding
    | ForceTrade
    | SettlePositions
)


@dataclass(frozen=True)
class Batch:
    """Several commands under one sequence, applied one after another with nothing in between.

    Every member carries the batch's own sequence. One refused member does not stop the others.
    """

    commands: tuple[SingleCommand, ...]

    @property
    def sequence(self) -> int:
        """The sequence that all members share; 0 for an empty batch."""
        return self.commands[0].sequence if self.commands else 0


Command = SingleCommand | Batch

COMMAND_TYPES: Final = (
    SubmitOrder,
    CancelOrder,
    CancelAll,
    ReduceOrder,
    AmendOrder,
    SetMarketState,
    UpdatePrices,
    AdvanceTime,
    SetPosition,
    ConfigureMarket,
    ApplyFunding,
    ForceTrade,
    SettlePositions,
    Batch,
)
"""Every command class."""

make_copyable(COMMAND_TYPES)
if __file__.endswith(".py"):
    initialise_without_compiler((SubmitOrder,))
