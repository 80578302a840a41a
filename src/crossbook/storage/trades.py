"""The settled trades of a market with both of their orders, oldest first, a page at a time."""

from typing import NamedTuple

from crossbook.storage.database import Transaction


class StoredTrade(NamedTuple):
    """One trade, put together from its two fills. The roles are numbers of `domain.fees.LiquidityRole`."""

    trade_id: int
    sequence: int
    price_ticks: int
    quantity_lots: int
    buy_order_id: int
    buy_role: int
    sell_order_id: int
    sell_role: int


async def trades_after(transaction: Transaction, market_id: int, trade_id: int, limit: int) -> list[StoredTrade]:
    """Up to `limit` trades of a market that come after `trade_id`, 0 for all. Raises StorageError."""
    rows = await transaction.rows(
        """
        SELECT buy.trade_id, buy.sequence, buy.price_ticks, buy.quantity_lots,
            buy.order_id, buy.role, sell.order_id, sell.role
        FROM fills AS buy JOIN fills AS sell USING (market_id, trade_id)
        WHERE market_id = $1 AND trade_id > $2 AND buy.side = 1 AND sell.side = 2
        ORDER BY trade_id LIMIT $3
        """,
        market_id,
        trade_id,
        limit,
    )
    return [StoredTrade(*row) for row in rows]
