"""The private topics of one user: orders, positions and balances, as settled.

They are made from the account feed. A message's numbers are those of the user's topic, the same on every connection.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec import UnsetType

from crossbook.application.accounts import User
from crossbook.application.feeds import AccountChange, DropReason, SubscriptionDropped
from crossbook.application.portfolio import Portfolio
from crossbook.application.views import Holdings, OrderDetails, PositionDetails
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_schemas import PrivateChannel
from crossbook.dialects.flux.socket_topics import Subscription, Topic
from crossbook.dialects.socket import Peer, keep_going

STOPPED_S: Final = 1.0
"""The pause after the feed stopped: the venue stops, or the feed is started again."""
CHANNELS: Final[tuple[PrivateChannel, ...]] = ("orders", "positions", "balances")


class AccountTopics:
    """The topics of one user, as long as anybody listens to any of them; `gone` is called when nobody does."""

    def __init__(self, user: User, services: StreamServices, gone: Callable[[], None]) -> None:
        self._user_id = str(user.user_id)
        self._account_id = user.account_id
        self._services = services
        self._gone = gone
        self._topics = {channel: Topic(channel, self._user_id, services.clock.now_ms) for channel in CHANNELS}
        self._orders: dict[int, OrderDetails] = {}
        self._holdings = Holdings([], [])
        self._shown: dict[str, list[Any]] = {}
        self._positions_shown: set[int] = set()
        self._has_started = False
        self._following: asyncio.Task[None] | None = None

    def join(self, channel: PrivateChannel, peer: Peer, request_id: str | UnsetType) -> Subscription:
        """Send the state, as soon as it is known, and every change from there on."""
        topic = self._topics[channel]
        peer.send(topic.subscribed(request_id))
        if self._has_started:
            peer.send(topic.snapshot(self._state(channel)))
        topic.listeners.add(peer)
        if self._following is None:
            self._following = asyncio.create_task(keep_going("account", self._follow))
        return Subscription(topic, partial(self._leave, topic, peer))

    def _leave(self, topic: Topic, peer: Peer) -> None:
        topic.listeners.remove(peer)
        if any(len(each.listeners) for each in self._topics.values()):
            return
        if self._following is not None:
            self._following.cancel()
            self._following = None
            self._gone()

    # -- Work ----------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        """Tell listeners what the feed says, and begin again when it lost its place."""
        feed = self._services.account_feed
        while True:
            subscription = feed.follow(self._account_id)
            try:
                while True:
                    self._take(await subscription.next())
            except SubscriptionDropped as dropped:
                self._has_started = False
                for topic in self._topics.values():
                    topic.listeners.publish([topic.resync(dropped.reason)])
                if dropped.reason is DropReason.STOPPED:
                    await asyncio.sleep(STOPPED_S)
            finally:
                feed.unfollow(subscription)

    def _take(self, change: AccountChange) -> None:
        if change.holdings is not None:
            self._holdings = change.holdings
        if change.is_start:
            self._start(change.orders)
            return
        if change.orders:
            for order in change.orders:
                self._note(order)
            self._tell("orders", [self._order(order) for order in change.orders])
        if change.holdings is not None:
            for channel in ("positions", "balances"):
                self._tell(channel, self._fresh(channel))

    def _start(self, orders: Sequence[OrderDetails]) -> None:
        self._orders = {order.order_id: order for order in orders}
        self._has_started = True
        for channel, topic in self._topics.items():
            state = self._state(channel)
            self._shown[channel] = state
            topic.sequence += 1
            if len(topic.listeners):
                topic.listeners.publish([topic.snapshot(state)])

    def _note(self, order: OrderDetails) -> None:
        if order.status.is_live:
            self._orders[order.order_id] = order
        else:
            self._orders.pop(order.order_id, None)

    def _tell(self, channel: PrivateChannel, data: list[Any]) -> None:
        topic = self._topics[channel]
        if data:
            message = topic.update(topic.sequence + 1, data)
            topic.listeners.publish([message])

    def _fresh(self, channel: PrivateChannel) -> list[Any]:
        """The rows that are not as they were shown last."""
        state, before = self._state(channel), self._shown.get(channel, [])
        self._shown[channel] = state
        return [row for row in state if row not in before]

    # -- What is shown -------------------------------------------------------------------------------
    def _state(self, channel: PrivateChannel) -> list[Any]:
        if channel == "orders":
            newest_first = sorted(self._orders.values(), key=lambda order: -order.order_id)
            return [self._order(order) for order in newest_first]
        portfolio = Portfolio(self._holdings, self._services.markets, self._services.marks)
        if channel == "balances":
            rows = self._holdings.balances
            return [translate.balance_view(balance, portfolio, self._user_id) for balance in rows]
        return [
            translate.position_view(row, self._services.markets.numbered(row.market_id), portfolio, self._user_id)
            for row in self._holdings.positions
            if self._is_shown(row)
        ]

    def _is_shown(self, row: PositionDetails) -> bool:
        """As GET /positions; but one that was shown once is shown on, so that its end is told."""
        if row.position_lots or row.realised_pnl_units:
            self._positions_shown.add(row.market_id)
        return row.market_id in self._positions_shown

    def _order(self, order: OrderDetails) -> schemas.Order:
        return translate.order_view(order, self._services.markets.numbered(order.market_id), self._user_id)
