"""Holds and fees by tier to the last unit, and pages that stand still while rows arrive, over the live API."""

import json
import threading
import time
from typing import Any, Final

from crossbook.application.clients import FeeTier
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, SigningClient
from tests.dialects.truex.venue import organization
from tests.storage.audited import audited

SYMBOL: Final = "BTC-PYUSD"
PRICE: Final = 50_000


class Client:
    """An organization that trades BTC-PYUSD."""

    def __init__(self, venue: FluxVenue, who: Organization) -> None:
        self.who = who
        self._venue = venue
        self._http = SigningClient(venue.addresses["embedded"], who)
        self._instrument = str(venue.parts.markets.named(SYMBOL).number)

    def get(self, path: str, **headers: str) -> Any:
        return self._http.send("GET", f"/api/v1{path}", headers=headers).json()

    def send(self, method: str, path: str, body: object = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        reply = self._http.send(method, f"/api/v1{path}", content)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def enter(self, side: str, qty: str, price: str, **more: object) -> str:
        info = {"client_id": str(self.who.client_id), "instrument_id": self._instrument, "qty": qty, "price": price}
        made: str = self.send("POST", "/orders", {"info": {**info, "side": side, "type": "LIMIT", **more}})["id"]
        return made

    def balance(self, asset: str) -> tuple[int, int]:
        """Total and held, in units."""
        held = self._venue.run(self._venue.parts.services.queries.holdings(self.who.client_id)).balances
        return next((each.total_units, each.held_units) for each in held if each.asset == asset)

    def close(self) -> None:
        self._http.close()


def with_tiers(venue: FluxVenue, mnemonic: str, amounts: dict[str, str], maker: int, taker: int) -> Client:
    """A client of these fee tiers."""
    who = organization(venue, mnemonic, amounts)

    clients = venue.parts.truex.clients
    venue.run(clients.set_fee_tiers(venue.run(clients.called(mnemonic)), maker, taker))
    return Client(venue, who)


def now_ns() -> str:
    return str((int(time.time()) + 1) * 10**9)


def test_holds_and_fees_follow_the_tiers_of_each_client(venue: FluxVenue) -> None:
    for tier in (FeeTier(1, 100, 400), FeeTier(2, -50, 300)):
        venue.run(venue.parts.truex.clients.put_fee_tier(tier))
    unit = 10**6
    buyer = with_tiers(venue, "tier-buyer", {"PYUSD": "100000"}, maker=2, taker=1)
    seller = with_tiers(venue, "tier-seller", {"BTC": "2"}, maker=0, taker=2)
    rests = buyer.enter("BUY", "1", str(PRICE))
    # price x qty x (1 + the taker's rate of tier 1) of quote.
    assert buyer.balance("PYUSD") == (100_000 * unit, PRICE * unit + 20 * unit)
    seller.enter("SELL", "0.4", str(PRICE))
    venue.settle()
    [made] = buyer.get(f"/orders/trade?timestamp={now_ns()}")
    [taken] = seller.get(f"/orders/trade?timestamp={now_ns()}")
    assert (made["liq_flag"], made["trade_fee_rate"]) == ("MAKER", "-0.00005")
    assert (taken["liq_flag"], taken["trade_fee_rate"]) == ("TAKER", "0.0003")
    # 20,000 for 0.4: the maker gets 1 as a rebate, the taker pays 6.
    assert seller.balance("PYUSD") == (20_000 * unit - 6 * unit, 0)
    assert buyer.balance("PYUSD") == (80_000 * unit + 1 * unit, 30_000 * unit + 12 * unit)
    assert buyer.balance("BTC") == (40_000_000, 0)
    buyer.send("PATCH", "/orders", {"id": rests, "info": {"new_qty": "0.9"}})
    venue.settle()
    assert buyer.balance("PYUSD")[1] == 25_000 * unit + 10 * unit
    buyer.send("DELETE", f"/orders/{rests}")
    venue.settle()
    assert buyer.balance("PYUSD") == (80_001 * unit, 0)
    ask = seller.enter("SELL", "1.5", "60000")
    assert seller.balance("BTC") == (160_000_000, 150_000_000)
    seller.send("DELETE", f"/orders/{ask}")
    venue.settle()
    assert seller.balance("BTC") == (160_000_000, 0)
    buyer.close()
    seller.close()
    assert venue.run(audited(venue.parts.database)) == {}


def test_pages_of_activity_lose_and_double_nothing_while_orders_arrive(venue: FluxVenue) -> None:
    who = organization(venue, "pages", {"PYUSD": "1000000"})
    client = Client(venue, who)
    for number in range(12):
        client.enter("BUY", "0.0001", str(1_000 + number))
    venue.settle()
    until = str(time.time_ns())
    client.get("/orders/activity?timestamp=" + until)  # what is written from now on is later
    end = threading.Event()

    def keep_entering() -> None:
        other = Client(venue, who)
        number = 0
        while not end.is_set():
            number += 1
            other.enter("BUY", "0.0001", str(2_000 + number))
        other.close()

    arriving = threading.Thread(target=keep_entering)
    arriving.start()
    try:
        by_skip: list[Any] = []
        while rows := client.get(f"/orders/activity?timestamp={until}&size=5&skip={len(by_skip)}"):
            by_skip += rows
        by_cursor: list[Any] = []
        cursor = ""
        while True:
            page = client.get(
                f"/orders/activity?timestamp={until}&size=5{cursor}", **{"x-truex-version": "v2026_01_23"}
            )
            by_cursor += page["data"]
            if "next_cursor" not in page["pagination"]:
                break
            cursor = f"&cursor={page['pagination']['next_cursor']}"
    finally:
        end.set()
        arriving.join()
    assert [row["msg_type"] for row in by_skip].count("REQUEST_NEW") == 12
    assert len(by_skip) == 24
    assert by_cursor == by_skip
    assert sorted(by_skip, key=lambda row: row["timestamp"], reverse=True) == by_skip
    venue.run(venue.parts.services.desk.cancel_all(who.client_id))
    venue.settle()
    client.close()
