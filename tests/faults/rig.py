"""What the tests of faults share: processes that are killed, a load that survives it, and what must be true after."""

import asyncio
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from crossbook.application.funds import Funds
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.domain.lifecycle import OrderStatus
from crossbook.storage import markets as stored_markets
from crossbook.storage.audit import STATEMENT_TIMEOUT_MS, audit
from crossbook.storage.database import Database
from crossbook.storage.errors import StorageError
from crossbook.storage.funds import FundsStore
from crossbook.system import SystemClock
from tests.venue_process import free_port

T = TypeVar("T")

PATIENCE_S = 60.0
"""When a wait is given up. No test depends on how much of it is used."""
SECRET = "dT7v2Lr9Xq4Zb6Mn8Kc1Hs3Wf5Jg0PyAuEiOt"
SEALING_KEY = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
NO_LIMITS = {
    f"CROSSBOOK_{name}": "0"
    for name in ("ORDERS_PER_S", "CANCELS_PER_S", "READS_PER_S", "ADDRESS_PER_S", "REGISTRATIONS_PER_MINUTE")
}
DEPOSIT_UNITS = 1_000_000_000_000
SEATS = 6


def play(scene: Callable[[], Coroutine[Any, Any, T]], deadline_s: float = 3 * PATIENCE_S) -> T:
    """Run a scene, with an end to the wait for it."""

    async def bounded() -> T:
        async with asyncio.timeout(deadline_s):
            return await scene()

    return asyncio.run(bounded())


async def until(what: str, look: Callable[[], Awaitable[T | None]]) -> T:
    """What `look` gives once it gives something true."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not in time"
        await asyncio.sleep(0.02)


# -- Processes ---------------------------------------------------------------------------------------
class Part:
    """One process of a venue: `crossbook` with these words. Its log is beside the data."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.words = words
        self.log = folder / f"{'-'.join(words[:2])}.log".replace("/", "")
        self._environment = {**_clean_environment(), **NO_LIMITS, "CROSSBOOK_MARKET_DATA_PORT": "0", **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        command = [sys.executable, "-m", "crossbook.cli", *self.words]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=self._environment)

    async def ready(self, starts: int) -> None:
        """Wait until a part of production has said for the `starts`th time that it is."""

        async def look() -> bool:
            assert self.runs, self.tail()
            return self.log.read_text().count('"logger":"crossbook.run","message":"ready"') >= starts

        await until(f"{self.words} ready", look)

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int:
        """Its number."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End it at once: it can do nothing about it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def tail(self) -> str:
        """The end of its log."""
        return f"{self.words}: {self.log.read_text()[-4_000:]}"


def _clean_environment() -> Mapping[str, str]:
    kept = {"CROSSBOOK_INTERPRETED", "CROSSBOOK_PURE"}
    given = {"DATABASE_URL", "REDIS_URL", "JWT_SECRET", "RUNTIME_MODE"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not (name in given or name.startswith("CROSSBOOK_"))
    }


@dataclass
class Door:
    """The API of a venue, and the part that serves it."""

    part: Part
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def healthy(self, path: str = "/health") -> None:
        """Wait until it says so."""
        async with httpx2.AsyncClient(base_url=self.url) as client:

            async def look() -> bool:
                assert self.part.runs, self.part.tail()
                try:
                    return (await client.get(path)).status_code == 200
                except httpx2.TransportError:
                    return False

            await until(f"{path} of {self.part.words}", look)


def embedded_venue(folder: Path, **environment: str) -> Door:
    """A venue whole in one process, without bots, over `folder`/venue; not started yet."""
    port = free_port()
    words = ("up", "--no-bots", "--port", str(port), "--data", str(folder / "venue"))
    return Door(Part(folder, *words, **environment), port)


# -- Load --------------------------------------------------------------------------------------------
@dataclass
class Seat:
    """A trader, and the orders that are still unclear: sent, and no answer came that says what became of them."""

    token: str
    user_id: int
    unclear: list[dict[str, object]] = field(default_factory=list)


class Load:
    """Traders who enter and cancel orders that rest and cross, whatever happens, and note every answer."""

    def __init__(self, url: str, seats: Sequence[Seat], seed: int) -> None:
        self.accepted: list[int] = []
        self.unavailable: list[httpx2.Response] = []
        self.unexpected: list[str] = []
        self.lost_connections = 0
        self._url = url
        self._seats = seats
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._run = f"{seed}-{os.urandom(4).hex()}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Trade meanwhile."""
        stop = asyncio.Event()
        tasks = [asyncio.create_task(self._trade(seat, stop)) for seat in self._seats]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def grows(self, by: int = 20) -> None:
        """Wait until so many more orders are accepted."""
        goal = len(self.accepted) + by

        async def look() -> bool:
            return len(self.accepted) >= goal

        await until("more accepted orders", look)

    async def repeat_unclear(self) -> None:
        """Send every unclear order again, under its client id: it is entered now, or it was before."""
        await asyncio.gather(*(self._repeat(seat) for seat in self._seats))

    async def _repeat(self, seat: Seat) -> None:
        async with self._client(seat) as client:
            for body in seat.unclear:
                reply = await client.post("/orders", json=body)
                assert reply.status_code in {200, 202}, reply.text
                self.accepted.append(int(reply.json()["orderId"]))
        seat.unclear.clear()

    def _client(self, seat: Seat) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {seat.token}"}
        return httpx2.AsyncClient(base_url=self._url, headers=headers, timeout=PATIENCE_S)

    async def _trade(self, seat: Seat, stop: asyncio.Event) -> None:
        own: list[str] = []
        async with self._client(seat) as client:
            while not stop.is_set():
                try:
                    if own and self._random.random() < 0.2:
                        await self._cancel(client, own.pop(self._random.randrange(len(own))))
                    else:
                        own += await self._order(client, seat)
                except httpx2.TransportError:
                    self.lost_connections += 1
                    await asyncio.sleep(0.02)

    async def _order(self, client: httpx2.AsyncClient, seat: Seat) -> list[str]:
        body: dict[str, object] = {
            "marketId": self._random.choice(("BTC-PERP", "ETH-PERP")),
            "side": self._random.choice(("BUY", "SELL")),
            "type": "LIMIT",
            "quantity": "0.01",
            "price": str(3_500 + self._random.randrange(-3, 4)),
            "leverage": 10,
            "clientOrderId": f"{self._run}-{next(self._numbers)}",
        }
        seat.unclear.append(body)  # until an answer comes
        reply = await client.post("/orders", json=body)
        if reply.status_code == 503:
            self.unavailable.append(reply)
            await asyncio.sleep(0.1)
            return []
        seat.unclear.remove(body)
        if reply.status_code not in {200, 202}:
            self.unexpected.append(reply.text)
            return []
        self.accepted.append(int(reply.json()["orderId"]))
        return [reply.json()["orderId"]]

    async def _cancel(self, client: httpx2.AsyncClient, order_id: str) -> None:
        reply = await client.delete(f"/orders/{order_id}")
        if reply.status_code == 503:
            self.unavailable.append(reply)
        elif reply.status_code not in {202, 409}:
            self.unexpected.append(reply.text)


async def take_seats(url: str, address: str) -> list[Seat]:
    """Traders with money: guests of the API, who get it from the venue's own books."""
    seats = []
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
        for _ in range(SEATS):
            reply = await client.post("/auth/guest")
            assert reply.status_code == 201, reply.text
            seats.append(Seat(reply.json()["token"], int(reply.json()["userId"])))
    async with opened(address) as database:
        async with database.transaction(read_only=True) as transaction:
            markets = Markets(await stored_markets.load(transaction))
            accounts = [
                await transaction.value("SELECT account_id FROM accounts WHERE user_id = $1", seat.user_id)
                for seat in seats
            ]
        funds = Funds(FundsStore(database), markets, Marks(), SystemClock())
        for account_id in accounts:
            await funds.deposit(account_id, "USDC", DEPOSIT_UNITS)
    return seats


# -- What must be true after ---------------------------------------------------------------------------
@asynccontextmanager
async def opened(address: str) -> AsyncIterator[Database]:
    """The venue's database, beside the venue."""
    database = await Database.connect(address, max_connections=2, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
    try:
        yield database
    finally:
        await database.close()


async def nothing_pending(address: str) -> None:
    """Wait until every order is decided."""
    async with opened(address) as database:

        async def look() -> bool:
            try:
                async with database.transaction(read_only=True) as transaction:
                    found = await transaction.value(
                        "SELECT count(*) FROM orders WHERE status = $1", int(OrderStatus.PENDING)
                    )
            except StorageError:
                return False
            return bool(found == 0)

        await until("no pending order", look)


async def must_be_whole(address: str, load: Load) -> None:
    """Every accepted order is there and decided, nothing is there twice, and the books are right."""
    await nothing_pending(address)
    assert not load.unexpected, load.unexpected[:3]
    async with opened(address) as database:
        async with database.transaction(read_only=True) as transaction:
            rows = await transaction.rows("SELECT order_id FROM orders WHERE order_id = ANY ($1)", load.accepted)
            fills = await transaction.value("SELECT count(*) FROM fills")
        found = {row["order_id"] for row in rows}
        assert not set(load.accepted) - found, "accepted orders are lost"
        assert fills  # the load did trade
        differences = [f"{check.name}: {check.difference}" for check in await audit(database) if not check.ok]
    assert not differences, differences
