"""Which markets hold orders whose time is over."""

from crossbook.domain.orders import DAY_MS
from crossbook.storage.database import Transaction


async def markets_due(transaction: Transaction, now_ms: int) -> list[int]:
    """The markets with a live GTD order whose expiry has come, or a live DAY order of a day before, in order."""
    rows = await transaction.rows(
        """
        SELECT DISTINCT market_id FROM orders
        WHERE is_live AND time_in_force IN (4, 5) AND expire_time_ms <= $1
        AND (time_in_force = 4 OR created_at_ms < $2) ORDER BY market_id
        """,
        now_ms,
        now_ms - now_ms % DAY_MS,
    )
    return [row["market_id"] for row in rows]
