"""The topic of a user's fills: each once, in order, from any number on, whatever becomes of connections and feeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from crossbook.dialects.flux import fill_topics
from tests.dialects.flux.socket_client import Message, SocketClient, dialled
from tests.dialects.flux.socket_owner import Owner
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
    venue.set_mark("ETH-PERP", "3000")
    with somebody(venue, http) as made:
        yield made


@pytest.fixture
def other(venue: FluxVenue, http: httpx2.Client) -> Iterator[Owner]:
    with somebody(venue, http) as made:
        yield made


class Follower:
    """Who keeps fills by the rule of the documentation."""

    def __init__(self, owner: Owner, market: str = "ETH-PERP") -> None:
        self.owner = owner
        self.market = market
        self.sequence = 0
        self.fills: list[Any] = []
        self.replays = 0

    def join(self, client: SocketClient) -> Message:
        """Subscribe from the last fill that is known."""
        self.client = client
        place = {"fromSequence": self.sequence} if self.sequence else {}
        client.send(op="subscribe", channel="fills", market=self.market, token=self.owner.token, **place)
        answer = client.until("subscribed", "fills")
        assert (answer["topic"], answer["market"]) == (f"fills:{self.owner.user_id}:{self.market}", self.market)
        if "replayed" in answer:
            assert answer["replayed"] is True
            self.replays += 1
        else:
            snapshot = client.until("snapshot", "fills")
            self.fills = snapshot["data"]
            self.sequence = snapshot["sequence"]
        return answer

    def take(self) -> None:
        """Take the next update, which must follow what is known."""
        update = self.client.until("update", "fills")
        assert update["previousSequence"] == self.sequence
        self.fills += update["data"]
        self.sequence = update["sequence"]
        assert str(self.sequence) == self.fills[-1]["id"]

    def has(self, count: int) -> list[Any]:
        """All fills, once there are so many."""
        while len(self.fills) < count:
            self.take()
        return self.fills


def trade(maker: Owner, taker: Owner, times: int) -> None:
    """Make fills of both, in small orders."""
    maker.order("SELL", "3000", f"0.{times}")
    for _ in range(times):
        taker.order("BUY", "3000", "0.1")


def stored(owner: Owner, market: str = "ETH-PERP") -> Any:
    """The owner's fills over HTTP, oldest first."""
    return owner.get(f"/fills?limit=500&market={market}")[::-1]


@pytest.mark.parametrize("message_fills", [500, 2])
def test_lost_connections_and_feeds_lose_no_fill_and_double_none(
    venue: FluxVenue, owner: Owner, other: Owner, message_fills: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill_topics, "MESSAGE_FILLS", message_fills)
    follower = Follower(owner)
    trade(owner, other, 2)
    venue.settle()
    follower.join(owner.socket)
    assert follower.fills == stored(owner)
    for place in range(6):
        with dialled(venue.addresses["embedded"]) as client:
            follower.join(client)
            trade(owner, other, 3)
            if place == 2:
                venue.break_feed("ETH-PERP")
            for _ in range(place % 3):
                follower.take()
            trade(owner, other, 2)
            client.lose()
        trade(owner, other, 2)
    with dialled(venue.addresses["embedded"]) as client:
        follower.join(client)
        assert follower.has(2 + 6 * 7) == stored(owner)
    assert follower.replays == 7


def test_two_connections_and_another_process_agree(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    trade(owner, other, 1)
    venue.settle()
    # "production" serves the same venue with topics of its own, as another process would.
    with (
        dialled(venue.addresses["embedded"]) as first,
        dialled(venue.addresses["production"]) as second,
        dialled(venue.addresses["embedded"]) as third,
    ):
        followers = [Follower(owner) for _ in range(3)]
        for follower, client in zip(followers, (first, second, third), strict=True):
            follower.join(client)
            follower.sequence = int(follower.fills[0]["id"])
        trade(owner, other, 3)
        assert all(follower.has(4) == stored(owner) for follower in followers)
        # What one heard, another goes on from.
        followers[0].join(second)
        trade(owner, other, 2)
        assert followers[0].has(6) == stored(owner)


def test_markets_are_topics_of_their_own_and_are_left_by_name(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    venue.set_mark("BTC-PERP", "60000")
    btc, eth = Follower(owner, "BTC-PERP"), Follower(owner, "ETH-PERP")
    btc.join(owner.socket)
    eth.join(owner.socket)
    assert (btc.fills, btc.sequence) == ([], 0)
    for maker, side in ((owner, "SELL"), (other, "BUY")):
        body = {"marketId": "BTC-PERP", "side": side, "type": "LIMIT", "quantity": "0.1", "price": "60000"}
        maker.post("/orders", body, 202)
    assert btc.has(1) == stored(owner, "BTC-PERP")
    trade(owner, other, 1)
    assert eth.has(1) == stored(owner)
    owner.socket.send(op="unsubscribe", channel="fills", market="BTC-PERP")
    assert owner.socket.until("unsubscribed")["topic"] == f"fills:{owner.user_id}:BTC-PERP"
    owner.socket.send(op="unsubscribe", channel="fills")
    assert owner.socket.until("unsubscribed")["topic"] == f"fills:{owner.user_id}:ETH-PERP"
    owner.socket.send(op="unsubscribe", channel="fills")
    assert owner.socket.until("error")["error"]["code"] == "INVALID_ORDER"


@pytest.mark.parametrize("known", [1, 2**52])
def test_what_is_too_far_away_is_answered_with_the_last_fills(
    venue: FluxVenue, owner: Owner, other: Owner, known: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fill_topics, "MESSAGE_FILLS", 1)
    monkeypatch.setattr(fill_topics, "MOST_REPLAYED", 2)
    monkeypatch.setattr(fill_topics, "FILLS_SHOWN", 2)
    trade(owner, other, 4)
    venue.settle()
    owner.socket.send(op="subscribe", channel="fills", market="ETH-PERP", token=owner.token, fromSequence=known)
    assert owner.socket.next()["replayed"] is False
    resync = owner.socket.next()
    assert (resync["type"], "GET /fills" in resync["reason"]) == ("resync", True)
    snapshot = owner.socket.next()
    assert (snapshot["type"], snapshot["data"]) == ("snapshot", stored(owner)[-2:])


def test_nobody_hears_of_another_users_fills(venue: FluxVenue, owner: Owner, other: Owner) -> None:
    trade(owner, other, 2)
    venue.settle()
    with somebody(venue, owner.http) as third:
        follower = Follower(third)
        follower.join(third.socket)
        assert (follower.fills, follower.sequence) == ([], 0)
        trade(owner, other, 2)
        trade(third, other, 1)
        assert {fill["userId"] for fill in follower.has(1)} == {third.user_id}
        assert follower.fills == stored(third)


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        ({"market": "BTC-PERP"}, "UNAUTHENTICATED", "token is required for the channel fills"),
        ({"market": "BTC-PERP", "token": "nonsense"}, "UNAUTHENTICATED", ""),
        ({"token": "nonsense"}, "INVALID_ORDER", "market is required for the channel fills"),
        ({"market": "BTC-PREP", "token": "nonsense"}, "MARKET_NOT_FOUND", "BTC-PREP"),
        ({"market": "BTC-PERP", "fromSequence": -1}, "INVALID_ORDER", "fromSequence"),
    ],
)
def test_half_a_request_is_refused(owner: Owner, request_: dict[str, Any], code: str, words: str) -> None:
    owner.socket.send(op="subscribe", channel="fills", **request_)
    error = owner.socket.next()["error"]
    assert error["code"] == code
    assert words in error["message"]


def test_a_revoked_token_ends_the_topic(venue: FluxVenue, owner: Owner) -> None:
    Follower(owner).join(owner.socket)
    venue.revoke(owner.token)
    assert owner.socket.until("error")["error"]["code"] == "UNAUTHENTICATED"
    assert owner.socket.until("unsubscribed")["topic"] == f"fills:{owner.user_id}:ETH-PERP"
