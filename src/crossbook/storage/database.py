"""The only way to the database: a pool of connections, transactions, and errors with a meaning.

No other module imports the driver. Statements are plain SQL with $1, $2 for values. A lost server is
found again by itself: calls fail with DatabaseUnavailable while it is away and work once it is back.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, Final, Literal

import asyncpg
from asyncpg import exceptions
from asyncpg.pool import PoolConnectionProxy

from crossbook.storage.arrays import with_text
from crossbook.storage.errors import (
    CommitOutcomeUnknown,
    ConstraintViolated,
    DatabaseRefused,
    DatabaseUnavailable,
    StatementFailed,
    StatementTooSlow,
    StorageError,
    TransactionConflict,
)

Row = asyncpg.Record
"""One row of an answer: values by name or by place."""

Isolation = Literal["read_committed", "repeatable_read"]

_BEGIN: Final = {
    ("read_committed", False): "BEGIN",
    ("read_committed", True): "BEGIN READ ONLY",
    ("repeatable_read", False): "BEGIN ISOLATION LEVEL REPEATABLE READ",
    ("repeatable_read", True): "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}
SAVEPOINT: Final = "part"
"""One name for all: the innermost is meant."""

FIRST_PAUSE_MS: Final = 50
MANY_QUERIES: Final = 1_000_000_000
"""After how many queries a connection is replaced by another: never, while a venue runs."""
LONGEST_PAUSE_MS: Final = 1_000

_REFUSED: Final = (
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    exceptions.InsufficientPrivilegeError,
)
_LOST: Final = (
    exceptions.PostgresConnectionError,
    exceptions.CannotConnectNowError,
    exceptions.AdminShutdownError,
    exceptions.CrashShutdownError,
    exceptions.IdleInTransactionSessionTimeoutError,
    exceptions.TooManyConnectionsError,
    exceptions.DiskFullError,
    exceptions.OutOfMemoryError,
)
_CONFLICT: Final = (exceptions.SerializationError, exceptions.DeadlockDetectedError)
_TOO_SLOW: Final = (exceptions.QueryCanceledError, exceptions.LockNotAvailableError)


def translate(error: exceptions.PostgresError) -> StorageError:
    """What an error of the server means for its caller."""
    message = str(error)
    if isinstance(error, _REFUSED):
        return DatabaseRefused(message)
    if isinstance(error, _LOST):
        return DatabaseUnavailable(message)
    if isinstance(error, _CONFLICT):
        return TransactionConflict(message)
    if isinstance(error, _TOO_SLOW):
        return StatementTooSlow(message)
    if isinstance(error, exceptions.IntegrityConstraintViolationError):
        return ConstraintViolated(message, error.constraint_name or error.column_name or "")
    return StatementFailed(message, error.sqlstate or "")


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises around one call to the server into our errors."""
    try:
        yield
    except exceptions.PostgresError as error:
        raise translate(error) from error
    except (exceptions.InternalClientError, exceptions.InterfaceError, OSError, TimeoutError) as error:
        raise DatabaseUnavailable(f"no answer from the database: {str(error) or type(error).__name__}") from error


class Transaction:
    """An open transaction: statements go through it. Made by `Database` only."""

    def __init__(self, connection: "PoolConnectionProxy[Row]") -> None:
        self._connection = connection

    async def execute(self, statement: str, *values: object) -> int:
        """Run a statement and return how many rows it touched, 0 where that says nothing.

        Without values it may be a script of several statements. Raises the errors of `Database.transaction`.
        """
        taken: Sequence[object] = values
        if values:
            statement, taken = with_text(statement, values)
        with _refusing_misuse(self._connection), _translated():
            status: str = await self._connection.execute(statement, *taken)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def rows(self, statement: str, *values: object) -> list[Row]:
        """Run a query and return all its rows. Raises the errors of `Database.transaction`."""
        statement, taken = with_text(statement, values)
        with _refusing_misuse(self._connection), _translated():
            return await self._connection.fetch(statement, *taken)

    async def row(self, statement: str, *values: object) -> Row | None:
        """Run a query and return its first row, or None. Raises the errors of `Database.transaction`."""
        statement, taken = with_text(statement, values)
        with _refusing_misuse(self._connection), _translated():
            return await self._connection.fetchrow(statement, *taken)

    async def value(self, statement: str, *values: object) -> Any:
        """Run a query and return the first value of its first row, or None. Errors as in `Database.transaction`."""
        statement, taken = with_text(statement, values)
        with _refusing_misuse(self._connection), _translated():
            return await self._connection.fetchval(statement, *taken)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part of the transaction that is undone alone when it raises."""
        with _translated():
            await self._connection.execute(f"SAVEPOINT {SAVEPOINT}")
        try:
            yield
        except BaseException:
            await _undo(self._connection, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}; RELEASE SAVEPOINT {SAVEPOINT}")
            raise
        with _translated():
            await self._connection.execute(f"RELEASE SAVEPOINT {SAVEPOINT}")


@contextmanager
def _refusing_misuse(connection: "PoolConnectionProxy[Row]") -> Iterator[None]:
    """Let a fault of ours (two statements at once, a wrong type of value) look like one, not like a lost server."""
    try:
        yield
    except DatabaseUnavailable as error:
        cause = error.__cause__
        if isinstance(cause, exceptions.InterfaceError) and not _is_gone(connection):
            raise StatementFailed(str(cause), "") from cause
        raise


def _is_gone(connection: "PoolConnectionProxy[Row]") -> bool:
    """Whether the connection was lost. The pool takes a lost one back at once, and then it answers nothing."""
    try:
        return connection.is_closed()
    except exceptions.InterfaceError:
        return True


async def _nothing_to_reset(connection: "asyncpg.Connection[Row]") -> None:
    """What the pool does with a connection that comes back, beside ending an open transaction: nothing.

    Settings and locks are taken for one transaction only (SET LOCAL, pg_advisory_xact_lock), so none is left, and
    the driver's own way of making sure is one more message to the server for every transaction.
    """
    del connection


async def _undo(connection: "PoolConnectionProxy[Row]", statement: str) -> None:
    """Undo, as far as there is still somebody to tell: a lost connection is undone by the server."""
    try:
        await connection.execute(statement)
    except (exceptions.PostgresError, exceptions.InterfaceError, exceptions.InternalClientError, OSError, TimeoutError):
        return


class Database:
    """A pool of connections to one database. `await Database.connect(dsn)` makes one; `await close()` ends it."""

    def __init__(self, pool: "asyncpg.Pool[Row]", acquire_timeout_ms: int) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_ms / 1000

    @classmethod
    async def connect(
        cls,
        dsn: str,
        *,
        min_connections: int = 1,
        max_connections: int = 8,
        patience_ms: int = 10_000,
        acquire_timeout_ms: int = 5_000,
        statement_timeout_ms: int = 10_000,
        lock_timeout_ms: int = 5_000,
        application_name: str = "crossbook",
    ) -> "Database":
        """Open the pool, trying again with growing pauses for up to `patience_ms`.

        `acquire_timeout_ms` bounds the wait for a connection, `statement_timeout_ms` and
        `lock_timeout_ms` a statement and its wait for a lock, on the server. Raises DatabaseUnavailable
        when the time is over, DatabaseRefused at once when the server does not let us in.
        """
        settings = {
            "application_name": application_name,
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(lock_timeout_ms),
            # A worker that hangs with a transaction open must not keep its locks for ever.
            "idle_in_transaction_session_timeout": str(3 * statement_timeout_ms),
            "timezone": "UTC",
        }
        loop = asyncio.get_running_loop()
        end = loop.time() + patience_ms / 1000
        pause_ms = FIRST_PAUSE_MS
        while True:
            try:
                with _translated():
                    pool = await asyncpg.create_pool(
                        dsn,
                        min_size=min_connections,
                        max_size=max_connections,
                        server_settings=settings,
                        timeout=acquire_timeout_ms / 1000,
                        # The server's own limit comes first; this one is for a server that has gone silent.
                        command_timeout=2 * statement_timeout_ms / 1000,
                        reset=_nothing_to_reset,
                        # A connection that is replaced plans every statement anew, in the middle of the load.
                        max_queries=MANY_QUERIES,
                    )
            except DatabaseUnavailable:
                if loop.time() + pause_ms / 1000 > end:
                    raise
                await asyncio.sleep(pause_ms / 1000)
                pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)
            else:
                return cls(pool, acquire_timeout_ms)

    async def close(self, timeout_ms: int = 2_000) -> None:
        """Close every connection; those still in use after `timeout_ms` are cut off."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._pool.close()
        except (TimeoutError, OSError, exceptions.PostgresError, exceptions.InterfaceError):
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read_committed", read_only: bool = False
    ) -> AsyncIterator[Transaction]:
        """A transaction: committed when the block ends, undone when it raises.

        Raises DatabaseUnavailable when the server can not be reached or is lost, CommitOutcomeUnknown
        when that happens during the commit, TransactionConflict, StatementTooSlow, ConstraintViolated
        (deferred rules at the end of the block), and StatementFailed for faulty statements.
        """
        connection = await self.acquire()
        try:
            try:
                with _translated():
                    await connection.execute(_BEGIN[isolation, read_only])
                yield Transaction(connection)
            except BaseException:
                await _undo(connection, "ROLLBACK")
                raise
            await _commit(connection, "COMMIT")
        finally:
            await self.release(connection)

    def chain(self) -> "Chain":
        """Transactions that follow each other."""
        return Chain(self)

    @asynccontextmanager
    async def each_alone(self) -> AsyncIterator[Transaction]:
        """As `transaction`, but every statement is a transaction by itself, committed when it returns.

        For a single read: it sees one moment in any case, and costs one message to the server instead of three.
        """
        connection = await self.acquire()
        try:
            yield Transaction(connection)
        finally:
            await self.release(connection)

    def snapshot(self) -> AbstractAsyncContextManager[Transaction]:
        """A read-only transaction in which every statement sees the same moment; errors as in `transaction`."""
        return self.transaction(isolation="repeatable_read", read_only=True)

    @asynccontextmanager
    async def listening(self, channel: str, receive: Callable[[str], None]) -> AsyncIterator[asyncio.Event]:
        """Call `receive` with every message on a channel (NOTIFY), while the block runs; it takes one connection.

        What is given is set when the connection is lost: nothing more will be received, and what came since is not
        known. Raises DatabaseUnavailable.
        """
        lost = asyncio.Event()
        connection = await self.acquire()

        def received(_: object, __: int, ___: str, message: object) -> None:
            receive(str(message))

        def ended(_: object) -> None:
            lost.set()

        connection.add_termination_listener(ended)
        try:
            with _translated():
                await connection.add_listener(channel, received)
            yield lost
        finally:
            if not _is_gone(connection):
                connection.remove_termination_listener(ended)
                with suppress(StorageError), _translated():
                    await connection.remove_listener(channel, received)
            await self.release(connection)

    async def acquire(self) -> "PoolConnectionProxy[Row]":
        """A connection of the pool, for this module only. Raises DatabaseUnavailable."""
        with _translated():
            return await self._pool.acquire(timeout=self._acquire_timeout_s)

    async def release(self, connection: "PoolConnectionProxy[Row]") -> None:
        """Give a connection back."""
        try:
            await self._pool.release(connection, timeout=self._acquire_timeout_s)
        except (exceptions.PostgresError, exceptions.InterfaceError, OSError, TimeoutError):
            # A connection that can not be cleaned is closed by the pool; the next user gets a fresh one.
            return


class Chain:
    """Read-committed transactions that follow each other closely, made by `Database.chain`.

    While the next one is known to follow, its beginning goes with the commit before it: a message less for each, and
    one wait less. It has seen nothing and locked nothing until its first statement.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun: PoolConnectionProxy[Row] | None = None

    @asynccontextmanager
    async def transaction(self, followed: Callable[[], bool]) -> AsyncIterator[Transaction]:
        """As `Database.transaction`; `followed` tells, when it is committed, whether another one comes at once."""
        connection, self._begun = self._begun, None
        begun = connection is not None
        if connection is None:
            connection = await self._database.acquire()
        try:
            try:
                if not begun:
                    with _translated():
                        await connection.execute("BEGIN")
                yield Transaction(connection)
                chained = followed()
                await _commit(connection, "COMMIT AND CHAIN" if chained else "COMMIT")
            except BaseException:
                await _undo(connection, "ROLLBACK")
                raise
            if chained:
                self._begun = connection
        finally:
            if self._begun is not connection:
                await self._database.release(connection)

    async def close(self) -> None:
        """Undo what was begun and never used."""
        connection, self._begun = self._begun, None
        if connection is not None:
            await _undo(connection, "ROLLBACK")
            await self._database.release(connection)


async def _commit(connection: "PoolConnectionProxy[Row]", statement: str) -> None:
    try:
        with _translated():
            await connection.execute(statement)
    except DatabaseUnavailable as error:
        raise CommitOutcomeUnknown(f"lost the database while committing: {error}") from error


def columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[Sequence[Any]]:
    """Turn rows into `count` columns, as `unnest($1, $2, ...)` takes them; empty columns for no rows."""
    return list(zip(*rows, strict=True)) if rows else [()] * count
