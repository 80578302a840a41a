"""The public book is the engine's after every command, also when it starts late or the streams lose everything."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from crossbook.application.errors import MarketNotFound
from crossbook.domain.commands import Command, SetMarketState, SubmitOrder, UpdatePrices
from crossbook.domain.events import Trade
from crossbook.domain.orders import MarketState, OrderType, SelfTradePrevention, Side
from crossbook.matching.codec import decode_records
from crossbook.storage import snapshots
from crossbook.storage.snapshots import StoredSnapshot
from crossbook.workers.health import Condition
from crossbook.workers.market_data import MarketData, MarketDataSettings, MarketDataUnavailable, MarketFeed
from crossbook.workers.market_view import PublicTrade
from crossbook.workers.subscriptions import DropReason, Subscription, SubscriptionDropped
from tests.workers.world import Luck, World, in_world, running, until

SETTINGS = MarketDataSettings(batch_length=6, read_block_ms=5)
START_MS = 1_767_225_600_000
ALL = 10_000

Levels = list[tuple[int, int, int]]


def feed_of(world: World, settings: MarketDataSettings = SETTINGS, **changes: Any) -> MarketFeed:
    parts: dict[str, Any] = {
        "database": world.database,
        "commands": world.carriers.commands,
        "events": world.carriers.events,
        "clock": world.clock,
        **changes,
    }
    return MarketFeed(world.market, **parts, settings=settings)


async def reaches(feed: MarketFeed, sequence: int) -> None:
    async def there() -> bool:
        try:
            return feed.sequence == sequence
        except MarketDataUnavailable:
            return False

    await until(there)


def is_right(world: World, feed: MarketFeed) -> bool:
    book = feed.orderbook(ALL)
    return (book.bids, book.asks) == world.depths[book.sequence]


@asynccontextmanager
async def watching(world: World, feed: MarketFeed) -> AsyncIterator[None]:
    """Meanwhile, compare the feed with the engine whenever it can be looked at."""

    async def watch() -> None:
        while True:
            with suppress(MarketDataUnavailable):
                assert is_right(world, feed)
            await asyncio.sleep(0)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)


def trades_of(world: World) -> list[Trade]:
    events = [event for _, records in world.expected for event in decode_records(records)]
    return [event for event in events if isinstance(event, Trade)]


def facts(trades: Sequence[PublicTrade]) -> list[tuple[int, int, int, int]]:
    return [(trade.trade_id, trade.sequence, trade.price_ticks, trade.quantity_lots) for trade in trades]


def expected_facts(trades: Sequence[Trade]) -> list[tuple[int, int, int, int]]:
    return [(trade.trade_id, trade.sequence, trade.price_ticks, trade.quantity_lots) for trade in trades]


def test_the_book_is_the_engines_at_every_sequence(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        feed = feed_of(world)
        await world.grow(30)
        async with running(world.relay(), world.matcher(), feed), watching(world, feed):
            for _ in range(10):
                await world.grow(20)
                await asyncio.sleep(0.003)
            await reaches(feed, len(world.expected))
            assert is_right(world, feed)
        trades = trades_of(world)
        assert facts(feed.trades(1_000)) == expected_facts(trades)[::-1][:500]
        assert facts(feed.trades(2)) == expected_facts(trades)[::-1][:2]
        assert feed.last_price_ticks == trades[-1].price_ticks
        assert feed.trades(1)[0].taker_side is trades[-1].taker_side
        assert feed.health.condition is Condition.STOPPED

    in_world(database_url, scene, redis_url)


def test_before_the_start_there_is_no_book(database_url: str) -> None:
    async def scene(world: World) -> None:
        feed = feed_of(world)
        for read in (lambda: feed.orderbook(1), lambda: feed.trades(1), feed.day_stats, lambda: feed.subscribe(1)):
            with pytest.raises(MarketDataUnavailable):
                read()
        data = MarketData([feed])
        with pytest.raises(MarketDataUnavailable):
            data.last_price_ticks(world.market.symbol)
        with pytest.raises(MarketNotFound):
            data.orderbook("NO-SUCH", 1)

    in_world(database_url, scene)


def test_a_late_start_takes_the_snapshot_the_log_and_the_stream(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(50)
        async with running(world.matcher()):
            await world.caught_up()
        await world.settle(37)
        await world.grow(20)
        async with running(world.matcher()):
            feed = feed_of(world)
            async with running(feed), watching(world, feed):
                await reaches(feed, 70)
        assert facts(feed.trades(1_000)) == [fact for fact in expected_facts(trades_of(world))[::-1] if fact[1] > 37]

    in_world(database_url, scene)


def test_a_broken_snapshot_is_no_book(database_url: str) -> None:
    async def scene(world: World) -> None:
        await world.grow(40)
        await world.settle(40)
        async with world.database.transaction() as transaction:
            await snapshots.store(transaction, StoredSnapshot(world.market.market_id, 30, b"broken"), 0)
        feed = feed_of(world)
        async with running(feed):
            await reaches(feed, 40)
            assert is_right(world, feed)

    in_world(database_url, scene)


def test_emptied_streams_show_in_no_book(database_url: str, redis_url: str | None) -> None:
    async def scene(world: World) -> None:
        chance, feed = random.Random(5), feed_of(world)
        async with running(world.relay(), world.matcher(), feed), watching(world, feed):
            for number in range(12):
                await world.grow(15)
                await asyncio.sleep(0.004 * (number % 3))
                if number % 2:
                    await world.caught_up()
                    await world.settle(chance.randrange(len(world.expected) - 14, len(world.expected) + 1))
                    await world.carriers.empty()
            await reaches(feed, len(world.expected))

    in_world(database_url, scene, redis_url)


def test_a_feed_left_behind_by_the_stream_starts_again(database_url: str) -> None:
    async def scene(world: World) -> None:
        feed = feed_of(world)
        await world.grow(30)
        async with running(world.relay(), world.matcher()):
            async with running(feed):
                await reaches(feed, 30)
                listener = feed.subscribe(ALL)
            with pytest.raises(SubscriptionDropped) as stopped:
                await listener.next()
            assert stopped.value.reason is DropReason.STOPPED
            await world.grow(30)
            await world.caught_up()
            await world.settle(60)
            await world.carriers.events.trim(world.market.symbol, 60)
            listener = feed.subscribe(ALL)
            async with running(feed), watching(world, feed):
                await reaches(feed, 60)
                with pytest.raises(SubscriptionDropped) as behind:
                    await listener.next()
                assert behind.value.reason is DropReason.RESYNC

    in_world(database_url, scene)


def test_what_fails_for_a_time_is_waited_for(database_url: str) -> None:
    async def scene(world: World) -> None:
        luck = Luck(3)
        feed = feed_of(
            world,
            database=luck.database(world.database),
            commands=luck.stream(world.carriers.commands),
            events=luck.stream(world.carriers.events),
        )
        await world.grow(30)
        await world.settle(10)
        async with running(world.relay(), world.matcher(), feed), watching(world, feed):
            for _ in range(5):
                await world.grow(10)
                await asyncio.sleep(0.01)
            await reaches(feed, 80)

    in_world(database_url, scene)


@pytest.mark.parametrize("seed", range(4))
def test_a_start_that_fails_is_tried_again(database_url: str, seed: int) -> None:
    async def scene(world: World) -> None:
        luck = Luck(seed, percent=4)  # a start is many transactions
        feed = feed_of(world, database=luck.database(world.database))
        await world.grow(60)
        await world.settle(60)
        async with running(world.matcher()):
            await world.caught_up()
        await world.carriers.events.clear(world.market.symbol)
        await world.carriers.events.append(world.market.symbol, world.expected[:20])
        async with running(feed):
            await reaches(feed, 60)
        await world.grow(60)
        await world.settle(120)
        async with running(world.relay(), world.matcher(), feed), watching(world, feed):
            await reaches(feed, 120)

    in_world(database_url, scene)


# -- Subscriptions -----------------------------------------------------------------------------------
async def follow(world: World, listener: Subscription, last: int) -> list[PublicTrade]:
    """Be a client: keep the book by the updates, and compare it with the engine's at each of them."""
    book: dict[tuple[Side, int], tuple[int, int, int]] = {}
    for side, levels in ((Side.BUY, listener.start.bids), (Side.SELL, listener.start.asks)):
        book |= {(side, level[0]): level for level in levels}
    trades: list[PublicTrade] = []
    sequence = listener.start.sequence
    while sequence < last:
        update = await listener.next()
        assert sequence < update.sequence
        sequence = update.sequence
        for delta in update.deltas:
            book[delta.side, delta.price_ticks] = (delta.price_ticks, delta.visible_lots, delta.orders)
            if not delta.orders:
                del book[delta.side, delta.price_ticks]
        trades += update.trades
        sides = [[level for (its, _), level in book.items() if its is side] for side in Side]
        assert (sorted(sides[0], reverse=True), sorted(sides[1])) == world.depths[sequence]
    return trades


def order(world: World, side: Side, price_ticks: int, time_ms: int = START_MS) -> SubmitOrder:
    sequence = len(world.expected) + 1
    kind, mode = OrderType.LIMIT, SelfTradePrevention.NONE
    return SubmitOrder(sequence, time_ms, sequence, 1, side, kind, 5, price_ticks, self_trade_prevention=mode)


def test_a_subscriber_gets_every_change(database_url: str) -> None:
    async def scene(world: World) -> None:
        feed = feed_of(world)
        await world.grow(30)
        async with running(world.relay(), world.matcher(), feed):
            await reaches(feed, 30)
            listener = feed.subscribe(ALL)
            await world.grow(150)
            last_change = max(n for n in range(31, 181) if world.depths[n] != world.depths[n - 1])
            trades = await follow(world, listener, last_change)
            feed.unsubscribe(listener)
            feed.unsubscribe(listener)
        assert facts(trades) == [fact for fact in expected_facts(trades_of(world)) if 30 < fact[1] <= last_change]
        assert trades != []

    in_world(database_url, scene)


def test_a_slow_subscriber_is_dropped_and_the_others_are_not(database_url: str) -> None:
    async def scene(world: World) -> None:
        feed = feed_of(world, MarketDataSettings(batch_length=2, read_block_ms=5, subscriber_capacity=4))
        async with running(world.relay(), world.matcher(), feed):
            await reaches(feed, 0)
            slow, quick = feed.subscribe(5), feed.subscribe(5)
            following = asyncio.create_task(follow(world, quick, 20))
            for _ in range(20):
                await world.log([order(world, Side.BUY, 50)])
                await reaches(feed, len(world.expected))
            await following
            with pytest.raises(SubscriptionDropped) as dropped:
                await slow.next()
            assert dropped.value.reason is DropReason.SLOW

    in_world(database_url, scene)


# -- Statistics --------------------------------------------------------------------------------------
async def trade_at(world: World, price_ticks: int, time_ms: int) -> None:
    await world.log([order(world, Side.SELL, price_ticks, time_ms)])
    await world.log([order(world, Side.BUY, price_ticks, time_ms)])


def test_statistics_are_of_the_last_day(database_url: str) -> None:
    async def scene(world: World) -> None:
        hour_ms = 3_600_000
        now_ms = world.clock.now_ms()
        feed = feed_of(world)
        async with running(world.relay(), world.matcher(), feed):
            await reaches(feed, 0)
            assert (feed.day_stats().last_ticks, feed.day_stats().trades, feed.last_price_ticks) == (None, 0, None)
            for price_ticks, hours_ago in ((500, 30), (100, 20), (130, 10), (90, 9), (110, 0)):
                await trade_at(world, price_ticks, now_ms - hours_ago * hour_ms)
            await reaches(feed, 10)
            stats = feed.day_stats()
            assert (stats.open_ticks, stats.high_ticks, stats.low_ticks, stats.last_ticks) == (100, 130, 90, 110)
            assert (stats.volume_lots, stats.notional, stats.trades) == (20, 5 * (100 + 130 + 90 + 110), 4)
            world.clock.ahead_ms = 12 * hour_ms
            assert feed.day_stats().open_ticks == 130
            assert [trade.time_ms for trade in feed.trades(2)] == [now_ms, now_ms - 9 * hour_ms]

    in_world(database_url, scene)


def test_after_a_start_trades_and_statistics_come_from_the_fills(database_url: str) -> None:
    async def scene(world: World) -> None:
        now_ms = world.clock.now_ms()
        for price_ticks, ago_ms in ((500, 90_000_000), (100, 7_200_000), (130, 7_200_000), (110, 60_000)):
            await trade_at(world, price_ticks, now_ms - ago_ms)
        before, after = feed_of(world), feed_of(world)
        async with running(world.relay(), world.matcher()):
            async with running(before):
                await reaches(before, 8)
            await store_fills(world, before.trades(10)[::-1])
            await world.settle(8)
            async with running(after):
                await reaches(after, 8)
        assert after.trades(10) == before.trades(10)
        assert after.last_price_ticks == 110
        assert after.day_stats() == before.day_stats()
        assert after.day_stats().trades == 3

    in_world(database_url, scene)


def test_the_age_of_a_mark_is_since_the_log_stated_it(database_url: str) -> None:
    async def scene(world: World) -> None:
        minutes_ms = 600_000
        feed = feed_of(world)
        assert feed.mark_age_ms() is None  # nothing is known yet

        async def takes(*commands: Command) -> int | None:
            await world.log(commands)
            await reaches(feed, len(world.expected))
            return feed.mark_age_ms()

        async with running(world.relay(), world.matcher(), feed):
            assert await takes(order(world, Side.BUY, 50)) is None  # the market has no mark
            age_ms = await takes(UpdatePrices(2, START_MS, 650, 650))
            assert age_ms is not None
            assert age_ms < minutes_ms
            world.clock.ahead_ms = minutes_ms
            age_ms = await takes(order(world, Side.BUY, 50))
            assert age_ms is not None
            assert age_ms >= minutes_ms
            age_ms = await takes(UpdatePrices(4, START_MS, 650, 650))  # the same again
            assert age_ms is not None
            assert age_ms < minutes_ms
            assert await takes(SetMarketState(5, START_MS, MarketState.SETTLEMENT_ONLY)) is None

    in_world(database_url, scene)


async def store_fills(world: World, trades: Sequence[PublicTrade]) -> None:
    """What settlement writes, as far as public data look at it."""
    async with world.database.transaction() as transaction:
        for trade in trades:
            for side in Side:
                role = 2 if side is trade.taker_side else 1
                numbers = (trade.trade_id, side, role, trade.price_ticks, trade.quantity_lots)
                await transaction.execute(
                    """
                    INSERT INTO fills (market_id, trade_id, side, order_id, account_id, role, price_ticks,
                        quantity_lots, notional_units, fee_units, fee_ppm, fee_asset_id, sequence, event_index,
                        created_at_ms)
                    VALUES ($1, $2, $3, 1, 1, $4, $5, $6, 1000000, 0, 0, 1, $7, 0, $8)
                    """,
                    world.market.market_id,
                    *numbers,
                    trade.sequence,
                    trade.time_ms,
                )
