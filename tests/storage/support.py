"""What the tests of storage share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from crossbook.storage.database import Database, Transaction

T = TypeVar("T")
NOW_MS = 1_700_000_000_000


def using(url: str, scenario: Callable[[Database], Awaitable[T]], connections: int = 8) -> T:
    """Run `scenario` with a database, in an event loop of its own."""

    async def run() -> T:
        database = await Database.connect(url, max_connections=connections)
        try:
            return await scenario(database)
        finally:
            await database.close()

    return asyncio.run(run())


async def add_markets(transaction: Transaction, count: int = 2) -> None:
    """Markets 1 to `count`, spot, of two assets."""
    await transaction.execute("INSERT INTO assets (asset_id, name, decimals) VALUES (1, 'USDC', 6), (2, 'BTC', 8)")
    await transaction.execute(
        """
        INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status,
                             tick_decimals, tick_size, lot_decimals, lot_size, created_at_ms)
        SELECT number, 'BTC-' || number, 1, 2, 1, 1, 1, 1, 3, 1, 0 FROM generate_series(1, $1::integer) AS number
        """,
        count,
    )
