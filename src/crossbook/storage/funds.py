"""Money across the border, durable: the port of `crossbook.application.funds`."""

from collections.abc import Callable

from crossbook.application.admission import Balance, Books
from crossbook.domain.ledger import Journal, LedgerType
from crossbook.storage import ledger, markets
from crossbook.storage.admission import read_balances, read_positions
from crossbook.storage.database import Database


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
        async with self._database.transaction() as transaction:
            books = Books()
            books.balances = await read_balances(transaction, [account_id])
            books.positions = await read_positions(transaction, [account_id])
            asset_ids = await markets.asset_ids(transaction)
            journal = decide(books, asset_ids)
            await ledger.post(transaction, [ledger.Entry(kind, journal)], asset_ids, now_ms)
            after = await read_balances(transaction, [account_id])
        return {
            name: after[account_id, asset_id] for name, asset_id in asset_ids.items() if (account_id, asset_id) in after
        }
