"""Wallets that sign in, the messages they signed, and their sessions."""

from crossbook.application.accounts import UserKind
from crossbook.application.errors import InvalidLogin
from crossbook.application.wallets import Wallet
from crossbook.storage import users
from crossbook.storage.database import Database, Row, Transaction
from crossbook.storage.errors import ConstraintViolated

_WALLET = "wallets.user_id, address, coalesce(alias, ''), wallets.created_at_ms, wallets.updated_at_ms"
_ATTEMPTS = 3


class WalletStore:
    """Wallets in PostgreSQL: the port of `crossbook.application.wallets`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = users.UserStore(database)

    async def use_login(self, login_hash: bytes, now_ms: int) -> bool:
        """Note a signed message; False when it was used before. Raises StorageError."""
        async with self._database.transaction() as transaction:
            noted = await transaction.execute(
                "INSERT INTO wallet_logins (login_hash, used_at_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                login_hash,
                now_ms,
            )
        return noted == 1

    async def sign_in(self, address: str, alias: str, *, take_alias: bool, now_ms: int) -> Wallet:
        """The wallet of an address under this alias; see the port. Raises InvalidLogin and StorageError."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._database.transaction() as transaction:
                    return await _sign_in(transaction, address, alias, take_alias, now_ms)
            except ConstraintViolated as error:
                if error.constraint == "wallets_one_by_alias" and not take_alias:
                    raise InvalidLogin("another wallet has this alias") from error
                # Two first logins of one wallet at once: the second look finds it.
                if attempt == _ATTEMPTS or error.constraint not in {"wallets_address_key", "wallets_one_by_alias"}:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def open_session(self, session: bytes, user_id: int, now_ms: int, expires_at_ms: int) -> None:
        """Note a token that was given out. Raises StorageError."""
        await self._users.open_session(session, user_id, now_ms, expires_at_ms)

    async def revoke_session(self, session: bytes, now_ms: int) -> None:
        """Refuse a token from now on. Raises StorageError."""
        await self._users.revoke_session(session, now_ms)

    async def session_wallet(self, session: bytes, now_ms: int) -> Wallet | None:
        """The wallet of a token, unless it was revoked, has expired, or the user may not sign in."""
        async with self._database.each_alone() as transaction:
            row = await transaction.row(
                f"""
                SELECT {_WALLET} FROM sessions JOIN wallets USING (user_id) JOIN users USING (user_id)
                WHERE session_hash = $1 AND revoked_at_ms IS NULL AND expires_at_ms > $2 AND disabled_at_ms IS NULL
                """,  # noqa: S608
                session,
                now_ms,
            )
        return None if row is None else _wallet(row)

    async def of_user(self, user_id: int) -> Wallet | None:
        """The wallet of a user, or None. Raises StorageError."""
        async with self._database.each_alone() as transaction:
            row = await transaction.row(f"SELECT {_WALLET} FROM wallets WHERE user_id = $1", user_id)  # noqa: S608
        return None if row is None else _wallet(row)


async def _sign_in(transaction: Transaction, address: str, alias: str, take_alias: bool, now_ms: int) -> Wallet:
    if take_alias:
        await transaction.execute(
            """
            UPDATE wallets SET alias = NULL, updated_at_ms = greatest(updated_at_ms, $3)
            WHERE lower(alias) = lower($1) AND address <> $2
            """,
            alias,
            address,
            now_ms,
        )
    row = await transaction.row(f"SELECT {_WALLET} FROM wallets WHERE address = $1 FOR NO KEY UPDATE", address)  # noqa: S608
    if row is None:
        return await _new(transaction, address, alias, now_ms)
    wallet = _wallet(row)
    if wallet.alias == alias:
        return wallet
    await transaction.execute(
        "UPDATE wallets SET alias = $2, updated_at_ms = greatest(updated_at_ms, $3) WHERE user_id = $1",
        wallet.user_id,
        alias,
        now_ms,
    )
    return Wallet(wallet.user_id, address, alias, wallet.created_at_ms, now_ms)


async def _new(transaction: Transaction, address: str, alias: str, now_ms: int) -> Wallet:
    user_id = await users.insert(transaction, UserKind.WALLET, now_ms)
    await transaction.execute(
        "INSERT INTO wallets (user_id, address, alias, created_at_ms, updated_at_ms) VALUES ($1, $2, $3, $4, $4)",
        user_id,
        address,
        alias,
        now_ms,
    )
    return Wallet(user_id, address, alias, now_ms, now_ms)


def _wallet(row: Row) -> Wallet:
    return Wallet(row[0], row[1], row[2], row[3], row[4])
