"""What a mark update costs in the venue's database, with 10,000 open positions in its market."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.measuring import Settings
from benchmarks.report import Row
from crossbook.application.markets import Market
from crossbook.domain.commands import UpdatePrices
from crossbook.domain.instruments import btc_perp, eth_perp
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records, encode_records
from crossbook.storage import commands_log
from crossbook.storage import markets as stored_markets
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.migrate import migrate
from crossbook.storage.settlement import read_terms, settle_batch

POSITIONS: Final = 10_000
BYSTANDERS: Final = 100_000
UPDATES: Final = 40
START_TICKS: Final = 600_000
AT_MOST_MS: Final = 50.0
FIRST_ACCOUNT: Final = 2_000_000


def mark_updates(settings: Settings) -> list[Row]:
    """A row without and one with many accounts that have no position in the market."""
    positions, bystanders = settings.size(POSITIONS), settings.size(BYSTANDERS)
    return [
        Row(
            f"mark update, {positions:,} open positions" + (f", {others:,} accounts beside" if others else ""),
            asyncio.run(_measured(positions, others)),
            "ms",
            AT_MOST_MS,
            None,
            False,
            "settled in the database, whom it liquidates found; median",
        )
        for others in (0, bystanders)
    ]


async def _measured(positions: int, others: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "data")
        database = await Database.connect(postgres.start())
        try:
            await migrate(database)
            async with database.transaction() as transaction:
                btc = await stored_markets.put(transaction, btc_perp(), 0)
                eth = await stored_markets.put(transaction, eth_perp(), 0)
            await _fill(database, btc, eth, positions, others)
            return await _update(database, btc)
        finally:
            await database.close()
            postgres.stop()


async def _fill(database: Database, btc: Market, eth: Market, positions: int, others: int) -> None:
    """Accounts with a position of 1 BTC each, half of them with one of 1 ETH too, and accounts with neither."""
    async with database.transaction() as transaction:
        await transaction.execute(
            """
            WITH people AS (SELECT n FROM generate_series(1, $1::integer) AS n), entered AS (
                INSERT INTO users (user_id, kind, created_at_ms) SELECT 5000 + n, 2, 0 FROM people
            ), opened AS (
                INSERT INTO accounts (account_id, user_id, created_at_ms)
                SELECT $2::bigint + n, 5000 + n, 0 FROM people
            )
            INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units)
            SELECT $2::bigint + n, $3::smallint, true, 10000000000 FROM people
            """,
            positions + others,
            FIRST_ACCOUNT,
            btc.quote_asset_id,
        )
        for market, count, lots, price in ((btc, positions, 1_000, START_TICKS), (eth, positions // 2, 100, 300_000)):
            await transaction.execute(
                """
                INSERT INTO positions (account_id, market_id, position_lots, cost_units, leverage)
                SELECT $1::bigint + n, $2::integer, sign * $4::bigint, sign * $5::bigint, 10
                FROM generate_series(1, $3::integer) AS n, LATERAL (SELECT 1 - 2 * (n % 2) AS sign) AS signed
                """,
                FIRST_ACCOUNT,
                market.number,
                count,
                lots,
                market.instrument.notional_units(price, lots),
            )
            await transaction.execute("INSERT INTO market_prices VALUES ($1, $2, $2, 1, 0)", market.number, price)
        await transaction.execute("ANALYZE")


async def _update(database: Database, market: Market) -> float:
    engine, spent_ms = Engine(), list[float]()
    async with database.transaction() as transaction:
        terms = await read_terms(transaction, market.symbol)
    for number in range(1, UPDATES + 1):
        ticks = START_TICKS + (number if number % 2 else -number)
        command = UpdatePrices(number, number, ticks, ticks)
        async with database.transaction() as transaction:
            await commands_log.take_sequences(transaction, {market.number: 1})
            await commands_log.append(
                transaction, [LoggedCommand(market.number, number, encode_records(command), number)]
            )
        entry = number, decode_records(engine.process(encode_records(replace(command))))
        started = perf_counter()
        async with database.transaction() as transaction:
            await settle_batch(transaction, terms, [entry])
        spent_ms.append((perf_counter() - started) * 1000)
    return median(spent_ms)
