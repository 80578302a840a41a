"""Updates to whoever listens, each at its own pace within bounds: nobody's slowness is felt by others."""

import asyncio
from collections import deque

from crossbook.application.feeds import DropReason, SubscriptionDropped
from crossbook.matching.depth import DepthBook
from crossbook.workers.market_view import BookView, MarketUpdate

__all__ = ["DropReason", "Subscribers", "Subscription", "SubscriptionDropped"]


class Subscription:
    """The book at one moment, and every update of it from there on, in order and without a gap.

    `book` is the market's own, to be read only: right after `take` it is as the last update left it.
    """

    def __init__(self, start: BookView, book: DepthBook, capacity: int) -> None:
        self.start = start
        self.book = book
        self._capacity = capacity
        self._updates: deque[MarketUpdate] = deque()
        self._changed = asyncio.Event()
        self._dropped: DropReason | None = None

    async def next(self) -> MarketUpdate:
        """The next update, when there is one. Raises SubscriptionDropped. One caller at a time."""
        await self.wait()
        return self._updates.popleft()

    async def wait(self) -> None:
        """Return when there is an update. Raises SubscriptionDropped. One caller at a time."""
        while not self._updates and self._dropped is None:
            self._changed.clear()
            await self._changed.wait()
        self._check()

    def take(self) -> list[MarketUpdate]:
        """Every update that waits, oldest first, without waiting for more. Raises SubscriptionDropped."""
        self._check()
        updates = list(self._updates)
        self._updates.clear()
        return updates

    def _check(self) -> None:
        if self._dropped is not None:
            raise SubscriptionDropped(self._dropped)

    def put(self, update: MarketUpdate) -> bool:
        """Give it an update; False, and it is dropped, when it already has as many as it may."""
        if len(self._updates) >= self._capacity:
            self.drop(DropReason.SLOW)
            return False
        self._updates.append(update)
        self._changed.set()
        return True

    def drop(self, reason: DropReason) -> None:
        """Let `next` raise from now on."""
        self._dropped = reason
        self._updates.clear()
        self._changed.set()


class Subscribers:
    """The subscriptions of one market."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._all: list[Subscription] = []

    def __len__(self) -> int:
        return len(self._all)

    def add(self, start: BookView, book: DepthBook) -> Subscription:
        """A new subscription to `book`, from `start` on."""
        subscription = Subscription(start, book, self._capacity)
        self._all.append(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Its owner wants no more; nothing happens if it is gone already."""
        if subscription in self._all:
            self._all.remove(subscription)

    def publish(self, update: MarketUpdate) -> int:
        """Give everybody an update; the number of those that were too slow, and are dropped."""
        slow = [subscription for subscription in self._all if not subscription.put(update)]
        for subscription in slow:
            self._all.remove(subscription)
        return len(slow)

    def drop_all(self, reason: DropReason) -> None:
        """End every subscription."""
        for subscription in self._all:
            subscription.drop(reason)
        self._all.clear()
