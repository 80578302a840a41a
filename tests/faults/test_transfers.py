"""A venue that is killed while transfers wait for the custodian goes on with them: nothing lost, nothing twice."""

import json
from pathlib import Path
from typing import Any

from tests.dialects.truex.signing import Organization, SigningClient
from tests.venue_process import VenueProcess, eventually

DEPOSITS, WITHDRAWALS = 7, 5


def client_of(venue: VenueProcess) -> SigningClient:
    """The first demo user."""
    keys = venue.demo["users"][0]["truex"]
    who = Organization(
        int(keys["organization_id"]), int(keys["client_id"]), keys["mnemonic"], keys["key_id"], keys["secret"]
    )
    return SigningClient(venue.url, who)


def pyusd(client: SigningClient) -> tuple[str, str]:
    """Balance and transfer hold of PYUSD."""
    [row] = client.send("GET", "/api/v1/balances?asset_name=PYUSD").json()
    [balance] = row["balances"]
    return balance["balance"], balance["transfer_hold"]


def ask(client: SigningClient, kind: str, number: int) -> dict[str, Any]:
    asset_id = client.send("GET", "/api/v1/assets?name=PYUSD").json()[0]["id"]
    body = {
        "amount": "100.5",
        "asset_id": asset_id,
        "client_id": str(client.who.client_id),
        "type": kind,
        "platform": "FIAT",
        "instructions": {"transfer_id": f"{kind}-{number}"},
    }
    reply = client.send("POST", "/api/v1/transfers", json.dumps(body).encode())
    assert reply.status_code == 200, reply.text
    made: dict[str, Any] = reply.json()
    return made


def ask_all(client: SigningClient) -> set[str]:
    """Ask for all transfers, again or for the first time; their ids."""
    wanted = [("DEPOSIT", number) for number in range(DEPOSITS)]
    wanted += [("WITHDRAW", number) for number in range(WITHDRAWALS)]
    return {ask(client, kind, number)["id"] for kind, number in wanted}


def test_transfers_come_through_two_kills(tmp_path: Path) -> None:
    with VenueProcess(tmp_path / "data", "--no-bots") as venue:
        client = client_of(venue)
        before, _ = pyusd(client)
        made = ask_all(client)
        client.close()
        venue.kill()  # some are pending by now, some perhaps not
        venue.start()
        client = client_of(venue)
        assert ask_all(client) == made  # whoever asks again gets the same transfers
        client.close()
        venue.kill()
        venue.start()
        client = client_of(venue)
        eventually(lambda: client.send("GET", "/api/v1/transfers/active").json() == [])
        rows = client.send("GET", "/api/v1/transfers?timestamp=4000000000000000000&size=100").json()
        assert {row["id"] for row in rows} == made
        assert {row["status"] for row in rows} == {"COMPLETED"}
        after, held = pyusd(client)
        assert (float(after) - float(before), held) == ((DEPOSITS - WITHDRAWALS) * 100.5, "0")
        client.close()
        audit = venue.command("audit")
        assert audit.returncode == 0, audit.stdout
