"""Flux's WebSocket as its documentation describes it."""

from typing import Final

from crossbook.dialects.flux import schemas
from crossbook.dialects.flux import socket_schemas as shapes
from crossbook.dialects.socket_page import SocketGuide, SocketMessage

_TIME: Final = 1_767_225_600_000
_BOOK: Final = "orderbook:BTC-PERP"
_RULES: Final = (
    "Connect to /ws and send JSON text. Subscribe to a channel: trades, orderbook, mark_price or funding with a "
    "market, positions, balances or orders with a token. The answer is subscribed, then a snapshot, then updates."
    " Subscribing again to the same topic begins it anew, for orderbook with another depth if you like.",
    "Every message of a topic says where the topic stands: sequence. Every update says where it stood before: "
    "previousSequence. When that is not the sequence of the topic's last message that you have, you missed one: "
    "subscribe again. The venue does the same for you when it loses its own place: resync, then a new snapshot.",
    "orderbook: the sequence is that of the market's commands, as in GET /markets/{marketId}/orderbook. An update"
    " has the levels of your depth (1 to 1000, 50 unless given) that changed, as they are now; quantity 0 means "
    "that the level is gone or has left your depth. checksum is the CRC-32 of the best ten asks, then the best "
    "ten bids, best first (of as many as your depth shows): of each level the price with as many decimals as "
    "tickSize, then the quantity with as many as lotSize, both without point and leading zeros, one after the "
    "other.",
    "trades: the sequence is the number of the last trade; in snapshot and update the oldest comes first. "
    "mark_price and funding: a message whenever something changed; the numbers rise by one.",
    "orders, positions, balances: what changed, as settled, with the shapes of the HTTP API; the numbers rise by "
    "one and are the same on every connection. The first snapshot of orders has the 1,000 newest that are open. "
    "Positions and balances are told when the account changes or a position's adlRank, not when only the mark moves. "
    "When the token "
    "expires or is revoked, an error and unsubscribed end its topics.",
    "After a lost connection, subscribe to orders, positions and balances with fromSequence, the last sequence of "
    "the topic that you have, and stream, which the answer to your last subscription told. The answer has replayed: "
    "true, and what you missed follows in order, as updates that may cover several numbers each, then what is new, "
    "with no snapshot. false: it is not known any more, and resync and a snapshot follow; what ended meanwhile is in "
    "GET /orders and GET /fills. A user's topics are kept for five minutes after the last connection left, the "
    "newest 1 MiB of each; a restart of the venue, or another process of it, begins another stream.",
    "fills, with a market and a token: each of your fills in it, once. The sequence is the id of the last fill; the "
    "first snapshot has the last 50. fromSequence, the last fill that you know, brings up to 2,000 later ones, at any "
    "time and at any process of the venue: no stream is needed.",
    "A heartbeat comes every 15 seconds; the venue pings too, and cuts off who does not answer. Before the venue "
    "stops it says serverShutdown. Who reads so slowly that too many messages wait is told SLOW_CONSUMER and "
    "closed with 1008. Messages to the venue are at most 16 KiB, 20 a second over time, and 50 subscriptions at "
    "once, unless its settings say otherwise.",
)

_ORDER: Final = schemas.Order(
    order_id="7301",
    status="OPEN",
    client_order_id="client-123",
    user_id="1001",
    market_id="BTC-PERP",
    side="BUY",
    type="LIMIT",
    quantity="0.01",
    remaining_quantity="0.01",
    filled_quantity="0",
    average_price=None,
    price="64000",
    time_in_force="GTC",
    leverage=10,
    reduce_only=False,
    post_only=False,
    held_margin="64.32",
    created_at=_TIME,
    updated_at=_TIME,
    id="7301",
)
_POSITION: Final = schemas.Position(
    user_id="1001",
    market_id="BTC-PERP",
    side="LONG",
    quantity="0.01",
    entry_price="65000",
    mark_price="65010",
    notional="650.1",
    leverage=10,
    margin="65.01",
    unrealized_pnl="0.1",
    realized_pnl="0",
    liquidation_price="58800.5",
    margin_mode="ISOLATED",
    maintenance_margin="3.2505",
    bankruptcy_price="58506.5",
    funding_accrued="0",
    adl_rank=2,
    in_liquidation=False,
)
_FILL: Final = schemas.Fill(
    id="90312",
    trade_id="318",
    order_id="7301",
    user_id="1001",
    market_id="BTC-PERP",
    side="BUY",
    liquidity_role="TAKER",
    price="65000",
    quantity="0.01",
    notional="650",
    fee="0.325",
    realized_pnl="0",
    created_at=_TIME,
    adl=False,
)
_TRADE: Final = schemas.Trade(
    trade_id="318", market_id="BTC-PERP", side="BUY", price="65000.5", quantity="0.25", created_at=_TIME
)

GUIDE: Final = SocketGuide(
    path="/ws",
    title="WebSocket /ws",
    rules=_RULES,
    sent=(
        SocketMessage(
            shapes.SocketRequest, {"op": "subscribe", "channel": "orderbook", "market": "BTC-PERP", "depth": 10}
        ),
    ),
    received=(
        SocketMessage(
            shapes.Subscribed, shapes.Subscribed(topic=_BOOK, channel="orderbook", market="BTC-PERP", depth=10)
        ),
        SocketMessage(shapes.Unsubscribed, shapes.Unsubscribed(topic=_BOOK, channel="orderbook")),
        SocketMessage(
            shapes.BookMessage,
            shapes.BookMessage(
                type="update",
                topic=_BOOK,
                market="BTC-PERP",
                depth=10,
                sequence=4102,
                previous_sequence=4099,
                checksum=2_671_512_334,
                time=_TIME,
                data=shapes.BookData(bids=[["65000", "1.25"]], asks=[["65000.5", "0"]]),
            ),
        ),
        SocketMessage(
            shapes.TradesMessage,
            shapes.TradesMessage(
                type="update",
                topic="trades:BTC-PERP",
                market="BTC-PERP",
                sequence=318,
                previous_sequence=317,
                time=_TIME,
                data=[_TRADE],
            ),
        ),
        SocketMessage(
            shapes.PriceMessage,
            shapes.PriceMessage(
                type="snapshot",
                topic="mark_price:BTC-PERP",
                market="BTC-PERP",
                sequence=0,
                time=_TIME,
                data=schemas.Price(
                    market_id="BTC-PERP", mark_price="65010", index_price=None, last_price="65000.5", updated_at=_TIME
                ),
            ),
        ),
        SocketMessage(
            shapes.FundingMessage,
            shapes.FundingMessage(
                type="snapshot",
                topic="funding:BTC-PERP",
                market="BTC-PERP",
                sequence=0,
                time=_TIME,
                data=shapes.FundingData(market_id="BTC-PERP", funding_rate="0.0001", next_funding_at=_TIME),
            ),
        ),
        SocketMessage(
            shapes.OrdersMessage,
            shapes.OrdersMessage(
                type="update", topic="orders:1001", sequence=2, previous_sequence=1, time=_TIME, data=[_ORDER]
            ),
        ),
        SocketMessage(
            shapes.PositionsMessage,
            shapes.PositionsMessage(type="snapshot", topic="positions:1001", sequence=1, time=_TIME, data=[_POSITION]),
        ),
        SocketMessage(
            shapes.BalancesMessage,
            shapes.BalancesMessage(
                type="snapshot",
                topic="balances:1001",
                sequence=1,
                time=_TIME,
                data=[
                    schemas.Balance(user_id="1001", asset="USDC", total="10000", locked="65.01", available="9934.99")
                ],
            ),
        ),
        SocketMessage(
            shapes.FillsMessage,
            shapes.FillsMessage(
                type="update",
                topic="fills:1001:BTC-PERP",
                market="BTC-PERP",
                sequence=90_312,
                previous_sequence=90_310,
                time=_TIME,
                data=[_FILL],
            ),
        ),
        SocketMessage(shapes.Resync, shapes.Resync(topic=_BOOK, channel="orderbook", sequence=4102, reason="resync")),
        SocketMessage(
            shapes.SocketError,
            shapes.SocketError(
                error=shapes.SocketErrorDetail(code="MARKET_NOT_FOUND", message="no such market: BTC-PREP"), id="7"
            ),
        ),
        SocketMessage(shapes.Heartbeat, shapes.Heartbeat(time=_TIME)),
        SocketMessage(shapes.Pong, shapes.Pong(time=_TIME)),
        SocketMessage(
            shapes.ServerShutdown,
            shapes.ServerShutdown(message="the venue stops: connect again later", time=_TIME),
        ),
    ),
)
