"""What anybody may read: markets, books, prices, trades, the clock."""

from crossbook.application.markets import Market
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.paging import link, page_of
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.market_ports import PublicTrade
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.orders import MAX_ID


class PublicHandlers:
    """The handlers of the routes that ask for no token."""

    def __init__(self, services: StreamServices) -> None:
        self._services = services

    async def markets(self, call: Call[None, None]) -> Reply:
        """Every market with an order book."""
        del call
        return Reply(200, [translate.market_view(market) for market in self._listed()])

    async def market(self, call: Call[None, None]) -> Reply:
        """One market."""
        return Reply(200, translate.market_view(self._named(call.path["marketId"])))

    async def orderbook(self, call: Call[None, schemas.OrderBookQuery]) -> Reply:
        """The best levels of a market's book."""
        market = self._named(call.path["marketId"])
        book = self._services.market_data.orderbook(market.symbol, call.query.depth)
        return Reply(200, translate.book_view(book, market))

    async def prices(self, call: Call[None, None]) -> Reply:
        """The prices of every market."""
        del call
        return Reply(200, [current_price(self._services, market) for market in self._listed()])

    async def price(self, call: Call[None, None]) -> Reply:
        """The prices of one market."""
        return Reply(200, current_price(self._services, self._named(call.path["marketId"])))

    async def trades(self, call: Call[None, schemas.TradesQuery]) -> Reply:
        """A page of a market's last trades."""
        market = self._named(call.path["market"])
        limit, page = call.query.limit, page_of(call.query.limit, call.query.cursor)
        kept = self._services.market_data.trades(market.symbol, schemas.MAX_PAGE)
        found = [trade for trade in kept if trade.trade_id < (page.before or MAX_ID)][: page.limit]
        views = [translate.trade_view(trade, market) for trade in found[:limit]]
        return Reply(200, views, link(call, found, limit, _trade_id))

    async def time(self, call: Call[None, None]) -> Reply:
        """The venue's clock."""
        del call
        return Reply(200, schemas.ServerTime(server_time=self._services.clock.now_ms()))

    async def health(self, call: Call[None, None]) -> Reply:
        """The process answers. Nothing outside of it can make this fail; `/ready` tells of the rest."""
        del call
        return Reply(200, schemas.Health())

    def _named(self, symbol: str) -> Market:
        return translate.market_named(self._services.markets, symbol)

    def _listed(self) -> list[Market]:
        return [each for each in self._services.markets if each.instrument.kind is not InstrumentKind.SWAP_PAIR]


def current_price(services: StreamServices, market: Market) -> schemas.Price:
    """The prices of a market as they are now. Raises what `MarketData` does."""
    data = services.market_data
    last = next(iter(data.trades(market.symbol, 1)), None)
    mark_ticks = services.marks.mark_ticks(market.number)
    index_ticks = data.index_price_ticks(market.symbol)
    return translate.price_view(market, mark_ticks, index_ticks, data.last_price_ticks(market.symbol), last)


def _trade_id(trade: PublicTrade) -> int:
    return trade.trade_id
