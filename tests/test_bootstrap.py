"""One command starts a venue: it trades, stops in order, and goes on where it stopped."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.dialects.truex.signing import Organization, SigningClient
from tests.venue_process import Trader, VenueProcess, eventually, free_port

SECRET = "vK3x9Qp7RtYw2LmN8sDf4GhJ6cBz1AeU5oXi"
SEALING_KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    with VenueProcess(tmp_path / "venue", "--no-bots") as running:
        yield running


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    """One venue for all tests that only look at it."""
    with VenueProcess(tmp_path_factory.mktemp("standing") / "venue", "--no-bots") as running:
        yield running


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes_around(path: Path) -> dict[str, int]:
    """The modes of a folder's parents, and of the folders that the packages lie in."""
    folders = [*path.parents, *(Path(entry) for entry in sys.path if entry and Path(entry).is_dir())]
    return {str(folder): mode(folder) for folder in folders}


def test_a_venue_trades_stops_and_goes_on(tmp_path: Path) -> None:
    before = modes_around(tmp_path / "venue")
    with VenueProcess(tmp_path / "venue", "--no-bots") as venue:
        assert httpx2.get(f"{venue.url}/health").json() == {"status": "ok"}
        buyer, seller = Trader.new(venue.url, "buyer"), Trader.new(venue.url, "seller")
        resting = buyer.order("BUY", "64000")
        bought, sold = buyer.order("BUY", "65000"), seller.order("SELL", "65000")
        assert seller.settled(sold)["status"] == "FILLED"
        assert buyer.settled(bought)["status"] == "FILLED"
        assert buyer.settled(resting)["status"] == "OPEN"
        (fill,) = buyer.get("/fills")
        assert (fill["price"], fill["quantity"], fill["liquidityRole"]) == ("65000", "0.01", "MAKER")
        assert [row["side"] for row in seller.get("/positions")] == ["SHORT"]
        (balance,) = seller.get("/balances")
        assert balance["total"] == "99999.675"  # less the fee of a taker: 0.05 % of 650
        orders, demo = buyer.get("/orders"), venue.demo
        assert venue.stop() == 0
        assert not (tmp_path / "venue" / "postgres" / "cluster" / "postmaster.pid").exists()

        venue.start()
        assert venue.demo == demo
        assert buyer.get("/orders") == orders  # the token of before is still good
        assert seller.settled(seller.order("SELL", "64000"))["status"] == "FILLED"
        assert buyer.settled(resting)["status"] == "FILLED"
        audit = venue.command("audit")  # beside the running venue
        assert audit.returncode == 0, audit.stdout + audit.stderr
        assert venue.stop() == 0
        for trader in (buyer, seller):
            trader.close()
    assert modes_around(tmp_path / "venue") == before


def test_the_demo_users_are_in_a_file_for_the_owner_alone(standing: VenueProcess) -> None:
    assert mode(standing.data / "demo.json") == 0o600
    assert mode(standing.data / "jwt_secret") == 0o600
    assert mode(standing.data / "sealing_key") == 0o600
    demo = standing.demo
    assert demo["base_url"] == standing.url
    assert [user["name"] for user in demo["users"]] == ["alice", "bob", "carol"]
    for user in demo["users"]:
        trader = Trader(standing.url, user["email"], user["password"])
        assert trader.get("/me")["userId"] == user["user_id"]
        trader.close()
    admin = Trader(standing.url, demo["admin"]["email"], demo["admin"]["password"])
    assert "admin" in admin.get("/me")["scopes"]
    admin.close()
    assert [market["id"] for market in httpx2.get(f"{standing.url}/markets").json()] == [
        "BTC-PERP",
        "ETH-PERP",
        "BTC-PYUSD",
        "ETH-PYUSD",
    ]


def test_the_demo_users_trade_at_once_in_every_market(venue: VenueProcess) -> None:
    alice, bob = (Trader(venue.url, user["email"], user["password"]) for user in venue.demo["users"][:2])
    had = {row["asset"]: row["available"] for row in alice.get("/balances")}
    assert had == {"BTC": "2", "ETH": "50", "PYUSD": "250000", "USDC": "250000"}
    for market in httpx2.get(f"{venue.url}/markets").json():
        price, quantity = ("65000", "1") if market["baseAsset"] == "BTC" else ("3500", "10")
        body = {"marketId": market["id"], "type": "LIMIT", "quantity": quantity, "price": price}
        sold, bought = alice.post("/orders", {**body, "side": "SELL"}), bob.post("/orders", {**body, "side": "BUY"})
        assert (sold.status_code, bought.status_code) == (202, 202), sold.text + bought.text
        for trader, reply in ((bob, bought), (alice, sold)):
            assert trader.settled(reply.json()["orderId"])["status"] == "FILLED"
    # What they own now is theirs: the next start gives nothing more.
    after = [row["total"] for row in alice.get("/balances")]
    assert venue.stop() == 0
    venue.start()
    assert [row["total"] for row in alice.get("/balances")] == after
    audit = venue.command("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    for trader in (alice, bob):
        trader.close()


def test_the_demo_users_have_a_key_for_truex(standing: VenueProcess) -> None:
    for user in standing.demo["users"]:
        entry = user["truex"]
        assert set(entry) == {"organization_id", "client_id", "mnemonic", "key_id", "secret"}
        who = Organization(
            int(user["user_id"]), int(entry["client_id"]), entry["mnemonic"], entry["key_id"], entry["secret"]
        )
        client = SigningClient(standing.url, who)
        (row,) = client.send("GET", "/api/v1/clients").json()
        assert (row["id"], row["info"]["mnemonic"]) == (entry["client_id"], entry["mnemonic"])
        assert row["info"]["organization_id"] == entry["organization_id"] == user["user_id"]
        client.close()


def test_keys_are_made_listed_and_revoked_from_the_command_line(standing: VenueProcess) -> None:
    bob = standing.demo["users"][1]
    made = standing.command("keys", "create", bob["email"], "--scope", "read", "--name", "reports", "--days", "30")
    assert made.returncode == 0, made.stderr
    told = dict(line.split(maxsplit=1) for line in made.stdout.splitlines() if len(line.split(maxsplit=1)) == 2)
    key_id, secret = told["Key"].strip(), told["Secret"].strip()
    who = Organization(int(bob["user_id"]), int(bob["truex"]["client_id"]), "BOB", key_id, secret)
    client = SigningClient(standing.url, who)
    assert client.send("GET", "/api/v1/clients").status_code == 200
    listed = standing.command("keys", "list", "--user", bob["user_id"]).stdout
    assert key_id[:8] in listed
    assert secret not in listed
    revoked = standing.command("keys", "revoke", key_id)
    assert revoked.returncode == 0, revoked.stderr
    assert eventually(lambda: client.send("GET", "/api/v1/clients").status_code == 401)
    client.close()
    assert standing.command("keys", "revoke", key_id).returncode == 2
    assert standing.command("keys", "create", "nobody@example.com").returncode == 2
    assert standing.command("keys", "create", bob["email"], "--scope", "admin").returncode == 1


def test_lost_demo_secrets_are_made_anew(venue: VenueProcess) -> None:
    before = venue.demo
    assert venue.stop() == 0
    (venue.data / "demo.json").unlink()
    venue.start()
    alice, old = venue.demo["users"][0], before["users"][0]
    assert alice["user_id"] == old["user_id"]
    assert alice["password"] != old["password"]
    Trader(venue.url, alice["email"], alice["password"]).close()


def test_bots_trade_on_every_demo_market(tmp_path: Path) -> None:
    with VenueProcess(tmp_path / "venue", "--seed", "7") as venue:

        def all_traded() -> bool:
            prices = httpx2.get(f"{venue.url}/prices").json()
            return all(price["lastPrice"] is not None for price in prices)

        assert eventually(all_traded)
        book = httpx2.get(f"{venue.url}/markets/BTC-PERP/orderbook").json()
        assert book["bids"]
        assert book["asks"]
        # A user's order fills against them.
        trader = Trader.new(venue.url, "taker")
        order = {"marketId": "BTC-PERP", "side": "BUY", "type": "MARKET", "quantity": "0.01", "leverage": 10}
        reply = trader.post("/orders", order)
        assert reply.status_code == 202, reply.text
        assert trader.settled(reply.json()["orderId"])["status"] == "FILLED"
        trader.close()
        assert venue.stop() == 0
        # Without bots, nobody would move their orders with the price.
        venue.options = ["--no-bots"]
        venue.start()
        assert eventually(lambda: not httpx2.get(f"{venue.url}/markets/BTC-PERP/orderbook").json()["bids"])
        assert venue.stop() == 0
        # Nobody's venue is running now: the audit starts the server for itself.
        audit = venue.command("audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr


async def submit_until(url: str, token: str, enough: int, name: str) -> list[str]:
    """Enter orders one after the other, crossing and resting, until the venue is gone; the ids that got a 202."""
    accepted: list[str] = []
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers) as client:
        for number in range(enough):
            side = "BUY" if number % 2 else "SELL"
            body = {"marketId": "BTC-PERP", "side": side, "type": "LIMIT", "quantity": "0.001", "leverage": 20}
            price = str(65000 + number % 7)
            try:
                reply = await client.post("/orders", json={**body, "price": price, "clientOrderId": f"{name}-{number}"})
            except httpx2.TransportError:
                break
            if reply.status_code == 202:
                accepted.append(reply.json()["orderId"])
    return accepted


def test_nothing_accepted_is_lost_when_everything_is_killed(venue: VenueProcess) -> None:
    traders = [Trader.new(venue.url, f"trader-{number}") for number in range(4)]

    async def load() -> list[list[str]]:
        work = [
            asyncio.create_task(submit_until(venue.url, trader.token, 10_000, f"o{number}"))
            for number, trader in enumerate(traders)
        ]
        await asyncio.sleep(1)
        await asyncio.to_thread(venue.kill)
        return await asyncio.gather(*work)

    accepted = asyncio.run(load())
    assert all(accepted)
    venue.start()
    for trader, order_ids in zip(traders, accepted, strict=True):
        for order_id in order_ids:
            assert trader.settled(order_id)["orderId"] == order_id
        trader.close()
    audit = venue.command("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_a_venue_outlives_its_database(venue: VenueProcess) -> None:
    buyer, seller = Trader.new(venue.url, "buyer"), Trader.new(venue.url, "seller")
    resting = buyer.order("BUY", "65000")
    os.kill(venue.postmaster, signal.SIGKILL)
    body = {"marketId": "BTC-PERP", "side": "SELL", "type": "LIMIT", "quantity": "0.01", "price": "65000"}

    def accepted() -> str | None:
        # With a client id, asking again is safe whatever became of the question before.
        reply = seller.post("/orders", {**body, "leverage": 10, "clientOrderId": "the-only-one"})
        assert reply.status_code in {200, 202, 503}, reply.text
        if reply.status_code == 503:
            assert int(reply.headers["retry-after"]) >= 1
            return None
        return str(reply.json()["orderId"])

    assert seller.settled(eventually(accepted))["status"] == "FILLED"
    assert buyer.settled(resting)["status"] == "FILLED"
    assert len(seller.get("/fills")) == 1
    buyer.close()
    seller.close()
    assert venue.stop() == 0


# -- Commands ----------------------------------------------------------------------------------------
def crossbook(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crossbook.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_port_that_is_taken_is_said(standing: VenueProcess, tmp_path: Path) -> None:
    result = crossbook("up", "--port", str(standing.port), "--data", str(tmp_path / "other"))
    assert result.returncode == 1
    assert "choose another --host or --port" in result.stderr


def test_two_venues_on_one_folder_are_refused(standing: VenueProcess) -> None:
    result = crossbook("up", "--port", str(free_port()), "--data", str(standing.data))
    assert result.returncode == 1
    assert "another venue runs on" in result.stderr


def test_the_doctor_looks_at_a_running_venue(standing: VenueProcess) -> None:
    result = standing.command("doctor")
    assert "PostgreSQL 18" in result.stdout
    assert "current" in result.stdout


@pytest.mark.parametrize("words", [("api",), ("worker", "matcher"), ("worker", "all")])
def test_production_names_what_it_needs(words: tuple[str, ...]) -> None:
    result = crossbook(*words, DATABASE_URL="", REDIS_URL="", JWT_SECRET="")
    assert result.returncode == 2
    assert "DATABASE_URL is not set" in result.stderr
    assert "JWT_SECRET is not set" in result.stderr
    assert "CROSSBOOK_SEALING_KEYS is not set" in result.stderr


def test_up_is_not_for_production() -> None:
    given = {"DATABASE_URL": "postgresql://nowhere/x", "REDIS_URL": "redis://nowhere", "JWT_SECRET": SECRET}
    given["CROSSBOOK_SEALING_KEYS"] = SEALING_KEY
    result = crossbook("up", RUNTIME_MODE="production", **given)
    assert result.returncode == 2
    assert "`crossbook up` is the embedded venue" in result.stderr


def test_config_masks_secrets(tmp_path: Path) -> None:
    result = crossbook("config", "--data", str(tmp_path), JWT_SECRET=SECRET)
    assert result.returncode == 0
    assert SECRET not in result.stdout
    assert "environment: JWT_SECRET" in result.stdout
    assert str(tmp_path) in result.stdout


def test_an_audit_without_a_venue_says_so(tmp_path: Path) -> None:
    result = crossbook("audit", "--data", str(tmp_path / "nothing"))
    assert result.returncode == 2
    assert "there is no venue" in result.stderr
