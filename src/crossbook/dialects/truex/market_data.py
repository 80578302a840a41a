"""Assets, instruments and market data: public, and never asking who reads."""

from collections.abc import Sequence
from typing import Final

from crossbook.application.errors import MarketNotFound
from crossbook.application.markets import Market, Markets
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Endpoint
from crossbook.dialects.rate_classes import READS
from crossbook.dialects.truex import market_rows, schemas
from crossbook.dialects.truex.errors import Kind, Problem, ProblemDetails, not_found
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import listed, with_old_paths
from crossbook.dialects.truex.versions import V2026
from crossbook.domain.instruments import Instrument
from crossbook.domain.money import InvalidDecimal
from crossbook.domain.quotes import Quote, quote_amount, quote_base

DEPTH: Final = 1_000
"""How many levels a computed quote looks at."""
VWAP_DECIMALS: Final = 8
ASSETS, INSTRUMENTS, MARKET_DATA = "Assets", "Instruments", "Market data"


def instrument_of(markets: Markets, instrument_id: str) -> Market:
    """The spot market of this id. Raises Problem NOT_FOUND."""
    try:
        market = markets.numbered(int(instrument_id))
    except MarketNotFound:
        raise not_found("instrument", instrument_id) from None
    if not market_rows.is_spot(market):
        raise not_found("instrument", instrument_id)
    return market


class MarketHandlers:
    """The handlers of `/assets`, `/instruments` and `/markets`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def assets(self, call: Call[None, schemas.AssetsQuery]) -> Reply:
        """Every asset, or the one of this id or name."""
        query = call.query
        found = [
            asset
            for asset in await self._services.assets.all()
            if query.id in {None, str(asset.asset_id)} and query.name in {None, asset.name}
        ]
        return listed([market_rows.asset_row(asset) for asset in found])

    async def instruments(self, call: Call[None, schemas.InstrumentsQuery]) -> Reply:
        """Every instrument, or those that the query names."""
        query, data, limits = call.query, self._services.market_data, self._services.limits
        found = [
            market_rows.current_instrument(data, limits, market)
            for market in self._spots()
            if query.id in {None, str(market.number)} and (query.symbol or "") in market.symbol
        ]
        return listed(found)

    async def increments(self, call: Call[None, schemas.InstrumentQuery]) -> Reply:
        """The steps of every instrument, or of one."""
        return listed([market_rows.increment_row(market) for market in self._asked(call.query.instrument_id)])

    async def best(self, call: Call[None, schemas.InstrumentQuery]) -> Reply:
        """The best bid and offer of every instrument, or of one."""
        data = self._services.market_data
        return listed([market_rows.current_quote(data, market) for market in self._asked(call.query.instrument_id)])

    async def compute(self, call: Call[schemas.ComputeQuote, None]) -> Reply:
        """What an order of this size would get from the visible book now."""
        body = call.body
        market = instrument_of(self._services.markets, body.instrument_id)
        book = self._services.market_data.orderbook(market.symbol, DEPTH)
        levels = [(price, lots) for price, lots, _ in (book.asks if body.side == "BUY" else book.bids)]
        priced = _in_base if body.qty_unit == "BASE" else _in_quote
        quote = priced(market.instrument, levels, body.qty)
        return Reply(200, _computed(market.instrument, quote, full=call.version == V2026))

    def _spots(self) -> list[Market]:
        return [market for market in self._services.markets if market_rows.is_spot(market)]

    def _asked(self, instrument_id: str | None) -> list[Market]:
        return self._spots() if instrument_id is None else [instrument_of(self._services.markets, instrument_id)]


def _in_base(instrument: Instrument, levels: Sequence[tuple[int, int]], qty: str) -> Quote:
    quote = quote_base(instrument, levels, instrument.quantity_lots(qty, "qty"))
    if quote.is_partial:
        _refuse(instrument, quote, qty, instrument.base.name)
    return quote


def _in_quote(instrument: Instrument, levels: Sequence[tuple[int, int]], qty: str) -> Quote:
    amount_units = instrument.quote.scale.parse(qty, "qty", 1)
    quote = quote_amount(instrument, levels, amount_units)
    if quote.is_partial:
        _refuse(instrument, quote, qty, instrument.quote.name)
    if quote.filled_lots == 0:
        least = instrument.quote.scale.format(instrument.notional_units(levels[0][0], 1))
        raise InvalidDecimal("qty", f"must pay for one increment of {instrument.base.name}", least)
    return quote


def _refuse(instrument: Instrument, quote: Quote, qty: str, unit: str) -> None:
    """Say what is there: a price for more would be invented."""
    base = f"{instrument.quantity_text(quote.filled_lots)} {instrument.base.name}"
    money = f"{instrument.quote.scale.format(quote.cost_units)} {instrument.quote.name}"
    rule = f"at most {base} for {money}"
    detail = f"not enough depth for {qty} {unit}: the book offers {base} for {money}"
    raise Problem(Kind.NOT_ENOUGH_DEPTH, detail, field="qty", rule=rule)


def _computed(
    instrument: Instrument, quote: Quote, *, full: bool
) -> schemas.ComputedQuote | schemas.ComputedQuoteV2026:
    qty, price = instrument.quantity_text(quote.filled_lots), quote.vwap_text(instrument, VWAP_DECIMALS) or "0"
    if not full:
        return schemas.ComputedQuote(qty, price)
    money = instrument.quote.scale
    return schemas.ComputedQuoteV2026(qty, price, money.format(quote.cost_units), money.format(quote.unspent_units))


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    markets = MarketHandlers(services)
    plural: list[AnyEndpoint] = [
        Endpoint(
            "GET",
            "/assets",
            "The assets.",
            markets.assets,
            {200: list[schemas.AssetRow]},
            query=schemas.AssetsQuery,
            rate_class=READS,
            tag=ASSETS,
        ),
        Endpoint(
            "GET",
            "/instruments",
            "The instruments, with what they traded in the last 24 hours.",
            markets.instruments,
            {200: list[schemas.InstrumentRow]},
            query=schemas.InstrumentsQuery,
            rate_class=READS,
            tag=INSTRUMENTS,
            description="symbol finds every instrument whose symbol contains it.",
        ),
        Endpoint(
            "GET",
            "/markets/quote",
            "Best bid and offer.",
            markets.best,
            {200: list[schemas.QuoteRow], 404: ProblemDetails},
            query=schemas.InstrumentQuery,
            rate_class=READS,
            tag=MARKET_DATA,
        ),
        Endpoint(
            "POST",
            "/markets/quote",
            "Compute the average price of a quantity.",
            markets.compute,
            {200: schemas.ComputedQuote, 404: ProblemDetails},
            request=schemas.ComputeQuote,
            responses_in={V2026: {200: schemas.ComputedQuoteV2026}},
            rate_class=READS,
            tag=MARKET_DATA,
            description="price is the average over the levels consumed. For QUOTE, qty is the largest quantity in whole"
            " increments that the amount pays for. Without enough visible depth the answer is 400.",
            example=schemas.ComputeQuote(qty="0.5", instrument_id="3", side="BUY", qty_unit="BASE"),
        ),
        Endpoint(
            "GET",
            "/markets/increment",
            "Tick and lot sizes.",
            markets.increments,
            {200: list[schemas.IncrementRow], 404: ProblemDetails},
            query=schemas.InstrumentQuery,
            rate_class=READS,
            tag=MARKET_DATA,
        ),
    ]
    old = {
        "/assets": "/asset",
        "/instruments": "/instrument",
        "/markets/quote": "/market/quote",
        "/markets/increment": "/market/increment",
    }
    return [row for each in plural for row in with_old_paths(each, [old[each.path]], services.singular)]
