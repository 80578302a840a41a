"""Leverage, margin mode, margin of isolated positions, and what an order would do."""

from dataclasses import replace
from typing import Final

from crossbook.application import validation
from crossbook.application.markets import Market
from crossbook.application.portfolio import Portfolio
from crossbook.application.preview import preview
from crossbook.dialects.call import AnyCall, Call, Reply
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.orders import OrderHandlers
from crossbook.dialects.flux.services import Services
from crossbook.domain.risk import MarginMode

REMOVE: Final = "REMOVE"


class MarginHandlers:
    """The handlers of `/positions/{market}/...` and `/orders/preview`."""

    def __init__(self, services: Services, orders: OrderHandlers) -> None:
        self._services = services
        self._orders = orders

    async def set_leverage(self, call: Call[schemas.SetLeverage, None]) -> Reply:
        """Choose the leverage of a market; 200 with the position."""
        market = self._market(call)
        await self._services.margin_terms.set_leverage(user_of(call).account_id, market, call.body.leverage)
        return await self._position(call, market)

    async def set_mode(self, call: Call[schemas.SetMarginMode, None]) -> Reply:
        """Choose the margin mode of a market; 200 with the position."""
        market = self._market(call)
        mode = MarginMode[call.body.margin_mode]
        await self._services.margin_terms.set_mode(user_of(call).account_id, market, mode)
        return await self._position(call, market)

    async def move_margin(self, call: Call[schemas.MoveMargin, None]) -> Reply:
        """Add margin to an isolated position, or take some out; 200 with the position."""
        market = self._market(call)
        units = translate.transfer_units(call.body.amount, market.instrument.quote.decimals)
        signed = -units if call.body.action == REMOVE else units
        await self._services.margin_terms.move_margin(user_of(call).account_id, market, signed)
        return await self._position(call, market)

    async def preview(self, call: Call[schemas.SubmitOrder, None]) -> Reply:
        """What an order would hold, cost and do to the liquidation price; nothing is entered."""
        services, user = self._services, user_of(call)
        order = await self._orders.translated(call.body, user)
        market = services.markets.numbered(order.market_id)
        order = replace(order, client_order_id=None)
        validation.check(order, market.instrument, services.clock.now_ms())
        holdings = await services.queries.holdings(user.account_id)
        found = preview(order, market, holdings, services.markets, services.marks)
        return Reply(200, translate.preview_view(found, market))

    def _market(self, call: AnyCall) -> Market:
        return translate.market_named(self._services.markets, call.path["marketId"])

    async def _position(self, call: AnyCall, market: Market) -> Reply:
        user = user_of(call)
        holdings = await self._services.queries.holdings(user.account_id)
        portfolio = Portfolio(holdings, self._services.markets, self._services.marks)
        (row,) = [row for row in holdings.positions if row.market_id == market.number]
        return Reply(200, translate.position_view(row, market, portfolio, str(user.user_id)))
