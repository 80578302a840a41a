"""One running venue, or one part of it: what it consists of, and the order in which that starts and stops."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from starlette.types import ASGIApp

from crossbook.application.desk import Desk
from crossbook.application.markets import Market
from crossbook.bots.pit import Pit
from crossbook.bots.swap_pit import SwapPit
from crossbook.domain.errors import CrossbookError
from crossbook.logs import Log
from crossbook.readiness import Helper, Worker
from crossbook.security.passwords import Passwords
from crossbook.server.app import Listening, Server, make_server
from crossbook.server.socket_io import SocketIo
from crossbook.server.websocket import SocketRoom
from crossbook.settings import Settings
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.errors import EmbeddedServerError, StorageError
from crossbook.storage.lag import lags
from crossbook.streams.port import Stream
from crossbook.supervisor import Crew, Work
from crossbook.system import Clock
from crossbook.workers.account_feed import AccountFeed
from crossbook.workers.health import Condition
from crossbook.workers.market_data import MarketFeed
from crossbook.workers.matcher import Matcher
from crossbook.workers.pauses import pause
from crossbook.workers.pricing import PricingWorker
from crossbook.workers.public_prices import PublicPrice
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler

POLL_MS: Final = 10
SERVER_LOOK_MS: Final = 200
"""How often the embedded server is looked at."""
READY_TIMEOUT_S: Final = 30.0
DRAIN_S: Final = 1
"""How long the server waits for requests under way when it stops, in whole seconds."""

_log: Final = Log("venue")


class VenueError(CrossbookError):
    """The venue can not start; the message says what to do."""


class Role(StrEnum):
    """What a process of the venue can do. An embedded venue does everything.

    MARKET_DATA alone serves those who only read, on a port of its own: public data, and Flux's WebSocket. So listeners,
    however many, are kept away from the processes that take orders.
    """

    API = "api"
    RELAY = "relay"
    MATCHER = "matcher"
    SETTLER = "settler"
    MARKET_DATA = "market-data"
    PRICING = "pricing"


ALL_ROLES: Final = frozenset(Role)
WORKER_ROLES: Final = ALL_ROLES - {Role.API}


@dataclass
class Ground:
    """What everything stands on."""

    clock: Clock
    database: Database
    commands: Stream
    events: Stream
    markets: Sequence[Market]


@dataclass
class Parts:
    """What a venue consists of, built and not yet running. Empty or None is what its roles do not need."""

    relays: list[Relay] = field(default_factory=list)
    matchers: list[Matcher] = field(default_factory=list)
    settlers: list[Settler] = field(default_factory=list)
    feeds: list[MarketFeed] = field(default_factory=list)
    pricing: list[PricingWorker] = field(default_factory=list)
    public_prices: list[PublicPrice] = field(default_factory=list)
    account_feed: AccountFeed | None = None
    helpers: list[Helper] = field(default_factory=list)
    """Every worker beside the way of an order; those of `pricing`, and `account_feed`, among them."""
    sockets: SocketRoom | None = None
    socket_io: SocketIo | None = None
    desk: Desk | None = None
    app: ASGIApp | None = None
    pits: list[Pit | SwapPit] = field(default_factory=list)
    when_ready: Callable[[], Awaitable[None]] | None = None
    """What is to be done once everything works."""
    watches: dict[str, Work] = field(default_factory=dict)
    """Further tasks by name."""
    passwords: Passwords | None = None
    flush_logs: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Plan:
    """How a venue is made: the port it listens on, the server that it starts itself, and how the rest comes about.

    `port` is None for one that serves nobody. `prepare` looks after its folder, `open_ground` connects, and `wire`
    builds the parts; it gets the address under which the process is reached, "" without one.
    """

    port: int | None
    postgres: EmbeddedPostgres | None
    prepare: Callable[[], None]
    open_ground: Callable[[], Awaitable[Ground]]
    wire: Callable[[Ground, str], Awaitable[Parts]]


class Venue:
    """A venue that can be started once, and stopped. `base_url` is where its API is, once it is started."""

    def __init__(self, settings: Settings, clock: Clock, plan: Plan) -> None:
        self.base_url = ""
        self._settings = settings
        self._clock = clock
        self._plan = plan
        self._socket: socket.socket | None = None
        self._ground: Ground | None = None
        self._parts = Parts()
        self._keepers = Crew("keepers", clock)
        self._workers = Crew("workers", clock)
        self._door = Crew("door", clock)
        self._http = Crew("http", clock)
        self._bots = Crew("bots", clock)
        self._server: Server | None = None
        self._deadline_s = 0.0

    # -- Start ---------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Start everything, and return when the venue is ready. After an error, `stop` puts away what was started.

        Raises VenueError, StorageError, and DataFolderError.
        """
        if self._plan.port is not None:
            self._socket = _listen(self._settings.host, self._plan.port)
            self.base_url = _url_of(self._socket)
        self._plan.prepare()
        if self._plan.postgres is not None:
            self._plan.postgres.start()
            self._keepers.start("postgres", self._keep_postgres)
        self._ground = await self._plan.open_ground()
        self._parts = await self._plan.wire(self._ground, self.base_url)
        self._start_workers()
        self._start_door()
        await self._wait_until_ready()
        if self._parts.when_ready is not None:
            await self._parts.when_ready()
        for place, pit in enumerate(self._parts.pits, start=1):
            self._bots.start(f"pit {place}", pit.run)

    def _start_workers(self) -> None:
        parts = self._parts
        workers: list[Relay | Matcher | Settler | MarketFeed] = [
            *parts.relays,
            *parts.matchers,
            *parts.settlers,
            *parts.feeds,
        ]
        for place, worker in enumerate(workers, start=1):
            self._workers.start(f"{type(worker).__name__} {place}", worker.run, worker.health)
        for helper in parts.helpers:
            self._workers.start(helper.name, helper.worker.run, helper.worker.health)
        for price in parts.public_prices:
            self._workers.start(f"price {price.venue.market} {price.venue.source}", price.run)
        for name, work in parts.watches.items():
            self._workers.start(name, work)

    def _start_door(self) -> None:
        parts = self._parts
        if parts.desk is not None:
            self._door.start("desk", parts.desk.run)
        if parts.app is not None:
            self._http.start("http", self._serve)

    async def _serve(self, stop: asyncio.Event) -> None:
        """The HTTP server, until `stop`. The socket outlives it, so that it can be served again."""
        assert self._socket is not None and self._parts.app is not None
        listening = Listening(self._settings.host, self._settings.port, self._settings.trusted_proxies, drain_s=DRAIN_S)
        server = self._server = make_server(self._parts.app, listening, self._farewell)

        async def end() -> None:
            await stop.wait()
            server.should_exit = True

        ender = asyncio.create_task(end())
        try:
            await server.serve(sockets=[self._socket.dup()])
        finally:
            ender.cancel()
            await asyncio.gather(ender, return_exceptions=True)

    async def _farewell(self) -> None:
        """Let sockets go before their connections are closed."""
        if self._parts.sockets is not None:
            await self._parts.sockets.close()
        if self._parts.socket_io is not None:
            await self._parts.socket_io.hang_up()

    async def _wait_until_ready(self) -> None:
        """Wait until every part works. Raises VenueError when that takes too long, or a market failed."""
        end_s = self._clock.monotonic_s() + READY_TIMEOUT_S
        while waiting := self._not_ready():
            if self._clock.monotonic_s() > end_s:
                raise VenueError(f"not ready after {READY_TIMEOUT_S:.0f} s: {', '.join(waiting)}")
            await self._clock.sleep(POLL_MS / 1000)

    def _not_ready(self) -> list[str]:
        """What does not work yet. A worker that stands by for another process is as it should be."""
        if self._parts.app is not None and not (self._server is not None and self._server.started):
            return ["http"]
        fine = {Condition.RUNNING, Condition.STANDBY, Condition.FAILED}
        parts = self._parts
        workers: list[Worker] = [*parts.matchers, *parts.settlers, *parts.relays, *parts.feeds, *parts.pricing]
        return [
            f"{type(worker).__name__.lower()} {worker.health.condition} {worker.health.reason}".strip()
            for worker in workers
            if worker.health.condition not in fine
        ]

    async def _keep_postgres(self, stop: asyncio.Event) -> None:
        """Start the embedded server again when it is gone: it comes back under the same address."""
        server = self._plan.postgres
        assert server is not None
        while not stop.is_set():
            if not server.running:
                _log.error("the embedded PostgreSQL is gone: starting it again")
                await asyncio.to_thread(server.start)
            await pause(self._clock, stop, SERVER_LOOK_MS)

    # -- Stop ----------------------------------------------------------------------------------------
    async def stop(self) -> None:
        """Stop in order, within `shutdown_timeout_ms`: no new work, then what is under way, then what it stands on.

        What could not be finished in time is done by the next start: it is in the log.
        """
        self._deadline_s = self._clock.monotonic_s() + self._settings.shutdown_timeout_ms / 1000
        await self._bots.stop(self._left_ms(300))
        await self._http.stop(self._left_ms(1_500))
        await self._door.stop(self._left_ms(1_000))
        await self._drain(self._left_ms(1_000))
        await self._workers.stop(self._left_ms(2_000))
        await self._close_ground()
        self._parts.flush_logs()
        await self._keepers.stop(self._left_ms(500))
        if self._socket is not None:
            self._socket.close()
        if self._plan.postgres is not None:
            self._stop_postgres(self._plan.postgres)

    def _left_ms(self, at_most_ms: int) -> int:
        """How long one stage of the stop may take."""
        left_ms = int((self._deadline_s - self._clock.monotonic_s()) * 1000)
        return max(50, min(at_most_ms, left_ms))

    async def _drain(self, timeout_ms: int) -> None:
        """Wait until all that was accepted is settled, if this process does both."""
        if self._ground is None or not self._parts.matchers or not self._parts.settlers:
            return
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while await _behind(self._ground.database):
                    await self._clock.sleep(POLL_MS / 1000)
        except (TimeoutError, StorageError) as error:
            _log.warning("stopped with unsettled commands: the next start settles them", error=repr(error))

    async def _close_ground(self) -> None:
        if self._parts.passwords is not None:
            self._parts.passwords.close()
        if self._ground is not None:
            await self._ground.commands.close()
            await self._ground.events.close()
            await self._ground.database.close(self._left_ms(500))

    def _stop_postgres(self, server: EmbeddedPostgres) -> None:
        try:
            server.stop()
        except EmbeddedServerError as error:
            _log.error("the embedded PostgreSQL did not stop", error=str(error))


async def _behind(database: Database) -> bool:
    async with database.transaction(read_only=True) as transaction:
        return any(lag.settled < lag.accepted for lag in await lags(transaction))


# -- The address -------------------------------------------------------------------------------------
def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address, on which the server will listen. Raises VenueError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets no delay on those only
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise VenueError(
            f"can not listen on {host} port {port}: {error.strerror}; choose another --host or --port"
        ) from error
    return bound


def _url_of(bound: socket.socket) -> str:
    """Where a client on this machine reaches the socket."""
    host, port = bound.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every address of the machine: this one among them
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
