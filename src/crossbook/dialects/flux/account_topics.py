"""The private topics of one user: orders, positions and balances, as settled.

They are made from the account feed. A message's numbers are those of the user's topic, the same on every connection.
They are followed on for a while after the last listener left, so that who comes back hears what was missed.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from crossbook.application.accounts import User
from crossbook.application.feeds import AccountChange, DropReason, SubscriptionDropped
from crossbook.application.portfolio import Portfolio
from crossbook.application.views import Holdings, OrderDetails, PositionDetails
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.account_ranks import RankWatch
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_history import History, Shelf
from crossbook.dialects.flux.socket_schemas import PrivateChannel
from crossbook.dialects.flux.socket_topics import Subscription, Topic
from crossbook.dialects.socket import Peer, keep_going
from crossbook.system import secret_token

STOPPED_S: Final = 1.0
"""The pause after the feed stopped: the venue stops, or the feed is started again."""
CHANNELS: Final[tuple[PrivateChannel, ...]] = ("orders", "positions", "balances")


TOO_OLD: Final = "the sequence is not known any more: read GET /orders and GET /fills for what you missed"
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Place:
    """The last message that a client has, and the stream that its number belongs to."""

    stream: str
    sequence: int


class AccountTopics:
    """The topics of one user. `idle` is called when nobody listens to any of them any more; `close` ends them.

    `stream` names this run of numbers: a sequence of another one means nothing here.
    """

    def __init__(
        self, user: User, services: StreamServices, shelf: Shelf, watch: RankWatch, idle: Callable[[], None]
    ) -> None:
        self.stream = secret_token(16)
        self.account_id = user.account_id
        self._user_id = str(user.user_id)
        self._services = services
        self._watch = watch
        self._idle = idle
        self._topics = {channel: Topic(channel, self._user_id, services.clock.now_ms) for channel in CHANNELS}
        self._histories = {channel: History(shelf) for channel in CHANNELS}
        self._orders: dict[int, OrderDetails] = {}
        self._holdings = Holdings([], [])
        self._shown: dict[str, list[Any]] = {}
        self._positions_shown: set[int] = set()
        self._ranks: Mapping[int, int | None] = {}
        self._has_started = False
        self._following: asyncio.Task[None] | None = None

    def join(
        self, channel: PrivateChannel, peer: Peer, request_id: str | UnsetType, place: Place | None = None
    ) -> Subscription:
        """Send what came after `place`, or the state as soon as it is known, and every change from there on."""
        topic = self._topics[channel]
        missed = None if place is None else self._missed(channel, place)
        replayed = UNSET if place is None else missed is not None
        peer.send(topic.subscribed(request_id, stream=self.stream, replayed=replayed))
        if place is not None and missed is not None:
            before = place.sequence
            for sequence, rows in missed:
                peer.send(topic.replay(before, sequence, rows))
                before = sequence
        else:
            if place is not None:
                peer.send(topic.resync(TOO_OLD))
            if self._has_started:
                peer.send(topic.snapshot(self._state(channel)))
        topic.listeners.add(peer)
        if channel == "positions":
            self._watch.join(self)
        if self._following is None:
            self._following = asyncio.create_task(keep_going("account", self._follow))
        return Subscription(topic, partial(self._leave, topic, peer))

    def _missed(self, channel: PrivateChannel, place: Place) -> list[tuple[int, list[Raw]]] | None:
        """What the topic told after `place`; None when that is not known."""
        if not self._has_started or place.stream != self.stream:
            return None
        return self._histories[channel].since(place.sequence)

    def _leave(self, topic: Topic, peer: Peer) -> None:
        topic.listeners.remove(peer)
        if not len(self._topics["positions"].listeners):
            self._watch.leave(self)
        if not any(len(each.listeners) for each in self._topics.values()):
            self._idle()

    def close(self) -> None:
        """Follow no more, and forget."""
        if self._following is not None:
            self._following.cancel()
            self._following = None
        for history in self._histories.values():
            history.restart(0)

    # -- Work ----------------------------------------------------------------------------------------
    async def _follow(self) -> None:
        """Tell listeners what the feed says, and begin again when it lost its place."""
        feed = self._services.account_feed
        while True:
            subscription = feed.follow(self.account_id)
            try:
                while True:
                    change = await subscription.next()
                    if change.holdings is not None:
                        self._holdings = change.holdings
                    if change.is_start:
                        await self._watch.tell([self])
                    self._take(change)
            except SubscriptionDropped as dropped:
                self._has_started = False
                for topic in self._topics.values():
                    topic.listeners.publish([topic.resync(dropped.reason)])
                if dropped.reason is DropReason.STOPPED:
                    await asyncio.sleep(STOPPED_S)
            finally:
                feed.unfollow(subscription)

    def _take(self, change: AccountChange) -> None:
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
            self._histories[channel].restart(topic.sequence)
            if len(topic.listeners):
                topic.listeners.publish([topic.snapshot(state)])

    def _note(self, order: OrderDetails) -> None:
        if order.status.is_live:
            self._orders[order.order_id] = order
        else:
            self._orders.pop(order.order_id, None)

    def _tell(self, channel: PrivateChannel, data: list[Any]) -> None:
        if not data:
            return
        topic, rows = self._topics[channel], [Raw(_encode(row)) for row in data]
        message = topic.update(topic.sequence + 1, rows)
        self._histories[channel].keep(topic.sequence, rows)
        topic.listeners.publish([message])

    def _fresh(self, channel: PrivateChannel) -> list[Any]:
        """The rows that are not as they were shown last."""
        state, before = self._state(channel), self._shown.get(channel, [])
        self._shown[channel] = state
        return [row for row in state if row not in before]

    # -- Ranks ---------------------------------------------------------------------------------------
    def open_markets(self) -> Collection[int]:
        """The markets in which a position is open."""
        return [row.market_id for row in self._holdings.positions if row.position_lots]

    def ranked(self, ranks: Mapping[int, int | None]) -> None:
        """Tell the positions whose rank is another one now."""
        before, self._ranks = self._ranks, {**self._ranks, **ranks}
        changed = [market_id for market_id, rank in ranks.items() if rank != before.get(market_id)]
        if changed and self._has_started:
            self._tell("positions", self._fresh("positions"))

    # -- What is shown -------------------------------------------------------------------------------
    def _state(self, channel: PrivateChannel) -> list[Any]:
        if channel == "orders":
            newest_first = sorted(self._orders.values(), key=lambda order: -order.order_id)
            return [self._order(order) for order in newest_first]
        portfolio = Portfolio(self._holdings, self._services.markets, self._services.marks)
        if channel == "balances":
            rows = self._holdings.balances
            return [translate.balance_view(balance, portfolio, self._user_id) for balance in rows]
        return [self._position(row, portfolio) for row in self._holdings.positions if self._is_shown(row)]

    def _position(self, row: PositionDetails, portfolio: Portfolio) -> schemas.Position:
        market, rank = self._services.markets.numbered(row.market_id), None
        if row.position_lots:
            rank = self._ranks.get(row.market_id)
        return translate.position_view(row, market, portfolio, self._user_id, rank)

    def _is_shown(self, row: PositionDetails) -> bool:
        """As GET /positions; but one that was shown once is shown on, so that its end is told."""
        if row.position_lots or row.realised_pnl_units:
            self._positions_shown.add(row.market_id)
        return row.market_id in self._positions_shown

    def _order(self, order: OrderDetails) -> schemas.Order:
        return translate.order_view(order, self._services.markets.numbered(order.market_id), self._user_id)
