"""The table: every route of the contract and no others; nobody reaches what is another's, on any of them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from crossbook.dialects.endpoint import Auth
from crossbook.dialects.lethean.endpoints import BODY_LIMIT_BYTES, endpoints, lethean_dialect
from crossbook.dialects.lethean.services import Services
from crossbook.dialects.openapi import document_of
from tests.dialects.lethean.venue import LetheanVenue, Signed

SEED = """
GET /config
POST /auth
POST /orders/create
POST /orders/get-user-page
POST /orders/apply-order
POST /orders/cancel
POST /transactions/confirm
POST /transactions/get-active-tx-by-orders-ids
POST /dex/get-pair
POST /dex/renew-bot
"""
BESIDE_IT = """
POST /auth/request-auth
POST /check-auth
POST /user/get-user
POST /user/get-notifications-amount
POST /dex/get-pairs-page
POST /dex/get-pairs-pages-amount
POST /dex/find-pair
POST /orders/get-page
POST /orders/get-trades
POST /orders/get-candles
POST /orders/get-chart-orders
POST /orders/get-pair-stats
PATCH /orders/get
PATCH /orders/cancel-all
POST /transactions/cancel
POST /transactions/get-my-transactions
POST /transactions/get-my-pending
"""
OURS = """
POST /auth/sign-out
POST /admin/put-asset
POST /admin/whitelist-asset
POST /admin/put-pair
"""
NOTHING = cast(
    "Services", SimpleNamespace(swaps=None, pages=None, registry=None, logins=None, auth=None, unavailable=())
)
TABLE = {f"{row.method} {row.path}": row for row in endpoints(NOTHING)}
PRIVATE = [route for route, row in TABLE.items() if row.auth is Auth.REQUIRED]


def test_the_table_has_the_routes_of_the_contract_and_no_others() -> None:
    assert sorted(TABLE) == sorted(line for line in (SEED + BESIDE_IT + OURS).splitlines() if line)


def test_the_document_has_every_route_and_shows_the_token_where_it_is_wanted() -> None:
    document = document_of(lethean_dialect(NOTHING, "1"))
    assert document["openapi"] == "3.1.0"
    for route, row in TABLE.items():
        operation = document["paths"][f"/api{row.path}"][row.method.lower()]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        fields = document["components"]["schemas"].get(body.get("$ref", "").rpartition("/")[2], {})
        assert ("token" in fields.get("required", [])) == (row.auth is Auth.REQUIRED), route
    assert BODY_LIMIT_BYTES == 1_048_576


# -- Isolation ---------------------------------------------------------------------------------------
class Stage:
    """Alice and Bob have offers and a pending swap; Eve has nothing."""

    def __init__(self, venue: LetheanVenue) -> None:
        self.venue = venue
        self.alice, self.bob, self.eve = (venue.wallet(name) for name in ("alice", "bob", "eve"))
        self.pair = int(venue.pair()["pair"])
        self.buy, self.sell = self.order(self.alice, "buy"), self.order(self.bob, "sell")
        data = {"id": self.sell, "connected_order_id": self.buy, "hex_raw_proposal": "5ec2e7"}
        reply = venue.post("/orders/apply-order", {"token": self.alice.token, "orderData": data}).json()
        self.swap = reply["data"]["transactionId"]

    def order(self, who: Signed, kind: str) -> int:
        data = {"type": kind, "side": "limit", "price": "2", "amount": "10", "pairId": self.pair}
        reply = self.venue.post("/orders/create", {"token": who.token, "orderData": data}).json()
        number: int = reply["data"]["id"]
        return number

    def bodies(self) -> dict[str, dict[str, Any]]:
        """For each private route, a request about what is Alice's and Bob's."""
        apply = {"id": self.sell, "connected_order_id": self.buy, "hex_raw_proposal": "ab"}
        return {
            "POST /auth/sign-out": {},
            "POST /check-auth": {},
            "POST /user/get-user": {},
            "POST /user/get-notifications-amount": {},
            "POST /orders/create": {
                "orderData": {"type": "buy", "side": "limit", "price": "1", "amount": "1", "pairId": self.pair}
            },
            "POST /orders/get-user-page": {"pairId": self.pair},
            "POST /orders/apply-order": {"orderData": apply},
            "POST /orders/cancel": {"orderId": self.sell},
            "PATCH /orders/cancel-all": {"filterInfo": {"pairId": self.pair}},
            "PATCH /orders/get": {"filterInfo": {"pairId": self.pair}},
            "POST /transactions/confirm": {"transactionId": self.swap},
            "POST /transactions/cancel": {"transactionId": self.swap},
            "POST /transactions/get-active-tx-by-orders-ids": {"firstOrderId": self.buy, "secondOrderId": self.sell},
            "POST /transactions/get-my-transactions": {"from": 0, "to": 2**53 - 1},
            "POST /transactions/get-my-pending": {},
            "POST /dex/renew-bot": {"orderId": self.buy},
            "POST /admin/put-asset": {"asset_id": "a" * 64, "name": "A", "code": "A", "decimal_point": 1},
            "POST /admin/whitelist-asset": {"asset_id": "a" * 64, "whitelisted": True},
            "POST /admin/put-pair": {"first": "a" * 64, "second": "b" * 64},
        }

    def ask(self, route: str, token: str | None) -> Any:
        method, path = route.split()
        body = self.bodies()[route]
        return self.venue.post(path, body if token is None else {**body, "token": token}, method)

    def state(self) -> list[Any]:
        """What Alice and Bob see, times of change left out."""
        seen = []
        for who in (self.alice, self.bob):
            for route in ("PATCH /orders/get", "POST /transactions/get-my-pending"):
                rows = self.ask(route, who.token).json()["data"]
                seen.append([{name: row[name] for name in row if name != "updatedAt"} for row in rows])
        return seen


@pytest.fixture(scope="module")
def stage(venue: LetheanVenue) -> Stage:
    return Stage(venue)


@pytest.mark.parametrize("route", PRIVATE)
def test_no_stranger_sees_or_changes_what_is_anothers(stage: Stage, route: str) -> None:
    before = stage.state()
    refused = stage.ask(route, None)
    assert (refused.status_code, refused.json()) == (401, {"success": False, "data": "Unauthorized (JWT)"})
    reply = stage.ask(route, stage.venue.wallet("mallory").token)
    assert reply.status_code in {200, 400, 403}, reply.text
    for secret in ("5ec2e7", stage.alice.token, stage.bob.token):
        assert secret not in reply.text
    if route in {"PATCH /orders/get", "POST /transactions/get-my-transactions", "POST /transactions/get-my-pending"}:
        assert reply.json()["data"] == []
    elif any(word in route for word in ("confirm", "cancel", "apply", "renew", "active-tx")):
        assert reply.status_code == (200 if route.endswith("cancel-all") else 400), reply.text
    assert stage.state() == before


def test_every_private_route_was_asked(stage: Stage) -> None:
    assert sorted(stage.bodies()) == sorted(PRIVATE)
