"""Topics whose source does not announce its changes: prices and funding are looked at while somebody listens."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from msgspec import UnsetType

from crossbook.application.markets import Market
from crossbook.dialects.flux import public
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_schemas import FundingData
from crossbook.dialects.flux.socket_topics import Subscription, Topic
from crossbook.dialects.socket import Peer, keep_going
from crossbook.domain.money import Scale

LOOK_S: Final = 0.2
PARTS_PER_BILLION: Final = Scale(9)

Channel = Any
"""mark_price or funding."""


def funding_of(services: StreamServices, market: Market) -> FundingData | None:
    """The funding of a market, None where there is none."""
    state = services.funding.current(market)
    if state is None:
        return None
    rate = PARTS_PER_BILLION.format(state.rate_ppb)
    return FundingData(market_id=market.symbol, funding_rate=rate, next_funding_at=state.next_at_ms)


class _Polled(Topic):
    """A topic, and how its data are read."""

    def __init__(self, channel: Channel, market: Market, services: StreamServices, read: Callable[[], Any]) -> None:
        super().__init__(channel, market.symbol, services.clock.now_ms, market=market.symbol)
        self.read = read
        self.data = read()

    def look(self) -> None:
        """Publish the data if they changed."""
        data = self.read()
        if data != self.data:
            self.data = data
            self.listeners.publish([self.update(self.sequence + 1, data)])


class PolledTopics:
    """The topics of all markets that are followed by looking."""

    def __init__(self, services: StreamServices) -> None:
        self._services = services
        self._topics: dict[tuple[str, int], _Polled] = {}
        self._looking: asyncio.Task[None] | None = None

    def join(self, channel: Channel, market: Market, peer: Peer, request_id: str | UnsetType) -> Subscription:
        """Send the data, and send them again whenever they change. Raises what reading them does."""
        key = (channel, market.number)
        topic = self._topics.get(key)
        if topic is None:
            read = public.current_price if channel == "mark_price" else funding_of
            topic = self._topics[key] = _Polled(channel, market, self._services, partial(read, self._services, market))
        topic.look()
        peer.send(topic.subscribed(request_id))
        peer.send(topic.snapshot(topic.data))
        topic.listeners.add(peer)
        if self._looking is None:
            self._looking = asyncio.create_task(keep_going("prices", self._look))
        return Subscription(topic, partial(self._leave, key, topic, peer))

    def _leave(self, key: tuple[str, int], topic: _Polled, peer: Peer) -> None:
        topic.listeners.remove(peer)
        if not len(topic.listeners) and self._topics.get(key) is topic:
            del self._topics[key]
        if not self._topics and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for topic in list(self._topics.values()):
                try:
                    topic.look()
                except self._services.unavailable:
                    continue  # what was said last stands until there is something better
