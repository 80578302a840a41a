"""Users, their accounts, and the sessions they hold. A user's own account is the first; clients may have more."""

import asyncio

from crossbook.application.accounts import User, UserKind
from crossbook.application.errors import EmailTaken
from crossbook.storage.database import Database, Row, Transaction
from crossbook.storage.errors import ConstraintViolated

_USER = """
    SELECT user_id, account_id, users.kind, name, email, password_hash, scopes, users.created_at_ms, disabled_at_ms
    FROM users CROSS JOIN LATERAL (
        SELECT account_id FROM accounts WHERE accounts.user_id = users.user_id ORDER BY account_id LIMIT 1
    ) AS first
"""
_SESSIONS = """
    SELECT user_id, account_id, users.kind, name, email, password_hash, scopes, users.created_at_ms, disabled_at_ms,
        session_hash, expires_at_ms
    FROM sessions JOIN users USING (user_id) CROSS JOIN LATERAL (
        SELECT account_id FROM accounts WHERE accounts.user_id = users.user_id ORDER BY account_id LIMIT 1
    ) AS first
    WHERE session_hash = ANY ($1::bytea[]) AND revoked_at_ms IS NULL
"""

_Session = tuple[User, int]
"""Whose session it is, and when it expires, in milliseconds."""


class UserStore:
    """Users and sessions in PostgreSQL: the port of `crossbook.application.accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = _SessionReader(database)

    async def create(
        self,
        kind: UserKind,
        now_ms: int,
        *,
        email: str | None,
        password_hash: str | None,
        name: str,
        scopes: frozenset[str],
    ) -> User:
        """A new user with an account. Raises EmailTaken, and ConstraintViolated for values that no user may have."""
        try:
            async with self._database.transaction() as transaction:
                user_id = await insert(transaction, kind, now_ms, email, password_hash, name, scopes)
                account_id: int = await transaction.value(
                    "INSERT INTO accounts (user_id, created_at_ms) VALUES ($1, $2) RETURNING account_id",
                    user_id,
                    now_ms,
                )
        except ConstraintViolated as error:
            if error.constraint == "users_email_key":
                raise EmailTaken("somebody is registered under this email") from error
            raise
        return User(user_id, account_id, kind, name, email, password_hash, scopes, now_ms, False)

    async def by_email(self, email: str) -> User | None:
        """The user registered under this email, or None."""
        async with self._database.snapshot() as transaction:
            return await _one(transaction, f"{_USER} WHERE email = $1", email)

    async def by_id(self, user_id: int) -> User | None:
        """The user of this id, or None."""
        async with self._database.snapshot() as transaction:
            return await _one(transaction, f"{_USER} WHERE user_id = $1", user_id)

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        """Store a fresh hash of the same password."""
        async with self._database.transaction() as transaction:
            await transaction.execute("UPDATE users SET password_hash = $2 WHERE user_id = $1", user_id, password_hash)

    async def open_session(self, session_hash: bytes, user_id: int, now_ms: int, expires_at_ms: int) -> None:
        """Note a token that was given out, by the SHA-256 of its id."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO sessions (session_hash, user_id, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4)",
                session_hash,
                user_id,
                now_ms,
                expires_at_ms,
            )

    async def session_user(self, session_hash: bytes, now_ms: int) -> User | None:
        """The user whose token this is, unless it was revoked, has expired, or the user may not sign in.

        Questions that come while one is under way are asked together: busy clients ask for many sessions a second.
        """
        found = await self._sessions.ask(session_hash)
        if found is None:
            return None
        user, expires_at_ms = found
        return None if user.disabled or expires_at_ms <= now_ms else user

    async def revoke_session(self, session_hash: bytes, now_ms: int) -> None:
        """Refuse a token from now on."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "UPDATE sessions SET revoked_at_ms = $2 WHERE session_hash = $1 AND revoked_at_ms IS NULL",
                session_hash,
                now_ms,
            )


async def insert(
    transaction: Transaction,
    kind: UserKind,
    now_ms: int,
    email: str | None = None,
    password_hash: str | None = None,
    name: str = "",
    scopes: frozenset[str] = frozenset(),
) -> int:
    """A new user's row; the user's id. Raises ConstraintViolated."""
    user_id: int = await transaction.value(
        """
        INSERT INTO users (kind, email, name, password_hash, scopes, created_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING user_id
        """,
        kind,
        email,
        name,
        password_hash,
        sorted(scopes),
        now_ms,
    )
    return user_id


class _SessionReader:
    """Looks up sessions, all that wait by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[bytes, asyncio.Future[_Session | None]]] = []
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, session_hash: bytes) -> _Session | None:
        """The user of a session that was not revoked, and when it expires. Raises StorageError."""
        answer: asyncio.Future[_Session | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((session_hash, answer))
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, []
            try:
                found = await self._read([session_hash for session_hash, _ in asked])
            except Exception as error:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for session_hash, answer in asked:
                if not answer.done():  # else its caller has gone
                    answer.set_result(found.get(session_hash))

    async def _read(self, session_hashes: list[bytes]) -> dict[bytes, _Session]:
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(_SESSIONS, session_hashes)
        return {row["session_hash"]: (_user(row), row["expires_at_ms"]) for row in rows}


async def _one(transaction: Transaction, statement: str, *values: object) -> User | None:
    row = await transaction.row(statement, *values)
    return None if row is None else _user(row)


def _user(row: Row) -> User:
    return User(
        row["user_id"],
        row["account_id"],
        UserKind(row["kind"]),
        row["name"],
        row["email"],
        row["password_hash"],
        frozenset(row["scopes"]),
        row["created_at_ms"],
        row["disabled_at_ms"] is not None,
    )
