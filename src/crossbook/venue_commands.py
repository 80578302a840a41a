"""What the commands of the venue do: run it or a part of it, bring its schema up to date, audit it, look at it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TypeVar

from rich.markup import escape
from rich.table import Table

from crossbook import bootstrap, logs
from crossbook.application.accounts import User
from crossbook.application.audit import Check
from crossbook.demo import create_markets
from crossbook.doctor import Finding
from crossbook.domain.orders import MAX_ID
from crossbook.panel import welcome
from crossbook.running import run
from crossbook.settings import RuntimeMode, Settings, SettingsError
from crossbook.settings_loading import LoadedSettings, load
from crossbook.storage.audit import STATEMENT_TIMEOUT_MS, audit
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.storage.migrate import migrate
from crossbook.storage.running_server import address_of_running
from crossbook.storage.users import UserStore
from crossbook.system import SystemClock
from crossbook.terminal import fail, output, plain_table
from crossbook.venue import WORKER_ROLES, Role, Venue
from crossbook.venue_doctor import examine_venue
from crossbook.wallet_doctor import examine_wallets

T = TypeVar("T")
ALL_WORKERS: Final = "all"


def settings_of(overrides: Mapping[str, object]) -> LoadedSettings:
    """The settings of this process. Says what is wrong with them, and exits with 2."""
    try:
        return load(overrides=overrides)
    except SettingsError as error:
        fail(str(error))


# -- Running -----------------------------------------------------------------------------------------
def up(overrides: Mapping[str, object]) -> None:
    """Run an embedded venue until a signal. Raises CrossbookError."""
    settings = settings_of(overrides).settings
    if settings.production:
        fail("`crossbook up` is the embedded venue; production runs `crossbook api` and `crossbook worker`")
    _configure_logs(settings)

    def started(venue: Venue) -> None:
        output().print(welcome(venue.base_url, settings))

    run(lambda: bootstrap.embedded(settings), started)


def api(overrides: Mapping[str, object]) -> None:
    """Run the API of a production venue until a signal. Raises CrossbookError."""
    _run_roles(overrides, [Role.API])


def worker(name: str) -> None:
    """Run one worker of a production venue by its role, or `all` of them, until a signal. Raises CrossbookError."""
    _run_roles({}, WORKER_ROLES if name == ALL_WORKERS else [Role(name)])


def _run_roles(overrides: Mapping[str, object], roles: Iterable[Role]) -> None:
    settings = settings_of({**overrides, "runtime_mode": RuntimeMode.PRODUCTION}).settings
    _configure_logs(settings)
    log = logs.Log("run")
    names = sorted(roles)

    def started(venue: Venue) -> None:
        log.info("ready", roles=names, address=venue.base_url)

    run(lambda: bootstrap.production(settings, names), started)


def _configure_logs(settings: Settings) -> None:
    logs.configure(settings.log_level, settings.log_format)
    # It tells of every start and stop in its own words.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


# -- The database ------------------------------------------------------------------------------------
def migrate_schema(overrides: Mapping[str, object], with_demo_markets: bool) -> None:
    """Bring the schema up to date and say what was done. Raises StorageError and VenueError."""
    settings = settings_of(overrides).settings

    async def work(address: str) -> list[int]:
        database = await Database.connect(address)
        try:
            applied = await migrate(database)
            if with_demo_markets:
                await create_markets(database, SystemClock().now_ms())
            return applied
        finally:
            await database.close()

    with database_address(settings) as address:
        applied = asyncio.run(work(address))
    output().print(f"Applied: {', '.join(map(str, applied))}." if applied else "The schema is current.")


def audit_venue(overrides: Mapping[str, object]) -> list[Check]:
    """Every check of the audit. Raises StorageError and VenueError."""
    settings = settings_of(overrides).settings

    async def work(address: str) -> list[Check]:
        database = await Database.connect(address, max_connections=1, statement_timeout_ms=STATEMENT_TIMEOUT_MS)
        try:
            return await audit(database)
        finally:
            await database.close()

    with database_address(settings) as address:
        return asyncio.run(work(address))


def on_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` gives on the venue's database, whether the venue runs or not. Raises CrossbookError."""

    async def connected(address: str) -> T:
        database = await Database.connect(address, max_connections=1)
        try:
            return await work(database)
        finally:
            await database.close()

    with database_address(settings) as address:
        return asyncio.run(connected(address))


async def user_called(database: Database, name: str) -> User:
    """The user of this e-mail or number. Exits with 2 when there is none."""
    users = UserStore(database)
    number = int(name) if name.isascii() and name.isdigit() else 0
    found = await (users.by_id(min(number, MAX_ID)) if number else users.by_email(name.strip().lower()))
    if found is None:
        fail(f"there is no user {name}")
    return found


@contextmanager
def database_address(settings: Settings) -> Iterator[str]:
    """The address of the venue's database: of the settings, of the running venue, or of a server started for this."""
    address = settings.database_url or _running(settings)
    if address is not None:
        yield address
        return
    server = EmbeddedPostgres(settings.data_dir / bootstrap.POSTGRES_FOLDER)
    if not server.cluster.exists():
        fail(f"there is no venue in {settings.data_dir}: start one with `crossbook up`, or set DATABASE_URL")
    try:
        yield server.start()
    finally:
        server.stop()


def _running(settings: Settings) -> str | None:
    """The address of the embedded server, if one runs on the data folder and answers."""
    address = address_of_running(settings.data_dir / bootstrap.POSTGRES_FOLDER)
    if address is None:
        return None

    async def look() -> None:
        await (await Database.connect(address, max_connections=1, patience_ms=0)).close()

    try:
        asyncio.run(look())
    except DatabaseUnavailable:
        return None
    return address


# -- Looking -----------------------------------------------------------------------------------------
def settings_table(overrides: Mapping[str, object]) -> Table:
    """Every setting in force, secrets masked, and where it comes from."""
    loaded = settings_of(overrides)
    table = plain_table()
    table.add_column(overflow="fold")
    for name, value in loaded.settings.masked().items():
        table.add_row(name, escape(value) or "-", f"[dim]{escape(loaded.origins[name])}[/]")
    return table


def examine(overrides: Mapping[str, object]) -> list[Finding]:
    """What `crossbook doctor` says about the venue."""
    settings = settings_of(overrides).settings
    address = settings.database_url or _running(settings)
    clock = SystemClock()

    async def look() -> list[Finding]:
        venue = await examine_venue(address, settings.redis_url, settings.data_dir, clock)
        return [*venue, *await examine_wallets(settings, clock)]

    return asyncio.run(look())
