"""What a market traded, as public data needs it after a start: from the settled fills, newest first.

Neither query costs more with a longer history: both end after a number of trades.
"""

from typing import NamedTuple

from crossbook.domain.orders import Side
from crossbook.storage.database import Transaction

_TAKER: int = 2


class SettledTrade(NamedTuple):
    """One trade. `taker_side` is the buyer's in an auction; `time_ms` is the time of the command."""

    trade_id: int
    sequence: int
    price_ticks: int
    quantity_lots: int
    taker_side: Side
    time_ms: int


class SettledMinute(NamedTuple):
    """What traded in one minute: `minute` is counted from 1970 UTC, `notional` in ticks times lots."""

    minute: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    lots: int
    notional: int
    trades: int


async def recent_trades(transaction: Transaction, market_id: int, limit: int) -> list[SettledTrade]:
    """The last `limit` settled trades of a market, oldest first."""
    rows = await transaction.rows(
        """
        SELECT trade_id, sequence, price_ticks, quantity_lots, role, created_at_ms FROM fills
        WHERE market_id = $1 AND side = 1 AND order_id > 0 ORDER BY trade_id DESC LIMIT $2
        """,
        market_id,
        limit,
    )
    return [
        SettledTrade(row[0], row[1], row[2], row[3], Side.BUY if row[4] == _TAKER else Side.SELL, row[5])
        for row in reversed(rows)
    ]


async def minutes(transaction: Transaction, market_id: int, since_ms: int, most_trades: int) -> list[SettledMinute]:
    """The minutes since `since_ms` in which there was a trade, oldest first; of the last `most_trades` trades only."""
    rows = await transaction.rows(
        """
        WITH recent AS (
            SELECT trade_id, price_ticks, quantity_lots, created_at_ms FROM fills
            WHERE market_id = $1 AND side = 1 AND order_id > 0 ORDER BY trade_id DESC LIMIT $3
        )
        SELECT created_at_ms / 60000 AS minute,
            (array_agg(price_ticks ORDER BY trade_id))[1], max(price_ticks), min(price_ticks),
            (array_agg(price_ticks ORDER BY trade_id DESC))[1],
            sum(quantity_lots), sum(price_ticks::numeric * quantity_lots), count(*)
        FROM recent WHERE created_at_ms >= $2 GROUP BY minute ORDER BY minute
        """,
        market_id,
        since_ms,
        most_trades,
    )
    return [SettledMinute(*(int(value) for value in row)) for row in rows]
