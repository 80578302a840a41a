"""The way to the database: transactions, the meaning of errors, and a server that goes and comes back."""

import asyncio
import socket

import pytest

from crossbook.storage.database import Chain, Database, Transaction, columns
from crossbook.storage.errors import (
    CommitOutcomeUnknown,
    ConstraintViolated,
    DatabaseRefused,
    DatabaseUnavailable,
    StatementFailed,
    StatementTooSlow,
    TransactionConflict,
)
from tests.storage.conftest import database_of
from tests.storage.support import using


async def make_table(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute("CREATE TABLE t (x integer CONSTRAINT t_positive CHECK (x > 0))")


async def insert(transaction: Transaction, x: int) -> None:
    assert await transaction.execute("INSERT INTO t VALUES ($1)", x) == 1


async def content(database: Database) -> list[int]:
    async with database.snapshot() as transaction:
        return [row["x"] for row in await transaction.rows("SELECT x FROM t ORDER BY x")]


async def insert_and_raise(database: Database) -> None:
    async with database.transaction() as transaction:
        await insert(transaction, 2)
        raise KeyError


def test_a_block_commits_and_a_block_that_raises_does_not(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        async with database.transaction() as transaction:
            await insert(transaction, 1)
        with pytest.raises(KeyError):
            await insert_and_raise(database)
        assert await content(database) == [1]

    using(empty_url, scenario)


async def insert_good_and_bad(transaction: Transaction) -> None:
    async with transaction.savepoint():
        await insert(transaction, 2)
        await insert(transaction, -1)


def test_a_savepoint_is_undone_alone(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        async with database.transaction() as transaction:
            async with transaction.savepoint():
                await insert(transaction, 1)
            with pytest.raises(ConstraintViolated):
                await insert_good_and_bad(transaction)
            await insert(transaction, 3)
        assert await content(database) == [1, 3]

    using(empty_url, scenario)


def test_a_cancelled_block_is_undone_and_its_connection_is_good_again(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        started = asyncio.Event()

        async def hang() -> None:
            async with database.transaction() as transaction:
                await insert(transaction, 1)
                started.set()
                await transaction.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(hang())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await content(database) == []

    using(empty_url, scenario, connections=1)


def test_a_broken_rule_is_named(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        with pytest.raises(ConstraintViolated) as caught:
            async with database.transaction() as transaction:
                await insert(transaction, 0)
        assert caught.value.constraint == "t_positive"

    using(empty_url, scenario)


def test_faulty_statements_are_faults_of_ours(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        with pytest.raises(StatementFailed) as caught:
            async with database.transaction() as transaction:
                await transaction.execute("SELECT 1 FROM nowhere")
        assert caught.value.code == "42P01"
        with pytest.raises(StatementFailed):
            async with database.transaction() as transaction:
                await transaction.value("SELECT $1::integer", "not a number")
        with pytest.raises(StatementFailed, match="in progress"):
            async with database.transaction() as transaction:
                await asyncio.gather(transaction.value("SELECT pg_sleep(0.05)"), transaction.value("SELECT 1"))

    using(empty_url, scenario)


def test_reads_of_a_snapshot_see_one_moment_and_write_nothing(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        async with database.snapshot() as snapshot:
            assert await snapshot.value("SELECT count(*) FROM t") == 0
            async with database.transaction() as transaction:
                await insert(transaction, 1)
            assert await snapshot.value("SELECT count(*) FROM t") == 0
            with pytest.raises(StatementFailed, match="read-only"):
                await insert(snapshot, 2)

    using(empty_url, scenario)


async def overtake(database: Database) -> None:
    async with database.transaction(isolation="repeatable_read") as late:
        await late.value("SELECT x FROM t")
        async with database.transaction() as early:
            await early.execute("UPDATE t SET x = 2")
        await late.execute("UPDATE t SET x = 3")


def test_a_conflict_is_told_from_a_fault(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        async with database.transaction() as transaction:
            await insert(transaction, 1)
        with pytest.raises(TransactionConflict):
            await overtake(database)
        assert await content(database) == [2]

    using(empty_url, scenario)


def test_a_statement_that_takes_too_long_is_ended_by_the_server(empty_url: str) -> None:
    async def scenario() -> None:
        database = await Database.connect(empty_url, statement_timeout_ms=50)
        with pytest.raises(StatementTooSlow):
            async with database.transaction() as transaction:
                await transaction.value("SELECT pg_sleep(60)")
        async with database.transaction() as transaction:
            assert await transaction.value("SELECT 1") == 1
        await database.close()

    asyncio.run(scenario())


def test_a_full_pool_is_unavailable_after_its_limit(empty_url: str) -> None:
    async def scenario() -> None:
        database = await Database.connect(empty_url, max_connections=1, acquire_timeout_ms=50)
        async with database.transaction():
            with pytest.raises(DatabaseUnavailable):
                async with database.transaction():
                    pass
        await database.close()

    asyncio.run(scenario())


def test_nobody_there_is_unavailable() -> None:
    async def scenario() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            with pytest.raises(DatabaseUnavailable):
                await Database.connect(f"postgresql://a@127.0.0.1:{port}/a", patience_ms=100)

    asyncio.run(scenario())


def test_a_wrong_database_is_refused_at_once(empty_url: str) -> None:
    with pytest.raises(DatabaseRefused):
        asyncio.run(Database.connect(database_of(empty_url, "nowhere"), patience_ms=3_600_000))


async def cut_others(url: str) -> None:
    """End every other connection to the database, from the server's side."""
    other = await Database.connect(url)
    async with other.transaction() as cutter:
        await cutter.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await other.close()


async def insert_while_cut(database: Database, url: str, *, again: bool) -> None:
    async with database.transaction() as transaction:
        await insert(transaction, 1)
        await cut_others(url)
        if again:
            await insert(transaction, 2)


def test_a_lost_connection_is_unavailable_and_the_next_call_works(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        with pytest.raises(DatabaseUnavailable) as caught:
            await insert_while_cut(database, empty_url, again=True)
        assert not isinstance(caught.value, CommitOutcomeUnknown)
        assert await content(database) == []

    using(empty_url, scenario)


def test_a_connection_lost_at_commit_leaves_the_outcome_open(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        with pytest.raises(CommitOutcomeUnknown):
            await insert_while_cut(database, empty_url, again=False)

    using(empty_url, scenario)


def test_rows_become_columns() -> None:
    assert columns([(1, "a"), (2, "b")], 2) == [(1, 2), ("a", "b")]
    assert columns([], 2) == [(), ()]


async def inserted_in_chain(chain: Chain, x: int, followed: bool) -> int:
    """Insert `x`; the number of the server's process that did it."""
    async with chain.transaction(lambda: followed) as transaction:
        await insert(transaction, x)
        return int(await transaction.value("SELECT pg_backend_pid()"))


async def raised_in_chain(chain: Chain, x: int) -> None:
    async with chain.transaction(lambda: True) as transaction:
        await insert(transaction, x)
        raise KeyError


def test_each_transaction_of_a_chain_stands_for_itself(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        chain = database.chain()
        first = await inserted_in_chain(chain, 1, followed=True)
        assert await content(database) == [1]  # by another connection: what is chained is committed
        with pytest.raises(ConstraintViolated):
            await inserted_in_chain(chain, 0, followed=True)
        assert await inserted_in_chain(chain, 2, followed=True) > 0
        with pytest.raises(KeyError):
            await raised_in_chain(chain, 3)
        await inserted_in_chain(chain, 4, followed=True)
        last = await inserted_in_chain(chain, 5, followed=False)
        assert await content(database) == [1, 2, 4, 5]
        assert first > 0
        assert last > 0

    using(empty_url, scenario, connections=2)


def test_what_a_chain_has_begun_holds_no_locks_and_sees_what_comes_later(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        chain = database.chain()
        await inserted_in_chain(chain, 1, followed=True)
        async with database.transaction() as other:
            await other.execute("UPDATE t SET x = 7")
            await other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        async with chain.transaction(lambda: True) as transaction:
            assert await transaction.value("SELECT x FROM t") == 7
        await chain.close()
        assert await content(database) == [7]

    using(empty_url, scenario, connections=2)


def test_a_chain_that_ends_gives_its_connection_back(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        chain = database.chain()
        await inserted_in_chain(chain, 1, followed=True)
        await chain.close()
        await chain.close()
        await inserted_in_chain(chain, 2, followed=False)
        with pytest.raises(ConstraintViolated):
            await inserted_in_chain(chain, 0, followed=True)
        assert await content(database) == [1, 2]

    using(empty_url, scenario, connections=1)


def test_a_rule_that_is_broken_at_the_commit_ends_a_chain(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        async with database.transaction() as transaction:
            await transaction.execute("ALTER TABLE t ADD CONSTRAINT t_once UNIQUE (x) DEFERRABLE INITIALLY DEFERRED")
        chain = database.chain()
        await inserted_in_chain(chain, 1, followed=True)
        with pytest.raises(ConstraintViolated) as caught:
            await inserted_in_chain(chain, 1, followed=True)
        assert caught.value.constraint == "t_once"
        await inserted_in_chain(chain, 2, followed=False)
        assert await content(database) == [1, 2]

    using(empty_url, scenario, connections=1)


def test_a_chain_whose_connection_was_lost_begins_anew(empty_url: str) -> None:
    async def scenario(database: Database) -> None:
        await make_table(database)
        chain = database.chain()
        process = await inserted_in_chain(chain, 1, followed=True)
        async with database.transaction() as transaction:
            await transaction.value("SELECT pg_terminate_backend($1, 5000)", process)
        with pytest.raises(DatabaseUnavailable):
            await inserted_in_chain(chain, 2, followed=True)
        await inserted_in_chain(chain, 3, followed=False)
        assert await content(database) == [1, 3]

    using(empty_url, scenario, connections=2)
