"""What an operator does to clients and fees from the command line shows in the API of a running venue."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crossbook.application.accounts import UserKind
from crossbook.application.clients import Clients, FeeTier, NewClient
from crossbook.cli import app
from crossbook.storage.clients import ClientStore
from crossbook.storage.database import Database
from crossbook.storage.users import UserStore
from crossbook.system import ManualClock
from tests.dialects.truex.signing import Organization, SigningClient
from tests.storage.conftest import module_url, server, template
from tests.storage.support import using
from tests.venue_process import VenueProcess, eventually

__all__ = ["module_url", "server", "template"]

PRICE = "65000"
HASH = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"


class Program:
    """A program of one organization, which acts for one of its clients."""

    def __init__(self, venue: VenueProcess, user: dict[str, Any], client_id: str = "") -> None:
        entry = user["truex"]
        self.client_id = client_id or entry["client_id"]
        who = Organization(
            int(user["user_id"]), int(self.client_id), entry["mnemonic"], entry["key_id"], entry["secret"]
        )
        self._http = SigningClient(venue.url, who)
        instruments = self._http.send("GET", "/api/v1/instruments?symbol=BTC-PYUSD").json()
        self._instrument, self.quote = instruments[0]["id"], instruments[0]["info"]["quote_asset_id"]

    def get(self, path: str) -> Any:
        return self._http.send("GET", f"/api/v1{path}", headers={"x-truex-auth-userid": self.client_id}).json()

    def send(self, method: str, path: str, body: object = None) -> Any:
        return self._http.send(method, f"/api/v1{path}", b"" if body is None else json.dumps(body).encode())

    def order(self, side: str, qty: str = "0.001", tif: str = "GTC", price: str = PRICE) -> Any:
        info = {"client_id": self.client_id, "instrument_id": self._instrument, "qty": qty, "price": price}
        return self.send("POST", "/orders", {"info": {**info, "side": side, "type": "LIMIT", "tif": tif}})

    def give(self, client_id: str, amount: str) -> Any:
        """Move quote to another client at once."""
        body = {"amount": amount, "asset_id": self.quote, "client_id": self.client_id, "type": "WITHDRAW"}
        return self.send(
            "POST", "/transfers", {**body, "platform": "INTERNAL", "instructions": {"client_id": client_id}}
        )

    def active(self) -> list[str]:
        return [order["id"] for order in self.get("/orders/active") if order["status"] == "ACTIVE"]

    def last_trade(self) -> Any:
        found = self.get(f"/orders/trade?timestamp={(int(time.time()) + 1) * 10**9}&size=1")
        return found[0] if found else None

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    with VenueProcess(tmp_path / "venue", "--no-bots") as running:
        yield running


def told(venue: VenueProcess, *words: str) -> str:
    """What a command prints that succeeds."""
    done = venue.command("truex", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(venue: VenueProcess, code: int, *words: str) -> str:
    """Why a command fails with this exit code."""
    done = venue.command("truex", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr


def test_clients_and_fees_are_an_operators(venue: VenueProcess) -> None:
    alice, bob = venue.demo["users"][:2]
    first, other = Program(venue, alice), Program(venue, bob)
    listed = told(venue, "client", "list", "--user", alice["email"])
    assert listed.split()[:5] == [first.client_id, "ALICE", "user", alice["user_id"], "ACTIVE"]
    assert "BOB" not in listed

    # A second client has orders and money of its own.
    second_id = told(venue, "client", "add", alice["email"], "ALICE-2", "--type", "application").split()[1]
    second = Program(venue, alice, second_id)
    assert [row["info"]["type"] for row in second.get("/clients")] == ["APPLICATION"]
    assert second.order("BUY").json()["detail"].startswith("available PYUSD")
    assert first.give(second_id, "10000").status_code == 200
    of_first, of_second = first.order("BUY").json()["id"], second.order("BUY").json()["id"]
    assert eventually(lambda: (first.active(), second.active()) == ([of_first], [of_second]))
    assert second.send("DELETE", f"/orders/{of_second}").status_code == 200
    assert first.send("DELETE", f"/orders/{of_first}").status_code == 200
    assert eventually(lambda: (first.active(), second.active()) == ([], []))

    # Its fees follow its tiers.
    told(venue, "fees", "set", "1", "--maker", "-0.00005", "--taker", "0.0003")
    told(venue, "client", "tiers", "ALICE-2", "--maker", "1", "--taker", "1")
    assert other.order("SELL", "1").status_code == 200

    def pays(rate: str) -> bool:
        assert second.order("BUY", "0.0001", "IOC").status_code == 200
        last = eventually(second.last_trade)
        return (last["liq_flag"], last["trade_fee_rate"]) == ("TAKER", rate)

    assert eventually(lambda: pays("0.0003"))
    assert first.order("BUY", "0.0001", "IOC").status_code == 200
    assert eventually(first.last_trade)["trade_fee_rate"] not in {"0.0003", "-0.00005"}
    told(venue, "fees", "set", "1", "--maker", "0", "--taker", "0.0004")
    assert eventually(lambda: pays("0.0004"))

    # Suspended, it trades no more; the organization's other client does.
    resting = second.order("BUY", "0.001", price="60000").json()["id"]
    assert eventually(lambda: second.active() == [resting])
    told(venue, "client", "suspend", second_id)
    problem = eventually(lambda: _problem(second))
    assert (problem["status"], problem["title"]) == (400, "Invalid client")
    assert second.get("/clients")[0]["status"] == "DISABLED"
    assert second.active() == [resting]  # and may be taken, or cancelled by an operator
    assert "being cancelled: 1." in told(venue, "client", "suspend", second_id, "--cancel")
    assert eventually(lambda: second.active() == [])
    assert first.order("BUY", "0.0001", "IOC").status_code == 200
    told(venue, "client", "resume", "ALICE-2")
    assert eventually(lambda: second.order("BUY", "0.0001", "IOC").status_code == 200)

    # Closed it is only when it is empty, and then for ever.
    told(venue, "client", "suspend", "ALICE-2")
    assert "money in BTC and PYUSD" in refused(venue, 1, "client", "close", "ALICE-2")
    new_id = told(venue, "client", "add", alice["user_id"], "ALICE-3", "--taker", "1").split()[1]
    assert eventually(lambda: first.give(new_id, "1").status_code == 200)
    third = Program(venue, alice, new_id)
    assert third.get("/clients")[0]["info"]["taker_fee_tier"] == 1
    assert third.give(first.client_id, "1").status_code == 200
    told(venue, "client", "suspend", "ALICE-3")
    told(venue, "client", "close", "ALICE-3")
    assert first.give(new_id, "1").status_code == 400
    for each in (first, second, third, other):
        each.close()
    audit = venue.command("audit")
    assert audit.returncode == 0, audit.stdout
    # A venue that stands still is looked at and changed too.
    assert venue.stop() == 0
    assert "DISABLED" in told(venue, "client", "list", "--user", alice["user_id"])
    assert "may trade" in told(venue, "client", "resume", "ALICE-2")


def _problem(program: Program) -> Any:
    """The reply to an order that is refused, once one is."""
    reply = program.order("BUY", "0.0001", "IOC")
    return reply.json() if reply.status_code != 200 else None


BAD_INPUT = [
    (2, "client suspend nobody", "no client nobody"),
    (2, "client list --user nobody", "there is no user nobody"),
    (2, "client add nobody X", "there is no user nobody"),
    (2, "client add 99999999999999999999 X", "there is no user 99999999999999999999"),
    (2, "client add alice@example.com BOB", "mnemonic belongs to another client"),
    (2, "client add alice@example.com A.B", "mnemonic must be 1 to 32 of A-Z"),
    (2, "client add alice@example.com X --taker 1", "tier 1 does not exist: there are 0, 3"),
    (2, "client add alice@example.com X --type bank", "Invalid value for '--type'"),
    (2, "client tiers BOB", "name --maker, --taker or both"),
    (2, "client tiers BOB --maker 1", "tier 1 does not exist: there are 0, 3"),
    (1, "client close BOB", "client BOB may trade: suspend it first"),
    (2, "client resume CLOSED", "client CLOSED is closed"),
    (2, "fees set 0 --maker 0 --taker 0", "Invalid value for"),
    (2, "fees set 2 --maker -0.0002 --taker 0.0001", "maker must be from -0.0001 to 0.0001"),
    (2, "fees set 2 --maker 0 --taker 0.0000001", "taker must be a whole multiple of 0.000001"),
    (2, "fees set 2 --maker 0 --taker 1.5", "taker must be at most 1; the nearest valid value is 1"),
    (2, "fees set 2 --maker 5bp --taker 1", "maker must be a plain decimal"),
]


@pytest.fixture(scope="module")
def office(module_url: str) -> str:
    """The address of a database with the users alice and bob, the tier 3, and a client that is closed."""

    async def scenario(database: Database) -> None:
        clients, users = Clients(ClientStore(database), ManualClock()), UserStore(database)
        for name in ("alice", "bob"):
            user = await users.create(
                UserKind.TRADER, 0, email=f"{name}@example.com", password_hash=HASH, name=name, scopes=frozenset()
            )
            await clients.ensure_first(user.user_id, name.upper())
        closed = await clients.create(NewClient(user.user_id, "CLOSED"))
        await clients.close(await clients.suspend(closed))
        await clients.put_fee_tier(FeeTier(3, -50, 300))

    using(module_url, scenario)
    return module_url


@pytest.mark.parametrize(("code", "words", "reason"), BAD_INPUT, ids=[words for _, words, _ in BAD_INPUT])
def test_bad_input_is_told(office: str, code: int, words: str, reason: str) -> None:
    done = CliRunner().invoke(app, ["truex", *words.split()], env={"DATABASE_URL": office, "COLUMNS": "200"})
    assert (done.exit_code, done.stdout) == (code, "")
    assert reason in done.stderr


def test_what_there_is_is_listed(office: str) -> None:
    def shown(*words: str) -> list[list[str]]:
        done = CliRunner().invoke(app, ["truex", *words], env={"DATABASE_URL": office})
        assert done.exit_code == 0, done.stderr
        return [line.split() for line in done.stdout.splitlines()]

    assert [(row[1], row[4]) for row in shown("client", "list")] == [
        ("ALICE", "ACTIVE"),
        ("BOB", "ACTIVE"),
        ("CLOSED", "CLOSED"),
    ]
    assert [row[1] for row in shown("client", "list", "--user", "alice@example.com")] == ["ALICE"]
    assert shown("fees", "list")[1] == ["3", "maker", "-0.00005", "taker", "0.0003"]
