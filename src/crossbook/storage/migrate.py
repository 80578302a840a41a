"""Numbered migrations: applied in order, once, one transaction each, remembered with their checksum.

Any number of processes may start at once: an advisory lock lets one through at a time, and each looks
again, under the lock, at what is left to do.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import MigrationError

LOCK_KEY: Final = 0x43524F5353424B
"""Key of the advisory lock, this program's own."""
_FILE_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_RECORD: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at_ms bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (number)
);
COMMENT ON TABLE schema_migrations IS 'The migrations that this database has seen.';
COMMENT ON COLUMN schema_migrations.number IS 'Place in the order, from 1 without a gap.';
COMMENT ON COLUMN schema_migrations.name IS 'What it was about.';
COMMENT ON COLUMN schema_migrations.checksum IS 'SHA-256 of its text: a migration is never edited once applied.';
COMMENT ON COLUMN schema_migrations.applied_at_ms IS 'When it was applied, by the database''s clock.';
"""


@dataclass(frozen=True)
class Migration:
    """One step of the schema: its number from 1, its name, and its SQL."""

    number: int
    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the statements, as hex."""
        return hashlib.sha256(self.statements.encode()).hexdigest()


def shipped() -> tuple[Migration, ...]:
    """The migrations that come with this program, in order. Raises MigrationError for a gap or a stray file."""
    found = []
    for file in resources.files("crossbook.storage").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            text = file.read_text(encoding="utf-8").replace("\r\n", "\n")
            found.append(Migration(int(match[1]), match[2], text))
        elif file.name.endswith(".sql"):
            raise MigrationError(f"{file.name} is not named like 0001_name.sql")
    found.sort(key=lambda migration: migration.number)
    if not found or [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError("the migrations of this installation are not numbered from 0001 without a gap")
    return tuple(found)


async def migrate(database: Database, migrations: tuple[Migration, ...] | None = None) -> list[int]:
    """Bring the schema up to date and return the numbers of the migrations that this call applied.

    Raises MigrationError, before anything is changed, when the database has seen a migration with
    another text, or one that this program does not know; StorageError as `Database.transaction` does.
    """
    wanted = shipped() if migrations is None else migrations
    applied = []
    while (number := await _apply_next(database, wanted)) is not None:
        applied.append(number)
    return applied


async def pending(database: Database, migrations: tuple[Migration, ...] | None = None) -> list[int]:
    """The numbers of the migrations still to be applied. Changes nothing. Raises as `migrate` does."""
    wanted = shipped() if migrations is None else migrations
    async with database.transaction(read_only=True) as transaction:
        if await transaction.value("SELECT to_regclass('schema_migrations')") is None:
            return [migration.number for migration in wanted]
        return [migration.number for migration in await _left(transaction, wanted)]


async def _apply_next(database: Database, wanted: tuple[Migration, ...]) -> int | None:
    async with database.transaction() as transaction:
        # Another process may take its time with a big table.
        await transaction.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await transaction.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)
        if await transaction.value("SELECT to_regclass('schema_migrations')") is None:
            await transaction.execute(_RECORD)
        left = await _left(transaction, wanted)
        if not left:
            return None
        await transaction.execute(left[0].statements)
        await transaction.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
            left[0].number,
            left[0].name,
            left[0].checksum,
        )
        return left[0].number


async def _left(transaction: Transaction, wanted: tuple[Migration, ...]) -> tuple[Migration, ...]:
    seen = await transaction.rows("SELECT number, name, checksum FROM schema_migrations ORDER BY number")
    if len(seen) > len(wanted):
        raise MigrationError(
            f"the database has seen migration {seen[-1]['number']}, this program knows {len(wanted)}: "
            "use a newer program"
        )
    for row, migration in zip(seen, wanted, strict=False):
        if (row["number"], row["checksum"]) != (migration.number, migration.checksum):
            raise MigrationError(
                f"migration {migration.number:04} ({migration.name}) was applied with another text: "
                "restore its file, and put the change into a new migration"
            )
    return wanted[len(seen) :]
