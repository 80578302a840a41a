"""Leverage, margin mode, margin of isolated positions, and what an order would do."""

from collections.abc import Callable
from typing import Final, cast

from msgspec import UNSET
from msgspec.structs import replace

from crossbook.application import validation
from crossbook.application.errors import MarketNotFound
from crossbook.application.liquidations import LiquidationDetails, LiquidationState, StepDetails
from crossbook.application.markets import Market, Markets
from crossbook.application.portfolio import Portfolio
from crossbook.application.preview import preview
from crossbook.dialects.call import AnyCall, Call, Reply
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.orders import OrderHandlers
from crossbook.dialects.flux.paging import link, page_of
from crossbook.dialects.flux.services import Services
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.money import Scale
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

    async def liquidations(self, call: Call[None, schemas.LiquidationsQuery]) -> Reply:
        """A page of everybody's liquidations, newest first, without their owners."""
        return await self._liquidations(call, 0)

    async def own_liquidations(self, call: Call[None, schemas.LiquidationsQuery]) -> Reply:
        """A page of own liquidations, newest first."""
        return await self._liquidations(call, user_of(call).account_id)

    async def _liquidations(self, call: Call[None, schemas.LiquidationsQuery], account_id: int) -> Reply:
        query, markets = call.query, self._services.markets
        page = page_of(query.limit, query.cursor)
        found = await self._services.liquidations.liquidations(page, account_id)
        views = [liquidation_view(one, markets, bool(account_id)) for one in found[: query.limit]]
        return Reply(200, views, link(call, found, query.limit, _liquidation_id))

    async def preview(self, call: Call[schemas.SubmitOrder, None]) -> Reply:
        """What an order would hold, cost and do to the liquidation price; nothing is entered."""
        services, user = self._services, user_of(call)
        market = self._perpetual(call.body.market_id)
        order = await self._orders.translated(call.body, user)
        order = replace(order, client_order_id=None)
        validation.check(order, market.instrument, services.clock.now_ms())
        holdings = await services.queries.holdings(user.account_id)
        found = preview(order, market, holdings, services.markets, services.marks)
        return Reply(200, translate.preview_view(found, market))

    def _market(self, call: AnyCall) -> Market:
        return self._perpetual(call.path["marketId"])

    def _perpetual(self, symbol: str) -> Market:
        """The perpetual of this name: nothing else has margin. Raises MarketNotFound."""
        market = translate.market_named(self._services.markets, symbol)
        if market.instrument.kind is not InstrumentKind.PERPETUAL:
            raise MarketNotFound(symbol)
        return market

    async def _position(self, call: AnyCall, market: Market) -> Reply:
        user = user_of(call)
        holdings = await self._services.queries.holdings(user.account_id)
        portfolio = Portfolio(holdings, self._services.markets, self._services.marks)
        (row,) = [row for row in holdings.positions if row.market_id == market.number]
        ranks = await self._services.ranks.of_market(market.number) if row.position_lots else {}
        rank = ranks.get(user.account_id)
        return Reply(200, translate.position_view(row, market, portfolio, str(user.user_id), rank))


def _liquidation_id(one: LiquidationDetails) -> int:
    return one.liquidation_id


def liquidation_view(one: LiquidationDetails, markets: Markets, is_own: bool) -> schemas.Liquidation:
    """A liquidation: its owner sees his equity too, nobody sees the owner."""
    money = Scale(one.decimals).format
    return schemas.Liquidation(
        id=str(one.liquidation_id),
        asset=one.asset,
        market_id=markets.numbered(one.market_id).symbol if one.market_id else None,
        margin_mode="ISOLATED" if one.market_id else "CROSS",
        status="CLOSED" if one.state is LiquidationState.CLOSED else "OPEN",
        opened_at=one.opened_at_ms,
        closed_at=one.closed_at_ms,
        steps=[_step_view(step, markets, money) for step in one.steps],
        equity=money(one.equity_units) if is_own else UNSET,
        maintenance_margin=money(one.maintenance_units) if is_own else UNSET,
    )


def _step_view(step: StepDetails, markets: Markets, money: Callable[[int], str]) -> schemas.LiquidationStep:
    market = markets.numbered(step.market_id) if step.market_id else None

    def price(ticks: int | None) -> str | None:
        return None if market is None or ticks is None else market.instrument.price_text(ticks)

    lots = step.quantity_lots
    return schemas.LiquidationStep(
        step=step.number,
        type=cast("schemas.LiquidationStepType", step.kind.name),
        market_id=None if market is None else market.symbol,
        side=None if step.side is None else cast("schemas.Side", step.side.name),
        quantity=None if market is None or lots is None else market.instrument.quantity_text(lots),
        limit_price=price(step.limit_ticks),
        bankruptcy_price=price(step.bankruptcy_ticks),
        amount=money(step.amount_units),
        created_at=step.at_ms,
    )
