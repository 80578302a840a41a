"""What goes over Flux's WebSocket: one shape of request, and one of reply for each `type` and channel."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from crossbook.dialects.flux import schemas
from crossbook.dialects.flux.schemas import Depth, MarketId, Request, TimeMs, View

MAX_TOKEN: Final = 4_096
MAX_REQUEST_ID: Final = 64
MAX_STREAM: Final = 64
MAX_SEQUENCE: Final = 2**53 - 1
CHECKSUM_LEVELS: Final = 10

PublicChannel = Literal["trades", "orderbook", "mark_price", "funding"]
PrivateChannel = Literal["positions", "balances", "orders"]
Channel = Literal["trades", "orderbook", "mark_price", "funding", "positions", "balances", "orders", "fills"]
RequestId = Annotated[str, Meta(max_length=MAX_REQUEST_ID, description="of at most 64 characters")]
Topic = Annotated[str, Meta(description="channel and market, or channel and user", examples=["orderbook:BTC-PERP"])]
Sequence = Annotated[int, Meta(ge=0, description="where the topic stands after this message")]
Previous = Annotated[int, Meta(ge=0, description="the sequence of the topic's message before this one")]
Kind = Literal["snapshot", "update"]
Stream = Annotated[
    str, Meta(max_length=MAX_STREAM, description="which run of numbers a private topic's sequences belong to")
]


class SocketRequest(Request, frozen=True, kw_only=True):
    """What a client sends. `market` goes with public channels and fills, `token` with private ones, `depth` with books.

    `fromSequence` asks a private topic for what came after that message, with the `stream` that it belongs to; the
    sequences of fills are their ids, and need no stream.
    `id` comes back in the reply.
    """

    op: Literal["subscribe", "unsubscribe", "ping"]
    channel: Channel | None = None
    market: MarketId | None = None
    depth: Depth | None = None
    token: Annotated[str, Meta(max_length=MAX_TOKEN, description="a token of at most 4096 characters")] | None = None
    from_sequence: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE, description="the last sequence you have")] | None = None
    stream: Stream | None = None
    id: RequestId | None = None


class Subscribed(View, frozen=True, kw_only=True):
    """The subscription stands; its snapshot follows, or what was missed.

    `replayed` answers `fromSequence`: true, and what came after it follows, without a snapshot; false, and `resync` and
    a snapshot follow, since it is not known any more.
    """

    type: Literal["subscribed"] = "subscribed"
    topic: Topic
    channel: Channel
    market: MarketId | UnsetType = UNSET
    depth: Depth | UnsetType = UNSET
    stream: Stream | UnsetType = UNSET
    replayed: bool | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET


class Unsubscribed(View, frozen=True, kw_only=True):
    """The subscription ended: it was asked for, or for the `reason` given."""

    type: Literal["unsubscribed"] = "unsubscribed"
    topic: Topic
    channel: Channel
    reason: str | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET


class BookData(View, frozen=True, kw_only=True):
    """Levels best first in a snapshot; in an update those that changed, quantity "0" for one that is gone."""

    bids: list[schemas.Level]
    asks: list[schemas.Level]


class BookMessage(View, frozen=True, kw_only=True):
    """The book of a market, or what changed in it."""

    type: Kind
    topic: Topic
    channel: Literal["orderbook"] = "orderbook"
    market: MarketId
    depth: Depth
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    checksum: Annotated[int, Meta(ge=0, le=2**32 - 1, description="CRC-32 of the book after this message")]
    time: TimeMs
    data: BookData


class TradesMessage(View, frozen=True, kw_only=True):
    """Trades, oldest first. The sequence is the number of the last one."""

    type: Kind
    topic: Topic
    channel: Literal["trades"] = "trades"
    market: MarketId
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: list[schemas.Trade]


class PriceMessage(View, frozen=True, kw_only=True):
    """The prices of a market, whenever one of them changed."""

    type: Kind
    topic: Topic
    channel: Literal["mark_price"] = "mark_price"
    market: MarketId
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: schemas.Price


class FundingData(View, frozen=True, kw_only=True):
    """The funding of a market: the rate as it stands now, and when it is paid next."""

    market_id: MarketId
    funding_rate: schemas.DecimalText
    next_funding_at: TimeMs | None


class FundingMessage(View, frozen=True, kw_only=True):
    """The funding of a market; null where none is known."""

    type: Kind
    topic: Topic
    channel: Literal["funding"] = "funding"
    market: MarketId
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: FundingData | None


class OrdersMessage(View, frozen=True, kw_only=True):
    """Own orders: those that are open, newest first; then each that changed, as it is now."""

    type: Kind
    topic: Topic
    channel: Literal["orders"] = "orders"
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: list[schemas.Order]


class PositionsMessage(View, frozen=True, kw_only=True):
    """Own positions: all; then each that changed, as it is now."""

    type: Kind
    topic: Topic
    channel: Literal["positions"] = "positions"
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: list[schemas.Position]


class BalancesMessage(View, frozen=True, kw_only=True):
    """Own balances: all; then each that changed, as it is now."""

    type: Kind
    topic: Topic
    channel: Literal["balances"] = "balances"
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: list[schemas.Balance]


class FillsMessage(View, frozen=True, kw_only=True):
    """Own fills of a market, oldest first. The sequence is the id of the last one."""

    type: Kind
    topic: Topic
    channel: Literal["fills"] = "fills"
    market: MarketId
    sequence: Sequence
    previous_sequence: Previous | UnsetType = UNSET
    time: TimeMs
    data: list[schemas.Fill]


class Resync(View, frozen=True, kw_only=True):
    """Something may have been missed: forget the topic's state, and wait for the snapshot that follows."""

    type: Literal["resync"] = "resync"
    topic: Topic
    channel: Channel
    sequence: Sequence
    reason: str


class SocketErrorDetail(View, frozen=True, kw_only=True):
    """What is wrong: the codes are those of the HTTP API, and SLOW_CONSUMER and IDLE before a connection is closed."""

    code: str
    message: str


class SocketError(View, frozen=True, kw_only=True):
    """A request was refused, a subscription ended, or the connection is about to be closed."""

    type: Literal["error"] = "error"
    error: SocketErrorDetail
    topic: Topic | UnsetType = UNSET
    id: RequestId | UnsetType = UNSET


class Heartbeat(View, frozen=True, kw_only=True):
    """The connection lives. Sent whatever else is."""

    type: Literal["heartbeat"] = "heartbeat"
    time: TimeMs


class Pong(View, frozen=True, kw_only=True):
    """The answer to ping."""

    type: Literal["pong"] = "pong"
    time: TimeMs
    id: RequestId | UnsetType = UNSET


class ServerShutdown(View, frozen=True, kw_only=True):
    """The venue stops: the connection is closed next. Connect again, and subscribe anew."""

    type: Literal["serverShutdown"] = "serverShutdown"
    message: str
    time: TimeMs
