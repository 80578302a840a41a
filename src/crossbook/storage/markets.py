"""Assets and markets in the database, and back as the domain's terms."""

from collections.abc import Sequence

from crossbook.application.markets import Market
from crossbook.domain.instruments import Asset, FeeAsset, Instrument, InstrumentKind, MarginTier
from crossbook.domain.money import Step
from crossbook.domain.orders import MarketState
from crossbook.storage.database import Row, Transaction


async def put_asset(transaction: Transaction, asset: Asset, *, is_margin_asset: bool) -> int:
    """The id of an asset, stored now if it was not there. Raises ValueError when it is there with other terms."""
    await transaction.execute(
        """
        INSERT INTO assets (asset_id, name, decimals, is_stablecoin, is_margin_asset)
        SELECT coalesce(max(asset_id), 0) + 1, $1, $2, $3, $4 FROM assets
        HAVING NOT EXISTS (SELECT FROM assets WHERE name = $1)
        """,
        asset.name,
        asset.decimals,
        asset.is_stablecoin,
        is_margin_asset,
    )
    if is_margin_asset:  # an asset becomes one with the first perpetual that is settled in it, and stays one
        await transaction.execute(
            "UPDATE assets SET is_margin_asset = true WHERE name = $1 AND NOT is_margin_asset", asset.name
        )
    row = await transaction.row("SELECT asset_id, decimals FROM assets WHERE name = $1", asset.name)
    if row is None or row["decimals"] != asset.decimals:
        raise ValueError(f"asset {asset.name} is stored with other terms")
    asset_id: int = row["asset_id"]
    return asset_id


async def put(transaction: Transaction, instrument: Instrument, now_ms: int) -> Market:
    """The market of an instrument, stored now, with its assets and clearing account, if it was not there."""
    perpetual = instrument.kind is InstrumentKind.PERPETUAL
    base_id = await put_asset(transaction, instrument.base, is_margin_asset=False)
    quote_id = await put_asset(transaction, instrument.quote, is_margin_asset=perpetual)
    known = await transaction.value("SELECT market_id FROM markets WHERE symbol = $1", instrument.symbol)
    if known is None:
        known = await _insert(transaction, instrument, base_id, quote_id, now_ms)
    return Market(known, instrument, base_id, quote_id)


async def _insert(transaction: Transaction, instrument: Instrument, base_id: int, quote_id: int, now_ms: int) -> int:
    market_id: int = await transaction.value("SELECT coalesce(max(market_id), 0) + 1 FROM markets")
    await transaction.execute(
        """
        INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status, tick_decimals, tick_size,
            lot_decimals, lot_size, min_quantity_lots, min_notional_units, maker_fee_ppm, taker_fee_ppm, fee_asset,
            max_leverage, initial_margin_ppm, maintenance_margin_ppm, liquidation_fee_ppm, funding_interval_hours,
            funding_rate_cap_ppm, created_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
        """,
        market_id,
        instrument.symbol,
        instrument.kind,
        base_id,
        quote_id,
        instrument.status,
        instrument.tick.decimals,
        instrument.tick.size_units,
        instrument.lot.decimals,
        instrument.lot.size_units,
        instrument.min_quantity_lots,
        instrument.min_notional_units,
        instrument.maker_fee_ppm,
        instrument.taker_fee_ppm,
        instrument.fee_asset,
        instrument.max_leverage,
        instrument.initial_margin_ppm,
        instrument.maintenance_margin_ppm,
        instrument.liquidation_fee_ppm,
        instrument.funding_interval_hours,
        instrument.funding_rate_cap_ppm,
        now_ms,
    )
    await transaction.execute(
        """
        INSERT INTO margin_tiers (market_id, floor_units, initial_margin_ppm, maintenance_margin_ppm)
        SELECT $1, * FROM unnest($2::bigint[], $3::integer[], $4::integer[])
        """,
        market_id,
        [tier.floor_units for tier in instrument.tiers],
        [tier.initial_margin_ppm for tier in instrument.tiers],
        [tier.maintenance_margin_ppm for tier in instrument.tiers],
    )
    await transaction.execute(
        "INSERT INTO accounts (account_id, market_id, created_at_ms) VALUES (1000 + $1::integer, $1, $2)",
        market_id,
        now_ms,
    )
    return market_id


async def load(transaction: Transaction) -> list[Market]:
    """Every market, lowest number first."""
    assets = {
        row["asset_id"]: Asset(row["name"], row["decimals"], row["is_stablecoin"])
        for row in await transaction.rows("SELECT * FROM assets")
    }
    tiers: dict[int, list[MarginTier]] = {}
    for row in await transaction.rows("SELECT * FROM margin_tiers ORDER BY market_id, floor_units"):
        tier = MarginTier(row["floor_units"], row["initial_margin_ppm"], row["maintenance_margin_ppm"])
        tiers.setdefault(row["market_id"], []).append(tier)
    markets = []
    for row in await transaction.rows("SELECT * FROM markets ORDER BY market_id"):
        base, quote = assets[row["base_asset_id"]], assets[row["quote_asset_id"]]
        instrument = _instrument(row, base, quote, tiers.get(row["market_id"], ()))
        markets.append(Market(row["market_id"], instrument, row["base_asset_id"], row["quote_asset_id"]))
    return markets


def _instrument(row: Row, base: Asset, quote: Asset, tiers: Sequence[MarginTier]) -> Instrument:
    value = row.__getitem__
    return Instrument(
        symbol=value("symbol"),
        kind=InstrumentKind(value("kind")),
        base=base,
        quote=quote,
        tick=Step(value("tick_size"), value("tick_decimals")),
        lot=Step(value("lot_size"), value("lot_decimals")),
        min_quantity_lots=value("min_quantity_lots"),
        min_notional_units=value("min_notional_units"),
        maker_fee_ppm=value("maker_fee_ppm"),
        taker_fee_ppm=value("taker_fee_ppm"),
        fee_asset=FeeAsset(value("fee_asset")),
        status=MarketState(value("status")),
        max_leverage=value("max_leverage"),
        initial_margin_ppm=value("initial_margin_ppm"),
        maintenance_margin_ppm=value("maintenance_margin_ppm"),
        tiers=tuple(tiers),
        liquidation_fee_ppm=value("liquidation_fee_ppm"),
        funding_interval_hours=value("funding_interval_hours"),
        funding_rate_cap_ppm=value("funding_rate_cap_ppm"),
    )


async def asset_ids(transaction: Transaction) -> dict[str, int]:
    """The id of every asset, by name."""
    return {row["name"]: row["asset_id"] for row in await transaction.rows("SELECT name, asset_id FROM assets")}
