"""What Lethean's clients send. Fields that are not known are left alone: bots post back whole tips."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from crossbook.application.swap_registry import PairOrder

MOST_ID: Final = 2**53 - 1
LONGEST_PROPOSAL: Final = 1 << 20
PAGE: Final = 100
MOST_ROWS: Final = 500
MOST_BOOK: Final = 10_000
MOST_OFFSET: Final = 1_000_000

_ID_WORDS: Final = "a whole number, or its digits"
Id = (
    Annotated[int, Meta(ge=0, le=MOST_ID, description=_ID_WORDS)]
    | Annotated[str, Meta(pattern="^[0-9]{1,15}$", description=_ID_WORDS)]
)
"""An id as a number or as its digits: clients send both."""
Decimal = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", max_length=64, description='a decimal such as "1.25"')]
AssetId = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="64 hexadecimal digits in lower case")]
Hex = Annotated[str, Meta(max_length=LONGEST_PROPOSAL, description="bytes as hexadecimal digits, not empty")]
Offset = Annotated[int, Meta(ge=0, le=MOST_OFFSET)]
Time = Annotated[int, Meta(ge=0, le=MOST_ID, description="milliseconds since the epoch")]
Token = Annotated[str, Meta(description="the token of /api/auth")]
Kind = Literal["buy", "sell"]
PeriodName = Literal["1min", "5min", "15min", "30min", "1h", "4h", "1d", "1w"]


# -- Signing in --------------------------------------------------------------------------------------
class AuthData(msgspec.Struct, frozen=True):
    """A wallet's proof: the message that it signed."""

    address: str
    alias: str
    message: str
    signature: str


class Auth(msgspec.Struct, frozen=True, rename={"never_expires": "neverExpires"}):
    """A login."""

    data: AuthData
    never_expires: bool = False


class RequestAuth(msgspec.Struct, frozen=True):
    """Who is about to log in."""

    address: str
    alias: str


class TokenOnly(msgspec.Struct, frozen=True):
    """A request that says no more than who sends it."""

    token: Token


# -- Orders ------------------------------------------------------------------------------------------
class NewOrderData(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """An offer to swap."""

    type: Kind
    side: Literal["limit"]
    price: Decimal
    amount: Decimal
    pair_id: Id


class CreateOrder(msgspec.Struct, frozen=True, rename={"order_data": "orderData"}):
    """Post an offer."""

    token: Token
    order_data: NewOrderData


class UserPageRequest(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """The caller's page of a pair."""

    token: Token
    pair_id: Id


class ApplyData(msgspec.Struct, frozen=True):
    """Both offers, in either order, and the proposal of the one who sends it."""

    id: Id
    connected_order_id: Id
    hex_raw_proposal: Hex


class ApplyOrder(msgspec.Struct, frozen=True, rename={"order_data": "orderData"}):
    """Apply for a matched offer."""

    token: Token
    order_data: ApplyData


class OneOrder(msgspec.Struct, frozen=True, rename={"order_id": "orderId"}):
    """One of the caller's offers."""

    token: Token
    order_id: Id


class DateRange(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """A stretch of time."""

    since: Time = 0
    until: Time = MOST_ID


class FilterInfo(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """Which offers; what is left out does not matter."""

    pair_id: Id | UnsetType | None = UNSET
    status: Literal["active", "finished"] | UnsetType | None = UNSET
    type: Kind | UnsetType | None = UNSET
    date: DateRange | UnsetType | None = UNSET


class MyOrders(msgspec.Struct, frozen=True, rename={"filter_info": "filterInfo"}):
    """A list of the caller's offers."""

    token: Token
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = PAGE
    offset: Offset = 0
    filter_info: FilterInfo = field(default_factory=FilterInfo)


class CancelFilterInfo(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """Which active offers to cancel; what is left out does not matter."""

    pair_id: Id | UnsetType | None = UNSET
    type: Kind | UnsetType | None = UNSET


class CancelAll(msgspec.Struct, frozen=True, rename={"filter_info": "filterInfo"}):
    """Cancel the caller's active offers."""

    token: Token
    filter_info: CancelFilterInfo = field(default_factory=CancelFilterInfo)


class OfPair(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """Something of a pair."""

    pair_id: Id


class BookRequest(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """A part of a pair's open book; all of it unless it is very long."""

    pair_id: Id
    limit: Annotated[int, Meta(ge=1, le=MOST_BOOK)] = MOST_BOOK
    offset: Offset = 0


class TradesRequest(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """The last trades of a pair."""

    pair_id: Id
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = PAGE


class CandlesRequest(msgspec.Struct, frozen=True, rename={"pair_id": "pairId"}):
    """The last candles of a pair."""

    pair_id: Id
    period: PeriodName
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 1_000


# -- Transactions ------------------------------------------------------------------------------------
class ActiveTransaction(
    msgspec.Struct, frozen=True, rename={"first_order_id": "firstOrderId", "second_order_id": "secondOrderId"}
):
    """The pending transaction of two offers, in either order."""

    token: Token
    first_order_id: Id
    second_order_id: Id


class OneTransaction(msgspec.Struct, frozen=True, rename={"transaction_id": "transactionId"}):
    """A transaction of the caller's."""

    token: Token
    transaction_id: Id


class MyTransactions(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """The caller's transactions of a stretch of time."""

    token: Token
    since: Time = 0
    until: Time = MOST_ID
    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = MOST_ROWS


# -- Pairs -------------------------------------------------------------------------------------------
class OnePair(msgspec.Struct, frozen=True):
    """One pair."""

    id: Id


class FindPair(msgspec.Struct, frozen=True):
    """The pair of two assets, by their ids on the chain."""

    first: Annotated[str, Meta(max_length=64)]
    second: Annotated[str, Meta(max_length=64)]


class PairsFilter(msgspec.Struct, frozen=True, rename="camel"):
    """Which pairs."""

    search_text: Annotated[str, Meta(max_length=100)] = ""
    whitelisted_only: bool = False


class PairsPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of pairs, from 1."""

    page: Annotated[int, Meta(ge=1, le=10_000)] = 1
    search_text: Annotated[str, Meta(max_length=100)] = ""
    whitelisted_only: bool = False
    sort_option: PairOrder | None = None


# -- The operator ------------------------------------------------------------------------------------
class PutAsset(msgspec.Struct, frozen=True):
    """Register a currency, or describe it anew. Supplies are whole numbers of its smallest unit."""

    token: Token
    asset_id: AssetId
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    code: Annotated[str, Meta(min_length=1, max_length=32)]
    decimal_point: Annotated[int, Meta(ge=0, le=18)]
    type: Literal["crypto", "fiat"] = "crypto"
    whitelisted: bool = False
    full_name: Annotated[str, Meta(max_length=100)] = ""
    logo: Annotated[str, Meta(max_length=2048)] = ""
    meta_info: Annotated[str, Meta(max_length=4096)] = ""
    price_url: Annotated[str, Meta(max_length=2048)] = ""
    current_supply: Annotated[str, Meta(pattern="^[0-9]{1,20}$")] = "0"
    total_max_supply: Annotated[str, Meta(pattern="^[0-9]{1,20}$")] = "0"


class Whitelist(msgspec.Struct, frozen=True):
    """Vouch for a currency, or no longer."""

    token: Token
    asset_id: AssetId
    whitelisted: bool


class PutPair(msgspec.Struct, frozen=True):
    """Set up the pair of two registered currencies; amounts are in the first, prices in the second."""

    token: Token
    first: AssetId
    second: AssetId
    featured: bool = False
