"""Looks at what a venue stands on: database, streams, clock, disk, packages, and what to do about each.

Nothing is changed. A server that does not answer is waited for a few seconds at most.
"""

import re
import shutil
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Final, Protocol

from crossbook.doctor import Finding
from crossbook.storage.database import Database
from crossbook.storage.errors import DatabaseRefused, MigrationError, StorageError
from crossbook.storage.migrate import Migration, pending
from crossbook.streams.port import StreamError, StreamKind
from crossbook.streams.redis_streams import RedisStreams

OLDEST_POSTGRESQL: Final = 15
TIMEOUT_MS: Final = 3_000
MOST_SKEW_MS: Final = 1_000
"""Leases and expiries compare times of both clocks."""
LEAST_FREE_BYTES: Final = 256 * 2**20
"""Below this, the log and the database's own log may fill the disk within minutes."""
COMFORTABLE_BYTES: Final = 4 * 2**30
MILLION: Final = 10**6
DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")
"""What must not be off, or an accepted order can be lost with the power."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class WallClock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


async def examine_venue(
    database_url: str | None, redis_url: str | None, data_dir: Path, clock: WallClock
) -> list[Finding]:
    """Everything about the venue that `crossbook doctor` says, in its order.

    `database_url` is the server of the settings or of the running embedded one, None when there is
    neither; `redis_url` is None where the streams are inside the process.
    """
    return [
        *await examine_database(database_url, clock),
        await check_streams(redis_url),
        check_disk(data_dir),
        *check_packages(),
    ]


# -- Database ----------------------------------------------------------------------------------------
async def examine_database(url: str | None, clock: WallClock) -> list[Finding]:
    """Whether the database answers and is fit; what needs it is left out when it does not."""
    if url is None:
        return [Finding("database", "not running", advice="Start it with `crossbook up`, or set DATABASE_URL.")]
    try:
        database = await Database.connect(
            url, max_connections=1, patience_ms=0, acquire_timeout_ms=TIMEOUT_MS, statement_timeout_ms=TIMEOUT_MS
        )
    except DatabaseRefused as error:
        advice = "Correct user, password and name of the database in DATABASE_URL, or the rights of that user."
        return [Finding("database", f"lets us not in: {error}", False, advice)]
    except StorageError as error:
        advice = "Start the server, and check host and port in DATABASE_URL."
        return [Finding("database", f"not reached: {error}", False, advice)]
    try:
        return [
            await check_server(database),
            await check_migrations(database),
            await check_clock(database, clock),
        ]
    except StorageError as error:
        return [Finding("database", f"was reached, then failed: {error}", False, "Look into the server's log.")]
    finally:
        await database.close()


async def check_server(database: Database) -> Finding:
    """Whether the server is new enough and keeps what it has confirmed. Raises StorageError."""
    async with database.snapshot() as transaction:
        number = int(await transaction.value("SELECT current_setting('server_version_num')"))
        rows = await transaction.rows("SELECT name, current_setting(name) FROM unnest($1::text[]) AS name", DURABLE)
    return describe_server(number, {row[0]: row[1] for row in rows})


def describe_server(version_number: int, durability: dict[str, str]) -> Finding:
    """What it means that the server has this number (180001 for 18.1) and these settings of durability."""
    major, minor = divmod(version_number, 10_000)
    found = f"PostgreSQL {major}.{minor}"
    if major < OLDEST_POSTGRESQL:
        return Finding("database", found, False, f"Use PostgreSQL {OLDEST_POSTGRESQL} or newer.")
    off = [name for name, value in durability.items() if value in ("off", "local")]
    if off:
        names = ", ".join(off)
        advice = f"Set {names} to on: an order that was accepted could be lost with the power."
        return Finding("database", f"{found}, not durable: {names}", False, advice)
    return Finding("database", found)


async def check_migrations(database: Database, migrations: tuple[Migration, ...] | None = None) -> Finding:
    """Whether the schema is the one of this program (`migrations` for another set). Raises StorageError."""
    try:
        left = await pending(database, migrations)
    except MigrationError as error:
        return Finding("schema", str(error), False, "Use the program that belongs to this database.")
    if left:
        numbers = ", ".join(map(str, left))
        return Finding("schema", f"migrations {numbers} are missing", False, "Run `crossbook migrate`.")
    return Finding("schema", "current")


async def check_clock(database: Database, clock: WallClock) -> Finding:
    """How far our clock is from that of the database. Raises StorageError."""
    async with database.snapshot() as transaction:
        before_ms = clock.now_ms()
        there_ms: int = await transaction.value("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
        after_ms = clock.now_ms()
    return describe_skew(before_ms, there_ms, after_ms)


def describe_skew(before_ms: int, there_ms: int, after_ms: int) -> Finding:
    """What it means that the other clock showed `there_ms` between two looks at ours."""
    skew_ms = max(before_ms - there_ms, there_ms - after_ms, 0)
    if skew_ms <= MOST_SKEW_MS:
        return Finding("clock", "agrees with the database")
    side = "behind" if there_ms > after_ms else "ahead of"
    advice = "Synchronise the clocks of both machines (NTP)."
    return Finding("clock", f"{skew_ms} ms {side} the database", False, advice)


# -- Streams -----------------------------------------------------------------------------------------
async def check_streams(url: str | None) -> Finding:
    """Whether the server of the streams answers."""
    if url is None:
        return Finding("streams", "inside the process")
    streams = RedisStreams(url, StreamKind.COMMANDS, timeout_ms=TIMEOUT_MS, retries=0)
    try:
        await streams.last_sequence("DOCTOR")
    except StreamError as error:
        return Finding("streams", f"not reached: {error}", False, "Start the server, and check REDIS_URL.")
    finally:
        await streams.close()
    return Finding("streams", "Redis or Valkey answers")


# -- Disk --------------------------------------------------------------------------------------------
def check_disk(folder: Path) -> Finding:
    """How much room there is where the data are, or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return describe_disk(folder, shutil.disk_usage(there).free)


def describe_disk(folder: Path, free_bytes: int) -> Finding:
    """What so many free bytes mean."""
    found = f"{free_bytes // MILLION:,} MB free for {folder}"
    if free_bytes < LEAST_FREE_BYTES:
        return Finding("disk", found, False, "Make room, or put the data elsewhere with `--data`.")
    if free_bytes < COMFORTABLE_BYTES:
        return Finding("disk", found, advice="Make room: a busy venue writes some gigabytes a day.")
    return Finding("disk", found)


# -- Packages ----------------------------------------------------------------------------------------
def check_packages() -> list[Finding]:
    """The versions of what Crossbook is installed with."""
    try:
        required = metadata.requires("crossbook") or []
    except metadata.PackageNotFoundError:
        return [Finding("packages", "Crossbook is not installed, only found", advice="Install Crossbook.")]
    return [check_package(name) for name in package_names(required)]


def package_names(requirements: Iterable[str]) -> list[str]:
    """The names in requirements such as "typer>=0.20", those of extras left out."""
    always = (text for text in requirements if "extra ==" not in text)
    return [match[0] for text in always if (match := _NAME.match(text)) is not None]


def check_package(name: str) -> Finding:
    """Which version of a package is there."""
    try:
        return Finding(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, "not installed", False, "Install Crossbook anew.")
