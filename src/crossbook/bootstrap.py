"""Puts a venue together: start reading here. Its parts are chosen and built in `crossbook.wiring`, and nowhere else.

Numbers are those of the way of an order (ARCHITECTURE.md): 1 request, 2 dialect, 3 use case, 4 risk, 5 accept,
6 relay, 7 match, 8 settle, 9 read, 10 publish.
"""

import os
from collections.abc import Iterable
from typing import Final

from crossbook import private_files
from crossbook.demo import create_markets
from crossbook.logs import Log
from crossbook.settings import Settings
from crossbook.storage import leases
from crossbook.storage import markets as stored_markets
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.migrate import migrate, pending
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import Stream, StreamKind
from crossbook.streams.redis_streams import RedisStreams
from crossbook.system import Clock, SystemClock, secret_token
from crossbook.venue import ALL_ROLES, Ground, Parts, Plan, Role, Venue, VenueError
from crossbook.wiring.core import Core, add_workers, follow_feeds
from crossbook.wiring.demo import Demo
from crossbook.wiring.dialects import flux_services, stream_services, swap_board, truex_services
from crossbook.wiring.server import checks_of_venue, full_app, health_of, reading_app
from crossbook.wiring.use_cases import build_use_cases, membership

POSTGRES_FOLDER: Final = "postgres"

_log: Final = Log("bootstrap")


def embedded(settings: Settings, clock: Clock | None = None) -> Venue:
    """A venue whole in one process: with its own PostgreSQL and streams, unless the settings name others."""
    clock = clock or SystemClock()
    server = None if settings.database_url else EmbeddedPostgres(settings.data_dir / POSTGRES_FOLDER)
    return Venue(settings, clock, _Builder(settings, clock, ALL_ROLES, server).plan())


def production(settings: Settings, roles: Iterable[Role], clock: Clock | None = None) -> Venue:
    """A part of a venue, on the database and the streams that the settings name. It brings nothing of its own."""
    clock = clock or SystemClock()
    return Venue(settings, clock, _Builder(settings, clock, frozenset(roles), None).plan())


class _Builder:
    """Opens what a venue stands on, and builds the parts that its roles need."""

    def __init__(
        self, settings: Settings, clock: Clock, roles: frozenset[Role], postgres: EmbeddedPostgres | None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._roles = roles
        self._postgres = postgres

    def plan(self) -> Plan:
        """How the venue is made."""
        return Plan(self._port(), self._postgres, self.prepare, self.open_ground, self.wire)

    def _port(self) -> int | None:
        """Where the process listens; None for one that serves nobody."""
        if Role.API in self._roles:
            return self._settings.port
        return self._settings.market_data_port if Role.MARKET_DATA in self._roles else None

    def prepare(self) -> None:
        """Make the data folder of an embedded venue. Raises DataFolderError."""
        if not self._settings.production:
            private_files.make_folder(self._settings.data_dir)

    # -- The ground ----------------------------------------------------------------------------------
    async def open_ground(self) -> Ground:
        """Connect; an embedded venue brings the schema up to date and sets up what is missing."""
        database = await _open_database(self._settings, self._postgres)
        try:
            if self._settings.production:
                await _require_schema(database)
            else:
                await self._set_up(database)
            async with database.transaction(read_only=True) as transaction:
                markets = await stored_markets.load(transaction)
        except BaseException:
            await database.close()
            raise
        if not markets:
            _log.warning("there are no markets; `crossbook migrate --demo-markets` makes two")
        commands, events = (self._stream(kind) for kind in (StreamKind.COMMANDS, StreamKind.EVENTS))
        return Ground(self._clock, database, commands, events, markets)

    async def _set_up(self, database: Database) -> None:
        await migrate(database)
        if self._postgres is not None:
            # Nobody else can be on this database: a venue that was killed must not be waited for.
            async with database.transaction() as transaction:
                await leases.release_all(transaction)
        if self._settings.demo:
            await create_markets(database, self._clock.now_ms())

    def _stream(self, kind: StreamKind) -> Stream:
        settings = self._settings
        if settings.redis_url is None:
            return InProcessStreams(kind)
        return RedisStreams(
            settings.redis_url, kind, timeout_ms=settings.redis_timeout_ms, max_connections=settings.redis_pool_max
        )

    # -- The parts -----------------------------------------------------------------------------------
    async def wire(self, ground: Ground, base_url: str) -> Parts:
        """Build the parts that the roles need. Raises StorageError, DataFolderError and VenueError."""
        core = Core(self._settings, ground, self._roles, f"{os.getpid()}-{secret_token(16)}")
        add_workers(core)  # 6, 7, 8 and 10
        if Role.API in self._roles:
            await _open_door(core, base_url)  # 1 to 5, and 9
        elif Role.MARKET_DATA in self._roles:
            _open_window(core)  # 1, 2 and 10
        return core.parts


async def _open_door(core: Core, base_url: str) -> None:
    """Everything that a process needs which takes requests. The checks come when all workers are there."""
    use = await build_use_cases(core)  # 3 to 5, and 9
    follow_feeds(core)
    flux = flux_services(core, use)  # 2
    lethean = (await swap_board(core, use.members)).services
    checks = checks_of_venue(core)
    truex = truex_services(core, use, flux, health_of(checks))
    demo = Demo(core, use, lethean) if core.settings.demo else None
    core.parts.app = full_app(core, flux, truex, lethean, checks, demo.routes if demo is not None else [])  # 1
    if demo is not None:
        await demo.set_up(base_url)


def _open_window(core: Core) -> None:
    """Flux's public data, and its WebSocket, for those who only read."""
    streams = stream_services(core, membership(core))  # 2
    follow_feeds(core)
    core.parts.app = reading_app(core, streams)  # 1


async def _open_database(settings: Settings, postgres: EmbeddedPostgres | None) -> Database:
    """A pool on the database of the settings, or on the embedded server. Raises StorageError and VenueError."""
    address = settings.database_url or (postgres.dsn if postgres is not None else None)
    if address is None:
        raise VenueError("there is no database: set DATABASE_URL")
    return await Database.connect(
        address,
        min_connections=settings.database_pool_min,
        max_connections=settings.database_pool_max,
        acquire_timeout_ms=settings.database_connect_timeout_ms,
        statement_timeout_ms=settings.statement_timeout_ms,
    )


async def _require_schema(database: Database) -> None:
    """Refuse a database whose schema is not this program's: in production nothing is migrated by the way."""
    if left := await pending(database):
        raise VenueError(f"migrations {', '.join(map(str, left))} are missing: run `crossbook migrate`")
