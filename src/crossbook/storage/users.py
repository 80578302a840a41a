"""Users, their accounts, and the sessions they hold."""

from crossbook.application.accounts import User, UserKind
from crossbook.application.errors import EmailTaken
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import ConstraintViolated

_USER = """
    SELECT user_id, account_id, users.kind, name, email, password_hash, scopes, users.created_at_ms, disabled_at_ms
    FROM users JOIN accounts USING (user_id)
"""


class UserStore:
    """Users and sessions in PostgreSQL: the port of `crossbook.application.accounts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        """The user whose token this is, unless it was revoked, has expired, or the user may not sign in."""
        async with self._database.snapshot() as transaction:
            user = await _one(
                transaction,
                f"""
                {_USER} JOIN sessions USING (user_id)
                WHERE session_hash = $1 AND revoked_at_ms IS NULL AND expires_at_ms > $2
                """,
                session_hash,
                now_ms,
            )
        return None if user is None or user.disabled else user

    async def revoke_session(self, session_hash: bytes, now_ms: int) -> None:
        """Refuse a token from now on."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "UPDATE sessions SET revoked_at_ms = $2 WHERE session_hash = $1 AND revoked_at_ms IS NULL",
                session_hash,
                now_ms,
            )


async def _one(transaction: Transaction, statement: str, *values: object) -> User | None:
    row = await transaction.row(statement, *values)
    if row is None:
        return None
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
