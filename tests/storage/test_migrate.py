"""Migrations: fresh, repeated, at once from many sides, altered, half done."""

import asyncio
from dataclasses import replace

import pytest

from crossbook.storage.database import Database
from crossbook.storage.errors import MigrationError, StatementFailed
from crossbook.storage.migrate import Migration, migrate, pending, shipped
from tests.storage.support import using

ONE = Migration(1, "one", "CREATE TABLE one (x integer)")
TWO = Migration(2, "two", "CREATE TABLE two (x integer); INSERT INTO two VALUES (2)")
BROKEN = Migration(2, "broken", "CREATE TABLE two (x integer); SELECT * FROM nowhere")
ALL_NUMBERS = [migration.number for migration in shipped()]


async def tables(database: Database) -> list[str]:
    async with database.transaction() as transaction:
        rows = await transaction.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [row["tablename"] for row in rows]


def test_a_fresh_database_gets_everything_and_a_second_run_finds_nothing_to_do(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        assert await pending(database) == ALL_NUMBERS
        assert await tables(database) == []
        assert await migrate(database) == ALL_NUMBERS
        made = await tables(database)
        assert {"orders", "commands", "balances", "schema_migrations"} <= set(made)
        assert await migrate(database) == []
        assert await pending(database) == []
        assert await tables(database) == made

    using(empty_url, scenario)


def test_processes_that_start_at_once_apply_each_migration_once(empty_url: str) -> None:
    async def process() -> list[int]:
        database = await Database.connect(empty_url)
        try:
            return await migrate(database)
        finally:
            await database.close()

    async def scenario() -> list[list[int]]:
        return await asyncio.gather(*(process() for _ in range(6)))

    applied = asyncio.run(scenario())
    assert sorted(number for numbers in applied for number in numbers) == ALL_NUMBERS


def test_an_edited_migration_is_refused_and_nothing_is_done(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await migrate(database, (ONE,))
        edited = replace(ONE, statements=ONE.statements + " -- harmless?")
        with pytest.raises(MigrationError, match=r"0001 \(one\) was applied with another text"):
            await migrate(database, (edited, TWO))
        with pytest.raises(MigrationError):
            await pending(database, (edited, TWO))
        assert "two" not in await tables(database)

    using(empty_url, scenario)


def test_a_database_newer_than_the_program_is_refused(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await migrate(database, (ONE, TWO))
        with pytest.raises(MigrationError, match="use a newer program"):
            await migrate(database, (ONE,))

    using(empty_url, scenario)


def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(StatementFailed, match="nowhere"):
            await migrate(database, (ONE, BROKEN))
        assert await tables(database) == ["one", "schema_migrations"]
        assert await pending(database, (ONE, TWO)) == [2]
        assert await migrate(database, (ONE, TWO)) == [2]

    using(empty_url, scenario)
