"""Reads of funding: the running period, those that were paid, and each account's payments."""

from typing import Final

from crossbook.application.funding_views import FundingPaymentDetails, PaidFunding
from crossbook.application.views import Page
from crossbook.domain.funding_period import FundingPeriod
from crossbook.storage.database import Database

_MAX: Final = (1 << 62) - 1


class FundingQueries:
    """What is stored of funding. A market number of 0 stands for all markets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def running(self, market_id: int, start_ms: int) -> FundingPeriod | None:
        """The period of a market that began then, as far as it was looked at. Raises StorageError."""
        async with self._database.transaction(read_only=True) as transaction:
            row = await transaction.row(
                """
                SELECT period_start_ms, looked_at_ms, live, live_ms, samples, premium_sum_ppt, index_price_ticks
                FROM funding_periods WHERE market_id = $1 AND period_start_ms = $2
                """,
                market_id,
                start_ms,
            )
        return None if row is None else FundingPeriod(row[0], row[1], row[2], row[3], row[4], int(row[5]), row[6])

    async def paid(self, market_id: int, page: Page) -> list[PaidFunding]:
        """A page of the periods that were paid, newest first. Raises StorageError."""
        async with self._database.transaction(read_only=True) as transaction:
            rows = await transaction.rows(
                """
                SELECT period_start_ms, rate_ppb, index_price_ticks, positions, created_at_ms FROM fundings
                WHERE market_id = $1 AND period_start_ms < $2 ORDER BY period_start_ms DESC LIMIT $3
                """,
                market_id,
                page.before or _MAX,
                page.limit,
            )
        return [PaidFunding(*row) for row in rows]

    async def payments(self, account_id: int, page: Page, market_id: int = 0) -> list[FundingPaymentDetails]:
        """A page of what an account paid and received, newest first. Raises StorageError."""
        async with self._database.transaction(read_only=True) as transaction:
            rows = await transaction.rows(
                """
                SELECT payment_id, market_id, period_start_ms, position_lots, rate_ppb, index_price_ticks,
                    amount_units, created_at_ms
                FROM funding_payments JOIN fundings USING (market_id, period_start_ms)
                WHERE account_id = $1 AND payment_id < $2 AND ($3 = 0 OR market_id = $3)
                ORDER BY payment_id DESC LIMIT $4
                """,
                account_id,
                page.before or _MAX,
                market_id,
                page.limit,
            )
        return [FundingPaymentDetails(*row) for row in rows]
