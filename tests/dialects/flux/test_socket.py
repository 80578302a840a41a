"""Flux's WebSocket against a running venue: what is asked, what is answered, what is refused."""

from collections.abc import Iterator

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.dialects.flux.socket_client import PATIENCE_S, SocketClient, dialled
from tests.dialects.flux.venue import FRIEND, FluxVenue

PUBLIC = ("trades", "orderbook", "mark_price", "funding")


@pytest.fixture
def http(venue: FluxVenue) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        yield client


@pytest.fixture
def socket(venue: FluxVenue) -> Iterator[SocketClient]:
    with dialled(venue.addresses["embedded"]) as client:
        yield client


def guest(http: httpx2.Client) -> dict[str, str]:
    headers = {"authorization": f"Bearer {http.post('/auth/guest').json()['token']}"}
    assert http.post("/deposits", headers=headers, json={"asset": "USDC", "amount": "100000"}).status_code == 201
    return headers


def limit(side: str, price: str, quantity: str = "0.1") -> dict[str, object]:
    return {"marketId": "ETH-PERP", "side": side, "type": "LIMIT", "quantity": quantity, "price": price}


# -- Public topics -----------------------------------------------------------------------------------
@pytest.mark.parametrize("channel", PUBLIC)
def test_every_public_channel_is_subscribed_to_and_left(socket: SocketClient, channel: str) -> None:
    socket.send(op="subscribe", channel=channel, market="BTC-PERP", id="first")
    answer = socket.next()
    topic = f"{channel}:BTC-PERP"
    assert answer["type"] == "subscribed"
    assert (answer["topic"], answer["channel"], answer["market"], answer["id"]) == (topic, channel, "BTC-PERP", "first")
    snapshot = socket.next()
    assert (snapshot["type"], snapshot["topic"], snapshot["market"]) == ("snapshot", topic, "BTC-PERP")
    assert isinstance(snapshot["sequence"], int)
    assert "previousSequence" not in snapshot
    socket.send(op="unsubscribe", channel=channel, market="BTC-PERP", id="last")
    assert socket.next() == {"type": "unsubscribed", "topic": topic, "channel": channel, "id": "last"}
    socket.send(op="unsubscribe", channel=channel, market="BTC-PERP")
    assert socket.next()["error"]["code"] == "INVALID_ORDER"


def test_the_snapshot_is_the_book_of_the_http_api(venue: FluxVenue, http: httpx2.Client, socket: SocketClient) -> None:
    headers = guest(http)
    for place in range(1, 6):
        assert http.post("/orders", headers=headers, json=limit("BUY", str(1_000 + place))).status_code == 202
    venue.settle()
    for depth in (1, 3, 1_000):  # the depth of the same topic, changed
        snapshot = socket.subscribe("orderbook", "ETH-PERP", depth=depth)
        book = http.get(f"/markets/ETH-PERP/orderbook?depth={depth}").json()
        assert snapshot["depth"] == depth
        assert snapshot["data"] == {"bids": book["bids"], "asks": book["asks"]}
    assert socket.subscribe("orderbook", "ETH-PERP")["depth"] == 50


def test_trades_come_with_their_numbers(venue: FluxVenue, http: httpx2.Client, socket: SocketClient) -> None:
    maker, taker = guest(http), guest(http)
    snapshot = socket.subscribe("trades", "ETH-PERP")
    known = [trade["tradeId"] for trade in snapshot["data"]]
    assert snapshot["sequence"] == (int(known[-1]) if known else 0)
    assert http.post("/orders", headers=maker, json=limit("SELL", "3000", "0.3")).status_code == 202
    for _ in range(3):
        assert http.post("/orders", headers=taker, json=limit("BUY", "3000")).status_code == 202
    venue.settle()
    got: list[dict[str, str]] = []
    sequence = snapshot["sequence"]
    while len(got) < 3:
        update = socket.until("update", "trades")
        assert update["previousSequence"] == sequence
        sequence = update["sequence"]
        got += update["data"]
        assert sequence == int(got[-1]["tradeId"])
    assert got == http.get("/trades/ETH-PERP?limit=3").json()[::-1]


def test_prices_are_told_when_they_change(venue: FluxVenue, http: httpx2.Client, socket: SocketClient) -> None:
    venue.set_mark("BTC-PERP", "60000")
    snapshot = socket.subscribe("mark_price", "BTC-PERP")
    assert snapshot["data"] == http.get("/prices/BTC-PERP").json()
    venue.set_mark("BTC-PERP", "60001.5")
    update = socket.until("update")
    assert update["data"]["markPrice"] == "60001.5"
    assert (update["previousSequence"], update["sequence"]) == (snapshot["sequence"], snapshot["sequence"] + 1)


def test_a_market_without_funding_answers_an_empty_snapshot(socket: SocketClient) -> None:
    assert socket.subscribe("funding", "BTC-PERP")["data"] is None


def test_two_connections_hear_the_same(venue: FluxVenue, http: httpx2.Client, socket: SocketClient) -> None:
    headers = guest(http)
    with dialled(venue.addresses["embedded"]) as other:
        first = socket.subscribe("orderbook", "BTC-PERP", depth=5)
        second = other.subscribe("orderbook", "BTC-PERP", depth=5)
        assert first["sequence"] == second["sequence"]
        order = {**limit("BUY", "50000"), "marketId": "BTC-PERP"}
        assert http.post("/orders", headers=headers, json=order).status_code == 202
        assert socket.until("update") == other.until("update")


# -- What is refused ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("request_text", "code", "words"),
    [
        ("nonsense", "INVALID_ORDER", "valid JSON"),
        ("[]", "INVALID_ORDER", "object"),
        ("{}", "INVALID_ORDER", "op is required"),
        ('{"op":"shout"}', "INVALID_ORDER", "op must be one of ping, subscribe, unsubscribe"),
        ('{"op":"subscribe"}', "INVALID_ORDER", "channel is required"),
        ('{"op":"subscribe","channel":"weather","market":"BTC-PERP"}', "INVALID_ORDER", "channel must be one of"),
        ('{"op":"subscribe","channel":"trades"}', "INVALID_ORDER", "market is required"),
        ('{"op":"subscribe","channel":"trades","market":"NO-SUCH"}', "MARKET_NOT_FOUND", "NO-SUCH"),
        ('{"op":"subscribe","channel":"orderbook","market":"BTC-PERP","depth":0}', "INVALID_ORDER", "from 1 to 1000"),
        ('{"op":"subscribe","channel":"orderbook","market":"BTC-PERP","depth":1001}', "INVALID_ORDER", "depth"),
        ('{"op":"subscribe","channel":"trades","market":"BTC-PERP","depth":5}', "INVALID_ORDER", "depth"),
        ('{"op":"subscribe","channel":"orders"}', "UNAUTHENTICATED", "token is required"),
        ('{"op":"subscribe","channel":"orders","token":"x.y.z"}', "UNAUTHENTICATED", "token"),
        ('{"op":"ping","x":[[[[[[]]]]]]}', "INVALID_ORDER", "nest"),
    ],
)
def test_what_is_wrong_is_said_and_the_connection_stands(
    socket: SocketClient, request_text: str, code: str, words: str
) -> None:
    socket.connection.send(request_text)
    answer = socket.next()
    assert answer["type"] == "error"
    assert answer["error"]["code"] == code
    assert words in answer["error"]["message"]
    socket.send(op="ping", id="still there")
    assert (pong := socket.next())["type"] == "pong"
    assert pong["id"] == "still there"


def test_a_connection_follows_so_many_topics_and_no_more(http: httpx2.Client, socket: SocketClient) -> None:
    token = guest(http)["authorization"].removeprefix("Bearer ")
    for market in ("BTC-PERP", "ETH-PERP"):
        for channel in PUBLIC:
            socket.subscribe(channel, market)
    for channel in ("orders", "positions"):
        socket.subscribe(channel, token=token)
    socket.subscribe("trades", "BTC-PERP")  # again: not one more
    socket.send(op="subscribe", channel="balances", token=token)
    refused = socket.until("error")
    assert refused["error"] == {"code": "RATE_LIMITED", "message": "at most 10 subscriptions on one connection"}


def test_binary_messages_end_the_connection(venue: FluxVenue) -> None:
    with dialled(venue.addresses["embedded"]) as client:
        client.connection.send(b"\x00")
        assert client.next()["error"]["code"] == "INVALID_ORDER"
        with pytest.raises(ConnectionClosed) as closed:
            client.connection.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


def test_a_message_that_is_too_long_ends_the_connection(venue: FluxVenue) -> None:
    with dialled(venue.addresses["embedded"]) as client:
        client.connection.send("x" * 20_000)
        with pytest.raises(ConnectionClosed) as closed:
            client.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_pages_of_other_origins_are_not_let_in(venue: FluxVenue) -> None:
    address = venue.addresses["embedded"]
    for origin in (address, FRIEND):
        with dialled(address, origin=origin) as client:
            client.send(op="ping")
            assert client.next()["type"] == "pong"
    with pytest.raises(InvalidStatus) as refused, dialled(address, origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


def test_silence_is_never_long(socket: SocketClient) -> None:
    first = socket.raw()
    assert first["type"] == "heartbeat"
    assert socket.raw()["time"] >= first["time"]
