"""Pages of lists: every row comes once, newest first, by following the Link headers."""

import re

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.dialects.cursors import cursor_of
from crossbook.dialects.flux.errors import FluxError
from crossbook.dialects.flux.paging import id_of
from crossbook.domain.orders import MAX_ID
from tests.dialects.flux.venue import FluxVenue

NEXT = re.compile(r'^<(/[^>]*)>; rel="next"$')


def followed(client: httpx2.Client, target: str) -> list[dict[str, str]]:
    """The rows of all pages from `target` on."""
    rows: list[dict[str, str]] = []
    while True:
        reply = client.get(target)
        assert reply.status_code == 200, reply.text
        rows += reply.json()
        link = NEXT.match(reply.headers.get("link", ""))
        if link is None:
            assert "link" not in reply.headers
            return rows
        target = link[1]


def trader(client: httpx2.Client) -> dict[str, str]:
    headers = {"authorization": f"Bearer {client.post('/auth/guest').json()['token']}"}
    assert client.post("/deposits", headers=headers, json={"asset": "USDC", "amount": "100000"}).status_code == 201
    return headers


def limit(side: str, quantity: str) -> dict[str, object]:
    return {"marketId": "ETH-PERP", "side": side, "type": "LIMIT", "quantity": quantity, "price": "3000"}


def test_every_row_comes_once(venue: FluxVenue) -> None:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        maker, taker = trader(client), trader(client)
        quantities = [f"0.1{place}" for place in range(1, 8)]
        bodies = [limit("SELL", quantity) for quantity in quantities]
        assert client.post("/orders/batch", headers=maker, json={"orders": bodies}).status_code == 202
        assert client.post("/orders", headers=taker, json=limit("BUY", "0.98")).status_code == 202
        venue.settle()
        client.headers.update(maker)
        orders = followed(client, "/orders?limit=3&market=ETH-PERP")
        assert [order["quantity"] for order in orders] == quantities[::-1]
        assert {order["status"] for order in orders} == {"FILLED"}
        fills = followed(client, "/fills?limit=2")
        assert [fill["quantity"] for fill in fills] == quantities[::-1]
        trades = followed(client, "/trades/ETH-PERP?limit=3")
        assert [trade["quantity"] for trade in trades] == quantities[::-1]


def test_markets_are_mixed_by_age_and_states_are_told_apart(venue: FluxVenue) -> None:
    with httpx2.Client(base_url=venue.addresses["embedded"], timeout=30) as client:
        client.headers.update(trader(client))
        placed: list[dict[str, str]] = []
        for place in range(9):
            market, price = (("ETH-PERP", "2000"), ("BTC-PERP", "50000"))[place % 2]
            body = limit("BUY", "0.1") | {"marketId": market, "price": price}
            placed.append(client.post("/orders", json=body).json() | {"marketId": market})
        venue.settle()
        for order in placed[::3]:
            assert client.delete(f"/orders/{order['orderId']}").status_code == 202
        venue.settle()
        ids = [order["orderId"] for order in placed][::-1]
        assert [row["orderId"] for row in followed(client, "/orders?limit=2")] == ids
        cancelled = [row["orderId"] for row in followed(client, "/orders?limit=2&status=CANCELLED")]
        assert cancelled == [order["orderId"] for order in placed[::3]][::-1]
        still_open = [row["orderId"] for row in followed(client, "/orders?limit=2&status=OPEN")]
        assert still_open == [one for one in ids if one not in cancelled]
        of_one = [row["orderId"] for row in followed(client, "/orders?limit=2&market=BTC-PERP")]
        assert of_one == [order["orderId"] for order in placed if order["marketId"] == "BTC-PERP"][::-1]


@given(st.integers(1, MAX_ID))
def test_a_cursor_is_read_back(row_id: int) -> None:
    assert id_of(cursor_of(row_id)) == row_id


@pytest.mark.parametrize("text", ["", "nonsense", "A", "YmVmb3Jl", cursor_of(0), cursor_of(MAX_ID + 1), "ÿ"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(FluxError):
        id_of(text)
