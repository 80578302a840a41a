"""The board of swaps on a real database: races, crashes, random stories, pages."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crossbook.application.errors import StoreRefused, TooManyOffers
from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.application.swap_views import HistoryFilter, PairStatistics
from crossbook.application.swaps import CancelFilter, NewOffer
from crossbook.domain.candles import DAY_MS, Period
from crossbook.domain.errors import CrossbookError
from crossbook.domain.orders import Side
from crossbook.domain.swaps import (
    OFFER_AGE_MS,
    SWAP_TIMEOUT_MS,
    NotParticipant,
    OfferStatus,
    OfferUnusable,
    SwapNotFound,
    SwapNotPending,
    SwapStatus,
)
from crossbook.storage.database import Database
from crossbook.storage.swap_changes import SwapStore
from crossbook.storage.swap_events import CHANNEL, reader
from crossbook.storage.swap_pages import SwapPages
from crossbook.storage.swap_rows import VERSIONS, KeptOffers
from crossbook.storage.wallets import WalletStore
from tests.storage.support import NOW_MS, using
from tests.storage.swapping import World

BUY, SELL = Side.BUY, Side.SELL


def on_a_board(url: str, scenario: Callable[..., Awaitable[Any]], **change: int) -> Any:
    """Run `scenario` with a world and its users."""

    async def run(database: Database) -> Any:
        world = World(database, **change)
        return await scenario(world, *await world.start())

    return using(url, run, connections=20)


async def refused(change: Awaitable[object]) -> type[CrossbookError] | None:
    """The error that a change is refused with."""
    try:
        await change
    except CrossbookError as error:
        return type(error)
    return None


def test_sixteen_applies_of_one_pair_at_once_make_one_swap(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, carol: int) -> None:
        buy, sell = await world.offer(alice, BUY), await world.offer(bob, SELL, amount="25")
        sides = [(alice, buy, sell), (bob, buy, sell), (alice, sell, buy), (bob, sell, buy)] * 4
        answers = await asyncio.gather(*(refused(world.swaps.apply(*side, "ab")) for side in sides))
        assert sorted(map(str, answers)) == sorted(map(str, [None] + [OfferUnusable] * 15))
        offers, swaps = await world.rows()
        assert [swap.amount_units for swap in swaps.values()] == [1000]
        assert [offer.pending_units for offer in offers.values()] == [1000, 1000]
        assert await world.breaches() == []

    on_a_board(database_url, scenario)


def test_one_offer_is_never_promised_twice_to_many_at_once(database_url: str) -> None:
    async def scenario(world: World, alice: int, *_: int) -> None:
        sell = await world.offer(alice, SELL, amount="25")
        others = [await world.wallet(f"other{number}") for number in range(16)]
        buys = [(user, await world.offer(user, BUY)) for user in others]
        answers = await asyncio.gather(*(refused(world.swaps.apply(user, buy, sell, "ab")) for user, buy in buys))
        assert answers.count(None) == 3  # 10, 10 and the last 5
        assert (await world.rows())[0][sell].pending_units == 2500
        assert await world.breaches() == []
        # All at once: confirms, and a cancel of what they confirm.
        swaps = (await world.rows())[1]
        ends = [world.swaps.confirm(alice, swap_id) for swap_id in swaps] + [world.swaps.cancel(alice, sell)]
        outcome = await asyncio.gather(*(refused(end) for end in ends))
        assert set(outcome) <= {None, SwapNotPending, OfferUnusable}
        assert await world.breaches() == []

    on_a_board(database_url, scenario)


def test_a_swap_from_offer_to_statistics(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, carol: int) -> None:
        buy = await world.swaps.create(alice, world.pair_id, BUY, "2.5", "10")
        sell = await world.swaps.create(bob, world.pair_id, SELL, "2", "4")
        assert (buy.crosses, sell.crosses, sell.offer.total_units) == (False, True, 8000)
        world.clock.advance(5)
        swap_id = await world.swaps.apply(alice, buy.offer_id, sell.offer_id, "abcd")
        assert await refused(world.swaps.confirm(alice, swap_id)) is NotParticipant
        assert await refused(world.swaps.confirm(carol, swap_id)) is NotParticipant
        assert await refused(world.swaps.confirm(bob, swap_id + 9)) is SwapNotFound
        world.heard.events.clear()
        await world.swaps.confirm(bob, swap_id)
        assert await refused(world.swaps.confirm(bob, swap_id)) is SwapNotPending
        kinds = [(event.kind.name, event.offer_id, event.user_id) for event in world.heard.events]
        assert kinds == [
            ("OFFER_ENDED", sell.offer_id, 0),
            ("BOARD_CHANGED", 0, 0),
            ("STATISTICS_CHANGED", 0, 0),
            ("OFFER_NOTIFIED", buy.offer_id, alice),
        ]
        pages = SwapPages(world.database)
        now_ms = world.clock.now_ms()
        found = (await pages.statistics([world.pair_id], now_ms))[world.pair_id]
        assert found == PairStatistics(2000, 2000, 2000, 2000, 8000)
        (trade,) = await pages.trades(world.pair_id, 5)
        assert (trade.price_units, trade.amount_units, trade.taker_side) == (2000, 400, BUY)
        assert (trade.buyer.alias, trade.seller.alias) == ("user0", "user1")
        for period in Period:
            (candle,) = await pages.candles(world.pair_id, period, 5)
            assert candle.start_ms == period.start_ms(now_ms)
            assert (candle.open_units, candle.second_volume_units) == (2000, 8000)
        # A day later the price still stands, and nothing of it is in the day.
        later = (await pages.statistics([world.pair_id], now_ms + DAY_MS + 1))[world.pair_id]
        assert later == PairStatistics(2000, 2000, 0, 0, 0)
        (mine,) = await pages.swaps_of(alice, 0, now_ms, 10)
        assert (mine.side, mine.swap.status, mine.swap.proposal) == (BUY, SwapStatus.CONFIRMED, "")
        assert await pages.swaps_of(carol, 0, now_ms, 10) == []
        assert await pages.swaps_of(alice, 0, now_ms, 10, pending=True) == []

    on_a_board(database_url, scenario)


def test_statistics_are_exact_at_the_edge_of_the_day(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        times = []
        for price in ("2", "3", "4"):
            buy, sell = await world.offer(alice, BUY, price, "1"), await world.offer(bob, SELL, price, "1")
            await world.swaps.confirm(bob, await world.swaps.apply(alice, buy, sell, "ab"))
            times.append(world.clock.now_ms())
            world.clock.advance(20_000)
        pages = SwapPages(world.database)

        async def at(now_ms: int) -> tuple[int, ...]:
            found = (await pages.statistics([world.pair_id], now_ms))[world.pair_id]
            return (found.reference_units, found.high_units, found.low_units, found.volume_units)

        assert await at(times[2]) == (2000, 4000, 2000, 9000)
        assert await at(times[0] + DAY_MS) == (2000, 4000, 2000, 9000)
        assert await at(times[0] + DAY_MS + 1) == (2000, 4000, 3000, 7000)
        assert await at(times[1] + DAY_MS + 1) == (3000, 4000, 4000, 4000)

    on_a_board(database_url, scenario)


def test_the_limit_holds_however_many_come_at_once(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        wanted = [world.offer(alice, BUY) for _ in range(25)] + [world.offer(bob, SELL) for _ in range(3)]
        answers = await asyncio.gather(*(refused(each) for each in wanted))
        assert answers.count(TooManyOffers) == 15
        assert answers[25:] == [None] * 3
        assert await world.swaps.cancel_all(alice, CancelFilter(world.pair_id, SELL)) == 0
        assert await world.swaps.cancel_all(alice, CancelFilter()) == 10
        assert await refused(world.offer(alice, BUY)) is None

    on_a_board(database_url, scenario)


def test_offers_of_one_batch_that_cross_say_so(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        prices = [(alice, SELL, 5), (alice, BUY, 5), (bob, BUY, 4), (bob, BUY, 5), (bob, SELL, 1), (alice, BUY, 1)]
        offers = [NewOffer(user, world.pair_id, side, price, 100, price) for user, side, price in prices]
        placed = await world.store.place(offers, lambda counts: [True] * len(offers), NOW_MS)
        assert [each.crosses for each in placed if each is not None] == [False, False, False, True, True, True]
        wrong = [NewOffer(alice, world.pair_id, BUY, 0, 1, 1)]
        with pytest.raises(StoreRefused):
            await world.store.place(wrong, lambda counts: [True], NOW_MS)

    on_a_board(database_url, scenario)


def test_what_has_waited_too_long_is_over_before_anybody_reads(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        buy, sell = await world.offer(alice, BUY), await world.offer(bob, SELL)
        first = await world.swaps.apply(alice, buy, sell, "ab")
        world.clock.advance(SWAP_TIMEOUT_MS)
        # Nobody swept: the confirm is too late, and the next apply finds both free.
        assert await refused(world.swaps.confirm(bob, first)) is SwapNotPending
        second = await world.swaps.apply(bob, buy, sell, "ab")
        assert {number: swap.status.name for number, swap in (await world.rows())[1].items()} == {
            first: "TIMED_OUT",
            second: "PENDING",
        }
        world.clock.advance(OFFER_AGE_MS)
        assert await world.swaps.expire() > 0
        assert await world.swaps.expire() == 0
        offers = (await world.rows())[0].values()
        assert {offer.status for offer in offers} == {OfferStatus.EXPIRED}
        assert await world.breaches() == []

    on_a_board(database_url, scenario)


def test_a_cancel_meets_an_apply_that_is_not_committed_yet(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, carol: int) -> None:
        for _ in range(10):
            sell = await world.offer(alice, SELL, amount="40")
            buys = [(user, await world.offer(user, BUY)) for user in (bob, carol)]
            ends = [world.swaps.apply(user, buy, sell, "ab") for user, buy in buys]
            outcome = await asyncio.gather(*(refused(each) for each in [*ends, world.swaps.cancel(alice, sell)]))
            assert outcome[2] is None
            assert await world.breaches() == []
            for user, buy in buys:
                await world.swaps.cancel(user, buy)

    on_a_board(database_url, scenario)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_stories_at_once_break_no_rule(database_url: str, seed: int) -> None:
    async def scenario(world: World, *users: int) -> None:
        rng = random.Random(seed)

        async def act() -> None:
            offers, swaps = await world.rows()
            user, kind = rng.choice(users), rng.randrange(7)
            if kind <= 1 or len(offers) < 4:
                await world.offer(user, rng.choice((BUY, SELL)), str(rng.randint(1, 4)), str(rng.randint(1, 30)))
            elif kind <= 3:
                await world.swaps.apply(user, rng.choice(list(offers)), rng.choice(list(offers)), "ab")
            elif kind == 4 and swaps:
                await world.swaps.confirm(user, rng.choice(list(swaps)))
            elif kind == 5 and swaps:
                await world.swaps.reject(user, rng.choice(list(swaps)))
            else:
                await world.swaps.cancel(user, rng.choice(list(offers)))

        for _ in range(12):
            answers = await asyncio.gather(*(act() for _ in range(12)), return_exceptions=True)
            assert [each for each in answers if each is not None and not isinstance(each, CrossbookError)] == []
            assert await world.breaches() == []
            world.clock.advance(rng.choice([0, 1_000, SWAP_TIMEOUT_MS // 3]))
        await world.swaps.expire()
        assert await world.breaches() == []

    on_a_board(database_url, scenario)


def test_a_page_shows_each_counter_offer_once_and_what_waits_for_a_confirm(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, carol: int) -> None:
        low, high = await world.offer(alice, BUY, "2", "5"), await world.offer(alice, BUY, "3", "7")
        own_sell = await world.offer(alice, SELL, "9", "1")
        dear, cheap = await world.offer(bob, SELL, "3", "9"), await world.offer(carol, SELL, "1", "2")
        bid = await world.offer(carol, BUY, "9", "4")
        await world.offer(bob, SELL, "4", "2")
        terms, pages = await world.swaps.terms(world.pair_id), SwapPages(world.database)
        swap_id = await world.swaps.apply(carol, cheap, high, "beef")

        async def page(user: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
            made = await pages.user_page(user, terms, 100)
            return (
                [(tip.own_offer_id, tip.entry.offer_id, tip.left_units) for tip in made.tips],
                [(each.swap_id, each.own.offer_id, each.amount_units) for each in made.to_confirm],
            )

        assert await page(alice) == ([(high, dear, 500), (own_sell, bid, 100)], [(swap_id, high, 200)])
        assert (await page(carol))[0] == [(bid, own_sell, 100), (bid, dear, 400), (bid, bid + 1, 200)]
        await world.swaps.reject(alice, swap_id)
        assert await page(alice) == ([(low, cheap, 200), (high, dear, 700), (own_sell, bid, 100)], [])
        assert len((await pages.user_page(alice, terms, 1)).tips) == 2  # one for each side
        book = await pages.book(world.pair_id, 100, 0)
        assert [offer.offer_id for offer in book][:2] == [cheap, dear]
        assert [offer.offer_id for offer in book] == [
            offer.offer_id for first in range(7) for offer in await pages.book(world.pair_id, 1, first)
        ]
        assert await pages.notifications(alice) == 1
        await pages.clear_notifications(alice, world.pair_id)
        assert await pages.notifications(alice) == 0
        history = await pages.history(alice, HistoryFilter(side=BUY, active=True), 10, 0)
        assert [offer.offer_id for offer, _ in history] == [high, low]
        assert await pages.history_count(alice, HistoryFilter(side=BUY, active=True)) == 2
        assert await pages.history_count(alice, HistoryFilter(until_ms=NOW_MS - 1)) == 0

    on_a_board(database_url, scenario)


def test_other_processes_hear_what_was_committed_and_not_their_own(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        heard: list[SwapEvent] = []
        own: list[SwapEvent] = []
        here, there = reader("here", heard.extend), reader("there", own.extend)

        def both(message: str) -> None:
            here(message)
            there(message)

        async with world.database.listening(CHANNEL, both):
            store = SwapStore(world.database, "there")
            world.swaps._store = store
            buy = await world.offer(alice, BUY)
            sell = await world.offer(bob, SELL)
            assert await refused(world.swaps.apply(alice, buy, buy, "ab")) is OfferUnusable  # tells nobody anything
            await world.swaps.apply(alice, buy, sell, "ab")
            async with asyncio.timeout(30):
                while len(heard) < len(world.heard.events):
                    await asyncio.sleep(0.01)
        assert heard == world.heard.events
        assert own == []
        assert heard[0] == SwapEvent(SwapEventKind.OFFER_POSTED, world.pair_id, buy)
        here(None)
        assert heard[-1] == SwapEvent(SwapEventKind.BOARD_CHANGED, 0)

    on_a_board(database_url, scenario)


def test_prices_go_by_their_value_and_what_is_kept_by_its_version(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        sells = [await world.offer(bob, SELL, price, "1") for price in ("10", "9", "100", "8.5")]
        await world.offer(alice, BUY, "1000", "9")
        terms, pages = await world.swaps.terms(world.pair_id), SwapPages(world.database)

        async def best(limit: int) -> list[int]:
            return [tip.entry.offer_id for tip in (await pages.user_page(alice, terms, limit)).tips]

        assert await best(2) == [sells[1], sells[3]]  # the two cheapest, the oldest first
        assert await best(100) == sells
        assert [each.price_units for each in await pages.book(world.pair_id, 5, 0)] == [
            8500,
            9000,
            10000,
            100000,
            10**6,
        ]
        # Whatever changes in a row, or in the wallet behind it, is shown at once.
        first = (await pages.book(world.pair_id, 1, 0))[0]
        assert (await pages.book(world.pair_id, 1, 0))[0] is first
        await world.swaps.renew(bob, sells[3])
        assert (await pages.book(world.pair_id, 1, 0))[0].renewed_at_ms == world.clock.now_ms()
        await WalletStore(world.database).sign_in("iTHNuser1", "bobby", take_alias=False, now_ms=world.clock.now_ms())
        assert {each.wallet.alias for each in await pages.book(world.pair_id, 4, 0)} == {"bobby"}
        await world.swaps.apply(alice, sells[0] + 4, sells[3], "ab")
        assert await best(100) == sells[:3]
        assert (await pages.book(world.pair_id, 1, 0))[0].pending_units == 100

    on_a_board(database_url, scenario)


def test_more_than_is_kept_is_read_anyway(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        numbers = [await world.offer(alice, BUY) for _ in range(8)]
        kept = KeptOffers(capacity=3)
        async with world.database.snapshot() as transaction:
            rows = await transaction.rows(
                f"SELECT {VERSIONS} FROM swap_offers JOIN wallets USING (user_id) ORDER BY offer_id"
            )
            for _ in range(2):
                assert [each.offer_id for each in await kept.read(transaction, rows)] == numbers
            assert [each.offer_id for each in await kept.read(transaction, rows[2:4])] == numbers[2:4]

    on_a_board(database_url, scenario)


def test_a_process_whose_clock_is_behind_does_no_harm(database_url: str) -> None:
    async def scenario(world: World, alice: int, bob: int, _: int) -> None:
        buy, sell = await world.offer(alice, BUY), await world.offer(bob, SELL)
        swap_id = await world.swaps.apply(alice, buy, sell, "ab")
        world.clock.set_now(NOW_MS - 5_000)
        await world.registry.whitelist("a" * 64, True)
        await WalletStore(world.database).sign_in("iTHNuser1", "bobby", take_alias=True, now_ms=NOW_MS - 5_000)
        await world.swaps.confirm(bob, swap_id)
        (trade,) = await SwapPages(world.database).trades(world.pair_id, 5)
        assert trade.time_ms == NOW_MS
        assert await world.breaches() == []

    on_a_board(database_url, scenario)
