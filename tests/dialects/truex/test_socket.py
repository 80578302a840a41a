"""TrueX's WebSocket against a running venue: every rule of the contract's section on it."""

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from crossbook.dialects.truex.signature import digest_in, matches, socket_payloads
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, SigningClient
from tests.dialects.truex.socket_client import Book, Message, SocketClient, credentials, dialled, socket_signature
from tests.dialects.truex.venue import organization, second_client

VECTORS = Path(__file__).parents[3].parent / "shared" / "vectors" / "truex_hmac.json"
SYMBOL = "BTC-PYUSD"
PUBLIC = ["INSTRUMENT", "EBBO", "TRADE", "DEPTH"]
NAMES = iter(range(1_000_000))


@pytest.fixture
def http(venue: FluxVenue) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        yield client


@pytest.fixture
def socket(venue: FluxVenue) -> Iterator[SocketClient]:
    with dialled(venue.addresses["embedded"]) as client:
        yield client


@pytest.fixture
def who(venue: FluxVenue) -> Organization:
    return organization(venue, f"socket{next(NAMES)}", {"BTC": "50", "PYUSD": "5000000"})


class Maker:
    """Enters and takes out orders of an organization."""

    def __init__(self, venue: FluxVenue, who: Organization, instrument_id: str) -> None:
        self.who = who
        self._client = SigningClient(venue.addresses["embedded"], who)
        self._instrument_id = instrument_id

    def order(self, side: str, price: str, qty: str, **more: Any) -> Any:
        info = {
            "client_id": str(self.who.client_id),
            "instrument_id": self._instrument_id,
            "qty": qty,
            "price": price,
            "side": side,
            "type": "LIMIT",
            "tif": "GTC",
            "exec_inst_flags": [],
            **more,
        }
        reply = self._client.send("POST", "/api/v1/orders", json.dumps({"info": info}).encode())
        assert reply.status_code == 200, reply.text
        return reply.json()

    def cancel(self, order_id: str) -> None:
        """Ask for the end of an order, which may have come already."""
        reply = self._client.send("DELETE", f"/api/v1/orders/{order_id}")
        assert reply.status_code == 200 or "no longer open" in reply.text, reply.text

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def instrument_id(http: httpx2.Client) -> str:
    rows = http.get("/api/v1/instruments", params={"symbol": SYMBOL}).json()
    return next(str(row["id"]) for row in rows if row["info"]["symbol"] == SYMBOL)


@pytest.fixture
def maker(venue: FluxVenue, who: Organization, instrument_id: str) -> Iterator[Maker]:
    made = Maker(venue, who, instrument_id)
    yield made
    made.close()


# -- Greeting and signatures -------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/", "/", "/anything/at/all"])
def test_every_path_is_greeted(venue: FluxVenue, path: str) -> None:
    with dialled(venue.addresses["embedded"], path) as client:
        welcome = client.welcome
        assert (welcome["channel"], welcome["update"], welcome["version"]) == ("WEBSOCKET", "WELCOME", "1.0.5")
        assert re.fullmatch(r"[1-9][0-9]*", welcome["connections"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", welcome["datetime"])
        assert welcome["message"]


def test_the_socket_of_flux_is_still_its_own(venue: FluxVenue, http: httpx2.Client) -> None:
    with dialled(venue.addresses["embedded"], "/api/v1") as client:
        assert client.welcome["update"] == "WELCOME"
    assert http.get("/api/v1/health").status_code == 200


@pytest.mark.skipif(not VECTORS.exists(), reason="the vectors are not beside the project")
def test_the_vectors_hold() -> None:
    vectors = json.loads(VECTORS.read_text())
    key, secret, timestamp = vectors["key"], vectors["secret"], vectors["timestamp"]
    for vector in vectors["websocket"]:
        path = vector["payload"].removeprefix(f"{timestamp}TRUEXWS{key}")
        assert socket_signature(secret, timestamp, key, path) == vector["signature"]
        payloads = socket_payloads(timestamp.encode(), key.encode(), b"/api/v1")
        assert matches(secret.encode(), digest_in(vector["signature"].encode()), *payloads)


@pytest.mark.parametrize(
    ("dialled_path", "signed_path"),
    [("/api/v1", ""), ("/api/v1", "/"), ("/api/v1", "/api/v1"), ("/api/v1/", "/api/v1/"), ("/", "/"), ("/", "")],
)
def test_a_signature_may_cover_no_path_a_slash_or_the_dialled_one(
    venue: FluxVenue, who: Organization, dialled_path: str, signed_path: str
) -> None:
    with dialled(venue.addresses["embedded"], dialled_path) as client:
        answer = client.ask("SUBSCRIBE", ["EBBO"], [SYMBOL], **credentials(who, signed_path))
        assert answer["status"] == "AUTHENTICATED", answer
        assert answer["subscriptions"] == [{"channel": "EBBO", "item_names": [SYMBOL]}]
        assert re.fullmatch("[0-9]{19}", answer["timestamp"])


def altered(**changes: str) -> Any:
    def make(who: Organization) -> dict[str, str]:
        return {**credentials(who), **changes}

    return make


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (lambda who: {}, "UNAUTHENTICATED"),
        (altered(signature=""), "UNAUTHENTICATED"),
        (altered(signature="A" * 43 + "="), "UNAUTHORIZED"),
        (altered(signature="abcdef" * 10), "UNAUTHORIZED"),
        (altered(key="6398805c-f369-40f6-ac07-94ce683056e4"), "UNAUTHORIZED"),
        (altered(organization_id="4"), "UNAUTHORIZED"),
        (lambda who: credentials(who, "/elsewhere"), "UNAUTHORIZED"),
        (lambda who: credentials(who, age_s=20), "UNAUTHORIZED"),
        (lambda who: credentials(who, age_s=-5), "UNAUTHORIZED"),
    ],
)
def test_who_does_not_sign_as_agreed_gets_nothing(
    socket: SocketClient, who: Organization, fields: Any, status: str
) -> None:
    socket.send("SUBSCRIBE", ["EBBO"], [SYMBOL], **{"timestamp": "", **fields(who)})
    answer = socket.confirmed()
    assert answer["status"] == status
    assert answer["subscriptions"] == []
    assert answer["message"]
    assert who.secret not in answer["message"]


def test_the_organization_may_be_named(socket: SocketClient, who: Organization) -> None:
    fields = {**credentials(who), "organization_id": str(who.organization_id)}
    assert socket.ask("SUBSCRIBE", ["TRADE"], [SYMBOL], **fields)["status"] == "AUTHENTICATED"


def test_a_key_counts_only_from_its_addresses(venue: FluxVenue, socket: SocketClient) -> None:
    who = organization(venue, f"far{next(NAMES)}", networks=["10.0.0.0/8"])
    assert socket.ask("SUBSCRIBE", ["EBBO"], [SYMBOL], **credentials(who))["status"] == "UNAUTHORIZED"


def test_a_revoked_key_ends_what_it_signed_for(venue: FluxVenue, socket: SocketClient, who: Organization) -> None:
    socket.ask("SUBSCRIBE_NO_AUTH", ["TRADE"], [SYMBOL])
    socket.ask("SUBSCRIBE", ["EBBO"], [SYMBOL], **credentials(who))
    venue.run(venue.parts.keys.revoke(who.key_id))
    answer = socket.confirmed()
    assert answer["status"] == "UNAUTHORIZED"
    assert answer["subscriptions"] == [{"channel": "TRADE", "item_names": [SYMBOL]}]


# -- Subscriptions -----------------------------------------------------------------------------------
def test_what_is_left_is_told_each_time(socket: SocketClient) -> None:
    answer = socket.ask("SUBSCRIBE_NO_AUTH", ["TRADE", "EBBO"], [SYMBOL, "BTC-USDC"])
    assert answer["status"] == "UNAUTHENTICATED"
    both = [SYMBOL, "BTC-USDC"]
    assert answer["subscriptions"] == [
        {"channel": "EBBO", "item_names": both},
        {"channel": "TRADE", "item_names": both},
    ]
    answer = socket.ask("UNSUBSCRIBE_NO_AUTH", ["EBBO"], ["BTC-USDC"])
    assert answer["subscriptions"][0] == {"channel": "EBBO", "item_names": [SYMBOL]}
    answer = socket.ask("UNSUBSCRIBE_NO_AUTH", ["TRADE"])
    assert answer["subscriptions"] == [{"channel": "EBBO", "item_names": [SYMBOL]}]
    answer = socket.ask("UNSUBSCRIBE_NO_AUTH", ["EBBO", "TRADE"], [SYMBOL])
    assert answer["subscriptions"] == []


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        '{"type":"SHOUT","channels":["EBBO"],"item_names":["BTC-PYUSD"]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":[],"item_names":["BTC-PYUSD"]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["WEATHER"],"item_names":["BTC-PYUSD"]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["EBBO"],"item_names":[]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["EBBO"],"item_names":["NO-SUCH"]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["EBBO"],"item_names":["BTC-PYUSD","BTC-PERP"]}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["EBBO"],"item_names":"BTC-PYUSD"}',
        '{"type":"SUBSCRIBE_NO_AUTH","channels":["DROPCOPY"],"item_names":["BTC-PYUSD"]}',
    ],
)
def test_what_makes_no_sense_is_invalid_and_changes_nothing(socket: SocketClient, text: str) -> None:
    socket.ask("SUBSCRIBE_NO_AUTH", ["TRADE"], [SYMBOL])
    socket.connection.send(text)
    answer = socket.confirmed()
    assert answer["status"] == "INVALID"
    assert answer["message"]
    assert answer["subscriptions"] == [{"channel": "TRADE", "item_names": [SYMBOL]}]


def test_there_are_only_so_many_subscriptions(socket: SocketClient) -> None:
    assert socket.ask("SUBSCRIBE_NO_AUTH", PUBLIC, [SYMBOL, "BTC-USDC"])["status"] == "UNAUTHENTICATED"
    socket.send("SUBSCRIBE_NO_AUTH", PUBLIC, [SYMBOL, "BTC-USDC", "BTC-PERP"])
    assert socket.confirmed()["status"] == "INVALID"


# -- Data --------------------------------------------------------------------------------------------
def test_snapshots_come_in_order_and_are_the_rows_of_the_http_api(http: httpx2.Client, socket: SocketClient) -> None:
    socket.ask("SUBSCRIBE_NO_AUTH", ["DEPTH", "TRADE", "EBBO", "INSTRUMENT"], [SYMBOL])
    snapshots = [socket.next() for _ in PUBLIC]
    assert [message["channel"] for message in snapshots] == PUBLIC
    assert {message["update"] for message in snapshots} == {"SNAPSHOT"}
    assert {message["status"] for message in snapshots} == {"UNAUTHENTICATED"}
    rows = {row["info"]["symbol"]: row for row in http.get("/api/v1/instruments").json()}
    assert snapshots[0]["data"] == rows[SYMBOL]
    quotes = {row["symbol"]: row for row in http.get("/api/v1/markets/quote").json()}
    assert snapshots[1]["data"] == quotes[SYMBOL]
    assert set(snapshots[2]["data"]) == {"match_id", "trade_price", "trade_qty", "liq_flag", "id", "symbol"}
    assert set(snapshots[3]["data"]) == {"symbol", "bids", "asks"}


def test_an_order_and_a_trade_are_told(
    venue: FluxVenue, http: httpx2.Client, socket: SocketClient, maker: Maker, who: Organization
) -> None:
    socket.ask("SUBSCRIBE", ["EBBO", "TRADE", "DEPTH"], [SYMBOL], **credentials(who))
    for _ in range(3):
        assert socket.next()["update"] == "SNAPSHOT"
    order = maker.order("SELL", "64000", "0.5")
    depth = socket.until("DEPTH", "UPDATE")
    assert depth["status"] == "AUTHENTICATED"
    assert {"price": "64000", "qty": "0.5", "order_count": "1"} in depth["data"]["asks"]
    taker = organization(venue, f"taker{next(NAMES)}", {"PYUSD": "5000000"})
    other = Maker(venue, taker, maker._instrument_id)
    other.order("BUY", "64000", "0.2", tif="IOC")
    seen: dict[str, Message] = {}
    while set(seen) != {"EBBO", "TRADE", "DEPTH"}:
        message = socket.next()
        if message["channel"] != "EBBO" or message["data"]["info"]["best_ask"]["qty"] == "0.3":
            seen[message["channel"]] = message
    trade = seen["TRADE"]["data"]
    assert (trade["trade_price"], trade["trade_qty"], trade["symbol"]) == ("64000", "0.2", SYMBOL)
    assert trade["id"] == maker._instrument_id
    assert trade["liq_flag"] == "TAKER"
    assert seen["EBBO"]["data"]["info"]["last_trade"]["price"] == "64000"
    maker.cancel(order["id"])
    while not any(level["price"] == "64000" and level["qty"] == "0" for level in depth["data"]["asks"]):
        depth = socket.until("DEPTH", "UPDATE")
    other.close()


def test_without_a_signature_data_are_gathered(venue: FluxVenue, socket: SocketClient, maker: Maker) -> None:
    socket.ask("SUBSCRIBE_NO_AUTH", ["DEPTH"], [SYMBOL])
    assert socket.next()["update"] == "SNAPSHOT"
    orders = [maker.order("BUY", "100", "0.0001")]
    socket.until("DEPTH", "UPDATE")
    started_s = time.monotonic()
    orders += [maker.order("BUY", str(101 + place), "0.0001") for place in range(20)]
    book = Book()
    updates = 0
    while "120" not in book.sides["bids"]:
        book.take(socket.until("DEPTH", "UPDATE"))
        updates += 1
    seconds = time.monotonic() - started_s
    # However slow the machine is: no more than one update for each second begun.
    assert updates <= int(seconds) + 2
    for order in orders:
        maker.cancel(order["id"])


def test_the_book_of_the_stream_is_the_book(
    venue: FluxVenue, who: Organization, maker: Maker, instrument_id: str
) -> None:
    luck = random.Random(5)
    address = venue.addresses["embedded"]
    with dialled(address) as live, dialled(address) as batched:
        books = {live: Book(), batched: Book()}
        open_orders: list[str] = []
        for turn in range(40):
            if turn == 10:
                assert live.ask("SUBSCRIBE", ["DEPTH"], [SYMBOL], **credentials(who))["status"] == "AUTHENTICATED"
                batched.ask("SUBSCRIBE_NO_AUTH", ["DEPTH"], [SYMBOL])
            if open_orders and luck.random() < 0.3:
                maker.cancel(open_orders.pop(luck.randrange(len(open_orders))))
            price, qty = str(50_000 + luck.randint(-8, 8) / 2), f"0.{luck.randint(1, 9)}"
            side = "BUY" if luck.random() < 0.5 else "SELL"
            open_orders.append(maker.order(side, price, qty, stp="NONE")["id"])
            if turn == 25:
                venue.break_feed(SYMBOL)
        venue.settle()
        market = venue.parts.markets.named(SYMBOL)
        wanted = venue.parts.feeds[market.number].orderbook(1_000)
        instrument = market.instrument
        sides = {
            side: [[instrument.price_text(price), instrument.quantity_text(lots)] for price, lots, _ in levels]
            for side, levels in (("bids", wanted.bids), ("asks", wanted.asks))
        }
        for client, book in books.items():
            while {side: book.best(side) for side in sides} != sides:
                book.take(client.until_depth())
            assert book.updates > 0


def test_an_instrument_is_told_again_when_its_row_changes(venue: FluxVenue, socket: SocketClient, maker: Maker) -> None:
    socket.ask("SUBSCRIBE_NO_AUTH", ["INSTRUMENT"], [SYMBOL])
    before = socket.next()
    maker.order("SELL", "40000", "0.1", stp="NONE")
    maker.order("BUY", "40000", "0.1", stp="NONE", tif="IOC")
    after = socket.until("INSTRUMENT", "UPDATE")
    assert after["data"]["stats"] != before["data"]["stats"]
    assert after["data"]["id"] == before["data"]["id"]


# -- Drop copy ---------------------------------------------------------------------------------------
def test_a_client_hears_its_own_activity_and_nobody_elses(
    venue: FluxVenue, socket: SocketClient, maker: Maker, who: Organization
) -> None:
    earlier = maker.order("BUY", "30", "0.1")
    venue.settle()
    client = str(who.client_id)
    answer = socket.ask("SUBSCRIBE", ["DROPCOPY"], [client], **credentials(who))
    assert answer["status"] == "AUTHENTICATED"
    assert answer["subscriptions"] == [{"channel": "DROPCOPY", "item_names": [client]}]
    snapshot = socket.next()
    assert (snapshot["update"], snapshot["data"]) == ("SNAPSHOT", {"client_id": client})
    stranger = organization(venue, f"stranger{next(NAMES)}", {"BTC": "5", "PYUSD": "50000"})
    other = Maker(venue, stranger, maker._instrument_id)
    other.order("BUY", "31", "0.1")
    order = maker.order("SELL", "70000", "0.1")
    venue.settle()  # else the cancel may be asked for before the order is confirmed
    maker.cancel(order["id"])
    kinds: list[str] = []
    while "REPORT_CANCELED" not in kinds:
        row = socket.until("DROPCOPY", "UPDATE")["data"]
        assert row["client_id"] == client
        assert row.get("order_id") in {None, "", order["id"]}
        kinds.append(row["msg_type"])
    assert kinds == ["REQUEST_NEW", "REPORT_CONFIRM", "REQUEST_CANCEL", "REPORT_CANCELED"]
    maker.cancel(earlier["id"])
    other.close()


def test_drop_copies_are_of_the_keys_organization_only(
    venue: FluxVenue, socket: SocketClient, who: Organization
) -> None:
    stranger = organization(venue, f"private{next(NAMES)}")
    own, foreign = str(who.client_id), str(stranger.client_id)
    for names in ([foreign], [own, foreign], ["999999999"]):
        answer = socket.ask("SUBSCRIBE", ["DROPCOPY"], names, **credentials(who))
        assert (answer["status"], answer["subscriptions"]) == ("UNAUTHORIZED", [])
    answer = socket.ask("SUBSCRIBE_NO_AUTH", ["DROPCOPY"], [own])
    assert (answer["status"], answer["subscriptions"]) == ("UNAUTHORIZED", [])
    second = second_client(venue, who, f"second{next(NAMES)}")
    answer = socket.ask("SUBSCRIBE", ["DROPCOPY"], [own, str(second.client_id)], **credentials(who))
    assert answer["status"] == "AUTHENTICATED"
    unread = organization(venue, f"unread{next(NAMES)}", scopes=["trade"])
    answer = socket.ask("SUBSCRIBE", ["DROPCOPY"], [str(unread.client_id)], **credentials(unread))
    assert answer["status"] == "UNAUTHORIZED"
    assert answer["subscriptions"] == [{"channel": "DROPCOPY", "item_names": [own, str(second.client_id)]}]


def test_many_steps_are_each_told_once(venue: FluxVenue, socket: SocketClient, maker: Maker, who: Organization) -> None:
    socket.ask("SUBSCRIBE", ["DROPCOPY"], [str(who.client_id)], **credentials(who))
    orders = [maker.order("BUY", str(10 + place), "0.001")["id"] for place in range(15)]
    for order_id in orders:
        maker.cancel(order_id)
    ended: list[str] = []
    steps: list[str] = []
    while len(ended) < len(orders):
        row = socket.until("DROPCOPY", "UPDATE")["data"]
        steps.append(row["msg_type"])
        if row["msg_type"] == "REPORT_CANCELED":
            ended.append(row["order_id"])
    assert sorted(ended) == sorted(orders)
    assert {kind: steps.count(kind) for kind in set(steps)} == dict.fromkeys(
        ("REQUEST_NEW", "REPORT_CONFIRM", "REQUEST_CANCEL", "REPORT_CANCELED"), len(orders)
    )
