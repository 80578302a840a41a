"""The pump of a market's changes: what it gathers, and that no fault leaves listeners in silence."""

import asyncio
from collections.abc import Sequence
from typing import Any

from crossbook.application.feeds import DropReason
from crossbook.dialects.market_pump import MarketPump, touched_by
from crossbook.domain.orders import Side
from crossbook.matching.depth import BookDelta, DepthBook
from crossbook.workers.market_view import BookView, MarketUpdate
from crossbook.workers.subscriptions import Subscribers, Subscription


class Away(Exception):
    """The data are not there."""


class Data:
    """A market's data whose changes are made by the test."""

    def __init__(self) -> None:
        self.subscribers = Subscribers(10)
        self.sequence = 0
        self.is_away = False

    def subscribe(self, market: str, depth: int) -> Subscription:
        if self.is_away:
            raise Away
        return self.subscribers.add(BookView(self.sequence, [], []), DepthBook())

    def unsubscribe(self, market: str, subscription: Subscription) -> None:
        self.subscribers.remove(subscription)

    def orderbook(self, market: str, depth: int) -> BookView:
        return BookView(self.sequence, [], [])

    def change(self, price_ticks: int) -> None:
        self.sequence += 1
        self.subscribers.publish(MarketUpdate(self.sequence, (BookDelta(Side.BUY, price_ticks, 1, 1),), ()))


class Publisher:
    """Notes what it is told, and fails when asked to."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.fails = False

    def changed(self, updates: Sequence[Any]) -> None:
        if self.fails:
            self.fails = False
            raise RuntimeError("a fault")
        self.heard.append(sorted(touched_by(updates)[Side.BUY]))

    def lost(self, reason: DropReason) -> None:
        self.heard.append(reason)

    def found(self, book: DepthBook, sequence: int) -> None:
        self.heard.append(("found", sequence))


def play(scene: Any) -> None:
    async def whole() -> None:
        data, publisher = Data(), Publisher()
        pump = MarketPump("M", data, (Away,), publisher, 0.001)  # type: ignore[arg-type] # as much as the pump uses
        async with asyncio.timeout(20):
            await scene(data, publisher, pump)
        pump.stop()
        assert len(data.subscribers) == 0

    asyncio.run(whole())


async def until(publisher: Publisher, count: int) -> None:
    while len(publisher.heard) < count:
        await asyncio.sleep(0.001)


def test_what_happens_at_once_is_told_at_once() -> None:
    async def scene(data: Data, publisher: Publisher, pump: MarketPump) -> None:
        assert pump.catch_up()[1] == 0
        data.change(5)
        data.change(6)
        await until(publisher, 1)
        data.change(7)
        assert pump.catch_up()[1] == 3  # who joins now is where the others are
        assert publisher.heard == [[5, 6], [7]]

    play(scene)


def test_a_feed_that_lost_its_place_is_found_again() -> None:
    async def scene(data: Data, publisher: Publisher, pump: MarketPump) -> None:
        pump.catch_up()
        data.sequence, data.is_away = 4, True
        data.subscribers.drop_all(DropReason.RESYNC)
        await until(publisher, 1)
        data.is_away = False
        await until(publisher, 2)
        assert publisher.heard == [DropReason.RESYNC, ("found", 4)]

    play(scene)


def test_a_fault_while_telling_begins_everything_anew() -> None:
    async def scene(data: Data, publisher: Publisher, pump: MarketPump) -> None:
        pump.catch_up()
        await asyncio.sleep(0.01)
        publisher.fails = True
        data.change(5)
        await until(publisher, 2)
        data.change(6)
        await until(publisher, 3)
        assert publisher.heard == [DropReason.RESYNC, ("found", 1), [6]]
        assert len(data.subscribers) == 1

    play(scene)
