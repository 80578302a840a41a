"""The fills of one user, market by market: each is told once, in order, from any number on that the client names.

A fill's id is its topic's sequence. Ids rise in a market as it is settled and are stored for good, so every process,
also after a restart, can go on from the same number. The feed of accounts says when to look; what is new is read.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import UNSET, UnsetType

from crossbook.application.accounts import User
from crossbook.application.feeds import SubscriptionDropped
from crossbook.application.markets import Market
from crossbook.application.views import FillDetails, Page
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_topics import Subscription, Topic
from crossbook.dialects.socket import Peer, keep_going

FILLS_SHOWN: Final = 50
"""How many a snapshot has."""
MESSAGE_FILLS: Final = 500
"""How many one message of a replay has at most."""
MOST_REPLAYED: Final = 2_000
RETRY_S: Final = 0.5
TOO_MANY: Final = f"more than {MOST_REPLAYED} fills came after fromSequence, or none has that id: read GET /fills"


class _MarketFills(Topic):
    """The topic of one market. Its sequence is the last fill that everybody who listens was told of."""

    def __init__(self, user: User, market: Market, services: StreamServices) -> None:
        super().__init__("fills", f"{user.user_id}:{market.symbol}", services.clock.now_ms, market=market.symbol)
        self.market = market
        self._user = user
        self._fills = services.fills

    async def learn(self) -> None:
        """Begin after the newest fill. Raises StorageError."""
        newest = await self._fills.fills(self._user.account_id, Page(1), self.market.number)
        self.sequence = newest[0].fill_id if newest else 0

    async def look(self) -> None:
        """Tell what is new; what comes meanwhile is a matter of the next look. Raises StorageError."""
        is_full = True
        while is_full:
            found = await self._after(self.sequence)
            if found:
                self.listeners.publish([self.update(found[-1].fill_id, self._views(found))])
            is_full = len(found) == MESSAGE_FILLS

    async def missed(self, sequence: int) -> list[str] | None:
        """The messages that lead from `sequence` to where the topic stands; None for too many. Raises StorageError."""
        if sequence > self.sequence:
            return None
        messages: list[str] = []
        while sequence < self.sequence:
            found = [fill for fill in await self._after(sequence) if fill.fill_id <= self.sequence]
            if not found:
                break
            if len(messages) * MESSAGE_FILLS >= MOST_REPLAYED:
                return None
            messages.append(self.replay(sequence, found[-1].fill_id, self._views(found)))
            sequence = found[-1].fill_id
        return messages

    async def state(self) -> str:
        """The last fills, the oldest first. Raises StorageError."""
        page = Page(FILLS_SHOWN, self.sequence + 1)
        newest_first = await self._fills.fills(self._user.account_id, page, self.market.number)
        return self.snapshot(self._views(newest_first[::-1]))

    async def _after(self, sequence: int) -> list[FillDetails]:
        return await self._fills.fills_after(self._user.account_id, self.market.number, sequence, MESSAGE_FILLS)

    def _views(self, fills: Sequence[FillDetails]) -> list[schemas.Fill]:
        return [translate.fill_view(fill, self.market, str(self._user.user_id)) for fill in fills]


class FillTopics:
    """The topics of one user, as long as anybody listens to any of them; `gone` is called when nobody does."""

    def __init__(self, user: User, services: StreamServices, gone: Callable[[], None]) -> None:
        self._user = user
        self._services = services
        self._gone = gone
        self._topics: dict[int, _MarketFills] = {}
        self._turn = asyncio.Lock()
        self._joining = 0
        self._following: asyncio.Task[None] | None = None

    async def join(
        self, market: Market, peer: Peer, request_id: str | UnsetType, sequence: int | None = None
    ) -> Subscription:
        """Send the fills after `sequence`, or the last ones, and every one from there on. Raises StorageError."""
        self._joining += 1
        if self._following is None:
            self._following = asyncio.create_task(keep_going("fills", self._follow))
        try:
            async with self._turn:
                topic = self._topics.get(market.number)
                if topic is None:
                    topic = _MarketFills(self._user, market, self._services)
                    await topic.learn()
                else:
                    await topic.look()
                missed = None if sequence is None else await topic.missed(sequence)
                state = [await topic.state()] if missed is None else missed
                self._topics[market.number] = topic
                replayed = UNSET if sequence is None else missed is not None
                peer.send(topic.subscribed(request_id, replayed=replayed))
                if replayed is False:
                    peer.send(topic.resync(TOO_MANY))
                for message in state:
                    peer.send(message)
                topic.listeners.add(peer)
        finally:
            self._joining -= 1
            self._end_if_idle()
        return Subscription(topic, partial(self._leave, topic, peer))

    def _leave(self, topic: _MarketFills, peer: Peer) -> None:
        topic.listeners.remove(peer)
        if not len(topic.listeners) and self._topics.get(topic.market.number) is topic:
            del self._topics[topic.market.number]
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._joining or any(len(topic.listeners) for topic in self._topics.values()):
            return
        self._topics.clear()
        if self._following is not None:
            self._following.cancel()
            self._following = None
        self._gone()

    async def _follow(self) -> None:
        """Look whenever the feed says that something of the account was settled, or may have been."""
        feed = self._services.account_feed
        while True:
            subscription = feed.follow(self._user.account_id)
            try:
                while True:
                    await subscription.next()
                    await self._look()
            except SubscriptionDropped:
                await asyncio.sleep(RETRY_S)
            finally:
                feed.unfollow(subscription)

    async def _look(self) -> None:
        """Tell what is new in every market that somebody listens to; a database that is away is asked again."""
        while True:
            try:
                async with self._turn:
                    for topic in list(self._topics.values()):
                        await topic.look()
                return
            except self._services.unavailable:
                await asyncio.sleep(RETRY_S)
