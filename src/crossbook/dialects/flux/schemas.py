"""Every request and reply of Flux, in the contract's order of fields.

Requests are read strictly: an amount is a decimal string, never a JSON number. Requests that move an order
know all their fields, so that a misspelt `reduceOnly` is refused instead of ignored. Replies are written with
decimal strings, and times as milliseconds since the epoch. A reply's field that is UNSET is left out.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_PAGE: Final = 500
DEFAULT_PAGE: Final = 100
MAX_DEPTH: Final = 1000
DEFAULT_DEPTH: Final = 50
MAX_BATCH: Final = 50
MAX_LEVERAGE: Final = 1000

# -- Words -------------------------------------------------------------------------------------------
AmountText = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$",
        max_length=40,
        description='a decimal number in a string, without sign or exponent, such as "1.25"',
        examples=["1.25"],
    ),
]
"""An amount as a client sends it. Tick, lot and minimum are the market's matter, not the schema's."""
PriceText = Annotated[AmountText, Meta(examples=["65000"])]
DecimalText = Annotated[str, Meta(description="a decimal number in a string", examples=["65000.5"])]
"""A number in a reply; it may be negative."""
Level = Annotated[
    list[DecimalText],
    Meta(min_length=2, max_length=2, description="price and quantity", examples=[["65000", "1.25"]]),
]
"""A level of the book. A list, not a tuple: tools that read documents trip over the schema of a tuple."""
TimeMs = Annotated[int, Meta(ge=0, description="milliseconds since the epoch", examples=[1767225600000])]
MarketId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._-]{1,32}$",
        description="a market's id: letters, digits and . _ -, at most 32",
        examples=["BTC-PERP"],
    ),
]
AssetId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9]{1,16}$",
        description="an asset's id: letters and digits, at most 16",
        examples=["USDC"],
    ),
]
ClientOrderId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._:/+=-]{1,64}$",
        description="the client's own id: letters, digits and . _ : / + = -, at most 64",
        examples=["client-123"],
    ),
]
OrderId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="an order's id")]
Email = Annotated[
    str,
    Meta(
        pattern=r"^[^@\x00-\x20]{1,128}@[^@\x00-\x20]{1,125}$",
        description="an e-mail address of at most 254 characters, without spaces",
        examples=["trader@example.com"],
    ),
]
Password = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f]{8,256}$",
        description="a password of 8 to 256 characters, none of them a control character",
        examples=["long-password"],
    ),
]
Leverage = Annotated[
    int, Meta(ge=1, le=MAX_LEVERAGE, description="a whole number from 1 to the market's maxLeverage", examples=[10])
]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}")]
Depth = Annotated[int, Meta(ge=1, le=MAX_DEPTH, description=f"a whole number from 1 to {MAX_DEPTH}")]
Cursor = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$", description="the cursor of the last page's Link header")
]

Side = Literal["BUY", "SELL"]
OrderType = Literal["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "TRAILING_STOP"]
TriggerBy = Literal["LAST", "MARK", "INDEX"]
TimeInForce = Literal["GTC", "IOC", "FOK", "GTD"]
OrderStatus = Literal["PENDING", "OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "REJECTED", "EXPIRED"]
AmendmentStatus = Literal["PENDING", "ACCEPTED", "REJECTED"]
Role = Literal["MAKER", "TAKER"]
PositionSide = Literal["LONG", "SHORT", "FLAT"]
MarginMode = Literal["CROSS", "ISOLATED"]
LiquidationStatus = Literal["OPEN", "CLOSED"]
LiquidationStepType = Literal["CANCELLED_ORDERS", "REDUCED", "DELEVERAGED", "COVERED", "ENDED"]
MarginAction = Literal["ADD", "REMOVE"]
AdlRank = Annotated[int, Meta(ge=1, le=5, description="5: among the first fifth to be deleveraged", examples=[1])]
MarketStatus = Literal["ACTIVE", "PAUSED", "SETTLEMENT_ONLY", "CANCEL_ONLY", "POST_ONLY", "AUCTION"]
MarketKind = Literal["SPOT", "PERPETUAL"]
SelfTradePrevention = Literal["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request whose unknown fields are ignored."""


class StrictRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request that knows all its fields."""


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A reply, or a part of one."""


# -- Users -------------------------------------------------------------------------------------------
class Credentials(Request, frozen=True, kw_only=True):
    """Register and login."""

    email: Email
    password: Password


class LoginCredentials(Request, frozen=True, kw_only=True):
    """Login. A password that register would refuse is simply wrong here."""

    email: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{0,254}$", examples=["trader@example.com"])]
    password: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{0,256}$", examples=["long-password"])]


class Registered(View, frozen=True, kw_only=True):
    """The answer to register."""

    user_id: str


class LoggedIn(View, frozen=True, kw_only=True):
    """The answer to login and to guest."""

    token: str
    user_id: str


class Me(View, frozen=True, kw_only=True):
    """Whose token it is. `email` is null for a guest."""

    user_id: str
    email: str | None
    guest: bool
    scopes: list[str]
    created_at: TimeMs


# -- Markets -----------------------------------------------------------------------------------------
class Market(View, frozen=True, kw_only=True):
    """A market: the seed's fields, then ours. Rates are fractions: "0.05" is 5 percent."""

    id: MarketId
    symbol: str
    base_asset: AssetId
    quote_asset: AssetId
    max_leverage: int
    initial_margin_rate: DecimalText
    maintenance_margin_rate: DecimalText
    maker_fee_rate: DecimalText
    taker_fee_rate: DecimalText
    funding_interval_hours: int
    funding_rate_cap: DecimalText
    status: MarketStatus
    market_id: MarketId
    tick_size: DecimalText
    lot_size: DecimalText
    min_notional: DecimalText
    kind: MarketKind


class OrderBook(View, frozen=True, kw_only=True):
    """The public book: price and quantity of each level, best first, and the sequence it is as of."""

    market_id: MarketId
    sequence: int
    bids: list[Level]
    asks: list[Level]


class Price(View, frozen=True, kw_only=True):
    """What a market is worth; null where there is no such price yet."""

    market_id: MarketId
    mark_price: DecimalText | None
    index_price: DecimalText | None
    last_price: DecimalText | None
    updated_at: TimeMs | None


class Trade(View, frozen=True, kw_only=True):
    """A trade as the public sees it. `side` is the taker's."""

    trade_id: str
    market_id: MarketId
    side: Side
    price: DecimalText
    quantity: DecimalText
    created_at: TimeMs


class OrderBookQuery(Request, frozen=True, kw_only=True):
    """How many levels of each side."""

    depth: Depth = DEFAULT_DEPTH


class TradesQuery(Request, frozen=True, kw_only=True):
    """A page of a market's trades, newest first."""

    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


# -- Funds -------------------------------------------------------------------------------------------
class Transfer(Request, frozen=True, kw_only=True):
    """A deposit or a withdrawal."""

    asset: AssetId
    amount: AmountText


class Deposit(Transfer, frozen=True, kw_only=True):
    """A deposit. `userId` names another user than the caller; it needs the scope funds."""

    user_id: Annotated[str, Meta(pattern=r"^[0-9]{1,19}$", description="a user's id")] | None = None


class Balance(View, frozen=True, kw_only=True):
    """What an account has of an asset: available = total - locked."""

    user_id: str
    asset: AssetId
    total: DecimalText
    locked: DecimalText
    available: DecimalText


class Position(View, frozen=True, kw_only=True):
    """An account's position in a market. `quantity` is negative when short; null where there is no price."""

    user_id: str
    market_id: MarketId
    side: PositionSide
    quantity: DecimalText
    entry_price: DecimalText | None
    mark_price: DecimalText | None
    notional: DecimalText
    leverage: int
    margin: DecimalText
    unrealized_pnl: DecimalText
    realized_pnl: DecimalText
    liquidation_price: DecimalText | None
    margin_mode: MarginMode
    maintenance_margin: DecimalText
    bankruptcy_price: DecimalText | None
    funding_accrued: DecimalText
    adl_rank: AdlRank | None
    in_liquidation: bool


class LiquidationStep(View, frozen=True, kw_only=True):
    """A step of a liquidation; null for what it does not have. `amount` is a loss that fund and bad debt covered."""

    step: int
    type: LiquidationStepType
    market_id: MarketId | None
    side: Side | None
    quantity: DecimalText | None
    limit_price: DecimalText | None
    bankruptcy_price: DecimalText | None
    amount: DecimalText
    created_at: TimeMs


class Liquidation(View, frozen=True, kw_only=True):
    """A liquidation, without its owner. `marketId` is null for all cross positions of the asset."""

    id: str
    asset: AssetId
    market_id: MarketId | None
    margin_mode: MarginMode
    status: LiquidationStatus
    opened_at: TimeMs
    closed_at: TimeMs | None
    steps: list[LiquidationStep]
    equity: DecimalText | UnsetType = UNSET
    maintenance_margin: DecimalText | UnsetType = UNSET


class LiquidationsQuery(Request, frozen=True, kw_only=True):
    """Which liquidations."""

    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


class SetLeverage(StrictRequest, frozen=True, kw_only=True):
    """The leverage of a market's position, and of orders that name none."""

    leverage: Leverage


class SetMarginMode(StrictRequest, frozen=True, kw_only=True):
    """What backs a market's position: the whole wallet, or margin of its own."""

    margin_mode: MarginMode


class MoveMargin(StrictRequest, frozen=True, kw_only=True):
    """Margin for an isolated position from the wallet, or back into it."""

    action: MarginAction
    amount: AmountText


# -- Orders ------------------------------------------------------------------------------------------
class SubmitOrder(StrictRequest, frozen=True, kw_only=True):
    """An order: the seed's fields, then ours. `leverage` null takes the market's highest.

    `quantity` is needed, but for a MARKET buy on a spot market that gives `quoteQuantity`: what to spend, fees
    included. `price` is the limit of a limit kind, and the worst price of a STOP, TAKE_PROFIT or TRAILING_STOP, which
    may be left out. `triggerPrice` is for stop and take-profit kinds, `trail` (a distance in price) or `trailPercent`
    for TRAILING_STOP; `triggerBy` is the price that is watched, LAST if left out. `ocoOrderId` names an own open order
    of the same side: when one of the two trades, triggers or ends, the other is cancelled. `displayQuantity` shows
    only a part at a time. `expiresAt` is for GTD only.
    """

    market_id: MarketId
    side: Side
    type: OrderType
    quantity: AmountText | None = None
    price: PriceText | None = None
    time_in_force: TimeInForce | None = None
    reduce_only: bool = False
    post_only: bool = False
    client_order_id: ClientOrderId | None = None
    leverage: Leverage | None = None
    expires_at: TimeMs | None = None
    self_trade_prevention: SelfTradePrevention | None = None
    trigger_price: PriceText | None = None
    trigger_by: TriggerBy | None = None
    trail: PriceText | None = None
    trail_percent: Annotated[AmountText, Meta(examples=["1.5"])] | None = None
    oco_order_id: OrderId | None = None
    display_quantity: AmountText | None = None
    quote_quantity: AmountText | None = None


class OrderPreview(View, frozen=True, kw_only=True):
    """What an order would do if it were entered now and traded in full at `price`.

    `heldMargin` is by how much less is available while it is open; null when it would be refused, and then `reason`
    and `required` say why. The fields of the position are those after the trade; prices are null where there is none.
    """

    market_id: MarketId
    accepted: bool
    reason: str | None
    quantity: DecimalText
    price: DecimalText
    notional: DecimalText
    leverage: int
    held_margin: DecimalText | None
    required: DecimalText | None
    available: DecimalText
    fee: DecimalText
    position_side: PositionSide
    position_quantity: DecimalText
    entry_price: DecimalText | None
    margin: DecimalText
    maintenance_margin: DecimalText
    liquidation_price: DecimalText | None
    bankruptcy_price: DecimalText | None


class AmendOrder(StrictRequest, frozen=True, kw_only=True):
    """New terms for an open order; at least one. `quantity` is the new total, filled part included."""

    quantity: AmountText | None = None
    price: PriceText | None = None
    trigger_price: PriceText | None = None


class LastAmendment(View, frozen=True, kw_only=True):
    """The newest amendment of an order: PENDING until the engine answers, and its `reason` where that was a refusal."""

    status: AmendmentStatus
    reason: str | UnsetType = UNSET
    requested_at: TimeMs


class Order(View, frozen=True, kw_only=True):
    """An order. `id` equals `orderId`. `price` is left out for MARKET; `reason` and what was not asked are left out.

    `quoteQuantity` is what an order by amount may cost at most, fees included. `lastAmendment` is left out where no
    change was asked for.
    """

    order_id: str
    status: OrderStatus
    client_order_id: str | None
    user_id: str
    market_id: MarketId
    side: Side
    type: OrderType
    quantity: DecimalText
    remaining_quantity: DecimalText
    filled_quantity: DecimalText
    average_price: DecimalText | None
    price: DecimalText | UnsetType = UNSET
    time_in_force: TimeInForce
    leverage: int
    reduce_only: bool
    post_only: bool
    held_margin: DecimalText
    reason: str | UnsetType = UNSET
    created_at: TimeMs
    updated_at: TimeMs
    id: str
    expires_at: TimeMs | UnsetType = UNSET
    trigger_price: DecimalText | UnsetType = UNSET
    trigger_by: TriggerBy | UnsetType = UNSET
    trail: DecimalText | UnsetType = UNSET
    trail_percent: DecimalText | UnsetType = UNSET
    oco_order_id: str | UnsetType = UNSET
    display_quantity: DecimalText | UnsetType = UNSET
    quote_quantity: DecimalText | UnsetType = UNSET
    last_amendment: LastAmendment | UnsetType = UNSET


class Accepted(View, frozen=True, kw_only=True):
    """The answer to an order: it is durable, and will be decided."""

    order_id: str
    status: OrderStatus
    client_order_id: str | UnsetType = UNSET
    id: str | UnsetType = UNSET


class CancelAccepted(View, frozen=True, kw_only=True):
    """The answer to a cancel: it is durable, and will be decided."""

    order_id: str
    status: Literal["PENDING_CANCEL"] = "PENDING_CANCEL"


class CancelAllQuery(Request, frozen=True, kw_only=True):
    """One market, or all of them."""

    market: MarketId | None = None


class CancelAllAccepted(View, frozen=True, kw_only=True):
    """The orders that a cancel-all asks to take out."""

    orders: list[CancelAccepted]


class OrdersQuery(Request, frozen=True, kw_only=True):
    """A page of own orders, newest first."""

    market: MarketId | None = None
    status: OrderStatus | None = None
    client_order_id: ClientOrderId | None = None
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


class SubmitBatch(StrictRequest, frozen=True, kw_only=True):
    """Several orders at once. Each is judged alone: one bad order never fails its neighbours."""

    orders: Annotated[list[SubmitOrder], Meta(min_length=1, max_length=MAX_BATCH)]


class BatchError(View, frozen=True, kw_only=True):
    """Why one order of a batch was refused."""

    code: str
    message: str


class BatchResult(View, frozen=True, kw_only=True):
    """The answer to one order of a batch, in the place it had there: accepted, or an error."""

    order_id: str | UnsetType = UNSET
    status: OrderStatus | UnsetType = UNSET
    client_order_id: str | UnsetType = UNSET
    error: BatchError | UnsetType = UNSET


class BatchAccepted(View, frozen=True, kw_only=True):
    """The answers to a batch, in its order."""

    results: list[BatchResult]


class Fill(View, frozen=True, kw_only=True):
    """One side of a trade. The price is the maker's.

    `adl` marks a close by deleveraging, which has no order: its `orderId` is "0".
    """

    id: str
    trade_id: str
    order_id: str
    user_id: str
    market_id: MarketId
    side: Side
    liquidity_role: Role
    price: DecimalText
    quantity: DecimalText
    notional: DecimalText
    fee: DecimalText
    realized_pnl: DecimalText
    created_at: TimeMs
    adl: bool


class FillsQuery(Request, frozen=True, kw_only=True):
    """A page of own fills, newest first."""

    market: MarketId | None = None
    order_id: OrderId | None = None
    limit: Limit = DEFAULT_PAGE
    cursor: Cursor | None = None


# -- The venue ---------------------------------------------------------------------------------------
class Health(View, frozen=True, kw_only=True):
    """The venue's process answers."""

    status: Literal["ok"] = "ok"


class ServerTime(View, frozen=True, kw_only=True):
    """The venue's clock."""

    server_time: TimeMs


class Drained(View, frozen=True, kw_only=True):
    """The answer to the operator's drain: everything accepted until then is settled."""

    drained: bool
