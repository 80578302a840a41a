"""Leverage, margin mode and isolated margin, durable: the port of `crossbook.application.margin_terms`."""

from collections.abc import Callable
from typing import Final

from crossbook.application.books import Books, PositionRow
from crossbook.storage.admission import read_balances, read_positions
from crossbook.storage.database import Database
from crossbook.storage.errors import ConstraintViolated, TransactionConflict

ATTEMPTS: Final = 5
"""How often a change that met another transaction is tried again before it fails."""


class MarginStore:
    """Changes margin rows in PostgreSQL. Balances are locked first, as everywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def change(self, account_id: int, market_id: int, decide: Callable[[Books], PositionRow]) -> None:
        """Read, decide, write and commit; see the port."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._change(account_id, market_id, decide)
            except (TransactionConflict, ConstraintViolated) as error:
                if isinstance(error, ConstraintViolated) and error.constraint != "positions_pkey":
                    raise
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _change(self, account_id: int, market_id: int, decide: Callable[[Books], PositionRow]) -> None:
        async with self._database.transaction() as transaction:
            books = Books()
            books.balances = await read_balances(transaction, [account_id])
            books.positions = await read_positions(transaction, [account_id])
            row = decide(books)
            terms = (row.margin.leverage, row.chosen_leverage, int(row.mode), row.isolated_units)
            changed = await transaction.execute(
                """
                UPDATE positions SET leverage = $3, chosen_leverage = $4, margin_mode = $5, isolated_margin_units = $6
                WHERE account_id = $1 AND market_id = $2
                """,
                account_id,
                market_id,
                *terms,
            )
            if changed == 0:
                await transaction.execute(
                    """
                    INSERT INTO positions (account_id, market_id, leverage, chosen_leverage, margin_mode,
                        isolated_margin_units)
                    VALUES ($1, $2, $3, $4, $5, $6)
                    """,
                    account_id,
                    market_id,
                    *terms,
                )
