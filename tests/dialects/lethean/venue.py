"""A venue that speaks Lethean on loopback ports, with a database, real keys, and a clock that tests can push on.

It is served four times: as it comes, with logins by challenge only, with budgets that are soon spent, and with its
database away.
"""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

import httpx2

from crossbook.application.accounts import Accounts, UserKind
from crossbook.application.swap_events import SwapEvent
from crossbook.dialects.endpoint import Surroundings
from crossbook.dialects.lethean.endpoints import lethean_dialect
from crossbook.dialects.lethean.services import Services
from crossbook.security.passwords import HashCost, Passwords
from crossbook.security.tokens import Tokens
from crossbook.security.wallet_keys import WalletKeys
from crossbook.server.app import Listening, Server, build_app, make_server
from crossbook.server.limits import Budget, RateLimiter, RateLimits
from crossbook.settings import Settings
from crossbook.storage.database import Database
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.users import UserStore
from crossbook.system import SystemClock
from crossbook.wiring.swap_board import Operators, build_board
from tests.server.running import Recorded, setup_for
from tests.storage.swapping import Heard

T = TypeVar("T")
DEADLINE_S = 60
SECRET = "s" * 40


class PushedClock(SystemClock):
    """The machine's clock, some time ahead."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_ms / 1000


class AwayPages(SwapPages):
    """Pages that cannot be reached."""

    async def book(self, pair_id: int, limit: int, offset: int) -> Any:
        raise DatabaseUnavailable("gone")


@dataclass
class Signed:
    """A wallet that signed in."""

    keys: WalletKeys
    token: str
    user_id: int

    @property
    def address(self) -> str:
        return self.keys.address().text


class LetheanVenue:
    """A running venue as tests use it, from another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, accounts: Accounts, clock: PushedClock) -> None:
        self.addresses: dict[str, str] = {}
        self.recorded = Recorded()
        self.heard = Heard()
        self.clock = clock
        self.services: Services
        self._loop = loop
        self._accounts = accounts
        self._names = count(1)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Let the venue's loop run a coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE_S)

    def post(self, path: str, body: object, method: str = "POST") -> httpx2.Response:
        """The reply to a request."""
        return httpx2.request(method, f"{self.addresses['embedded']}/api{path}", json=body, timeout=30)

    def wallet(self, name: str) -> Signed:
        """A new wallet, signed in under a name like this one."""
        number = next(self._names)
        keys = WalletKeys.of_seed(hashlib.sha256(f"{name} {number}".encode()).digest())
        return self.sign_in(keys, f"{name}{number}")

    def sign_in(self, keys: WalletKeys, alias: str) -> Signed:
        """Sign in once more."""
        message = f"message {next(self._names)}"
        data = {
            "address": keys.address().text,
            "alias": alias,
            "message": message,
            "signature": keys.sign(message.encode()),
        }
        reply = self.post("/auth", {"data": data, "neverExpires": False})
        assert reply.status_code == 200, reply.text
        token = reply.json()["data"]
        return Signed(keys, token, self.post("/check-auth", {"token": token}).json()["userData"]["id"])

    def operator(self, scopes: frozenset[str] = frozenset({"admin"})) -> str:
        """The token of a new user with these scopes."""

        async def make() -> str:
            email = f"operator{next(self._names)}@example.com"
            await self._accounts.register(email, "long-password", kind=UserKind.ADMINISTRATOR, scopes=scopes)
            return (await self._accounts.login(email, "long-password")).token

        return self.run(make())

    def pair(self, first_decimals: int = 2, second_decimals: int = 3) -> dict[str, str]:
        """A new pair of new currencies: its number, and the ids of its assets."""
        token, number = self.operator(), next(self._names)
        made = {}
        for place, decimals in (("first", first_decimals), ("second", second_decimals)):
            made[place] = hashlib.sha256(f"{place} {number}".encode()).hexdigest()
            body = {"token": token, "asset_id": made[place], "name": f"{place}{number}", "code": place[0].upper()}
            assert self.post("/admin/put-asset", {**body, "decimal_point": decimals}).status_code == 200
        reply = self.post("/admin/put-pair", {"token": token, "first": made["first"], "second": made["second"]})
        assert reply.status_code == 200, reply.text
        return {**made, "pair": str(reply.json()["data"]["id"])}

    def events(self) -> list[SwapEvent]:
        """What was published since the last call."""
        heard, self.heard.events = self.heard.events, []
        return heard


@contextmanager
def running_venue(url: str) -> Iterator[LetheanVenue]:
    """A venue on this database, while the block runs."""
    made: list[LetheanVenue] = []
    failed: list[BaseException] = []
    ready, end = threading.Event(), threading.Event()

    def thread() -> None:
        try:
            asyncio.run(_live(url, made.append, ready, end))
        except BaseException as error:
            failed.append(error)
            ready.set()
            raise

    running = threading.Thread(target=thread, daemon=True)
    running.start()
    assert ready.wait(DEADLINE_S)
    assert not failed, failed
    try:
        yield made[0]
    finally:
        end.set()
        running.join(DEADLINE_S)
        assert not running.is_alive()


async def _live(url: str, made: Callable[[LetheanVenue], None], ready: threading.Event, end: threading.Event) -> None:
    database = await Database.connect(url, max_connections=12)
    clock, passwords = PushedClock(), Passwords(HashCost(memory_kib=64, passes=1))
    tokens = Tokens(clock, SECRET, 3600)
    accounts = Accounts(UserStore(database), passwords, tokens, clock)
    venue = LetheanVenue(asyncio.get_running_loop(), accounts, clock)
    servers: list[tuple[Server, socket.socket]] = []
    for name, settings in {
        "embedded": Settings(lethean_open_orders_limit=10),
        "challenge": Settings(lethean_login_challenge=True),
        "limited": Settings(),
        "away": Settings(),
    }.items():
        board = await build_board(
            settings,
            database,
            clock,
            secret=SECRET,
            holder=name,
            operators=Operators(tokens, accounts),
            publisher=venue.heard,
            unavailable=(DatabaseUnavailable,),
        )
        services, surroundings = board.services, Surroundings()
        if name == "embedded":
            venue.services = services
        elif name == "away":
            services = replace(services, pages=AwayPages(database))
        elif name == "limited":
            limits = RateLimits(by_key={"reads": Budget(2, 60_000)}, by_address={"registrations": Budget(1, 60_000)})
            surroundings = Surroundings(limiter=RateLimiter(limits, lambda: 0))
        app = build_app([lethean_dialect(services, "1")], setup_for(venue.recorded, surroundings))
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        venue.addresses[name] = f"http://127.0.0.1:{listener.getsockname()[1]}"
        servers.append((make_server(app, Listening(port=0, drain_s=1)), listener))
    tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not all(server.started for server, _ in servers):
                await asyncio.sleep(0.01)
        made(venue)
        ready.set()
        while not end.is_set():
            await asyncio.sleep(0.02)
    finally:
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)
        passwords.close()
        await database.close()
