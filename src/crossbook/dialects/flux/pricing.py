"""Funding, the price feed, and what operators do to markets."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from crossbook.application.errors import InvalidOrder
from crossbook.application.funding_views import FundingNow, FundingPaymentDetails, PaidFunding, funding_now
from crossbook.application.markets import Market
from crossbook.application.operations import AdminEntry
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.flux import pricing_schemas as schemas
from crossbook.dialects.flux import translate
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.errors import ErrorBody
from crossbook.dialects.flux.paging import link, page_of
from crossbook.dialects.flux.services import Services
from crossbook.domain.funding_period import interval_ms
from crossbook.domain.index import Quote, micro_ticks
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.money import Scale
from crossbook.domain.orders import MarketState

READS: Final = "reads"
PRICES: Final = frozenset({"prices"})
ADMIN: Final = frozenset({"admin"})
_RATES: Final = Scale(9)
_PPM: Final = Scale(6)
_MARKETS, _ACCOUNT, _OPERATORS = "Markets", "Account", "Operators"


class PricingHandlers:
    """The handlers of funding and of the operators' calls."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def funding(self, call: Call[None, schemas.FundingQuery]) -> Reply:
        """The running period of a market, and those that were paid."""
        market, limit = self._perpetual(call.path["marketId"]), call.query.limit
        page = page_of(limit, call.query.cursor)
        now_ms = self._services.clock.now_ms()
        running = await funding_now(self._services.funding_reads, market.number, market.instrument, now_ms)
        paid = await self._services.funding_reads.paid(market.number, page)
        view = _funding_view(market, running, paid[:limit])
        return Reply(200, view, link(call, paid, limit, _period_start))

    async def payments(self, call: Call[None, schemas.FundingPaymentsQuery]) -> Reply:
        """A page of what the account paid and received."""
        query, user = call.query, user_of(call)
        number = translate.market_number(self._services.markets, query.market)
        page = page_of(query.limit, query.cursor)
        found = await self._services.funding_reads.payments(user.account_id, page, number)
        user_id = str(user.user_id)
        views = [
            _payment_view(each, self._services.markets.numbered(each.market_id), user_id)
            for each in found[: query.limit]
        ]
        return Reply(200, views, link(call, found, query.limit, _payment_id))

    async def feed(self, call: Call[schemas.FeedPrices, None]) -> Reply:
        """Take prices; 202 with their number."""
        now_ms = self._services.clock.now_ms()
        quotes = []
        for fed in call.body.prices:
            market = self._named(fed.market_id)
            price = micro_ticks(market.instrument.tick, Fraction(fed.price))
            quotes.append((market, Quote(fed.source, price, now_ms if fed.time is None else fed.time)))
        await self._services.operations.feed_prices(user_of(call).user_id, quotes)
        return Reply(202, schemas.PricesFed(accepted=len(quotes)))

    async def change_state(self, call: Call[schemas.ChangeState, None]) -> Reply:
        """Order a market's state; 202 when it is in the log."""
        market = self._services.markets.named(call.path["marketId"])
        state = MarketState[call.body.state]
        sequence = await self._services.operations.change_state(user_of(call).user_id, market, state, call.body.reason)
        return Reply(202, schemas.StateOrdered(market_id=market.symbol, state=call.body.state, sequence=sequence))

    async def settle(self, call: Call[schemas.SettleMarket, None]) -> Reply:
        """Order the final settlement of a market; 202 when it is in the log."""
        market = self._named(call.path["marketId"])
        text = call.body.price
        ticks = None if text is None else market.instrument.price_ticks(text)
        ticks, sequence = await self._services.operations.settle_market(
            user_of(call).user_id, market, ticks, call.body.reason
        )
        price = market.instrument.price_text(ticks)
        return Reply(202, schemas.SettlementOrdered(market_id=market.symbol, price=price, sequence=sequence))

    async def log(self, call: Call[None, schemas.AdminLogQuery]) -> Reply:
        """A page of the operators' record."""
        limit = call.query.limit
        found = await self._services.operations.entries(page_of(limit, call.query.cursor))
        views = [self._entry_view(entry) for entry in found[:limit]]
        return Reply(200, views, link(call, found, limit, _entry_id))

    def _named(self, symbol: str) -> Market:
        return translate.market_named(self._services.markets, symbol)

    def _perpetual(self, symbol: str) -> Market:
        market = self._named(symbol)
        if market.instrument.kind is not InstrumentKind.PERPETUAL:
            raise InvalidOrder("marketId", "must be a perpetual market")
        return market

    def _entry_view(self, entry: AdminEntry) -> schemas.AdminEntry:
        symbol = self._services.markets.numbered(entry.market_id).symbol if entry.market_id else None
        return schemas.AdminEntry(
            id=str(entry.entry_id),
            user_id=str(entry.user_id),
            action=entry.action,
            market_id=symbol,
            reason=entry.reason,
            details=dict(entry.details),
            created_at=entry.created_at_ms,
        )


def rate_text(rate_ppb: int) -> str:
    """A rate in parts per billion as a decimal string."""
    return _RATES.format(rate_ppb)


def _funding_view(market: Market, running: FundingNow, paid: Sequence[PaidFunding]) -> schemas.Funding:
    terms = market.instrument
    index_ticks = running.index_price_ticks
    return schemas.Funding(
        market_id=market.symbol,
        interval_hours=terms.funding_interval_hours,
        period_start=running.period_start_ms,
        next_funding_time=running.next_funding_ms,
        estimated_rate=None if running.estimate_ppb is None else rate_text(running.estimate_ppb),
        index_price=None if index_ticks is None else terms.price_text(index_ticks),
        rate_cap=_PPM.format(terms.funding_rate_cap_ppm),
        history=[
            schemas.PaidFunding(
                period_start=each.period_start_ms,
                funding_time=each.period_start_ms + interval_ms(terms),
                rate=rate_text(each.rate_ppb),
                index_price=terms.price_text(each.index_price_ticks),
            )
            for each in paid
        ],
    )


def _payment_view(payment: FundingPaymentDetails, market: Market, user_id: str) -> schemas.FundingPayment:
    terms = market.instrument
    return schemas.FundingPayment(
        id=str(payment.payment_id),
        user_id=user_id,
        market_id=market.symbol,
        period_start=payment.period_start_ms,
        funding_time=payment.period_start_ms + interval_ms(terms),
        position_quantity=terms.quantity_text(payment.position_lots),
        rate=rate_text(payment.rate_ppb),
        index_price=terms.price_text(payment.index_price_ticks),
        amount=terms.quote.scale.format(payment.amount_units),
        created_at=payment.created_at_ms,
    )


def _period_start(paid: PaidFunding) -> int:
    return paid.period_start_ms


def _payment_id(payment: FundingPaymentDetails) -> int:
    return payment.payment_id


def _entry_id(entry: AdminEntry) -> int:
    return entry.entry_id


def endpoints(services: Services) -> list[AnyEndpoint]:
    """The rows of Flux's table that this module answers."""
    handlers = PricingHandlers(services)
    return [*_reads(handlers), *_operators(handlers)]


def _reads(handlers: PricingHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "GET",
            "/funding/{marketId}",
            "A market's funding: the estimate of the running period, and what was paid.",
            handlers.funding,
            {200: schemas.Funding, 400: ErrorBody, 404: ErrorBody},
            query=schemas.FundingQuery,
            rate_class=READS,
            tag=_MARKETS,
            description="A positive rate: longs pay shorts. The Link header leads to the next page of the history.",
        ),
        Endpoint(
            "GET",
            "/funding-payments",
            "Own funding payments, newest first.",
            handlers.payments,
            {200: list[schemas.FundingPayment], 404: ErrorBody},
            Auth.REQUIRED,
            query=schemas.FundingPaymentsQuery,
            rate_class=READS,
            tag=_ACCOUNT,
            description="The Link header leads to the next page.",
        ),
    ]


def _operators(handlers: PricingHandlers) -> list[AnyEndpoint]:
    return [
        Endpoint(
            "POST",
            "/admin/prices",
            "Feed prices of index sources.",
            handlers.feed,
            {202: schemas.PricesFed, 404: ErrorBody},
            Auth.REQUIRED,
            scopes=PRICES,
            request=schemas.FeedPrices,
            rate_class=READS,
            tag=_OPERATORS,
            description="The newest price of each source counts, while it is not too old.",
            example=schemas.FeedPrices(prices=[schemas.FedPrice(market_id="BTC-PERP", source="desk", price="65000.5")]),
        ),
        Endpoint(
            "POST",
            "/admin/markets/{marketId}/state",
            "Order the state of a market.",
            handlers.change_state,
            {202: schemas.StateOrdered, 404: ErrorBody},
            Auth.REQUIRED,
            scopes=ADMIN,
            request=schemas.ChangeState,
            rate_class=READS,
            tag=_OPERATORS,
            description="SETTLEMENT_ONLY cancels every order. The reason is kept in the operators' record.",
            example=schemas.ChangeState(state="PAUSED", reason="maintenance of the custodian"),
        ),
        Endpoint(
            "POST",
            "/admin/markets/{marketId}/settlement",
            "Close every position of a market in SETTLEMENT_ONLY at one price.",
            handlers.settle,
            {202: schemas.SettlementOrdered, 404: ErrorBody},
            Auth.REQUIRED,
            scopes=ADMIN,
            request=schemas.SettleMarket,
            rate_class=READS,
            tag=_OPERATORS,
            description="Without a price, at the market's last index.",
            example=schemas.SettleMarket(price="64000", reason="the market is closed for good"),
        ),
        Endpoint(
            "GET",
            "/admin/log",
            "What operators did, newest first.",
            handlers.log,
            {200: list[schemas.AdminEntry]},
            Auth.REQUIRED,
            scopes=ADMIN,
            query=schemas.AdminLogQuery,
            rate_class=READS,
            tag=_OPERATORS,
            description="The Link header leads to the next page.",
        ),
    ]
