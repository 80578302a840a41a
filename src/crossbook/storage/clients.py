"""Clients of organizations and their fee tiers: the port of `crossbook.application.clients`."""

from collections.abc import Sequence
from typing import Final

from crossbook.application.clients import Client, ClientStatus, ClientType, FeeTier, Leftovers, NewClient
from crossbook.application.errors import InvalidOrder
from crossbook.domain.orders import MAX_ID, SelfTradePrevention
from crossbook.storage.admission import read_balances, read_positions
from crossbook.storage.database import Database, Row, Transaction
from crossbook.storage.errors import ConstraintViolated

CLIENTS = """
    SELECT account_id, user_id, mnemonic, status, type, maker_fee_tier, taker_fee_tier, self_trade_prevention
    FROM clients JOIN accounts USING (account_id)
"""


def client_of(row: Row) -> Client:
    """The client of a row of `CLIENTS`."""
    return Client(
        row["account_id"],
        row["user_id"],
        row["mnemonic"],
        ClientStatus(row["status"]),
        ClientType(row["type"]),
        row["maker_fee_tier"],
        row["taker_fee_tier"],
        SelfTradePrevention(row["self_trade_prevention"]),
    )


async def of_user(transaction: Transaction, user_id: int) -> list[Client]:
    """The clients of a user, by id."""
    rows = await transaction.rows(f"{CLIENTS} WHERE user_id = $1 ORDER BY account_id", user_id)
    return [client_of(row) for row in rows]


MAX_DIGITS: Final = len(str(MAX_ID))


class ClientStore:
    """Clients in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_organization(self, organization_id: int | None) -> list[Client]:
        """Its clients, or everybody's, by id."""
        async with self._database.each_alone() as transaction:
            if organization_id is not None:
                return await of_user(transaction, organization_id)
            return [client_of(row) for row in await transaction.rows(f"{CLIENTS} ORDER BY account_id")]

    async def called(self, name: str) -> Client | None:
        """The client of this id, else of this mnemonic, whosever it is."""
        account_id = int(name) if name.isascii() and name.isdigit() and len(name) <= MAX_DIGITS else 0
        async with self._database.each_alone() as transaction:
            row = await transaction.row(
                f"{CLIENTS} WHERE account_id = $1 OR mnemonic = $2 ORDER BY account_id = $1 DESC LIMIT 1",
                min(account_id, MAX_ID),
                name,
            )
        return None if row is None else client_of(row)

    async def own_account(self, organization_id: int) -> int | None:
        """The organization's own account: its first. None when there is no such user."""
        async with self._database.each_alone() as transaction:
            found: int | None = await transaction.value(
                "SELECT min(account_id) FROM accounts WHERE user_id = $1", organization_id
            )
        return found

    async def create(self, client: NewClient, now_ms: int) -> Client:
        """Set a client up, with a new account unless it names one of the organization's."""
        try:
            async with self._database.transaction() as transaction:
                account_id = client.account_id or await _open_account(transaction, client.organization_id, now_ms)
                await _require_own(transaction, client.organization_id, account_id)
                await transaction.execute(
                    """
                    INSERT INTO clients (account_id, mnemonic, type, maker_fee_tier, taker_fee_tier, created_at_ms)
                    VALUES ($1, $2, $3, $4, $5, $6)
                    """,
                    account_id,
                    client.mnemonic,
                    client.type,
                    client.maker_fee_tier,
                    client.taker_fee_tier,
                    now_ms,
                )
                row = await transaction.row(f"{CLIENTS} WHERE account_id = $1", account_id)
        except ConstraintViolated as error:
            if error.constraint == "clients_mnemonic_key":
                raise InvalidOrder("mnemonic", "belongs to another client") from error
            if error.constraint == "clients_pkey":
                raise InvalidOrder("account_id", "is a client already") from error
            raise
        assert row is not None
        return client_of(row)

    async def set_self_trade_prevention(
        self, organization_id: int, account_id: int, mode: SelfTradePrevention
    ) -> Client | None:
        """Change a client of the organization; None when it has no such client."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                """
                UPDATE clients SET self_trade_prevention = $3 FROM accounts
                WHERE clients.account_id = $2 AND accounts.account_id = clients.account_id AND user_id = $1
                """,
                organization_id,
                account_id,
                mode,
            )
            statement = f"{CLIENTS} WHERE user_id = $1 AND account_id = $2"
            row = await transaction.row(statement, organization_id, account_id)
        return None if row is None else client_of(row)

    async def set_status(self, account_id: int, status: ClientStatus) -> Client | None:
        """Let a client trade, or not; None when there is none, or it is closed."""
        statement = "UPDATE clients SET status = $2 WHERE account_id = $1 AND status <> 4"
        return await self._change(statement, account_id, status)

    async def set_fee_tiers(self, account_id: int, maker_tier: int, taker_tier: int) -> Client | None:
        """Change what the client's later orders pay; None when there is none, or it is closed."""
        statement = "UPDATE clients SET maker_fee_tier = $2, taker_fee_tier = $3 WHERE account_id = $1 AND status <> 4"
        return await self._change(statement, account_id, maker_tier, taker_tier)

    async def close(self, account_id: int) -> Leftovers | None:
        """Close a client for ever, unless something of it is left: that is given back.

        Money and positions are locked meanwhile, so that nothing new begins.
        """
        async with self._database.transaction() as transaction:
            left = await _leftovers(transaction, account_id)
            if str(left):
                return left
            await transaction.execute(
                "UPDATE clients SET status = $2 WHERE account_id = $1", account_id, ClientStatus.CLOSED
            )
        return None

    async def _change(self, statement: str, account_id: int, *values: int) -> Client | None:
        async with self._database.transaction() as transaction:
            changed = await transaction.execute(statement, account_id, *values)
            row = await transaction.row(f"{CLIENTS} WHERE account_id = $1", account_id)
        return None if row is None or not changed else client_of(row)

    async def fee_tiers(self) -> list[FeeTier]:
        """Every tier but 0, by number."""
        async with self._database.each_alone() as transaction:
            rows: Sequence[Row] = await transaction.rows(
                "SELECT tier, maker_fee_ppm, taker_fee_ppm FROM fee_tiers ORDER BY tier"
            )
        return [FeeTier(*row) for row in rows]

    async def put_fee_tier(self, tier: FeeTier) -> None:
        """Add or change a tier."""
        async with self._database.transaction() as transaction:
            await transaction.execute(
                """
                INSERT INTO fee_tiers (tier, maker_fee_ppm, taker_fee_ppm) VALUES ($1, $2, $3)
                ON CONFLICT (tier) DO UPDATE SET maker_fee_ppm = $2, taker_fee_ppm = $3
                """,
                tier.tier,
                tier.maker_fee_ppm,
                tier.taker_fee_ppm,
            )


async def _open_account(transaction: Transaction, user_id: int, now_ms: int) -> int:
    if not await transaction.value("SELECT true FROM users WHERE user_id = $1", user_id):
        raise InvalidOrder("organization_id", "must be a user of the venue")
    account_id: int = await transaction.value(
        "INSERT INTO accounts (user_id, created_at_ms) VALUES ($1, $2) RETURNING account_id", user_id, now_ms
    )
    return account_id


async def _require_own(transaction: Transaction, user_id: int, account_id: int) -> None:
    owner = await transaction.value("SELECT user_id FROM accounts WHERE account_id = $1", account_id)
    if owner != user_id:
        raise InvalidOrder("account_id", "must be an account of the organization")


async def _leftovers(transaction: Transaction, account_id: int) -> Leftovers:
    """What the account still has, locked until the transaction ends."""
    owned = [
        asset_id
        for (_, asset_id), balance in (await read_balances(transaction, [account_id])).items()
        if balance.total_units
    ]
    positions = await read_positions(transaction, [account_id])
    orders, transfers = await transaction.row(
        """
        SELECT (SELECT count(*) FROM orders WHERE account_id = $1 AND is_live),
            (SELECT count(*) FROM transfers WHERE account_id = $1 AND status <= 2)
        """,
        account_id,
    ) or (0, 0)
    assets = await transaction.rows("SELECT name FROM assets WHERE asset_id = ANY ($1::bigint[]) ORDER BY name", owned)
    held = sum(1 for row in positions.values() if row.margin.position_lots)
    return Leftovers(orders, transfers, held, tuple(row["name"] for row in assets))
