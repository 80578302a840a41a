"""Keys that sign requests, and the signatures that were used: the port of `crossbook.application.api_keys`."""

import asyncio
from collections.abc import Sequence
from typing import Final

from crossbook.application.api_keys import ApiKey, SealedSecret, StoredKey
from crossbook.application.errors import InvalidOrder
from crossbook.storage.clients import of_user
from crossbook.storage.database import Database, Row
from crossbook.storage.errors import ConstraintViolated

_KEY = """
    SELECT key_id, api_keys.user_id, api_keys.name, api_keys.scopes, networks, api_keys.created_at_ms, expires_at_ms,
        revoked_at_ms, last_used_at_ms, sealed_secret
    FROM api_keys JOIN users USING (user_id)
"""
# The commit need not wait for the disk: whatever the request then changes is written to the log after this row,
# so when the change is durable, so is the row that forbids to ask for it again.
_TAKE = """
    WITH quick AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO used_signatures (signature, expires_at_ms)
    SELECT given.signature, given.expires_at_ms
    FROM quick, unnest($1::bytea[], $2::bigint[]) AS given (signature, expires_at_ms)
    ORDER BY given.signature
    ON CONFLICT (signature) DO NOTHING RETURNING signature
"""
SWEEP_EVERY_MS: Final = 10_000


class KeyStore:
    """Keys in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._signatures = _SignatureTaker(database)

    async def create(self, key: ApiKey, sealed_secret: str) -> None:
        """Store a new key. Raises InvalidOrder when there is no such organization."""
        try:
            async with self._database.transaction() as transaction:
                await transaction.execute(
                    """
                    INSERT INTO api_keys (key_id, user_id, name, sealed_secret, scopes, networks, created_at_ms,
                        expires_at_ms)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                    """,
                    key.key_id,
                    key.organization_id,
                    key.name,
                    sealed_secret,
                    sorted(key.scopes),
                    list(key.networks),
                    key.created_at_ms,
                    key.expires_at_ms,
                )
        except ConstraintViolated as error:
            if error.constraint == "api_keys_user_id_fkey":
                raise InvalidOrder("organization_id", "must be a user of the venue") from error
            raise

    async def find(self, key_id: str) -> StoredKey | None:
        """A key that was not revoked and whose organization may sign in, or None."""
        async with self._database.each_alone() as transaction:
            row = await transaction.row(
                f"{_KEY} WHERE key_id = $1 AND revoked_at_ms IS NULL AND disabled_at_ms IS NULL", key_id
            )
            if row is None:
                return None
            clients = await of_user(transaction, row["user_id"])
        return StoredKey(_key(row), row["sealed_secret"], tuple(clients))

    async def of_organization(self, organization_id: int | None) -> list[ApiKey]:
        """The keys of an organization, or of all, oldest first."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                f"{_KEY} WHERE $1::bigint IS NULL OR api_keys.user_id = $1 ORDER BY api_keys.created_at_ms, key_id",
                organization_id,
            )
        return [_key(row) for row in rows]

    async def revoke(self, key_id: str, now_ms: int) -> bool:
        """Refuse a key from now on. False when there is none, or it was revoked before."""
        async with self._database.transaction() as transaction:
            statement = "UPDATE api_keys SET revoked_at_ms = $2 WHERE key_id = $1 AND revoked_at_ms IS NULL"
            return await transaction.execute(statement, key_id, now_ms) > 0

    async def note_use(self, key_id: str, now_ms: int, unless_after_ms: int) -> None:
        """Note when a key was used, unless a later use than `unless_after_ms` is noted."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                """
                UPDATE api_keys SET last_used_at_ms = $2
                WHERE key_id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms <= $3)
                """,
                key_id,
                now_ms,
                unless_after_ms,
            )

    async def sealed_otherwise(self, sealing_key: str, after_key_id: str, limit: int) -> list[SealedSecret]:
        """Secrets that another key than the one of this name sealed, by key id, of greater ids than `after_key_id`."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                """
                SELECT key_id, sealed_secret FROM api_keys
                WHERE key_id > $2 AND split_part(sealed_secret, '.', 1) <> $1 ORDER BY key_id LIMIT $3
                """,
                sealing_key,
                after_key_id,
                limit,
            )
        return [SealedSecret(str(row["key_id"]), row["sealed_secret"]) for row in rows]

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """Put new seals in the place of old ones, all in one transaction; how many were still the old ones."""
        async with self._database.transaction() as transaction:
            return await transaction.execute(
                """
                UPDATE api_keys SET sealed_secret = given.new
                FROM unnest($1::uuid[], $2::text[], $3::text[]) AS given (key_id, old, new)
                WHERE api_keys.key_id = given.key_id AND sealed_secret = given.old
                """,
                [each.key_id for each in new],
                [each.sealed for each in old],
                [each.sealed for each in new],
            )

    async def take_signature(self, signature: bytes, now_ms: int, expires_at_ms: int) -> bool:
        """Note a signature, for every process of the venue; False when it was noted before."""
        return await self._signatures.take(signature, now_ms, expires_at_ms)


class _SignatureTaker:
    """Notes signatures, all that wait by one statement, and forgets those that have expired."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[bytes, tuple[int, asyncio.Future[bool]]] = {}
        self._taking: asyncio.Task[None] | None = None
        self._now_ms = 0
        self._swept_ms = 0

    async def take(self, signature: bytes, now_ms: int, expires_at_ms: int) -> bool:
        if signature in self._waiting:  # the same request twice at once: the second is the repeat
            return False
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[signature] = expires_at_ms, answer
        self._now_ms = max(self._now_ms, now_ms)
        if self._taking is None or self._taking.done():
            self._taking = asyncio.create_task(self._take_all())
        return await answer

    async def _take_all(self) -> None:
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                taken = await self._take(asked)
            except Exception as error:
                for _, answer in asked.values():
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for signature, (_, answer) in asked.items():
                if not answer.done():  # else its caller has gone
                    answer.set_result(signature in taken)

    async def _take(self, asked: dict[bytes, tuple[int, asyncio.Future[bool]]]) -> set[bytes]:
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(_TAKE, list(asked), [expires_at_ms for expires_at_ms, _ in asked.values()])
            if self._now_ms - self._swept_ms >= SWEEP_EVERY_MS:
                self._swept_ms = self._now_ms
                await transaction.execute("DELETE FROM used_signatures WHERE expires_at_ms < $1", self._now_ms)
        return {row["signature"] for row in rows}


def _key(row: Row) -> ApiKey:
    return ApiKey(
        str(row["key_id"]),
        row["user_id"],
        row["name"],
        frozenset(row["scopes"]),
        tuple(row["networks"]),
        row["created_at_ms"],
        row["expires_at_ms"],
        row["revoked_at_ms"],
        row["last_used_at_ms"],
    )
