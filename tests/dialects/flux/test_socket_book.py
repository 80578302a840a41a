"""A book kept from the stream is the venue's: at any depth, under random load, after the feed lost its place."""

import random
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

from tests.dialects.flux.socket_client import Book, SocketClient, dialled
from tests.dialects.flux.venue import FluxVenue

DEPTHS = (1, 4, 10, 25, 1_000)
ROUNDS = 25


@pytest.fixture
def http(venue: FluxVenue) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        yield client


def trader(http: httpx2.Client) -> dict[str, str]:
    headers = {"authorization": f"Bearer {http.post('/auth/guest').json()['token']}"}
    assert http.post("/deposits", headers=headers, json={"asset": "USDC", "amount": "9000000"}).status_code == 201
    return headers


def some_orders(luck: random.Random) -> list[dict[str, object]]:
    return [
        {
            "marketId": "BTC-PERP",
            "side": luck.choice(("BUY", "SELL")),
            "type": "LIMIT",
            "quantity": f"0.{luck.randint(1, 999):03d}",
            "price": str(60_000 + luck.randint(-40, 40) / 10),
        }
        for _ in range(luck.randint(1, 12))
    ]


def is_at(client: SocketClient, book: Book, http: httpx2.Client) -> None:
    """Read until the book is the one that the HTTP API gives."""
    wanted = http.get(f"/markets/BTC-PERP/orderbook?depth={book.depth}").json()
    while {side: book.best(side) for side in ("bids", "asks")} != {side: wanted[side] for side in ("bids", "asks")}:
        book.take(client.next())
        assert book.sequence <= wanted["sequence"]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_of_the_stream_is_the_book(venue: FluxVenue, http: httpx2.Client, seed: int) -> None:
    luck, headers = random.Random(seed), trader(http)
    followers: list[tuple[SocketClient, Book]] = []
    with ExitStack() as stack:
        for turn in range(ROUNDS):
            if turn < len(DEPTHS):
                client = stack.enter_context(dialled(venue.addresses["embedded"]))
                book = Book(tick_decimals=1, lot_decimals=3)
                book.take(client.subscribe("orderbook", "BTC-PERP", depth=DEPTHS[turn]))
                followers.append((client, book))
            assert http.post("/orders/batch", headers=headers, json={"orders": some_orders(luck)}).status_code == 202
            if turn % 7 == 6:
                assert http.delete("/orders?market=BTC-PERP", headers=headers).status_code == 202
            if turn == ROUNDS // 2:
                venue.break_feed("BTC-PERP")
        venue.settle()
        for client, book in followers:
            is_at(client, book, http)
            assert book.resyncs == 1
            assert book.updates > 0
    http.delete("/orders", headers=headers)
    venue.settle()
