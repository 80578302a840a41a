"""A venue in parts: an API and workers, each a process of its own, on a database and a Valkey from outside."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from crossbook.application.funds import Funds
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.storage import markets as stored_markets
from crossbook.storage.database import Database
from crossbook.storage.funds import FundsStore
from crossbook.storage.users import UserStore
from crossbook.system import SystemClock
from tests.dialects.flux.socket_client import SocketClient, dialled
from tests.streams.adapters import OwnServer
from tests.venue_process import PATIENCE_S, Trader, eventually, free_port, without_settings

SECRET = "vK3x9Qp7RtYw2LmN8sDf4GhJ6cBz1AeU5oXi"
SEALING_KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="


class Parts:
    """The processes of one production venue."""

    def __init__(self, database_url: str, redis_url: str, folder: Path) -> None:
        self.database_url = database_url
        self.port = free_port()
        self.folder = folder
        self.readers_port = free_port()
        self._environment = {
            **without_settings(os.environ),
            "RUNTIME_MODE": "production",
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "JWT_SECRET": SECRET,
            "CROSSBOOK_SEALING_KEYS": SEALING_KEY,
            "CROSSBOOK_LEASE_MS": "500",
            "CROSSBOOK_MARKET_DATA_PORT": str(self.readers_port),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that ends."""
        return subprocess.run(
            [sys.executable, "-m", "crossbook.cli", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            cwd=self.folder,
        )

    def start(self, name: str, *words: str) -> None:
        """A command that runs until it is stopped."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "crossbook.cli", *words],
                env=self._environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def stop(self) -> dict[str, int]:
        """Stop every process; their exit codes."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(PATIENCE_S) for name, process in self.processes.items()}

    def end(self) -> None:
        """Leave nothing behind, whatever happened."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)


@pytest.fixture
def parts(empty_url: str, own_server: OwnServer, tmp_path: Path) -> Iterator[Parts]:
    found = Parts(empty_url, own_server.url, tmp_path)
    yield found
    found.end()


def deposit(database_url: str, email: str) -> None:
    """What the operator of a production venue does: no user can."""

    async def work() -> None:
        database = await Database.connect(database_url)
        async with database.snapshot() as transaction:
            markets = Markets(await stored_markets.load(transaction))
        user = await UserStore(database).by_email(email)
        assert user is not None
        await Funds(FundsStore(database), markets, Marks(), SystemClock()).deposit(
            user.account_id, "USDC", 100_000_000_000
        )
        await database.close()

    asyncio.run(work())


def trader_of(parts: Parts, name: str) -> Trader:
    trader = Trader.registered(parts.url, name)
    deposit(parts.database_url, f"{name}@example.com")
    return trader


def ready(parts: Parts) -> bool:
    try:
        return httpx2.get(f"{parts.url}/ready").status_code == 200
    except httpx2.TransportError:
        return False


def trade(buyer: Trader, seller: Trader) -> None:
    """One trade, from the orders to the fills."""
    bought, sold = buyer.order("BUY", "65000"), seller.order("SELL", "65000")
    assert buyer.settled(bought)["orderId"] == bought
    eventually(lambda: buyer.get(f"/orders/{bought}")["status"] == "FILLED")
    eventually(lambda: seller.get(f"/orders/{sold}")["status"] == "FILLED")


def read_along(reader: SocketClient, buyer: Trader, seller: Trader) -> None:
    """A process that only reads tells of a trade, to everybody and to its buyer."""
    trades = reader.subscribe("trades", "BTC-PERP")
    assert reader.subscribe("orders", token=buyer.token)["data"] == []
    trade(buyer, seller)
    told = reader.until("update", "trades")
    assert (told["previousSequence"], told["data"][0]["price"]) == (trades["sequence"], "65000")
    reader.send(op="unsubscribe", channel="trades", market="BTC-PERP")
    while reader.until("update", "orders")["data"][0]["status"] != "FILLED":
        pass


def test_a_venue_in_parts_trades_through_losses(parts: Parts, own_server: OwnServer) -> None:
    early = parts.run("api")
    assert early.returncode == 1
    assert "crossbook migrate" in early.stderr
    assert parts.run("migrate", "--demo-markets").returncode == 0
    assert "current" in parts.run("migrate").stdout
    parts.start("api", "api", "--port", str(parts.port))
    for worker in ("relay", "matcher", "settler", "market-data"):
        parts.start(worker, "worker", worker)
    eventually(lambda: ready(parts))
    buyer, seller = trader_of(parts, "buyer"), trader_of(parts, "seller")
    with dialled(f"http://127.0.0.1:{parts.readers_port}") as reader:
        read_along(reader, buyer, seller)
    refused = httpx2.post(f"http://127.0.0.1:{parts.readers_port}/orders", json={})
    assert refused.status_code == 404

    own_server.empty()
    trade(buyer, seller)

    matcher = parts.processes.pop("matcher")
    matcher.kill()
    matcher.wait(PATIENCE_S)
    waiting = buyer.order("BUY", "64000")
    parts.start("second matcher", "worker", "matcher")
    assert buyer.settled(waiting)["status"] == "OPEN"
    trade(buyer, seller)

    assert len(buyer.get("/fills")) == 3
    audit = parts.run("audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert parts.run("doctor").returncode == 0
    assert set(parts.stop().values()) == {0}
    buyer.close()
    seller.close()
    # Nothing embedded was started, and no demo user made.
    assert not (parts.folder / "data").exists()


def test_all_workers_in_one_process(parts: Parts) -> None:
    assert parts.run("migrate", "--demo-markets").returncode == 0
    parts.start("api", "api", "--port", str(parts.port))
    parts.start("workers", "worker", "all")
    eventually(lambda: ready(parts))
    buyer, seller = trader_of(parts, "buyer"), trader_of(parts, "seller")
    trade(buyer, seller)
    assert set(parts.stop().values()) == {0}
    buyer.close()
    seller.close()
