"""What goes over TrueX's WebSocket. Numbers, ids and times are strings."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from crossbook.dialects.truex import schemas
from crossbook.dialects.truex.order_schemas import ActivityRow

MAX_ITEMS: Final = 100
MAX_NAME: Final = 64
MAX_CREDENTIAL: Final = 256
SERVER_VERSION: Final = "1.0.5"
"""The version of the protocol that the greeting names; real clients know this one."""

Channel = Literal["INSTRUMENT", "EBBO", "TRADE", "DEPTH", "DROPCOPY"]
CHANNELS: Final[tuple[Channel, ...]] = ("INSTRUMENT", "EBBO", "TRADE", "DEPTH", "DROPCOPY")
"""In the order in which their snapshots are sent."""
Kind = Literal["SNAPSHOT", "UPDATE"]
Status = Literal["AUTHENTICATED", "UNAUTHENTICATED", "UNAUTHORIZED", "ERROR", "INVALID"]
RequestType = Literal["SUBSCRIBE", "SUBSCRIBE_NO_AUTH", "UNSUBSCRIBE", "UNSUBSCRIBE_NO_AUTH"]

ItemName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, description="of 1 to 64 characters")]
Credential = Annotated[str, Meta(max_length=MAX_CREDENTIAL, description="of at most 256 characters")]


class SocketRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client sends: instruments by symbol, for DROPCOPY clients by id. NO_AUTH needs no key."""

    type: RequestType
    item_names: Annotated[list[ItemName], Meta(max_length=MAX_ITEMS, description="at most 100 names")] = []
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=len(CHANNELS), description="1 to 5 channels")]
    timestamp: Credential = ""
    key: Credential = ""
    signature: Credential = ""
    organization_id: Credential = ""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """The greeting."""

    channel: Literal["WEBSOCKET"] = "WEBSOCKET"
    update: Literal["WELCOME"] = "WELCOME"
    connections: str
    message: str
    version: str = SERVER_VERSION
    datetime: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection is subscribed to in one channel."""

    channel: Channel
    item_names: list[str]


class Confirmation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a request, with all that the connection is subscribed to now. `message` says what is wrong."""

    channel: str
    update: str
    timestamp: str
    status: Status
    subscriptions: list[Held]
    message: str = ""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says before it closes the connection, or refuses a message."""

    channel: Literal["WEBSOCKET"] = "WEBSOCKET"
    update: Literal["UPDATE"] = "UPDATE"
    timestamp: str
    status: Status
    message: str


class TradeData(msgspec.Struct, frozen=True, kw_only=True):
    """A trade; zeros before the first."""

    match_id: str
    trade_price: str
    trade_qty: str
    liq_flag: str
    id: str
    symbol: str


class DepthLevel(msgspec.Struct, frozen=True, kw_only=True):
    """A price level as it is now; qty 0 takes it out."""

    price: str
    qty: str
    order_count: str


class DepthData(msgspec.Struct, frozen=True, kw_only=True):
    """The book of an instrument, or what changed in it."""

    symbol: str
    bids: list[DepthLevel]
    asks: list[DepthLevel]


class ClientData(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshot of DROPCOPY: whose activity follows."""

    client_id: str


# -- Data with their frame, for the documentation: what is sent is put together from prepared texts --
Number = Annotated[str, Meta(pattern="^[0-9]+$", description="a number in a string, rising with each update")]


class InstrumentMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument as `GET /instruments` has it, and again when its row is another."""

    seqnum: Number
    channel: Literal["INSTRUMENT"] = "INSTRUMENT"
    update: Kind
    status: Status
    data: schemas.InstrumentRow


class EbboMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The best bid and offer as `GET /markets/quote` has them, and again when they or the last trade are others."""

    seqnum: Number
    channel: Literal["EBBO"] = "EBBO"
    update: Kind
    status: Status
    data: schemas.QuoteRow


class TradeMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The last trade, and then every one."""

    seqnum: Number
    channel: Literal["TRADE"] = "TRADE"
    update: Kind
    status: Status
    data: TradeData


class DepthMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The best 1,000 levels of each side, and then those that change."""

    seqnum: Number
    channel: Literal["DEPTH"] = "DEPTH"
    update: Kind
    status: Status
    data: DepthData


class DropcopyMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A step of a client's order, as `GET /orders/activity` has it."""

    seqnum: Number
    channel: Literal["DROPCOPY"] = "DROPCOPY"
    update: Literal["UPDATE"]
    status: Status
    data: ActivityRow


class DropcopyStart(msgspec.Struct, frozen=True, kw_only=True):
    """Whose activity follows."""

    seqnum: Number
    channel: Literal["DROPCOPY"] = "DROPCOPY"
    update: Literal["SNAPSHOT"]
    status: Status
    data: ClientData
