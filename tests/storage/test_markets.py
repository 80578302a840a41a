"""Markets go into the database and come back the same."""

from dataclasses import replace

from crossbook.domain.instruments import BTC, USDC, Instrument, InstrumentKind, MarginTier, btc_perp, eth_perp
from crossbook.domain.money import Step
from crossbook.storage import markets
from crossbook.storage.database import Database

from .support import NOW_MS, using

SPOT = Instrument("BTC-USDC", InstrumentKind.SPOT, BTC, USDC, Step.of("0.5"), Step.of("0.0001"))


def test_terms_come_back_as_they_went_in(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        tiers = (MarginTier(0, 50_000, 5_000), MarginTier(10**12, 100_000, 20_000))
        instruments = [SPOT, btc_perp(), replace(eth_perp(), tiers=tiers)]
        async with database.transaction() as transaction:
            stored = [await markets.put(transaction, instrument, NOW_MS) for instrument in instruments]
            again = [await markets.put(transaction, instrument, NOW_MS) for instrument in instruments]
        async with database.snapshot() as transaction:
            assert await markets.load(transaction) == stored == again
            assert [market.instrument for market in stored] == instruments
            assert await markets.asset_ids(transaction) == {"BTC": 1, "USDC": 2, "ETH": 3}
            clearing = await transaction.rows("SELECT account_id FROM accounts WHERE market_id IS NOT NULL ORDER BY 1")
        assert [row[0] for row in clearing] == [1001, 1002, 1003]

    using(database_url, scenario)


def test_an_asset_becomes_a_margin_asset_with_its_first_perpetual(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            spot = await markets.put(transaction, SPOT, NOW_MS)
            await transaction.execute("INSERT INTO users (user_id, kind, created_at_ms) VALUES (1, 2, 1)")
            await transaction.execute(
                "INSERT INTO accounts (account_id, user_id, created_at_ms) VALUES (1000000, 1, 1)"
            )
            await transaction.execute(
                "INSERT INTO balances (account_id, asset_id, is_margin_asset) VALUES (1000000, $1, false)",
                spot.quote_asset_id,
            )
            await markets.put(transaction, btc_perp(), NOW_MS)
            assert await transaction.value("SELECT is_margin_asset FROM balances")
            await markets.put(transaction, SPOT, NOW_MS)
            assert await transaction.value("SELECT is_margin_asset FROM assets WHERE name = 'USDC'")

    using(database_url, scenario)
