"""What Lethean answers: `{"success": true, "data": ...}`, fields in the order of its document."""

from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import msgspec

from crossbook.dialects.lethean.requests import Kind

T = TypeVar("T")


class Done(msgspec.Struct, frozen=True):
    """It was done."""

    success: bool = True


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What was asked for. Only a renewal that comes too soon has `success` false here."""

    success: bool = True
    data: T


# -- Users -------------------------------------------------------------------------------------------
class WalletUser(msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt"}):
    """A wallet as anybody may see it."""

    alias: str
    address: str
    created_at: str
    updated_at: str


class Self(msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt"}):
    """The caller."""

    id: int
    alias: str
    address: str
    created_at: str
    updated_at: str


class Checked(msgspec.Struct, frozen=True, kw_only=True, rename={"user_data": "userData"}):
    """Whose token it is."""

    success: bool = True
    user_data: Self


# -- Currencies and pairs ----------------------------------------------------------------------------
class AssetInfo(msgspec.Struct, frozen=True):
    """What a currency is. Supplies are whole numbers of its smallest unit."""

    id: str
    logo: str
    price: float | None
    ticker: str
    asset_id: str
    full_name: str
    meta_info: str
    price_url: str
    decimal_point: int
    current_supply: str
    total_max_supply: str


class CurrencyView(msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt"}):
    """A currency."""

    id: int
    name: str
    code: str
    type: str
    asset_id: str
    auto_parsed: bool
    asset_info: AssetInfo | None
    whitelisted: bool
    created_at: str
    updated_at: str


class Currencies(msgspec.Struct, frozen=True):
    """Every currency."""

    currencies: Sequence[CurrencyView]


class Stats(msgspec.Struct, frozen=True):
    """A pair over 24 hours, as numbers; volume in the second currency, the coefficient in percent."""

    rate: float
    coefficient: float
    high: float
    low: float
    volume: float


class PairView(msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt"}):
    """A pair, its currencies and its statistics."""

    id: int
    first_currency_id: int
    second_currency_id: int
    rate: float
    coefficient: float
    high: float
    low: float
    volume: float
    featured: bool
    created_at: str
    updated_at: str
    first_currency: CurrencyView
    second_currency: CurrencyView


# -- Orders ------------------------------------------------------------------------------------------
_ORDER_NAMES: Final = {
    "has_notification": "hasNotification",
    "created_at": "createdAt",
    "updated_at": "updatedAt",
    "is_instant": "isInstant",
    "immediate_match": "immediateMatch",
}


class OrderView(msgspec.Struct, frozen=True, rename=_ORDER_NAMES):
    """An own offer."""

    id: int
    type: Kind
    timestamp: str
    side: str
    price: str
    amount: str
    total: str
    pair_id: int
    user_id: int
    status: str
    left: str
    has_notification: bool
    created_at: str
    updated_at: str
    is_instant: bool


class CreatedOrder(msgspec.Struct, frozen=True, omit_defaults=True, rename=_ORDER_NAMES):
    """A new offer; `immediateMatch` is there when somebody's offer meets it already."""

    has_notification: bool
    id: int
    type: Kind
    timestamp: str
    side: str
    price: str
    amount: str
    total: str
    pair_id: int
    user_id: int
    status: str
    left: str
    updated_at: str
    created_at: str
    immediate_match: bool = False


class BookOrder(msgspec.Struct, frozen=True, rename=_ORDER_NAMES):
    """An offer as anybody may see it."""

    id: int
    type: Kind
    timestamp: str
    side: str
    price: str
    amount: str
    total: str
    pair_id: int
    user_id: int
    status: str
    left: str
    created_at: str
    updated_at: str
    is_instant: bool
    user: WalletUser


class ApplyTip(msgspec.Struct, frozen=True, rename=_ORDER_NAMES):
    """An offer that an own one meets, or (`transaction` true) a swap that waits for the caller's confirm."""

    id: int
    left: str
    price: str
    user: WalletUser
    type: Kind
    total: str
    connected_order_id: int
    transaction: bool
    hex_raw_proposal: str
    is_instant: bool


class UserPageView(msgspec.Struct, frozen=True, rename={"apply_tips": "applyTips"}):
    """The caller's page of a pair."""

    orders: Sequence[OrderView]
    apply_tips: Sequence[ApplyTip]


class MyOrders(msgspec.Struct, frozen=True, kw_only=True, rename={"total_items_count": "totalItemsCount"}):
    """A list of own offers; how many there are without its limit."""

    success: bool = True
    total_items_count: int
    data: Sequence[OrderView]


class Cancelled(msgspec.Struct, frozen=True, rename={"success_count": "successCount"}):
    """How many offers were cancelled."""

    success_count: int


class Renewed(msgspec.Struct, frozen=True, rename={"expiration_timestamp": "expirationTimestamp"}):
    """Until when the bot counts as alive."""

    expiration_timestamp: int


# -- Transactions, trades, candles -------------------------------------------------------------------
class Applied(msgspec.Struct, frozen=True, rename={"transaction_id": "transactionId"}):
    """The number of a new transaction."""

    transaction_id: int


class ActiveView(msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt"}):
    """A pending transaction with its proposal."""

    id: int
    buy_order_id: int
    sell_order_id: int
    amount: str
    timestamp: int
    status: str
    creator: Kind
    hex_raw_proposal: str
    created_at: str
    updated_at: str


class TransactionView(
    msgspec.Struct, frozen=True, rename={"created_at": "createdAt", "updated_at": "updatedAt", "own_side": "ownSide"}
):
    """A transaction of the caller's. `ownSide` is the caller's offer's side."""

    id: int
    pair_id: int
    buy_order_id: int
    sell_order_id: int
    amount: str
    price: str
    total: str
    timestamp: int
    status: str
    creator: Kind
    own_side: Kind
    created_at: str
    updated_at: str


class Trade(msgspec.Struct, frozen=True):
    """A confirmed swap. `type` is the side that applied."""

    id: int
    timestamp: int
    amount: str
    price: str
    total: str
    type: Kind
    buyer: WalletUser
    seller: WalletUser


class ChartOrder(msgspec.Struct, frozen=True):
    """A point of the chart: a confirmed swap without its users."""

    id: int
    timestamp: int
    amount: str
    price: str
    total: str
    type: Kind


class CandleView(msgspec.Struct, frozen=True):
    """A candle: highest, lowest, first and last price."""

    timestamp: int
    shadow_top: str
    shadow_bottom: str
    body_first: str
    body_second: str
