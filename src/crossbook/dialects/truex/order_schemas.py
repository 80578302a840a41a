"""The bodies and queries of TrueX's orders, trades, activity and transfers. What is counted is a string in replies."""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from crossbook.dialects.truex.schemas import Cursor, Id, Size, Skip

MAX_LIST_TEXT: Final = 2_000
MAX_ACTIVE: Final = 1_000

Number = Annotated[str, Meta(max_length=48, description="a decimal number as a text")]
Timestamp = Annotated[str, Meta(pattern=r"^[0-9]{19}$", description="nanoseconds since the epoch: 19 digits")]
ExternalId = Annotated[str, Meta(max_length=64, description="a UUIDv4 in lower case, or up to 18 of A-Za-z0-9-_.~")]
RefType = Literal["exchange", "client"]
Ids = Annotated[str, Meta(max_length=MAX_LIST_TEXT, description="ids, parted by commas")]
Words = Annotated[str, Meta(max_length=MAX_LIST_TEXT, description="words, parted by commas")]

Side = Literal["BUY", "SELL"]
OrderType = Literal["LIMIT", "MARKET"]
TimeInForce = Literal["GTC", "IOC"]
Flag = Literal["ALO"]
Prevention = Literal["NONE", "CANCEL_AGGRESSIVE", "CANCEL_BOTH"]
Status = Literal[
    "INITIALIZED",
    "NEW_PENDING",
    "REJECTED",
    "ACTIVE",
    "FILLED",
    "CANCEL_PENDING",
    "CANCELED",
    "MODIFY_PENDING",
]
Role = Literal["TAKER", "MAKER"]
TransferType = Literal["DEPOSIT", "WITHDRAW"]
AskedTransferType = Literal["DEPOSIT", "WITHDRAW", "WITHDRAWL"]
Platform = Literal["FIAT", "CRYPTO", "INTERNAL"]
MsgType = Literal[
    "REPORT_TRADE",
    "REQUEST_NEW",
    "REQUEST_CANCEL",
    "REQUEST_MODIFY",
    "REPORT_CONFIRM",
    "REPORT_REJECT",
    "REPORT_CANCELED",
    "REPORT_MODIFIED",
]


# -- Requests ----------------------------------------------------------------------------------------
class NewOrderInfo(msgspec.Struct, frozen=True):
    """The terms of a new order. A MARKET order has no price; `stp` overrides what its client has."""

    client_id: Id
    instrument_id: Id
    qty: Number
    side: Side
    type: OrderType
    price: Number | None = None
    tif: TimeInForce | None = None
    exec_inst_flags: Annotated[list[Flag], Meta(max_length=4)] = []
    stp: Prevention | None = None


class CreateOrder(msgspec.Struct, frozen=True):
    """A new order. `external_id` is the client's own id of it."""

    info: NewOrderInfo
    external_id: ExternalId | None = None


class ModifyOrderInfo(msgspec.Struct, frozen=True):
    """What is to change. `new_qty` is the new total, what has traded included."""

    client_id: Id | None = None
    new_qty: Number | None = None
    new_price: Number | None = None
    new_type: OrderType | None = None


class ModifyOrder(msgspec.Struct, frozen=True):
    """A change. `id` chooses the order, and `external_id` becomes its new one; alone, `external_id` chooses."""

    info: ModifyOrderInfo
    id: Id | None = None
    external_id: ExternalId | None = None


class ActiveQuery(msgspec.Struct, frozen=True):
    """Which active orders."""

    id: Id | None = None


class RefQuery(msgspec.Struct, frozen=True):
    """Which of its ids names the order in the path."""

    id_type: RefType = "exchange"


class OrdersQuery(msgspec.Struct, frozen=True):
    """Which orders, and which part of them."""

    query: Annotated[str, Meta(max_length=4_096, description="a filter in JSON")] | None = None
    size: Size = 10
    skip: Skip = 0
    cursor: Cursor | None = None


class TradesQuery(msgspec.Struct, frozen=True):
    """The trades of the 24 hours up to `timestamp`."""

    timestamp: Timestamp
    size: Size = 10
    skip: Skip = 0
    cursor: Cursor | None = None
    client_id: Ids | None = None


class ActivityQuery(msgspec.Struct, frozen=True):
    """The activity of the 24 hours up to `timestamp`."""

    timestamp: Timestamp
    size: Size = 10
    skip: Skip = 0
    cursor: Cursor | None = None
    client_id: Ids | None = None
    order_id: Ids | None = None
    msg_type: Words | None = None


# -- Replies -----------------------------------------------------------------------------------------
class OrderInfo(msgspec.Struct, frozen=True):
    """The terms of an order. The price of a MARKET order is 0."""

    client_id: str
    instrument_id: str
    qty: str
    price: str
    side: Side
    type: str
    tif: str
    exec_inst_flags: list[str]
    stp: str


class ModifyInfo(msgspec.Struct, frozen=True):
    """The newest change that was asked for; empty texts when there was none."""

    client_id: str
    new_qty: str = ""
    new_price: str = ""
    new_type: str = ""


class Order(msgspec.Struct, frozen=True):
    """An order. `exeuted_qty` is spelt as in the contract, `executed_qty` as programs read it."""

    id: str
    status: Status
    order_info: OrderInfo
    modify_info: ModifyInfo
    external_id: str
    ref_external_id: str
    pending_qty: str
    leaves_qty: str
    executed_qty: str
    exeuted_qty: str
    executed_vwap: str


class Trade(msgspec.Struct, frozen=True):
    """One side of a trade."""

    client_id: str
    external_id: str
    instrument_id: str
    msg_type: Literal["REPORT_TRADE"]
    timestamp: str
    side: Side
    order_id: str
    trade_price: str
    trade_qty: str
    trade_fee_rate: str
    liq_flag: Role
    match_id: str


class ActivityRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step of an order. Which fields there are depends on its `msg_type`."""

    client_id: str
    external_id: str
    instrument_id: str
    msg_type: MsgType
    timestamp: str
    side: Side
    order_id: str | msgspec.UnsetType = msgspec.UNSET
    order_price: str | msgspec.UnsetType = msgspec.UNSET
    order_qty: str | msgspec.UnsetType = msgspec.UNSET
    trade_price: str | msgspec.UnsetType = msgspec.UNSET
    trade_qty: str | msgspec.UnsetType = msgspec.UNSET
    trade_fee_rate: str | msgspec.UnsetType = msgspec.UNSET
    liq_flag: str | msgspec.UnsetType = msgspec.UNSET
    match_id: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


# -- Transfers ---------------------------------------------------------------------------------------
TransferStatus = Literal["INITIALIZED", "PENDING", "COMPLETED", "FAILED", "REJECTED"]


class TransferBody(msgspec.Struct, frozen=True):
    """A transfer.

    In `instructions`, `transfer_id` is the client's own id of it, and `client_id` the other client of an INTERNAL
    one; the rest is for the custodian.
    """

    amount: Number
    asset_id: Id
    client_id: Id
    type: AskedTransferType
    platform: Platform
    instructions: dict[str, Any] = {}


class AnyTransfer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transfer, flat or inside of `request`."""

    request: TransferBody | None = None
    amount: Number | None = None
    asset_id: Id | None = None
    client_id: Id | None = None
    type: AskedTransferType | None = None
    platform: Platform | None = None
    instructions: dict[str, Any] = {}


class TransfersQuery(msgspec.Struct, frozen=True):
    """The transfers that were asked for up to `timestamp`."""

    timestamp: Timestamp
    size: Size = 10
    skip: Skip = 0
    cursor: Cursor | None = None
    client_id: Ids | None = None


class ActiveTransfersQuery(msgspec.Struct, frozen=True):
    """Which open transfers."""

    id: Id | None = None


class TransferRequest(msgspec.Struct, frozen=True):
    """What was asked for."""

    amount: str
    asset_id: str
    client_id: str
    type: TransferType
    platform: Platform
    instructions: dict[str, Any]


class Transfer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A transfer. `reason` is there when it failed or was rejected."""

    id: str
    status: TransferStatus
    request: TransferRequest
    reason: str = ""
