"""The topics of fills while the store is slow, away, or written to at every moment."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from msgspec import UNSET

from crossbook.application.accounts import User, UserKind
from crossbook.application.feeds import AccountChange, AccountSubscription, DropReason
from crossbook.application.markets import Market
from crossbook.application.views import FillDetails, Holdings, Page
from crossbook.dialects.flux import fill_topics
from crossbook.dialects.flux.fill_topics import FillTopics
from crossbook.dialects.flux.services import StreamServices
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.instruments import btc_perp
from crossbook.domain.orders import Side
from crossbook.system import ManualClock

ALICE = User(1_000, 11, UserKind.TRADER, "alice", None, None, frozenset(), 0, False)
MARKET = Market(1, btc_perp(), 2, 1)
MOST_FILLS = 400
"""When nobody writes any more, so that everybody can catch up."""


class Away(Exception):
    """The database is away."""


class Listener:
    """A connection that checks the numbers of what it is sent."""

    path, address = "/ws", "127.0.0.1"

    def __init__(self, sequence: int | None = None) -> None:
        self.sequence = sequence
        self.heard: list[int] = []
        self.kinds: list[str] = []

    def send(self, message: str) -> None:
        told: Any = json.loads(message)
        self.kinds.append(told["type"])
        if told["type"] == "update":
            assert told["previousSequence"] == self.sequence
        if "data" in told:
            self.heard += [int(fill["id"]) for fill in told["data"]]
            self.sequence = told["sequence"]

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody closes it")


class Store:
    """Fills as stored, more of them at any moment; each change is told by the feed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.ids: list[int] = []
        self.is_away = False
        self.followed: list[AccountSubscription] = []

    def trade(self) -> None:
        """Store some fills, and let the feed tell."""
        last = self.ids[-1] if self.ids else 0
        self.ids += [last + 2 * step for step in range(1, self.rng.randint(1, 3) + 1)]
        self._tell()

    def _tell(self) -> None:
        for subscription in self.followed:
            subscription.put(AccountChange(ALICE.account_id, [], Holdings([], [])))

    async def _wait(self) -> None:
        """Time passes in the database, and others write."""
        if self.is_away:
            raise Away
        for _ in range(self.rng.randint(0, 3)):
            if self.rng.random() < 0.3 and len(self.ids) < MOST_FILLS:
                self.trade()
            await asyncio.sleep(0)

    async def fills(self, account_id: int, page: Page, market_id: int = 0, order_id: int = 0) -> list[FillDetails]:
        await self._wait()
        found = [number for number in self.ids if not page.before or number < page.before]
        await self._wait()
        return [fill(number) for number in found[::-1][: page.limit]]

    async def fills_after(self, account_id: int, market_id: int, fill_id: int, limit: int) -> list[FillDetails]:
        await self._wait()
        found = [number for number in self.ids if number > fill_id]
        await self._wait()
        return [fill(number) for number in found[:limit]]

    def follow(self, account_id: int) -> AccountSubscription:
        made = AccountSubscription(account_id, 10_000)
        self.followed.append(made)
        made.put(AccountChange(account_id, [], Holdings([], []), is_start=True))
        return made

    def unfollow(self, subscription: AccountSubscription) -> None:
        self.followed.remove(subscription)


def fill(number: int) -> FillDetails:
    return FillDetails(number, number, 7, ALICE.account_id, 1, Side.BUY, LiquidityRole.TAKER, 650_000, 1, 65, 1, 0, 0)


def play(scene: Callable[[FillTopics, Store], Awaitable[None]], seed: int = 0) -> None:
    store = Store(random.Random(seed))

    class Services:
        clock, fills, account_feed, unavailable = ManualClock(), store, store, (Away,)

    async def whole() -> None:
        gone: list[bool] = []
        async with asyncio.timeout(30):
            await scene(FillTopics(ALICE, cast("StreamServices", Services), lambda: gone.append(True)), store)
            await asyncio.sleep(0)
        assert gone
        assert not store.followed

    asyncio.run(whole())


@pytest.mark.parametrize("seed", range(40))
def test_everybody_hears_every_fill_once_whenever_they_come(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_topics, "RETRY_S", 0.001)
    monkeypatch.setattr(fill_topics, "MESSAGE_FILLS", 1 + seed % 4)
    monkeypatch.setattr(fill_topics, "MOST_REPLAYED", 10_000)

    async def scene(topics: FillTopics, store: Store) -> None:
        rng = store.rng
        for _ in range(3):
            store.trade()
        listeners = [Listener(rng.choice([None, 0, *store.ids])) for _ in range(6)]
        starts = [listener.sequence for listener in listeners]

        async def come(listener: Listener) -> Any:
            for _ in range(rng.randint(0, 20)):
                await asyncio.sleep(0)
            return await topics.join(MARKET, listener, UNSET, listener.sequence)

        coming = [asyncio.create_task(come(listener)) for listener in listeners]
        for place in range(30):
            store.trade()
            if place == 15 and seed % 2:
                for subscription in list(store.followed):
                    subscription.drop(DropReason.RESYNC)
            await asyncio.sleep(0)
        subscriptions = await asyncio.gather(*coming)
        while any(listener.sequence != store.ids[-1] for listener in listeners):
            await asyncio.sleep(0.001)
        for start, listener in zip(starts, listeners, strict=True):
            first = listener.heard[0] if start is None else start + 1
            assert listener.heard == [number for number in store.ids if number >= first]
        for subscription in subscriptions:
            subscription.leave()

    play(scene, seed)


def test_a_store_that_is_away_delays_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill_topics, "RETRY_S", 0.005)

    async def scene(topics: FillTopics, store: Store) -> None:
        store.trade()
        listener, late = Listener(), Listener()
        subscription = await topics.join(MARKET, listener, UNSET)
        store.is_away = True
        store.trade()
        await asyncio.sleep(0.03)
        with pytest.raises(Away):
            await topics.join(MARKET, late, UNSET)
        assert late.kinds == []
        store.is_away = False
        while listener.sequence != store.ids[-1]:
            await asyncio.sleep(0.001)
        assert listener.heard == store.ids
        subscription.leave()

    play(scene)


def test_a_first_subscription_that_fails_leaves_nothing_behind() -> None:
    async def scene(topics: FillTopics, store: Store) -> None:
        store.is_away = True
        with pytest.raises(Away):
            await topics.join(MARKET, Listener(), UNSET)

    play(scene)
