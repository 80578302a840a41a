"""TrueX's WebSocket as its documentation describes it."""

from typing import Final

from crossbook.dialects.socket_page import SocketGuide, SocketMessage
from crossbook.dialects.truex import schemas
from crossbook.dialects.truex import socket_schemas as shapes
from crossbook.dialects.truex.order_schemas import ActivityRow

_NS: Final = "1767225600000000000"
_RULES: Final = (
    "Dial any path but /ws, which is Flux's; /api/v1 is usual. The venue greets. Subscribe to channels of instruments, "
    "by symbol, or to DROPCOPY of clients, by id. Each request is done whole or not at all, and answered with all that "
    "the connection is subscribed to then; message says what is wrong.",
    "SUBSCRIBE is signed: Base64(HMAC-SHA256(secret, timestamp + TRUEXWS + key)), where / or the dialled path may "
    "follow the key; timestamp in Unix seconds, at most 15 s old and 1 s ahead. SUBSCRIBE_NO_AUTH needs no key; its "
    "data are gathered for about a second. UNSUBSCRIBE without names leaves whole channels.",
    "status: AUTHENTICATED or UNAUTHENTICATED for what was done with and without a signature (UNAUTHENTICATED also for "
    "a signature that is missing), UNAUTHORIZED for a signature, a key or a client that does not count, INVALID for a "
    "request that makes no sense, ERROR when the venue cannot answer now.",
    "seqnum belongs to a channel of your connection. The first UPDATE after the SNAPSHOT n carries n, the one after it "
    "n + 1. Snapshots of INSTRUMENT come before those of EBBO. A SNAPSHOT takes the place of all that was told of its "
    "item: the venue sends one by itself when its own feed has lost its place.",
    "DEPTH: the levels that changed, as they are now; qty 0 takes one out. DROPCOPY: every step of the client's orders "
    "from now on; a key hears of the clients of its own organization, and needs the scope read.",
    "Who reads so slowly that too many messages wait is told so and closed with 1008. The venue pings, and says when "
    "it stops. When the key is revoked or expires, what it signed for ends.",
)
_FRAME: Final = {"seqnum": "12", "status": "AUTHENTICATED"}
_LEVEL: Final = schemas.BestLevel("65000", "0.5", "2")

GUIDE: Final = SocketGuide(
    path="/api/v1",
    title="WebSocket",
    rules=_RULES,
    sent=(
        SocketMessage(
            shapes.SocketRequest,
            {
                "type": "SUBSCRIBE",
                "item_names": ["BTC-PYUSD"],
                "channels": ["EBBO", "DEPTH"],
                "timestamp": "1767225600",
                "key": "6398805c-f369-40f6-ac07-94ce683056e4",
                "signature": "SQvENfJoel49blyy7LbD/9Ly8OnsSqmSTntJtzxGc9I=",
            },
        ),
    ),
    received=(
        SocketMessage(
            shapes.Welcome,
            shapes.Welcome(connections="1", message="Welcome to Crossbook", datetime="2026-01-01T00:00:00.000Z"),
        ),
        SocketMessage(
            shapes.Confirmation,
            shapes.Confirmation(
                channel="WEBSOCKET",
                update="SNAPSHOT",
                timestamp=_NS,
                status="AUTHENTICATED",
                subscriptions=[shapes.Held(channel="EBBO", item_names=["BTC-PYUSD"])],
            ),
        ),
        SocketMessage(
            shapes.InstrumentMessage,
            shapes.InstrumentMessage(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="SNAPSHOT",
                data=schemas.InstrumentRow(
                    id="3",
                    status="ACTIVE",
                    info=schemas.InstrumentInfo("BTC-PYUSD", "65000", "2", "3", "300", "5", "10"),
                    stats=schemas.InstrumentStats("650000", "10"),
                ),
            ),
        ),
        SocketMessage(
            shapes.EbboMessage,
            shapes.EbboMessage(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="UPDATE",
                data=schemas.QuoteRow(
                    "3", "BTC-PYUSD", schemas.QuoteInfo(schemas.LastTrade("65000", "0.1", _NS), _LEVEL, _LEVEL, _NS)
                ),
            ),
        ),
        SocketMessage(
            shapes.TradeMessage,
            shapes.TradeMessage(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="UPDATE",
                data=shapes.TradeData(
                    match_id="318", trade_price="65000", trade_qty="0.1", liq_flag="TAKER", id="3", symbol="BTC-PYUSD"
                ),
            ),
        ),
        SocketMessage(
            shapes.DepthMessage,
            shapes.DepthMessage(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="UPDATE",
                data=shapes.DepthData(
                    symbol="BTC-PYUSD", bids=[shapes.DepthLevel(price="64999.5", qty="0", order_count="0")], asks=[]
                ),
            ),
        ),
        SocketMessage(
            shapes.DropcopyStart,
            shapes.DropcopyStart(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="SNAPSHOT",
                data=shapes.ClientData(client_id="1001"),
            ),
        ),
        SocketMessage(
            shapes.DropcopyMessage,
            shapes.DropcopyMessage(
                **_FRAME,  # type: ignore[arg-type] # the literal's values
                update="UPDATE",
                data=ActivityRow(
                    client_id="1001",
                    external_id="my-first",
                    instrument_id="3",
                    msg_type="REPORT_CONFIRM",
                    timestamp=_NS,
                    side="BUY",
                    order_id="7301",
                    order_price="64000",
                    order_qty="0.1",
                ),
            ),
        ),
        SocketMessage(
            shapes.Notice,
            shapes.Notice(timestamp=_NS, status="ERROR", message="shutdown: the venue stops: connect again later"),
        ),
    ),
)
