"""Currencies, pairs, statistics, trades and candles; and what the operator does to the first two."""

from collections.abc import Sequence

from crossbook.application.errors import PairNotFound
from crossbook.application.swap_registry import CurrencyTerms, Pair, PairFilter
from crossbook.application.swap_views import PairStatistics
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.lethean import replies, requests, translate
from crossbook.dialects.lethean.errors import PAIR_NOT_FOUND, LetheanError
from crossbook.dialects.lethean.services import Services
from crossbook.domain.money import InvalidValue
from crossbook.domain.swap_amounts import MAX_UNITS


class DexHandlers:
    """The handlers of `/api/config`, of `/api/dex`, and of what is public below `/api/orders`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def config(self, call: Call[None, None]) -> Reply:
        """Every currency."""
        del call
        found = await self._services.registry.currencies()
        views = [translate.currency_view(each, self._services.prices) for each in found]
        return Reply(200, replies.Answer(data=replies.Currencies(views)))

    async def pair(self, call: Call[requests.OnePair, None]) -> Reply:
        """One pair with its currencies and its statistics."""
        pair = await self._services.registry.pair(translate.pair_number(call.body.id))
        (view,) = await self._views([pair])
        return Reply(200, replies.Answer(data=view))

    async def find(self, call: Call[requests.FindPair, None]) -> Reply:
        """The number of the pair of two assets."""
        try:
            pair_id = await self._services.registry.find(call.body.first, call.body.second)
        except PairNotFound as error:
            raise LetheanError(404, PAIR_NOT_FOUND) from error
        return Reply(200, replies.Answer(data=pair_id))

    async def page(self, call: Call[requests.PairsPage, None]) -> Reply:
        """A page of pairs."""
        body = call.body
        chosen = PairFilter(body.search_text, body.whitelisted_only, body.sort_option)
        pairs = await self._services.registry.pairs(chosen, body.page)
        return Reply(200, replies.Answer(data=await self._views(pairs)))

    async def pages(self, call: Call[requests.PairsFilter, None]) -> Reply:
        """How many pages of pairs there are."""
        chosen = PairFilter(call.body.search_text, call.body.whitelisted_only)
        return Reply(200, replies.Answer(data=await self._services.registry.pages(chosen)))

    async def stats(self, call: Call[requests.OfPair, None]) -> Reply:
        """The statistics of a pair."""
        terms = await self._services.swaps.terms(translate.pair_number(call.body.pair_id))
        found = await self._services.pages.statistics([terms.pair_id], self._services.clock.now_ms())
        stats = found.get(terms.pair_id, PairStatistics())
        return Reply(200, replies.Answer(data=translate.stats_view(stats, terms.second_decimals)))

    async def trades(self, call: Call[requests.TradesRequest, None]) -> Reply:
        """The last trades of a pair, newest first."""
        terms = await self._services.swaps.terms(translate.pair_number(call.body.pair_id))
        found = await self._services.pages.trades(terms.pair_id, call.body.limit)
        return Reply(200, replies.Answer(data=[translate.trade_view(each, terms) for each in found]))

    async def chart(self, call: Call[requests.TradesRequest, None]) -> Reply:
        """The last trades of a pair as points of a chart, oldest first."""
        terms = await self._services.swaps.terms(translate.pair_number(call.body.pair_id))
        found = await self._services.pages.trades(terms.pair_id, call.body.limit)
        return Reply(200, replies.Answer(data=[translate.chart_view(each, terms) for each in reversed(found)]))

    async def candles(self, call: Call[requests.CandlesRequest, None]) -> Reply:
        """The last candles of a pair, oldest first."""
        terms = await self._services.swaps.terms(translate.pair_number(call.body.pair_id))
        period = translate.PERIODS[call.body.period]
        found = await self._services.pages.candles(terms.pair_id, period, call.body.limit)
        return Reply(200, replies.Answer(data=[translate.candle_view(each, terms) for each in found]))

    # -- The operator --------------------------------------------------------------------------------
    async def put_asset(self, call: Call[requests.PutAsset, None]) -> Reply:
        """Register a currency, or describe it anew."""
        body = call.body
        terms = CurrencyTerms(
            body.asset_id,
            body.name,
            body.code,
            body.decimal_point,
            body.type,
            body.whitelisted,
            full_name=body.full_name,
            logo=body.logo,
            meta_info=body.meta_info,
            price_url=body.price_url,
            current_supply_units=_supply(body.current_supply, "current_supply"),
            total_max_supply_units=_supply(body.total_max_supply, "total_max_supply"),
        )
        stored = await self._services.registry.put_currency(terms)
        return Reply(200, replies.Answer(data=translate.currency_view(stored, self._services.prices)))

    async def whitelist(self, call: Call[requests.Whitelist, None]) -> Reply:
        """Vouch for a currency, or no longer."""
        stored = await self._services.registry.whitelist(call.body.asset_id, call.body.whitelisted)
        return Reply(200, replies.Answer(data=translate.currency_view(stored, self._services.prices)))

    async def put_pair(self, call: Call[requests.PutPair, None]) -> Reply:
        """Set up a pair, or feature it or not."""
        pair = await self._services.registry.put_pair(call.body.first, call.body.second, call.body.featured)
        (view,) = await self._views([pair])
        return Reply(200, replies.Answer(data=view))

    async def _views(self, pairs: Sequence[Pair]) -> list[replies.PairView]:
        services = self._services
        stats = await services.pages.statistics([pair.pair_id for pair in pairs], services.clock.now_ms())
        return [translate.pair_view(pair, stats.get(pair.pair_id, PairStatistics()), services.prices) for pair in pairs]


def _supply(digits: str, field: str) -> int:
    units = int(digits)
    if units > MAX_UNITS:
        raise InvalidValue(field, f"must be at most {MAX_UNITS}", str(MAX_UNITS))
    return units
