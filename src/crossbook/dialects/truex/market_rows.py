"""Rows of assets, instruments and market data, for the endpoints and for the socket alike."""

from collections.abc import Mapping, Sequence
from typing import Final

from crossbook.application.assets import ListedAsset
from crossbook.application.market_limits import Limits, MarketLimits
from crossbook.application.markets import Market
from crossbook.dialects.market_ports import Book, DayStats, MarketData, PublicTrade
from crossbook.dialects.truex import schemas
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.money import Scale
from crossbook.domain.orders import MarketState

NS_PER_MS: Final = 1_000_000
PERCENT: Final = Scale(2)
"""Basis points as a percentage: 1000 are "10"."""
STATUS: Final[Mapping[MarketState, schemas.InstrumentStatus]] = {
    MarketState.ACTIVE: "ACTIVE",
    MarketState.AUCTION: "OPENING",
    MarketState.CANCEL_ONLY: "HALTED",
    MarketState.POST_ONLY: "HALTED",
    MarketState.PAUSED: "HALTED",
    MarketState.SETTLEMENT_ONLY: "DISABLED",
}
NO_LIMITS: Final = MarketLimits(0)


def is_spot(market: Market) -> bool:
    """Whether TrueX lists the market."""
    return market.instrument.kind is InstrumentKind.SPOT


def asset_row(asset: ListedAsset) -> schemas.AssetRow:
    """An asset."""
    fields = schemas.AssetFields(asset.name, str(asset.decimals), asset.is_stablecoin)
    return schemas.AssetRow(str(asset.asset_id), "ACTIVE", fields)


def instrument_row(market: Market, limits: MarketLimits | None, stats: DayStats) -> schemas.InstrumentRow:
    """An instrument, with what it traded in the last 24 hours."""
    instrument, limits = market.instrument, limits or NO_LIMITS
    return schemas.InstrumentRow(
        id=str(market.number),
        status=STATUS[instrument.status],
        info=schemas.InstrumentInfo(
            symbol=market.symbol,
            reference_price=instrument.price_text(limits.reference_price_ticks),
            base_asset_id=str(market.base_asset_id),
            quote_asset_id=str(market.quote_asset_id),
            price_limit_window_secs=str(limits.halt_window_ms // 1000),
            price_limit_percent=PERCENT.format(limits.halt_basis_points),
            price_bands_percent=PERCENT.format(limits.band_basis_points),
        ),
        stats=schemas.InstrumentStats(
            last_24hr_notional=instrument.quote.scale.format(stats.notional * instrument.units_per_tick_lot),
            last_24hr_quantity=instrument.quantity_text(stats.volume_lots),
        ),
    )


def increment_row(market: Market) -> schemas.IncrementRow:
    """The steps of an instrument."""
    instrument = market.instrument
    return schemas.IncrementRow(str(market.number), market.symbol, instrument.tick.text(1), instrument.lot.text(1))


def quote_row(market: Market, book: Book, last: PublicTrade | None, updated_ms: int) -> schemas.QuoteRow:
    """The best bid and offer, and the last trade."""
    instrument = market.instrument
    trade = schemas.LastTrade("0", "0", "0")
    if last is not None:
        price, qty = instrument.price_text(last.price_ticks), instrument.quantity_text(last.quantity_lots)
        trade = schemas.LastTrade(price, qty, str(last.time_ms * NS_PER_MS))
    info = schemas.QuoteInfo(
        trade, _best(instrument, book.bids), _best(instrument, book.asks), str(updated_ms * NS_PER_MS)
    )
    return schemas.QuoteRow(str(market.number), market.symbol, info)


def current_instrument(markets: MarketData, limits: Limits, market: Market) -> schemas.InstrumentRow:
    """The row of an instrument now. Raises what `MarketData` does."""
    return instrument_row(market, limits.of(market.number), markets.day_stats(market.symbol))


def current_quote(markets: MarketData, market: Market) -> schemas.QuoteRow:
    """The best bid and offer now. Raises what `MarketData` does."""
    last = next(iter(markets.trades(market.symbol, 1)), None)
    return quote_row(market, markets.orderbook(market.symbol, 1), last, markets.updated_ms(market.symbol))


def _best(instrument: Instrument, levels: Sequence[tuple[int, int, int]]) -> schemas.BestLevel:
    if not levels:
        return schemas.BestLevel("0", "0", "0")
    price_ticks, lots, orders = levels[0]
    return schemas.BestLevel(instrument.price_text(price_ticks), instrument.quantity_text(lots), str(orders))
