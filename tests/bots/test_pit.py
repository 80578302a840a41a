"""The bots of a market at work, on a desk in memory: bounded, and not to be put off."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from crossbook.application.books import Books, Needs
from crossbook.application.desk import Desk
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import NewOrder, PlacedOrder
from crossbook.bots.market_maker import LEVELS, MarketMaker
from crossbook.bots.noise_trader import NoiseTrader
from crossbook.bots.pit import Maker, Noise, Pit
from crossbook.bots.walk import Walk, WalkSource
from crossbook.domain.errors import CrossbookError
from crossbook.domain.instruments import btc_perp
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import InsufficientMargin
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.system import ManualClock, random_for

MARKET = Market(1, btc_perp(), 1, 2)
MAKER, TRADER = 1_000_000, 1_000_001
INTERVAL_MS = 250


class NoStore:
    """A store that nothing reaches."""

    async def close(self) -> None:
        pass

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        raise AssertionError("the desk of this test stores nothing")


class NoIds:
    def next(self) -> int:
        raise AssertionError("the desk of this test gives no ids")


class FakeDesk(Desk):
    """Takes every order into a book of resting orders per account, or raises what `failing` says."""

    def __init__(self) -> None:
        super().__init__(NoStore(), Markets([MARKET]), Marks(), ManualClock(), NoIds(), lambda _: None)
        self.resting: dict[int, list[NewOrder]] = {}
        self.taken: list[NewOrder] = []
        self.most_resting = 0
        self.failing: CrossbookError | None = None

    async def submit(self, order: NewOrder) -> PlacedOrder:
        if self.failing is not None:
            raise self.failing
        if order.account_id == MAKER:
            self.resting.setdefault(order.account_id, []).append(order)
            self.most_resting = max(self.most_resting, len(self.resting[order.account_id]))
        else:
            self.taken.append(order)
        return PlacedOrder(1, order.market_id, OrderStatus.PENDING, 0)

    async def cancel_all(self, account_id: int, market_id: int = 0) -> list[int]:
        if self.failing is not None:
            raise self.failing
        return [1 for _ in self.resting.pop(account_id, [])]


class FakePurse:
    """Counts how often it was asked."""

    def __init__(self) -> None:
        self.filled: list[int] = []

    async def fill(self, account_id: int) -> None:
        self.filled.append(account_id)


class NoHoldings:
    """Nobody has anything."""

    async def position_lots(self, account_id: int, market: Market) -> int:
        return 0


class World:
    """One pit, and what it stands on."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = ManualClock()
        self.desk = FakeDesk()
        self.purse = FakePurse()
        self.walk = walk = Walk(random_for(seed, "walk"), 650_000, 650_000)
        self.pit = Pit(
            MARKET,
            Maker(MAKER, MarketMaker(walk, 50, 5_000)),
            [Noise(TRADER, NoiseTrader(random_for(seed, "noise"), 10, 1_000))],
            self.desk,
            NoHoldings(),
            self.purse,
            self.clock,
            INTERVAL_MS,
        )

    def run_for(self, duration_ms: int, *, then: Callable[[], None] = lambda: None, again_ms: int = 0) -> None:
        """Run the pit, call `then`, and run it on for `again_ms`."""

        async def work() -> None:
            stop = asyncio.Event()
            running = asyncio.create_task(self.pit.run(stop))
            await self.clock.run_for(duration_ms)
            then()
            await self.clock.run_for(again_ms)
            stop.set()
            await running

        asyncio.run(work())


def test_open_orders_stay_bounded() -> None:
    world = World()
    world.run_for(120_000)
    assert world.desk.most_resting == 2 * LEVELS
    assert len(world.desk.taken) > 20


def test_the_first_take_comes_with_the_first_step() -> None:
    world = World()
    world.run_for(0)
    assert len(world.desk.taken) == 1
    assert len(world.desk.resting[MAKER]) == 2 * LEVELS


def test_the_walk_is_a_source_of_the_index() -> None:
    world = World()
    source = WalkSource(world.walk)
    seen = set()
    for _ in range(20):
        world.run_for(INTERVAL_MS)
        (quote,) = source.quotes(world.clock.now_ms())
        assert (quote.source, quote.time_ms) == ("walk", world.clock.now_ms())
        seen.add(quote.price_micro_ticks)
    assert len(seen) > 5


def test_the_same_seed_sends_the_same_orders() -> None:
    first, second, other = World(3), World(3), World(4)
    for world in (first, second, other):
        world.run_for(60_000)
    assert first.desk.taken == second.desk.taken
    assert first.desk.resting == second.desk.resting
    assert first.desk.taken != other.desk.taken


def test_bots_go_on_after_errors() -> None:
    world = World()
    world.desk.failing = DatabaseUnavailable("away")

    def mend() -> None:
        assert not world.desk.taken
        world.desk.failing = None

    world.run_for(20_000, then=mend, again_ms=20_000)
    assert world.desk.taken
    assert len(world.desk.resting[MAKER]) == 2 * LEVELS


def test_an_account_without_money_gets_some() -> None:
    world = World()
    world.desk.failing = InsufficientMargin(2, 1)

    async def cancel_all(account_id: int, market_id: int = 0) -> list[int]:
        return []

    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(world.desk, "cancel_all", cancel_all)
        world.run_for(0)
    assert world.purse.filled == [MAKER]
