"""The table: every route of the contract, and what is asked for on it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from crossbook.dialects.endpoint import AnyEndpoint, Auth
from crossbook.dialects.flux.endpoints import endpoints, flux_dialect
from crossbook.dialects.flux.services import NoBrake, Services
from crossbook.dialects.openapi import document_of
from crossbook.settings import RuntimeMode

SEED = """
POST /auth/register
POST /auth/login
GET /markets
GET /markets/{marketId}
POST /deposits
POST /orders
DELETE /orders/{orderId}
GET /balances
GET /positions
GET /orders
GET /orders/{orderId}
GET /fills
POST /admin/drain
POST /admin/transfers/{transferId}
"""
BESIDE_IT = """
POST /admin/keys
GET /admin/keys
DELETE /admin/keys/{keyId}
PUT /admin/markets/{marketId}/limits
GET /health
GET /me
GET /markets/{marketId}/orderbook
GET /prices
GET /prices/{marketId}
POST /withdrawals
POST /auth/guest
DELETE /orders
PATCH /orders/{orderId}
POST /orders/batch
POST /orders/preview
GET /liquidations
GET /me/liquidations
PUT /positions/{marketId}/leverage
PUT /positions/{marketId}/margin-mode
POST /positions/{marketId}/margin
GET /time
GET /trades/{market}
GET /funding/{marketId}
GET /funding-payments
POST /admin/prices
POST /admin/markets/{marketId}/state
POST /admin/markets/{marketId}/settlement
GET /admin/log
"""
PUBLIC = ("/auth/", "/liquidations", "/markets", "/prices", "/trades/", "/funding/", "/health", "/time")


def services(mode: RuntimeMode) -> Services:
    """As much of the services as a table needs to be built."""
    return cast("Services", SimpleNamespace(runtime_mode=mode, unavailable=(), tokens=None, accounts=None, clock=None))


def table(mode: RuntimeMode = RuntimeMode.EMBEDDED) -> dict[str, AnyEndpoint]:
    return {f"{row.method} {row.path}": row for row in endpoints(services(mode))}


def test_the_table_has_the_routes_of_the_contract_and_no_others() -> None:
    assert sorted(table()) == sorted(line for line in (SEED + BESIDE_IT).splitlines() if line)


def test_everything_but_public_data_asks_for_a_token() -> None:
    for row in table().values():
        assert (row.auth is Auth.PUBLIC) == row.path.startswith(PUBLIC), row.path


@pytest.mark.parametrize(
    ("mode", "scopes"), [(RuntimeMode.EMBEDDED, frozenset()), (RuntimeMode.PRODUCTION, frozenset({"funds"}))]
)
def test_a_deposit_is_a_faucet_only_where_everything_is_embedded(mode: RuntimeMode, scopes: frozenset[str]) -> None:
    rows = table(mode)
    assert rows["POST /deposits"].scopes == scopes
    guarded = {route: row.scopes for route, row in rows.items() if row.scopes - scopes}
    assert guarded == {
        "POST /admin/drain": {"admin"},
        "POST /admin/prices": {"prices"},
        "POST /admin/markets/{marketId}/state": {"admin"},
        "POST /admin/markets/{marketId}/settlement": {"admin"},
        "GET /admin/log": {"admin"},
        "POST /admin/transfers/{transferId}": {"admin"},
        "POST /admin/keys": {"admin"},
        "GET /admin/keys": {"admin"},
        "DELETE /admin/keys/{keyId}": {"admin"},
        "PUT /admin/markets/{marketId}/limits": {"admin"},
    }


def test_cancels_have_a_budget_of_their_own() -> None:
    rows = table()
    cancels = [row for row in rows.values() if row.method == "DELETE" and row.path.startswith("/orders")]
    assert {row.rate_class for row in cancels} == {"cancels"}
    assert {route for route, row in rows.items() if row.rate_class == "orders"} == {
        "POST /orders",
        "POST /orders/batch",
        "PATCH /orders/{orderId}",
    }


def test_the_document_names_the_statuses_of_an_order() -> None:
    document = document_of(flux_dialect(services(RuntimeMode.EMBEDDED), "1"))
    replies: dict[str, Any] = document["paths"]["/orders"]["post"]["responses"]
    wanted = {"200", "202", "400", "401", "404", "408", "409", "413", "415", "429", "500", "503"}
    assert set(replies) == wanted


def test_no_brake_lets_everybody_guess() -> None:
    brake = NoBrake()
    brake.failed("a", "b")
    brake.succeeded("a", "b")
    assert brake.wait_s("a", "b") == 0
