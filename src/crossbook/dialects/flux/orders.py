"""Entering, cancelling and reading orders."""

import asyncio
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from crossbook.application.accounts import User
from crossbook.application.errors import InvalidOrder, OrderNotFound
from crossbook.application.markets import Market
from crossbook.application.requests import NewOrder, PlacedOrder
from crossbook.application.views import OrderDetails
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import too_many
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.known_errors import refusal_of
from crossbook.dialects.flux.paging import link, page_of
from crossbook.dialects.flux.services import Services
from crossbook.dialects.rate_classes import ORDERS
from crossbook.domain.errors import CrossbookError
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import LIMIT_TYPES, TRIGGERED_TYPES, OrderType, PriceSource, Side
from crossbook.domain.protection import (
    InsufficientLiquidity,
    first_trailing_trigger_ticks,
    protection_price_ticks,
    waiting_protection_ticks,
)

DEPTHS: Final = (32, schemas.MAX_DEPTH)
"""How many levels a market order looks at: few, which nearly always is enough, then all that is visible."""


class OrderHandlers:
    """The handlers of `/orders`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def submit(self, call: Call[schemas.SubmitOrder, None]) -> Reply:
        """Enter an order: 202, or 200 for the repeat of one that was entered before."""
        order = await self.translated(call.body, user_of(call))
        placed = await self._services.desk.submit(order)
        view = translate.accepted_view(placed, call.body.client_order_id)
        return Reply(200 if placed.repeated else 202, view)

    async def submit_batch(self, call: Call[schemas.SubmitBatch, None]) -> Reply:
        """Enter several orders, each for itself. Every order counts against the budget of orders."""
        self._spend(call.principal.limit_key, len(call.body.orders) - 1)
        user = user_of(call)
        answers = await asyncio.gather(*(self._one_of_batch(body, user) for body in call.body.orders))
        return Reply(202, schemas.BatchAccepted(results=list(answers)))

    async def amend(self, call: Call[schemas.AmendOrder, None]) -> Reply:
        """Log the amendment of an order; 202, with the order as it is now."""
        user, text = user_of(call), call.path["orderId"]
        order = await self._own(text, user)
        instrument = self._services.markets.numbered(order.market_id).instrument
        await self._services.desk.amend(translate.amendment(call.body, order, instrument))
        return Reply(202, self._view(await self._own(text, user), user))

    async def cancel(self, call: Call[None, None]) -> Reply:
        """Log the cancel of an order; 202."""
        order_id = translate.order_number(call.path["orderId"])
        await self._services.desk.cancel(user_of(call).account_id, order_id)
        return Reply(202, schemas.CancelAccepted(order_id=str(order_id)))

    async def cancel_all(self, call: Call[None, schemas.CancelAllQuery]) -> Reply:
        """Log the cancel of every live order, of one market or of all; 202."""
        market_id = translate.market_number(self._services.markets, call.query.market)
        order_ids = await self._services.desk.cancel_all(user_of(call).account_id, market_id)
        cancelled = [schemas.CancelAccepted(order_id=str(order_id)) for order_id in order_ids]
        return Reply(202, schemas.CancelAllAccepted(orders=cancelled))

    async def find(self, call: Call[None, schemas.OrdersQuery]) -> Reply:
        """A page of own orders, newest first."""
        query, user = call.query, user_of(call)
        market_id = translate.market_number(self._services.markets, query.market)
        page = page_of(query.limit, query.cursor)
        status = None if query.status is None else OrderStatus[query.status]
        if query.client_order_id is not None:
            one = await self._services.queries.order_by_client_id(user.account_id, query.client_order_id)
            fits = one is not None and market_id in (0, one.market_id) and status in (None, one.status)
            found = [one] if one is not None and fits and one.order_id < (page.before or one.order_id + 1) else []
        else:
            found = await self._services.queries.orders(user.account_id, page, market_id, status)
        views = [self._view(order, user) for order in found[: query.limit]]
        return Reply(200, views, link(call, found, query.limit, _order_id))

    async def one(self, call: Call[None, None]) -> Reply:
        """One own order."""
        user = user_of(call)
        return Reply(200, self._view(await self._own(call.path["orderId"], user), user))

    async def _own(self, text: str, user: User) -> OrderDetails:
        """The user's order of this id. Raises OrderNotFound."""
        order = await self._services.queries.order(user.account_id, translate.order_number(text))
        if order is None:
            raise OrderNotFound(text)
        return order

    def _view(self, order: OrderDetails, user: User) -> schemas.Order:
        return translate.order_view(order, self._services.markets.numbered(order.market_id), str(user.user_id))

    async def _one_of_batch(self, body: schemas.SubmitOrder, user: User) -> schemas.BatchResult:
        """The answer to one order; a refusal is an answer too."""
        try:
            placed = await self._services.desk.submit(await self.translated(body, user))
        except CrossbookError as error:
            refusal = refusal_of(error, self._services.unavailable)
            if refusal is None:
                raise
            return schemas.BatchResult(error=schemas.BatchError(code=refusal.code, message=refusal.message))
        return _batch_result(placed, body.client_order_id)

    def _spend(self, key: str, more: int) -> None:
        """Count the orders of a batch that the request itself did not. Raises `Fault` RATE_LIMITED."""
        for _ in range(more):
            verdict = self._services.limiter.take_key(ORDERS, key)
            if verdict is not None and not verdict.allowed:
                raise too_many(verdict)

    async def translated(self, body: schemas.SubmitOrder, user: User) -> NewOrder:
        """The order that a body asks for, a MARKET order with its protection price. Raises InvalidOrder."""
        market = translate.market_named(self._services.markets, body.market_id)
        order = translate.new_order(body, market, user.account_id)
        if order.type in LIMIT_TYPES or order.price_ticks or order.budget:
            return order
        if order.type in TRIGGERED_TYPES:
            return replace(order, price_ticks=self._waiting_protection_ticks(order, market))
        try:
            return replace(order, price_ticks=self._protection_ticks(order, market))
        except InsufficientLiquidity as error:
            # The repeat of an order that took the book itself finds nothing there, and is a repeat all the same.
            known = await self._entered_before(order)
            if known is not None:
                return replace(order, price_ticks=known.price_ticks)
            available = market.instrument.quantity_text(error.available_lots)
            rule = f"must not exceed what the book offers (insufficient liquidity): {available} available"
            raise InvalidOrder("quantity", rule, available if error.available_lots else None) from error

    def _waiting_protection_ticks(self, order: NewOrder, market: Market) -> int:
        """The worst price of a waiting order that named none; 0, for any price, where nothing is held for it.

        Raises InvalidOrder for a trailing stop while the price that it watches is not known.
        """
        if order.reduce_only or (order.side is Side.SELL and market.instrument.kind is InstrumentKind.SPOT):
            return 0
        trigger_ticks = order.trigger_price_ticks
        if order.type is OrderType.TRAILING_STOP and order.trail:
            source_ticks = self._source_ticks(order.trigger_source, market)
            if source_ticks is None:
                raise InvalidOrder("triggerBy", f"names a price that {market.symbol} does not have yet")
            trigger_ticks = first_trailing_trigger_ticks(
                order.side, source_ticks, order.trail, order.trail_in_basis_points
            )
        return waiting_protection_ticks(order.side, trigger_ticks) if trigger_ticks else 0

    def _source_ticks(self, source: PriceSource, market: Market) -> int | None:
        if source is PriceSource.LAST:
            return self._services.market_data.last_price_ticks(market.symbol)
        return self._services.marks.mark_ticks(market.number) if source is PriceSource.MARK else None

    def _protection_ticks(self, order: NewOrder, market: Market) -> int:
        """The worst price at which a market order may trade. Raises InsufficientLiquidity."""
        mark_ticks = self._services.marks.mark_ticks(market.number)
        for depth in DEPTHS:
            book = self._services.market_data.orderbook(market.symbol, depth)
            levels = book.asks if order.side is Side.BUY else book.bids
            offered = ((price_ticks, lots) for price_ticks, lots, _ in levels)
            try:
                return protection_price_ticks(order.side, offered, order.quantity_lots, mark_ticks)
            except InsufficientLiquidity:
                if depth == DEPTHS[-1] or len(levels) < depth:
                    raise
        raise AssertionError("the last depth returns or raises")

    async def _entered_before(self, order: NewOrder) -> OrderDetails | None:
        if order.client_order_id is None:
            return None
        return await self._services.queries.order_by_client_id(order.account_id, order.client_order_id)


def _batch_result(placed: PlacedOrder, client_order_id: str | None) -> schemas.BatchResult:
    accepted = translate.accepted_view(placed, client_order_id)
    return schemas.BatchResult(
        order_id=accepted.order_id,
        status=accepted.status,
        client_order_id=UNSET if client_order_id is None else client_order_id,
    )


def _order_id(order: OrderDetails) -> int:
    return order.order_id
