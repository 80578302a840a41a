"""No order stays PENDING: soon it is open, done or rejected with a reason; after a kill too."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.venue_process import Trader, VenueProcess

POLLS: Final = 50
"""How often an order may be looked at. A look costs the venue work, so a slow machine gives it more time."""
PAUSE_S: Final = 0.02
"""Between looks, so that all of them take about a second."""


@pytest.fixture(scope="module")
def venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    """A venue with its bots trading: a normal load."""
    with VenueProcess(tmp_path_factory.mktemp("pending") / "venue", "--bots", "--seed", "3") as process:
        yield process


def decided(trader: Trader, order_ids: list[str]) -> None:
    """Look until none of the orders is pending, at most POLLS times."""
    left = set(order_ids)
    for _ in range(POLLS):
        left &= {order["orderId"] for order in trader.get("/orders?status=PENDING&limit=500")}
        if not left:
            return
        time.sleep(PAUSE_S)
    raise AssertionError(f"still pending: {sorted(left)}")


def bodies() -> list[dict[str, object]]:
    """Orders that rest, cross, wait, expire and are rejected."""
    plain = {"marketId": "BTC-PERP", "side": "BUY", "type": "LIMIT", "quantity": "0.001", "leverage": 20}
    return [
        {**plain, "price": "30000"},
        {**plain, "price": "90000", "timeInForce": "IOC"},
        {**plain, "price": "90000", "postOnly": True},
        {**plain, "price": "30000", "timeInForce": "FOK"},
        {**plain, "price": "30000", "reduceOnly": True},
        {**plain, "type": "STOP_LIMIT", "price": "99000", "triggerPrice": "98000"},
        {**plain, "price": "30000", "displayQuantity": "0.001"},
    ]


def enter(trader: Trader, rounds: int) -> list[str]:
    order_ids = []
    for _ in range(rounds):
        for body in bodies():
            reply = trader.post("/orders", body)
            assert reply.status_code == 202, reply.text
            order_ids.append(reply.json()["orderId"])
    return order_ids


def test_under_load_every_order_is_decided_soon_and_says_why_it_ended(venue: VenueProcess) -> None:
    trader = Trader.new(venue.url, "busy")
    for _ in range(5):
        order_ids = enter(trader, 2)
        decided(trader, order_ids)
        for order_id in order_ids:
            order = trader.get(f"/orders/{order_id}")
            assert order["status"] in {"OPEN", "PARTIALLY_FILLED", "FILLED", "CANCELLED", "EXPIRED", "REJECTED"}
            assert ("reason" in order) or order["status"] in {"OPEN", "PARTIALLY_FILLED", "FILLED"}
    trader.close()


def test_after_a_kill_too(venue: VenueProcess) -> None:
    trader = Trader.new(venue.url, "unlucky")
    order_ids = enter(trader, 10)
    venue.kill()
    venue.start()
    decided(trader, order_ids)
    assert len(trader.get("/orders?limit=500")) == len(order_ids)
    trader.close()
