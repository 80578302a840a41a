"""A venue that is killed between apply and confirm goes on where it stopped: nothing promised is lost or doubled."""

import hashlib
from pathlib import Path
from typing import Any

import httpx2

from crossbook.security.wallet_keys import WalletKeys
from tests.venue_process import VenueProcess


class Bot:
    """A wallet that signed in."""

    def __init__(self, venue: VenueProcess, name: str) -> None:
        self._venue = venue
        keys = WalletKeys.of_seed(hashlib.sha256(name.encode()).digest())
        data = {"address": keys.address().text, "alias": name, "message": name, "signature": keys.sign(name.encode())}
        reply = httpx2.post(f"{venue.url}/api/auth", json={"data": data, "neverExpires": True})
        assert reply.status_code == 200, reply.text
        self._token = reply.json()["data"]

    def ask(self, path: str, **body: Any) -> Any:
        """The data of an answer."""
        reply = httpx2.post(f"{self._venue.url}/api{path}", json={"token": self._token, **body}, timeout=30)
        assert reply.status_code == 200, reply.text
        return reply.json().get("data")

    def order(self, pair_id: int, kind: str, amount: str) -> int:
        """Post an order; its number."""
        data = {"type": kind, "side": "limit", "price": "2", "amount": amount, "pairId": pair_id}
        number: int = self.ask("/orders/create", orderData=data)["id"]
        return number

    def left(self, pair_id: int) -> list[str]:
        """What own active orders have left."""
        return [order["left"] for order in self.ask("/orders/get-user-page", pairId=pair_id)["orders"]]


def a_pair(venue: VenueProcess) -> int:
    """A new pair, made by the operator."""
    login = {"email": venue.demo["admin"]["email"], "password": venue.demo["admin"]["password"]}
    token = httpx2.post(f"{venue.url}/auth/login", json=login).json()["token"]
    for asset_id in ("a" * 64, "b" * 64):
        body = {"token": token, "asset_id": asset_id, "name": asset_id[0], "code": asset_id[0], "decimal_point": 6}
        assert httpx2.post(f"{venue.url}/api/admin/put-asset", json=body).status_code == 200
    pair = httpx2.post(f"{venue.url}/api/admin/put-pair", json={"token": token, "first": "a" * 64, "second": "b" * 64})
    number: int = pair.json()["data"]["id"]
    return number


def test_a_venue_killed_between_apply_and_confirm_goes_on(tmp_path: Path) -> None:
    with VenueProcess(tmp_path / "venue", "--no-bots") as venue:
        pair_id = a_pair(venue)
        alice, bob = Bot(venue, "killed-alice"), Bot(venue, "killed-bob")
        buy, sell = alice.order(pair_id, "buy", "10"), bob.order(pair_id, "sell", "4")
        applied = {"id": sell, "connected_order_id": buy, "hex_raw_proposal": "c0ffee"}
        swap_id = alice.ask("/orders/apply-order", orderData=applied)["transactionId"]
        venue.kill()
        venue.start()
        (tip,) = bob.ask("/orders/get-user-page", pairId=pair_id)["applyTips"]
        assert (tip["id"], tip["transaction"], tip["hex_raw_proposal"]) == (swap_id, True, "c0ffee")
        again = httpx2.post(
            f"{venue.url}/api/orders/apply-order", json={"token": bob._token, "orderData": applied}, timeout=30
        )
        assert (again.status_code, again.json()["data"]) == (400, "Invalid order data")
        bob.ask("/transactions/confirm", transactionId=swap_id)
        venue.kill()
        venue.start()
        assert (alice.left(pair_id), bob.left(pair_id)) == (["6"], [])
        pair = httpx2.post(f"{venue.url}/api/dex/get-pair", json={"id": pair_id}).json()["data"]
        assert (pair["rate"], pair["volume"]) == (2.0, 8.0)
        assert bob.order(pair_id, "sell", "1") > sell
