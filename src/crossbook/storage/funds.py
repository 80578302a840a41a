"""Money across the border, durable: the port of `crossbook.application.funds`."""

from collections.abc import Callable
from typing import Final

from crossbook.application.books import Balance, Books
from crossbook.application.errors import InvalidOrder
from crossbook.domain.ledger import Journal, LedgerType
from crossbook.storage import ledger, markets
from crossbook.storage.admission import read_bad_debts, read_balances, read_positions
from crossbook.storage.database import Database
from crossbook.storage.errors import StatementFailed

OUT_OF_RANGE: Final = "22003"
"""The SQLSTATE of a number that its column can not hold."""


class FundsStore:
    """Moves money in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def assets(self) -> dict[str, int]:
        """The decimals of every asset, by name."""
        async with self._database.snapshot() as transaction:
            return {row["name"]: row["decimals"] for row in await transaction.rows("SELECT name, decimals FROM assets")}

    async def move(
        self, account_id: int, kind: LedgerType, decide: Callable[[Books, dict[str, int]], Journal], now_ms: int
    ) -> dict[str, Balance]:
        """Read, decide, post and commit; see the port."""
        try:
            return await self._move(account_id, kind, decide, now_ms)
        except StatementFailed as error:
            if error.code == OUT_OF_RANGE:
                raise InvalidOrder("amount", "is more than the venue can hold") from error
            raise

    async def _move(
        self, account_id: int, kind: LedgerType, decide: Callable[[Books, dict[str, int]], Journal], now_ms: int
    ) -> dict[str, Balance]:
        async with self._database.transaction() as transaction:
            books = Books()
            books.balances = await read_balances(transaction, [account_id])
            books.positions = await read_positions(transaction, [account_id])
            books.bad_debts = await read_bad_debts(transaction)
            asset_ids = await markets.asset_ids(transaction)
            journal = decide(books, asset_ids)
            await ledger.post(transaction, [ledger.Entry(kind, journal)], asset_ids, now_ms)
            after = await read_balances(transaction, [account_id])
        return {
            name: after[account_id, asset_id] for name, asset_id in asset_ids.items() if (account_id, asset_id) in after
        }
