"""Flux's private topics: what one user does and gets, exactly once and in order, and nobody else's."""

from collections.abc import Iterator

import httpx2
import pytest

from crossbook.domain.commands import UpdatePrices
from tests.dialects.flux.socket_client import Message, dialled
from tests.dialects.flux.socket_owner import CHANNELS, Owner
from tests.dialects.flux.venue import FluxVenue


@pytest.fixture
def http(venue: FluxVenue) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        yield client


@pytest.fixture
def owner(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    with dialled(venue.addresses["embedded"]) as client:
        made = Owner(http, client)
        made.deposit("100000")
        yield made
        made.http.delete("/orders", headers=made.headers)
        venue.settle()


@pytest.fixture
def other(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    with dialled(venue.addresses["embedded"]) as client:
        made = Owner(http, client)
        made.deposit("100000")
        yield made
        made.http.delete("/orders", headers=made.headers)
        venue.settle()


def test_the_snapshots_are_what_the_http_api_says(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("ETH-PERP", "3000")
    resting = [owner.order("SELL", "3000"), owner.order("SELL", "3100"), owner.order("BUY", "2900")]
    other.order("BUY", "3000")
    venue.settle()
    shown = owner.follow(*CHANNELS)
    assert [order["orderId"] for order in shown["orders"]] == resting[:0:-1]
    assert shown["orders"] == [row for row in owner.get("/orders") if row["status"] == "OPEN"]
    assert shown["positions"] == owner.get("/positions")
    assert shown["balances"] == owner.get("/balances")


def test_an_order_is_told_of_from_its_entry_to_its_end(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("ETH-PERP", "3000")
    owner.follow(*CHANNELS)
    order_id = owner.order("SELL", "3200", "0.3")
    assert owner.sees("orders", order_id, status="OPEN") == owner.get(f"/orders/{order_id}")
    owner.sees("balances", "USDC", total="100000", locked=owner.get("/balances")[0]["locked"])
    other.order("BUY", "3200")
    assert owner.sees("orders", order_id, status="PARTIALLY_FILLED")["filledQuantity"] == "0.1"
    owner.sees("positions", "ETH-PERP", side="SHORT", quantity="-0.1")
    assert owner.http.delete(f"/orders/{order_id}", headers=owner.headers).status_code == 202
    ended = owner.sees("orders", order_id, status="CANCELLED")
    assert ended == owner.get(f"/orders/{order_id}")
    assert ended["reason"] == "USER_REQUEST"
    assert owner.sees("balances", "USDC", **owner.get("/balances")[0])
    # Who comes now finds nothing open.
    assert owner.follow("orders")["orders"] == []


def test_a_refused_order_is_told_of(owner: Owner) -> None:
    owner.follow("orders")
    body = {"marketId": "ETH-PERP", "side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "10"}
    order_id = owner.post("/orders", {**body, "timeInForce": "IOC"}, 202)["orderId"]
    assert owner.sees("orders", order_id, status="EXPIRED")["reason"] == "IOC_UNFILLED"


def test_what_came_of_an_amendment_is_told(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    owner.follow("orders")
    other.order("SELL", "3300")
    order_id = owner.order("BUY", "3200", postOnly=True)
    before = owner.sees("orders", order_id, status="OPEN")
    assert "lastAmendment" not in before
    for price, status, reason in (("3300", "REJECTED", "POST_ONLY_WOULD_TAKE"), ("3201", "ACCEPTED", None)):
        reply = owner.http.patch(f"/orders/{order_id}", json={"price": price}, headers=owner.headers)
        assert reply.status_code == 202
        asked = reply.json()["lastAmendment"]
        while (told := owner.rows["orders", order_id]).get("lastAmendment", {}).get("status") != status:
            owner.take()
        assert (told["lastAmendment"].get("reason"), told["lastAmendment"]["requestedAt"]) == (
            reason,
            asked["requestedAt"],
        )
        assert asked["status"] in {"PENDING", status}
        assert told == owner.get(f"/orders/{order_id}")
    assert told["price"] == "3201"


def test_deposits_and_withdrawals_reach_the_stream(owner: Owner) -> None:
    owner.follow("balances")
    owner.deposit("5")
    owner.sees("balances", "USDC", total="100005")
    owner.post("/withdrawals", {"asset": "USDC", "amount": "105"}, 201)
    owner.sees("balances", "USDC", total="99900")


def test_nobody_sees_another_users_affairs(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("ETH-PERP", "3000")
    owner.follow(*CHANNELS)
    order_ids = [other.order("SELL", str(4_000 + place)) for place in range(5)]
    other.deposit("1")
    venue.settle()
    own = owner.order("SELL", "5000")
    seen: list[Message] = []
    while not seen or not any(row.get("orderId") == own for row in seen[-1]["data"]):
        seen.append(owner.socket.until("update"))
    rows = [row for message in seen for row in message["data"]]
    assert {row["userId"] for row in rows} == {owner.user_id}
    assert not {row.get("orderId") for row in rows} & set(order_ids)


def test_two_connections_of_one_user_hear_the_same(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    with dialled(venue.addresses["embedded"]) as client:
        second = Owner(owner.http, client)
        second.token, second.user_id = owner.token, owner.user_id
        second.follow("orders")
        order_id = owner.order("BUY", "20")
        assert owner.sees("orders", order_id, status="OPEN") == second.sees("orders", order_id, status="OPEN")
        assert owner.sequences == second.sequences


def test_many_orders_are_each_told_of_in_the_end(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders")
    for place in range(60):
        order_id = owner.order("BUY", str(100 + place))
        if place % 3 == 0:
            owner.http.delete(f"/orders/{order_id}", headers=owner.headers)
    venue.settle()
    last = owner.order("BUY", "99")
    owner.sees("orders", last, status="OPEN")
    told = {order_id: row["status"] for (_, order_id), row in owner.rows.items()}
    assert told == {row["orderId"]: row["status"] for row in owner.get("/orders?limit=500")}


def test_a_feed_that_lost_its_place_starts_anew(venue: FluxVenue, owner: Owner) -> None:
    order_id = owner.order("BUY", "30")
    venue.settle()
    owner.follow("orders")
    venue.break_feed("ETH-PERP")
    resync = owner.socket.until("resync")
    assert resync["topic"] == f"orders:{owner.user_id}"
    snapshot = owner.socket.until("snapshot")
    assert [row["orderId"] for row in snapshot["data"]] == [order_id]
    owner.sequences["orders"] = snapshot["sequence"]
    assert snapshot["sequence"] > resync["sequence"]
    owner.http.delete(f"/orders/{order_id}", headers=owner.headers)
    owner.sees("orders", order_id, status="CANCELLED")


def test_a_revoked_token_ends_its_private_topics_and_no_others(venue: FluxVenue, owner: Owner) -> None:
    owner.follow("orders", "balances")
    owner.socket.subscribe("trades", "BTC-PERP")
    venue.revoke(owner.token)
    ended: set[str] = set()
    while len(ended) < 2:
        error = owner.socket.until("error")
        assert error["error"]["code"] == "UNAUTHENTICATED"
        answer = owner.socket.until("unsubscribed")
        assert answer["topic"] == error["topic"]
        assert "revoked" in answer["reason"]
        ended.add(answer["channel"])
    assert ended == {"orders", "balances"}
    owner.socket.send(op="unsubscribe", channel="trades", market="BTC-PERP")
    assert owner.socket.until("unsubscribed")["topic"] == "trades:BTC-PERP"
    owner.socket.send(op="subscribe", channel="orders", token=owner.token)
    assert owner.socket.until("error")["error"]["code"] == "UNAUTHENTICATED"


def test_a_position_has_the_rank_that_the_http_api_gives_it(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("ETH-PERP", "3000")
    owner.follow("orders", "positions")
    order_id = owner.order("SELL", "3000", "1")
    other.order("BUY", "3000", "1")
    venue.log("ETH-PERP", lambda sequence, now_ms: UpdatePrices(sequence, now_ms, 290_000, 290_000))
    owner.sees("orders", order_id, status="FILLED")
    position = owner.sees("positions", "ETH-PERP", side="SHORT", quantity="-1")
    while position["adlRank"] is None:
        owner.take()
        position = owner.rows["positions", "ETH-PERP"]
    assert position["adlRank"] == owner.get("/positions")[0]["adlRank"]
    assert position["adlRank"] in range(1, 6)
    with dialled(venue.addresses["embedded"]) as client:
        second = Owner(owner.http, client)
        second.token, second.user_id = owner.token, owner.user_id
        assert second.follow("positions")["positions"][0]["adlRank"] == position["adlRank"]
