"""The feed of accounts: what it reads, when, and what it does when it fell behind. The store is a script here."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from crossbook.application.feeds import AccountStates, AccountSubscription, DropReason, SubscriptionDropped, orders_of
from crossbook.application.views import BalanceDetails, Holdings, OrderDetails
from crossbook.domain.commands import CommandKind
from crossbook.domain.errors import Reason
from crossbook.domain.events import (
    CommandRejected,
    Event,
    ForcedTrade,
    OrderAccepted,
    OrderCancelled,
    OrdersCancelled,
    Trade,
)
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import OrderType, Side, TimeInForce
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.system import SystemClock
from crossbook.workers.account_feed import AccountFeed, AccountFeedSettings
from crossbook.workers.health import Condition

QUICK = AccountFeedSettings(look_every_ms=20, settlement_every_ms=1, capacity=3, noted_orders=50)
ALICE, BOB, MARKET = 11, 12, 1


def order(order_id: int, account_id: int = ALICE, status: OrderStatus = OrderStatus.OPEN) -> OrderDetails:
    return OrderDetails(
        order_id, account_id, MARKET, None, Side.BUY, OrderType.LIMIT, TimeInForce.GTC, False, False, 1, 5, 100, 0, 0,
        status, Reason.NONE, 5 if status.is_live else 0, 0, 0, 0, 1, 1,
    )  # fmt: skip


def money(total_units: int, account_id: int = ALICE) -> Holdings:
    return Holdings([BalanceDetails(account_id, "USDC", 6, total_units, 0)], [])


def accepted(sequence: int, order_id: int, account_id: int = ALICE) -> OrderAccepted:
    return OrderAccepted(sequence, 0, order_id, account_id, Side.BUY, OrderType.LIMIT, 5, 100)


class Store:
    """What is stored, and what was asked."""

    def __init__(self) -> None:
        self.settled = {MARKET: 0}
        self.orders: dict[int, OrderDetails] = {}
        self.holdings = {ALICE: money(1), BOB: money(2, BOB)}
        self.asked: list[tuple[list[int], list[int], list[int]]] = []
        self.is_away = False

    async def settled_sequences(self) -> dict[int, int]:
        return dict(self.settled)

    async def account_states(
        self, account_ids: Sequence[int], order_ids: Sequence[int], starting: Sequence[int], live_limit: int
    ) -> AccountStates:
        if self.is_away:
            raise DatabaseUnavailable("gone")
        self.asked.append((list(account_ids), list(order_ids), list(starting)))
        named = [self.orders[each] for each in order_ids if self.orders[each].account_id in account_ids]
        live = [each for each in self.orders.values() if each.status.is_live and each.account_id in starting]
        return AccountStates(
            dict(self.settled),
            {number: [each for each in named if each.account_id == number] for number in account_ids},
            {number: [each for each in live if each.account_id == number] for number in starting},
            {number: self.holdings[number] for number in account_ids},
        )


Scene = Callable[[AccountFeed, Store], Coroutine[Any, Any, None]]


def play(scene: Scene, settings: AccountFeedSettings = QUICK) -> None:
    async def whole() -> None:
        store, stop = Store(), asyncio.Event()
        feed = AccountFeed(store, SystemClock(), settings=settings)
        running = asyncio.create_task(feed.run(stop))
        try:
            async with asyncio.timeout(30):
                await scene(feed, store)
        finally:
            stop.set()
            await running
        assert feed.health.condition is Condition.STOPPED

    asyncio.run(whole())


async def started(feed: AccountFeed, account_id: int = ALICE) -> AccountSubscription:
    subscription = feed.follow(account_id)
    assert (await subscription.next()).is_start
    return subscription


def test_with_nobody_following_nothing_is_read() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        feed.note(MARKET, 1, [(1, [accepted(1, 5)])])
        await asyncio.sleep(0.1)
        assert store.asked == []

    play(scene)


def test_an_order_is_told_once_it_is_settled() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscription = await started(feed)
        store.orders[5] = order(5)
        feed.note(MARKET, 1, [(1, [accepted(1, 5), accepted(1, 6, BOB)])])
        await asyncio.sleep(0.05)
        assert not any(order_ids for _, order_ids, _ in store.asked)
        store.settled[MARKET] = 1
        change = await subscription.next()
        assert (change.orders, change.holdings) == ([order(5)], None)

    play(scene)


def test_money_that_moved_without_an_order_is_told() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscription = await started(feed)
        store.holdings[ALICE] = money(7)
        change = await subscription.next()
        assert (change.orders, change.holdings) == ([], money(7))

    play(scene)


def test_only_followed_accounts_are_read() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscription = await started(feed, BOB)
        await asyncio.sleep(0.1)
        assert {number for account_ids, _, _ in store.asked for number in account_ids} == {BOB}
        feed.unfollow(subscription)
        feed.unfollow(subscription)
        await asyncio.sleep(0.05)
        looks = len(store.asked)
        await asyncio.sleep(0.1)
        assert len(store.asked) == looks

    play(scene)


def test_what_was_heard_before_a_start_and_settled_after_it_is_told() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        store.orders[5] = order(5, status=OrderStatus.PENDING)
        feed.note(MARKET, 3, [(3, [accepted(3, 5)])])  # nobody follows yet
        subscription = feed.follow(ALICE)
        start = await subscription.next()
        assert [each.status for each in start.orders] == [OrderStatus.PENDING]
        store.orders[5] = order(5)
        store.settled[MARKET] = 3
        assert (await subscription.next()).orders == [order(5)]

    play(scene)


def test_a_second_follower_starts_by_itself() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        first = await started(feed)
        store.orders[5] = order(5)
        second = feed.follow(ALICE)
        start = await second.next()
        assert (start.orders, start.holdings, start.is_start) == ([order(5)], money(1), True)
        store.holdings[ALICE] = money(9)
        assert (await first.next()).holdings == money(9)
        assert (await second.next()).holdings == money(9)

    play(scene)


def test_a_gap_ends_every_subscription() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscriptions = [await started(feed), await started(feed, BOB)]
        feed.gap(MARKET, 4)
        for subscription in subscriptions:
            with pytest.raises(SubscriptionDropped) as dropped:
                await subscription.next()
            assert dropped.value.reason is DropReason.RESYNC
        await started(feed)

    play(scene)


def test_a_follower_that_is_too_slow_is_dropped_alone() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        slow, quick = await started(feed), await started(feed)
        for units in range(10, 20):
            store.holdings[ALICE] = money(units)
            assert (await quick.next()).holdings == money(units)
        with pytest.raises(SubscriptionDropped) as dropped:
            await slow.next()
        assert dropped.value.reason is DropReason.SLOW

    play(scene)


def test_more_than_may_wait_for_settlement_makes_everybody_start_anew() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscription = await started(feed)
        for sequence in range(1, 60):
            feed.note(MARKET, sequence, [(sequence, [accepted(sequence, sequence)])])
        with pytest.raises(SubscriptionDropped):
            await subscription.next()

    play(scene)


def test_a_database_that_is_away_delays_and_loses_nothing() -> None:
    async def scene(feed: AccountFeed, store: Store) -> None:
        subscription = await started(feed)
        store.is_away = True
        store.orders[5] = order(5)
        store.settled[MARKET] = 1
        feed.note(MARKET, 1, [(1, [accepted(1, 5)])])
        while feed.health.condition is not Condition.WAITING:
            await asyncio.sleep(0.005)
        store.is_away = False
        assert (await subscription.next()).orders == [order(5)]

    play(scene)


def test_the_end_of_the_venue_ends_subscriptions() -> None:
    kept: list[AccountSubscription] = []

    async def scene(feed: AccountFeed, store: Store) -> None:
        kept.append(await started(feed))

    play(scene)
    with pytest.raises(SubscriptionDropped) as dropped:
        asyncio.run(kept[0].next())
    assert dropped.value.reason is DropReason.STOPPED


def test_whose_orders_events_are_about() -> None:
    trade = Trade(4, 0, 9, 100, 5, Side.BUY, 71, ALICE, 0, 72, BOB, 0, False)
    events: list[Event] = [
        accepted(1, 70),
        OrderCancelled(2, 0, 69, BOB, Side.BUY, 100, 5, Reason.USER_REQUEST),
        CommandRejected(3, 0, CommandKind.CANCEL, 0, ALICE, Reason.ORDER_NOT_FOUND),
        trade,
        OrdersCancelled(5, 0, BOB, 3),
    ]
    assert orders_of(events, {ALICE}) == {ALICE: {70, 0, 71}}
    assert orders_of(events, {ALICE, BOB}) == {ALICE: {70, 0, 71}, BOB: {69, 72}}
    assert orders_of(events, set()) == {}
    assert orders_of([ForcedTrade(6, 0, 8, ALICE, BOB, 100, 5)], {BOB}) == {BOB: set()}
