"""Private topics after a lost connection: what was missed comes, once, or the client is told to look by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from tests.dialects.flux.socket_client import SocketClient, dialled
from tests.dialects.flux.socket_owner import CHANNELS, Owner
from tests.dialects.flux.venue import FluxVenue


@pytest.fixture
def http(venue: FluxVenue) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        yield client


@contextmanager
def somebody(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    """A user with money and a connection, who leaves no orders."""
    with dialled(venue.addresses["embedded"]) as client:
        made = Owner(http, client)
        made.deposit("1000000")
        yield made
        made.http.delete("/orders", headers=made.headers)
        venue.settle()


@pytest.fixture
def owner(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    with somebody(venue, http) as made:
        yield made


@pytest.fixture
def other(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    with somebody(venue, http) as made:
        yield made


def trade(taker: Owner, times: int) -> None:
    """Take what is offered, in small orders."""
    for _ in range(times):
        taker.order("BUY", "3010", "0.1")


def answer_to(client: SocketClient, **request: Any) -> Any:
    client.send(op="subscribe", **request)
    return client.next()


# -- What was missed ---------------------------------------------------------------------------------
def test_connections_lost_in_the_middle_of_fills_lose_nothing(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("ETH-PERP", "3000")
    owner.follow(*CHANNELS)
    owner.socket.lose()
    order_ids = [owner.order("SELL", str(3_000 + place), "3") for place in range(6)]
    venue.settle()

    for place in range(12):
        with dialled(venue.addresses["embedded"]) as client:
            owner.come_back(client, *CHANNELS)
            trade(other, 4)
            for _ in range(place % 3):
                owner.take()
            trade(other, 2)
            client.lose()
        trade(other, 2)
        if place in {3, 8}:
            owner.http.delete(f"/orders/{order_ids[5 if place == 3 else 4]}", headers=owner.headers)
    venue.settle()
    fills = owner.get("/fills?limit=500")
    assert len(fills) == 12 * 8
    filled: dict[str, Decimal] = {}
    for fill in fills:
        filled[fill["orderId"]] = filled.get(fill["orderId"], Decimal(0)) + Decimal(fill["quantity"])
    with dialled(venue.addresses["embedded"]) as client:
        owner.come_back(client, *CHANNELS)
        for order_id in order_ids:
            shown = owner.get(f"/orders/{order_id}")
            assert (
                owner.sees("orders", order_id, status=shown["status"], filledQuantity=shown["filledQuantity"]) == shown
            )
            assert Decimal(shown["filledQuantity"]) == filled.get(order_id, 0)
        position = owner.get("/positions")[0]
        told = owner.sees("positions", "ETH-PERP", quantity=position["quantity"])
        assert (told["entryPrice"], told["realizedPnl"]) == (position["entryPrice"], position["realizedPnl"])
        owner.sees("balances", "USDC", total=owner.get("/balances")[0]["total"])
        client.lose()


def test_a_replay_goes_on_into_what_is_live_and_comes_to_nobody_else(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    first = owner.order("BUY", "20")
    owner.sees("orders", first, status="OPEN")
    second = owner.order("BUY", "21")
    owner.sees("orders", second, status="OPEN")
    with dialled(venue.addresses["embedded"]) as client:
        behind = Owner(owner.http, client)
        behind.token, behind.user_id, behind.headers = owner.token, owner.user_id, owner.headers
        end = owner.sequences["orders"]
        place = {"fromSequence": end - 1, "stream": owner.stream}
        answer = answer_to(client, channel="orders", token=owner.token, id="again", **place)
        assert (answer["type"], answer["replayed"], answer["stream"]) == ("subscribed", True, owner.stream)
        update = client.next()
        assert (update["type"], update["previousSequence"], update["sequence"]) == ("update", end - 1, end)
        assert [row["orderId"] for row in update["data"]] == [second]
        # Nothing was missed: nothing comes but what is new.
        answer = answer_to(client, channel="orders", token=owner.token, **{**place, "fromSequence": end})
        assert answer["replayed"] is True
        third = owner.order("BUY", "22")
        live = client.next()
        assert (live["previousSequence"], [row["orderId"] for row in live["data"]]) == (end, [third])
    assert owner.sees("orders", third, status="OPEN")


def test_without_a_sequence_a_topic_goes_on_with_its_numbers(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    order_id = owner.order("BUY", "20")
    owner.sees("orders", order_id, status="OPEN")
    answer = answer_to(owner.socket, channel="orders", token=owner.token)
    assert (answer["stream"], "replayed" in answer) == (owner.stream, False)
    snapshot = owner.socket.next()
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", owner.sequences["orders"])


# -- What is not known any more ----------------------------------------------------------------------
def says_look_yourself(client: SocketClient, request: dict[str, Any]) -> Any:
    """The snapshot that comes after the answer that nothing is known."""
    answer = answer_to(client, **request)
    assert (answer["type"], answer["replayed"]) == ("subscribed", False)
    resync = client.next()
    assert resync["type"] == "resync"
    assert "GET /fills" in resync["reason"]
    snapshot = client.next()
    assert snapshot["type"] == "snapshot"
    return snapshot


def test_an_unknown_sequence_is_answered_with_the_state(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    order_id = owner.order("BUY", "20")
    owner.sees("orders", order_id, status="OPEN")
    request = {"channel": "orders", "token": owner.token}
    for place in (
        {"fromSequence": 0, "stream": owner.stream},
        {"fromSequence": owner.sequences["orders"] + 1, "stream": owner.stream},
        {"fromSequence": owner.sequences["orders"], "stream": "another"},
    ):
        snapshot = says_look_yourself(owner.socket, {**request, **place})
        assert [row["orderId"] for row in snapshot["data"]] == [order_id]
        assert snapshot["sequence"] == owner.sequences["orders"]


def test_what_a_feed_that_lost_its_place_told_is_not_replayed(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    order_id = owner.order("BUY", "20")
    owner.sees("orders", order_id, status="OPEN")
    before = owner.sequences["orders"]
    venue.break_feed("ETH-PERP")
    owner.socket.until("resync")
    owner.socket.until("snapshot")
    place = {"fromSequence": before, "stream": owner.stream}
    says_look_yourself(owner.socket, {"channel": "orders", "token": owner.token, **place})


def test_a_stream_of_another_user_opens_nothing(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    owner.follow("orders")
    order_id = owner.order("BUY", "20")
    owner.sees("orders", order_id, status="OPEN")
    place = {"fromSequence": owner.sequences["orders"] - 1, "stream": owner.stream}
    snapshot = says_look_yourself(other.socket, {"channel": "orders", "token": other.token, **place})
    assert snapshot["topic"] == f"orders:{other.user_id}"
    assert snapshot["data"] == []
    refused = answer_to(other.socket, channel="orders", token="nonsense", **place)
    assert refused["error"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"channel": "orders", "fromSequence": 3}, "stream is required with fromSequence"),
        ({"channel": "orders", "fromSequence": -1, "stream": "x"}, "fromSequence"),
        ({"channel": "orders", "fromSequence": 2**53, "stream": "x"}, "fromSequence"),
        ({"channel": "orders", "fromSequence": "3", "stream": "x"}, "fromSequence"),
        ({"channel": "orders", "fromSequence": 3, "stream": "x" * 65}, "stream"),
        ({"channel": "trades", "market": "BTC-PERP", "fromSequence": 3}, "orders, positions, balances and fills only"),
    ],
)
def test_half_a_place_is_refused(owner: Owner, request_: dict[str, Any], words: str) -> None:
    token = {"token": owner.token} if request_["channel"] == "orders" else {}
    error = answer_to(owner.socket, **token, **request_)["error"]
    assert error["code"] == "INVALID_ORDER"
    assert words in error["message"]
