"""The operator tells the simulated custodian how a transfer ends; a failed withdrawal gives everything back."""

import json
from typing import Any

import httpx2

from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import SigningClient
from tests.dialects.truex.venue import organization
from tests.storage.audited import audited
from tests.venue_process import eventually


def test_an_operator_fails_a_withdrawal(venue: FluxVenue) -> None:
    who = organization(venue, "custody", {"PYUSD": "1000"})
    client = SigningClient(venue.addresses["embedded"], who)
    asset = str(venue.parts.markets.named("BTC-PYUSD").quote_asset_id)
    body = {"amount": "900", "asset_id": asset, "client_id": str(who.client_id), "type": "WITHDRAW", "platform": "FIAT"}
    made = client.send("POST", "/api/v1/transfers", json.dumps(body).encode()).json()
    operator = {"authorization": f"Bearer {venue.operator(frozenset({'admin'}))}"}
    path = f"{venue.addresses['embedded']}/admin/transfers/{made['id']}"
    assert httpx2.post(path, json={"outcome": "FAILED"}).status_code == 401
    assert httpx2.post(path, json={"outcome": "LOST"}, headers=operator).status_code == 400
    told = httpx2.post(path, json={"outcome": "FAILED"}, headers=operator)
    assert (told.status_code, told.json()) == (202, {"transferId": made["id"], "outcome": "FAILED"})

    def ended() -> dict[str, Any] | None:
        rows = client.send("GET", "/api/v1/transfers?timestamp=4000000000000000000").json()
        return rows[0] if rows and rows[0]["status"] not in {"INITIALIZED", "PENDING"} else None

    shown = eventually(ended)
    assert (shown["status"], shown["reason"]) == ("FAILED", "the simulated custodian was told to fail")
    assert httpx2.post(path, json={"outcome": "PAID"}, headers=operator).status_code == 400
    # All of it is there again, and may go again.
    assert client.send("POST", "/api/v1/transfers", json.dumps({**body, "amount": "1000"}).encode()).status_code == 200
    client.close()
    assert venue.run(audited(venue.parts.database)) == {}
