"""Carries a market's changes from its feed to whoever tells them to listeners, a few times a second at most.

Changes are gathered for a moment, so that a busy market costs each listener a few messages instead of thousands. When
the feed loses its place, the pump finds it again.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from crossbook.application.errors import Overloaded
from crossbook.application.feeds import DropReason, SubscriptionDropped
from crossbook.dialects.feed_ports import MarketFeeds, MarketSubscription, MarketUpdate
from crossbook.domain.orders import Side
from crossbook.logs import Log
from crossbook.matching.depth import DepthBook

RETRY_S: Final = 0.1

_log: Final = Log("market_pump")

Touched = dict[Side, set[int]]
"""Prices in ticks whose levels changed, by side."""


def touched_by(updates: Sequence[MarketUpdate]) -> Touched:
    """The levels that these updates changed."""
    touched: Touched = {side: set() for side in Side}
    for update in updates:
        for delta in update.deltas:
            touched[delta.side].add(delta.price_ticks)
    return touched


class Publisher(Protocol):
    """Tells listeners what a pump brings. Nothing here waits or raises."""

    def changed(self, updates: Sequence[MarketUpdate]) -> None:
        """These updates happened, and the market's book is as the last of them left it."""

    def lost(self, reason: DropReason) -> None:
        """Something may have been missed: what was told does not count any more."""

    def found(self, book: DepthBook, sequence: int) -> None:
        """The book from which it goes on, as it is after the command `sequence`."""


class MarketPump:
    """Follows the feed of one market while somebody listens."""

    def __init__(
        self,
        symbol: str,
        data: MarketFeeds,
        unavailable: tuple[type[Exception], ...],
        publisher: Publisher,
        gather_s: float,
    ) -> None:
        self._symbol = symbol
        self._data = data
        self._unavailable = unavailable
        self._publisher = publisher
        self._gather_s = gather_s
        self._feed: MarketSubscription | None = None
        self._task: asyncio.Task[None] | None = None

    def catch_up(self) -> tuple[DepthBook, int]:
        """Publish all that the feed has by now, and give the book as it is then, and its sequence.

        So whoever joins now begins where the others are. Raises what `MarketFeeds.subscribe` does, and Overloaded.
        """
        if self._feed is None:
            self._feed = self._data.subscribe(self._symbol, 1)
        self._flush()
        if self._feed is None:
            raise Overloaded("the data of the market are being built")
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return self._feed.book, self._sequence()

    def stop(self) -> None:
        """Nobody listens any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self._feed is not None:
            self._data.unsubscribe(self._symbol, self._feed)
            self._feed = None

    async def _run(self) -> None:
        """Publish until nobody listens. After a crash nobody knows what was told: everything begins anew."""
        while True:
            try:
                await self._turn()
            except Exception:
                _log.exception("market pump crashed", market=self._symbol)
                if self._feed is not None:
                    self._data.unsubscribe(self._symbol, self._feed)
                    self._feed = None
                    self._publisher.lost(DropReason.RESYNC)

    async def _turn(self) -> None:
        feed = self._feed
        if feed is None:
            await asyncio.sleep(RETRY_S)
            self._find()
            return
        try:
            await feed.wait()
        except SubscriptionDropped as dropped:
            self._lose(dropped.reason)
            return
        self._flush()
        await asyncio.sleep(self._gather_s)

    def _flush(self) -> None:
        if self._feed is None:
            return
        try:
            updates = self._feed.take()
        except SubscriptionDropped as dropped:
            self._lose(dropped.reason)
            return
        if updates:
            self._publisher.changed(updates)

    def _lose(self, reason: DropReason) -> None:
        self._feed = None
        self._publisher.lost(reason)
        self._find()

    def _find(self) -> None:
        try:
            self._feed = self._data.subscribe(self._symbol, 1)
        except self._unavailable:
            return
        self._publisher.found(self._feed.book, self._sequence())

    def _sequence(self) -> int:
        return self._data.orderbook(self._symbol, 1).sequence
