"""Trades and activity: what happened to the orders of the organization's clients."""

from typing import Final

from crossbook.application.activity import ActivityKind
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.rate_classes import READS
from crossbook.dialects.truex import order_schemas as schemas
from crossbook.dialects.truex.auth import Caller, caller_of
from crossbook.dialects.truex.errors import invalid
from crossbook.dialects.truex.order_requests import ids_in
from crossbook.dialects.truex.order_rows import NS_PER_MS, activity_row, trade_row
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import READ, before, listed, with_old_paths
from crossbook.domain.instruments import InstrumentKind

TAG: Final = "Orders"
WINDOW_NS: Final = 24 * 3_600 * 1_000_000_000
"""How far before its `timestamp` a list reaches."""
LAST_NS: Final = 2**63 - 1
"""The last moment that can be stored; 19 digits can say later ones, up to which there is nothing more."""


class HistoryHandlers:
    """The handlers of `/orders/trade` and `/orders/activity`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def trades(self, call: Call[None, schemas.TradesQuery]) -> Reply:
        """A page of the trades of the 24 hours up to the timestamp, newest first."""
        query, until_ns = call.query, min(int(call.query.timestamp), LAST_NS)
        found = await self._services.client_orders.trades(
            accounts_in(caller_of(call), query.client_id),
            (until_ns - WINDOW_NS) // NS_PER_MS,
            until_ns // NS_PER_MS,
            query.size + 1,
            skip=query.skip,
            before=before(query.cursor),
            market_ids=self._spot_markets(),
        )
        shown = found[: query.size]
        more = shown[-1].fill_id if len(found) > query.size else 0
        markets = self._services.markets
        return listed([trade_row(trade, markets.numbered(trade.market_id)) for trade in shown], query.size, more)

    async def activity(self, call: Call[None, schemas.ActivityQuery]) -> Reply:
        """A page of the activity of the 24 hours up to the timestamp, newest first."""
        query, until_ns = call.query, min(int(call.query.timestamp), LAST_NS)
        found = await self._services.activity.page(
            accounts_in(caller_of(call), query.client_id),
            until_ns - WINDOW_NS,
            until_ns,
            query.size + 1,
            skip=query.skip,
            before=before(query.cursor),
            order_ids=ids_in(query.order_id, "order_id"),
            kinds=_kinds_in(query.msg_type),
        )
        shown = found[: query.size]
        more = shown[-1].activity_id if len(found) > query.size else 0
        markets = self._services.markets
        return listed([activity_row(step, markets.numbered(step.market_id)) for step in shown], query.size, more)

    def _spot_markets(self) -> list[int]:
        markets = self._services.markets
        return [market.number for market in markets if market.instrument.kind is InstrumentKind.SPOT]


def accounts_in(caller: Caller, client_ids: str | None) -> list[int]:
    """The accounts of a list: of the clients that are named, or of all. Raises Problem for another's client."""
    if client_ids is None:
        return caller.account_ids
    return [caller.client(client_id).account_id for client_id in ids_in(client_ids, "client_id")]


def _kinds_in(text: str | None) -> list[ActivityKind]:
    words = [] if text is None else text.split(",")
    unknown = [word for word in words if word not in ActivityKind.__members__]
    if unknown:
        raise invalid("msg_type", f"must be some of {', '.join(ActivityKind.__members__)}, parted by commas")
    return [ActivityKind[word] for word in words]


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    history = HistoryHandlers(services)
    trades = Endpoint(
        "GET",
        "/orders/trade",
        "Trades of the 24 hours up to a time, newest first.",
        history.trades,
        {200: list[schemas.Trade]},
        Auth.REQUIRED,
        READ,
        query=schemas.TradesQuery,
        rate_class=READS,
        tag=TAG,
    )
    activity = Endpoint(
        "GET",
        "/orders/activity",
        "Activity of the 24 hours up to a time, newest first.",
        history.activity,
        {200: list[schemas.ActivityRow]},
        Auth.REQUIRED,
        READ,
        query=schemas.ActivityQuery,
        rate_class=READS,
        tag=TAG,
        description="Kept for 28 days. client_id, order_id and msg_type are lists, parted by commas.",
    )
    return [
        *with_old_paths(trades, ["/order/trade"], services.singular),
        *with_old_paths(activity, ["/order/activity"], services.singular),
    ]
