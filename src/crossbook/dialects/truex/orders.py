"""Entering, changing and cancelling orders, and their state."""

from dataclasses import replace
from typing import Final

from msgspec import structs

from crossbook.application.client_orders import ClientOrder
from crossbook.application.clients import Client, FeeTier
from crossbook.application.markets import Market
from crossbook.application.order_filters import OrderStage
from crossbook.application.requests import AmendRequest, NewOrder
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.rate_classes import CANCELS, ORDERS, READS
from crossbook.dialects.truex import order_schemas as schemas
from crossbook.dialects.truex.auth import caller_of
from crossbook.dialects.truex.errors import ProblemDetails, invalid, not_found
from crossbook.dialects.truex.order_filter import parse
from crossbook.dialects.truex.order_requests import (
    amendment,
    external_id,
    new_order,
    order_number,
    protection_ticks,
    rates_of,
    require_active,
    spot_market,
)
from crossbook.dialects.truex.order_rows import order_row
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import READ, TRADE, before, listed, with_old_paths
from crossbook.domain.errors import Reason
from crossbook.domain.orders import OrderType

TAG: Final = "Orders"
TIERS_KEPT_S: Final = 2
"""How long a change of a fee tier may wait until orders have it."""


class OrderHandlers:
    """The handlers of `/orders`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tiers: dict[int, FeeTier] = {}
        self._tiers_at_s = float("-inf")

    # -- Changes -------------------------------------------------------------------------------------
    async def create(self, call: Call[schemas.CreateOrder, None]) -> Reply:
        """Enter an order; the same body again gives the same order."""
        info = call.body.info
        client = caller_of(call).client(int(info.client_id))
        require_active(client)
        market = spot_market(self._services.markets, info.instrument_id)
        order = new_order(call.body, market, client, await self._rates(client, market))
        if order.type is OrderType.MARKET:
            data, marks = self._services.market_data, self._services.marks
            order = structs.replace(
                order, price_ticks=protection_ticks(order.side, order.quantity_lots, market, data, marks)
            )
        placed = await self._services.desk.submit(order)
        if placed.repeated:
            known = await self._services.client_orders.one([client.account_id], placed.order_id)
            if known is not None:
                return self._reply(known)
        return self._reply(_just_entered(order, placed.order_id, placed.created_at_ms))

    async def modify(self, call: Call[schemas.ModifyOrder, None]) -> Reply:
        """Change an order. A lower quantity alone keeps its place; what has traded already ends it."""
        body, accounts = call.body, caller_of(call).account_ids
        if body.info.client_id is not None:
            accounts = [caller_of(call).client(int(body.info.client_id)).account_id]
        order = await self._chosen(body, accounts)
        require_active(caller_of(call).client(order.account_id))
        market = spot_market(self._services.markets, order.market_id)
        asked = amendment(body, order, market)
        if body.info.new_type == "MARKET":
            return await self._make_market(asked, order)
        await self._services.desk.amend(asked)
        return self._reply(_changed(order, asked), body.info.new_type or "")

    async def cancel(self, call: Call[None, schemas.RefQuery]) -> Reply:
        """Cancel an order, by its id or by the client's. One that is, or is being, cancelled is shown as it is."""
        order = await self._named(call.path["ref_id"], call.query.id_type, caller_of(call).account_ids)
        if order.stage in {OrderStage.CANCELED, OrderStage.CANCEL_PENDING}:
            return self._reply(order)
        await self._services.desk.cancel(order.account_id, order.order_id)
        return self._reply(replace(order, stage=OrderStage.CANCEL_PENDING))

    async def _make_market(self, asked: AmendRequest, order: ClientOrder) -> Reply:
        """Let an order take what the book offers, as a MARKET order would, and cancel what is left of it."""
        market = spot_market(self._services.markets, order.market_id)
        lots = max(1, (asked.quantity_lots or order.quantity_lots) - order.filled_lots)
        data, marks = self._services.market_data, self._services.marks
        asked = structs.replace(asked, price_ticks=protection_ticks(order.side, lots, market, data, marks))
        await self._services.desk.amend(asked)
        await self._services.desk.cancel(order.account_id, order.order_id)
        return self._reply(_changed(order, asked), "MARKET")

    # -- Reading -------------------------------------------------------------------------------------
    async def status(self, call: Call[None, schemas.RefQuery]) -> Reply:
        """One order, by its id or by the client's."""
        return self._reply(await self._named(call.path["ref_id"], call.query.id_type, caller_of(call).account_ids))

    async def active(self, call: Call[None, schemas.ActiveQuery]) -> Reply:
        """The orders that may still trade, newest first."""
        wanted = 0 if call.query.id is None else order_number(call.query.id)
        if call.query.id is not None and not wanted:
            return listed([])
        found = await self._services.client_orders.active(caller_of(call).account_ids, wanted, schemas.MAX_ACTIVE)
        return listed([self._row(order) for order in found])

    async def find(self, call: Call[None, schemas.OrdersQuery]) -> Reply:
        """A page of the orders that fulfil the filter, newest first."""
        query = call.query
        conditions = parse(query.query)
        found = await self._services.client_orders.matching(
            caller_of(call).account_ids, conditions, query.size + 1, skip=query.skip, before=before(query.cursor)
        )
        shown = found[: query.size]
        more = shown[-1].order_id if len(found) > query.size else 0
        return listed([self._row(order) for order in shown], query.size, more)

    # -- Pieces --------------------------------------------------------------------------------------
    async def _chosen(self, body: schemas.ModifyOrder, accounts: list[int]) -> ClientOrder:
        """The order that a change is about. Raises Problem."""
        if body.id is not None:
            return await self._named(body.id, "exchange", accounts)
        if body.external_id is None:
            raise invalid("id", "or external_id must name the order")
        return await self._named(body.external_id, "client", accounts)

    async def _named(self, text: str, id_type: schemas.RefType, accounts: list[int]) -> ClientOrder:
        """An own order by one of its ids. Raises Problem NOT_FOUND, and for a client's id that can be none."""
        if id_type == "client":
            external_id(text)
            order = await self._services.client_orders.named(accounts, text)
        else:
            number = order_number(text)
            order = await self._services.client_orders.one(accounts, number) if number else None
        if order is None:
            raise not_found("order", text[:64])
        return order

    async def _rates(self, client: Client, market: Market) -> tuple[int | None, int | None]:
        if not client.maker_fee_tier and not client.taker_fee_tier:
            return None, None
        now_s = self._services.clock.monotonic_s()
        if now_s - self._tiers_at_s >= TIERS_KEPT_S:
            self._tiers = {tier.tier: tier for tier in await self._services.clients.fee_tiers()}
            self._tiers_at_s = now_s
        return rates_of(client, self._tiers, market.instrument)

    def _row(self, order: ClientOrder, new_type: str = "") -> schemas.Order:
        return order_row(order, self._services.markets.numbered(order.market_id), new_type)

    def _reply(self, order: ClientOrder, new_type: str = "") -> Reply:
        return Reply(200, self._row(order, new_type))


def _just_entered(order: NewOrder, order_id: int, created_at_ms: int) -> ClientOrder:
    """An order as it is before the engine has seen it."""
    return ClientOrder(
        order_id,
        order.account_id,
        order.market_id,
        order.external_id or "",
        "",
        order.side,
        order.type,
        order.time_in_force,
        order.post_only,
        order.self_trade_prevention,
        order.quantity_lots,
        order.price_ticks,
        OrderStage.NEW_PENDING,
        Reason.NONE,
        order.quantity_lots,
        0,
        0,
        created_at_ms,
        created_at_ms,
    )


def _changed(order: ClientOrder, asked: AmendRequest) -> ClientOrder:
    """An order right after a change was asked for: it has its new name, and the terms that it had."""
    if asked.external_id is not None:
        order = replace(order, external_id=asked.external_id, ref_external_id=order.external_id)
    if not asked.changes_terms:
        return order
    stage = OrderStage.NEW_PENDING if order.stage is OrderStage.NEW_PENDING else OrderStage.MODIFY_PENDING
    return replace(
        order,
        stage=stage,
        new_quantity_lots=asked.quantity_lots or order.new_quantity_lots or order.quantity_lots,
        new_price_ticks=asked.price_ticks or order.new_price_ticks or order.price_ticks,
    )


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    orders = OrderHandlers(services)
    one, many = {200: schemas.Order, 404: ProblemDetails}, {200: list[schemas.Order]}
    rows: list[tuple[AnyEndpoint, list[str]]] = [
        (
            Endpoint(
                "POST",
                "/orders",
                "Enter an order.",
                orders.create,
                one,
                Auth.REQUIRED,
                TRADE,
                request=schemas.CreateOrder,
                rate_class=ORDERS,
                tag=TAG,
                description="The same external_id with the same body gives the same order.",
            ),
            ["/order"],
        ),
        (
            Endpoint(
                "PATCH",
                "/orders",
                "Change an order.",
                orders.modify,
                one,
                Auth.REQUIRED,
                TRADE,
                request=schemas.ModifyOrder,
                rate_class=ORDERS,
                tag=TAG,
                description="new_qty is the new total. A lower quantity alone keeps the order's place in the queue.",
            ),
            ["/order"],
        ),
        (
            Endpoint(
                "DELETE",
                "/orders/{ref_id}",
                "Cancel an order.",
                orders.cancel,
                one,
                Auth.REQUIRED,
                TRADE,
                query=schemas.RefQuery,
                rate_class=CANCELS,
                tag=TAG,
            ),
            ["/order/{ref_id}"],
        ),
        (
            Endpoint(
                "GET",
                "/orders/status/{ref_id}",
                "One order.",
                orders.status,
                one,
                Auth.REQUIRED,
                READ,
                query=schemas.RefQuery,
                rate_class=READS,
                tag=TAG,
            ),
            ["/order/status/{ref_id}"],
        ),
        (
            Endpoint(
                "GET",
                "/orders/active",
                "Orders that may still trade.",
                orders.active,
                many,
                Auth.REQUIRED,
                READ,
                query=schemas.ActiveQuery,
                rate_class=READS,
                tag=TAG,
            ),
            ["/order/active"],
        ),
        (
            Endpoint(
                "GET",
                "/orders/list",
                "Orders that fulfil a filter, newest first.",
                orders.find,
                many,
                Auth.REQUIRED,
                READ,
                query=schemas.OrdersQuery,
                rate_class=READS,
                tag=TAG,
                description='query is JSON: {"columns": [{"name": "status", "filter": [{"$in": ["CANCELED"]}]}]}.',
            ),
            ["/order/list"],
        ),
        (
            Endpoint(
                "GET",
                "/orders",
                "Orders that fulfil a filter, newest first.",
                orders.find,
                many,
                Auth.REQUIRED,
                READ,
                query=schemas.OrdersQuery,
                rate_class=READS,
                tag=TAG,
            ),
            ["/order"],
        ),
    ]
    return [row for endpoint, old in rows for row in with_old_paths(endpoint, old, services.singular)]
