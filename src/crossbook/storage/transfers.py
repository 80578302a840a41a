"""Transfers, durable: the port of `crossbook.application.transfers`, and their lists for the API."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from crossbook.application.books import Books
from crossbook.application.errors import InvalidOrder
from crossbook.application.transfers import Change, DuplicateTransferId, Transfer, TransferRequest
from crossbook.domain.ledger import LedgerType
from crossbook.domain.orders import MAX_ID
from crossbook.domain.transfers import Payment, TransferPlatform, TransferStatus, TransferType
from crossbook.storage import ledger, markets
from crossbook.storage.admission import read_bad_debts, read_balances, read_positions
from crossbook.storage.database import Database, Row, Transaction
from crossbook.storage.errors import ConstraintViolated, StatementFailed, TransactionConflict
from crossbook.storage.funds import OUT_OF_RANGE

ATTEMPTS: Final = 5
"""How often a change that met another transaction is tried again before it fails."""

_TRANSFER: Final = """
    SELECT transfer_id, account_id, assets.name AS asset, amount_units, type, platform, counterparty_id, instructions,
        client_transfer_id, asset_id, decimals, status, reason, created_at_ms, updated_at_ms, request_hash
    FROM transfers JOIN assets USING (asset_id)
"""
_NO_CLIENT: Final = ("transfers_counterparty_id_fkey", "transfers_by_users_only", "balances_account_id_fkey")
"""The rules that a counterparty which is no client breaks."""
_JOURNALS: Final = {
    TransferPlatform.INTERNAL: (LedgerType.TRANSFER, LedgerType.TRANSFER),
    TransferPlatform.FIAT: (LedgerType.DEPOSIT, LedgerType.WITHDRAW),
    TransferPlatform.CRYPTO: (LedgerType.DEPOSIT, LedgerType.WITHDRAW),
}


class TransferStore:
    """Keeps transfers in PostgreSQL. Locks are taken in this order: account, balances, transfer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enter(
        self, request: TransferRequest, decide: Callable[[Books, dict[str, int], int], Change], now_ms: int
    ) -> Transfer:
        """Store a transfer; see the port."""

        async def once(transaction: Transaction) -> Transfer:
            return await _enter(transaction, request, decide, now_ms)

        try:
            return await self._trying(once)
        except ConstraintViolated as error:
            if error.constraint in _NO_CLIENT:
                raise InvalidOrder("instructions.client_id", "is no client of the venue") from error
            raise

    async def change(self, transfer_id: int, decide: Callable[[Transfer], Change | None], now_ms: int) -> Transfer:
        """Change a transfer; see the port. Raises KeyError for an id that no transfer has."""

        async def once(transaction: Transaction) -> Transfer:
            before = await _one(transaction, "WHERE transfer_id = $1", transfer_id)
            if before is None:
                raise KeyError(transfer_id)
            await read_balances(transaction, [before.payment.account_id])
            found = await _one(transaction, "WHERE transfer_id = $1 FOR NO KEY UPDATE OF transfers", transfer_id)
            assert found is not None
            change = decide(found)
            if change is not None:
                await _apply(transaction, found, change, now_ms)
                found = await _one(transaction, "WHERE transfer_id = $1", transfer_id)
                assert found is not None
            return found

        return await self._trying(once)

    async def due(self, now_ms: int, limit: int) -> list[Transfer]:
        """Open transfers that are to be looked at; see the port."""
        return await self._list(
            "WHERE status <= 2 AND look_at_ms <= $1 ORDER BY look_at_ms, transfer_id LIMIT $2", now_ms, limit
        )

    async def open_of(self, accounts: Sequence[int], transfer_id: int = 0) -> list[Transfer]:
        """The open transfers of these accounts, newest first, or only the one of this id."""
        return await self._list(
            """
            WHERE account_id = ANY ($1::bigint[]) AND status <= 2 AND $2::bigint IN (0, transfer_id)
            ORDER BY transfer_id DESC
            """,
            accounts,
            transfer_id,
        )

    async def until(
        self, accounts: Sequence[int], until_ms: int, limit: int, skip: int = 0, before: int = 0
    ) -> list[Transfer]:
        """Transfers of these accounts that were asked for at `until_ms` or earlier, newest first.

        `skip` leaves out so many; `before` gives only those of a smaller id, 0 for all.
        """
        return await self._list(
            """
            WHERE account_id = ANY ($1::bigint[]) AND created_at_ms <= $2 AND transfer_id < $3
            ORDER BY transfer_id DESC LIMIT $4 OFFSET $5
            """,
            accounts,
            until_ms,
            before or MAX_ID,
            limit,
            skip,
        )

    async def _list(self, where: str, *values: object) -> list[Transfer]:
        async with self._database.each_alone() as transaction:
            return [_transfer(row) for row in await transaction.rows(_TRANSFER + where, *values)]

    async def _trying(self, once: Callable[[Transaction], Any]) -> Transfer:
        """Run a transaction, again when another one was in the way."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._database.transaction() as transaction:
                    done: Transfer = await once(transaction)
                return done
            except TransactionConflict:
                if attempt == ATTEMPTS:
                    raise
            except StatementFailed as error:
                if error.code == OUT_OF_RANGE:
                    raise InvalidOrder("amount", "is more than the venue can hold") from error
                raise
        raise AssertionError("the last attempt returns or raises")


async def _enter(
    transaction: Transaction,
    request: TransferRequest,
    decide: Callable[[Books, dict[str, int], int], Change],
    now_ms: int,
) -> Transfer:
    payment, fingerprint = request.payment, request.fingerprint()
    # One request of an account at a time: so a client id is found, and open transfers are counted, for certain.
    await transaction.rows("SELECT FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE", payment.account_id)
    known = await transaction.row(
        _TRANSFER + "WHERE account_id = $1 AND client_transfer_id = $2", payment.account_id, request.client_transfer_id
    )
    if known is not None:
        if known["request_hash"] != fingerprint:
            raise DuplicateTransferId(str(request.client_transfer_id))
        return _transfer(known)
    accounts = sorted({payment.account_id, payment.counterparty_id} - {0})
    books = Books()
    books.balances = await read_balances(transaction, accounts)
    books.positions = await read_positions(transaction, accounts)
    books.bad_debts = await read_bad_debts(transaction)
    asset_ids = await markets.asset_ids(transaction)
    open_transfers = await transaction.value(
        "SELECT count(*) FROM transfers WHERE account_id = $1 AND status <= 2", payment.account_id
    )
    change = decide(books, asset_ids, open_transfers)
    journal_id = await _post(transaction, payment, change, asset_ids, now_ms)
    transfer_id = await transaction.value(
        """
        INSERT INTO transfers (account_id, asset_id, type, platform, amount_units, counterparty_id, instructions,
            client_transfer_id, request_hash, status, journal_id, look_at_ms, created_at_ms, updated_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $12) RETURNING transfer_id
        """,
        payment.account_id,
        asset_ids[payment.asset],
        payment.type,
        payment.platform,
        payment.amount_units,
        payment.counterparty_id or None,
        request.instructions,
        request.client_transfer_id,
        fingerprint,
        change.status,
        journal_id,
        now_ms,
    )
    held = payment.held_units(change.status)
    await _change_hold(transaction, payment.account_id, asset_ids[payment.asset], held)
    entered = await _one(transaction, "WHERE transfer_id = $1", transfer_id)
    assert entered is not None
    return entered


async def _apply(transaction: Transaction, transfer: Transfer, change: Change, now_ms: int) -> None:
    """Write what becomes of a transfer. What it held is freed before it is paid: the rest must cover other holds."""
    payment = transfer.payment
    await _change_hold(transaction, payment.account_id, transfer.asset_id, -change.freed_units)
    journal_id = await _post(transaction, payment, change, {payment.asset: transfer.asset_id}, now_ms)
    await transaction.execute(
        """
        UPDATE transfers SET status = $2, reason = $3, journal_id = $4, look_at_ms = $5,
            updated_at_ms = CASE WHEN status = $2 THEN updated_at_ms ELSE greatest(updated_at_ms, $6) END
        WHERE transfer_id = $1
        """,
        transfer.transfer_id,
        change.status,
        change.reason,
        journal_id,
        change.look_at_ms,
        now_ms,
    )


async def _post(
    transaction: Transaction, payment: Payment, change: Change, asset_ids: dict[str, int], now_ms: int
) -> int | None:
    """Post the journal of a change, if it has one; its id."""
    if change.journal is None:
        return None
    kind = _JOURNALS[payment.platform][payment.type is TransferType.WITHDRAW]
    ids = await ledger.post(transaction, [ledger.Entry(kind, change.journal)], asset_ids, now_ms)
    return ids[0]


async def _change_hold(transaction: Transaction, account_id: int, asset_id: int, units: int) -> None:
    if units:
        await transaction.execute(
            """
            UPDATE balances SET transfer_hold_units = transfer_hold_units + $3
            WHERE account_id = $1 AND asset_id = $2
            """,
            account_id,
            asset_id,
            units,
        )


async def _one(transaction: Transaction, where: str, *values: object) -> Transfer | None:
    row = await transaction.row(_TRANSFER + where, *values)
    return None if row is None else _transfer(row)


def _transfer(row: Row) -> Transfer:
    payment = Payment(
        row["account_id"],
        row["asset"],
        row["amount_units"],
        TransferType(row["type"]),
        TransferPlatform(row["platform"]),
        row["counterparty_id"] or 0,
    )
    return Transfer(
        row["transfer_id"],
        TransferRequest(payment, row["instructions"], row["client_transfer_id"]),
        row["asset_id"],
        row["decimals"],
        TransferStatus(row["status"]),
        row["reason"],
        row["created_at_ms"],
        row["updated_at_ms"],
    )
