"""The pricing worker on a real database: prices in the log, halts, and funding that is applied once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from crossbook.application.markets import Market, Markets
from crossbook.application.operations import Operations
from crossbook.application.pricing import PricingRules
from crossbook.application.views import Page
from crossbook.domain.commands import Command, SetMarketState
from crossbook.domain.funding_period import SAMPLE_MS
from crossbook.domain.index import MICRO, IndexRules, Quote
from crossbook.domain.instruments import btc_perp
from crossbook.domain.orders import MarketState
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records
from crossbook.storage import commands_log, leases
from crossbook.storage import markets as stored_markets
from crossbook.storage.audit import audit
from crossbook.storage.database import Database
from crossbook.storage.errors import LeaseLost
from crossbook.storage.funding_queries import FundingQueries
from crossbook.storage.operations import OperationsRecord
from crossbook.storage.pricing import log_commands
from crossbook.storage.settlement import read_terms, settle_batch
from crossbook.system import ManualClock
from crossbook.workers.market_view import BookView
from crossbook.workers.pricing import ROLE, PricingSettings, PricingWorker
from tests.storage.audited import differences
from tests.storage.support import using

INDEX = 650_000
HOURS_8 = 8 * 3_600_000
START_MS = 1_700_006_400_000 + 3_600_000


class Source:
    """A source that says what it is told to."""

    def __init__(self, *ticks: int) -> None:
        self.ticks = list(ticks)

    def quotes(self, now_ms: int) -> list[Quote]:
        return [Quote(f"s{place}", ticks * MICRO, now_ms) for place, ticks in enumerate(self.ticks)]


@dataclass
class Feed:
    """The public data of a market, as a test says they are."""

    bids: list[tuple[int, int, int]] = field(default_factory=list)
    asks: list[tuple[int, int, int]] = field(default_factory=list)
    last_price_ticks: int | None = None

    def orderbook(self, depth: int) -> BookView:
        return BookView(0, self.bids[:depth], self.asks[:depth])


class World:
    """One market, its worker, and an engine and a settlement that follow its log."""

    def __init__(self, database: Database, market: Market) -> None:
        self.database = database
        self.market = market
        self.clock = ManualClock(START_MS)
        self.feed = Feed([(649_990, 100_000, 1)], [(650_010, 100_000, 1)], INDEX)
        self.source = Source(INDEX)
        self.logged: list[int] = []
        self.engine = Engine()
        self.worker = self.another("one")
        self.operations = Operations(OperationsRecord(database), Markets([market]), self.clock, lambda _: None)

    def another(self, holder: str, **changes: Any) -> PricingWorker:
        rules = PricingRules(IndexRules(min_sources=1))
        feed: Any = self.feed
        return PricingWorker(
            self.market,
            self.database,
            feed,
            self.clock,
            holder,
            self.logged.append,
            sources=[self.source],
            settings=PricingSettings(rules=rules, **changes),
        )

    async def look(self, seconds: int = 1, worker: PricingWorker | None = None) -> None:
        """Look once for each second that passes."""
        chosen = worker or self.worker
        assert await chosen._lease.acquire()
        for _ in range(seconds):
            self.clock.advance(1_000)
            await chosen.look()

    async def new_commands(self) -> list[Command]:
        """What the log has that the engine has not seen; then it has, and it is settled."""
        async with self.database.transaction() as transaction:
            logged = await commands_log.read(transaction, self.market.number, self.engine.last_sequence + 1, 10_000)
            entries = [(each.sequence, decode_records(self.engine.process(each.record))) for each in logged]
            if entries:
                await settle_batch(transaction, await read_terms(transaction, self.market.symbol), entries)
        return [event for _, events in entries for event in events]  # type: ignore[misc]

    async def events(self) -> list[str]:
        """The new events of the log, by name."""
        return [type(event).__name__ for event in await self.new_commands()]

    def state(self) -> MarketState:
        return self.engine.state

    async def operator(self) -> int:
        async with self.database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO users (user_id, kind, created_at_ms) VALUES (7, 2, 0) ON CONFLICT DO NOTHING"
            )
        return 7

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as transaction:
            return [tuple(row) for row in await transaction.rows(statement)]


def play(url: str, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run(database: Database) -> None:
        async with database.transaction() as transaction:
            market = await stored_markets.put(transaction, btc_perp(), 0)
        await scenario(World(database, market))

    using(url, run)


def test_a_look_states_mark_and_index_in_the_log(database_url: str) -> None:
    async def scenario(world: World) -> None:
        await world.look()
        assert world.logged == [world.market.number]
        assert await world.events() == ["PricesUpdated"]
        assert await world.rows("SELECT mark_price_ticks, index_price_ticks, sequence FROM market_prices") == [
            (INDEX, INDEX, 1)
        ]
        world.source.ticks = [651_000]
        await world.look(2)
        assert await world.events() == ["PricesUpdated"] * 2
        # The market itself has not moved: its own price is the median.
        assert await world.rows("SELECT mark_price_ticks, index_price_ticks FROM market_prices") == [(INDEX, 651_000)]

    play(database_url, scenario)


def test_a_lost_index_halts_the_market_and_its_return_opens_it(database_url: str) -> None:
    async def scenario(world: World) -> None:
        await world.look()
        world.source.ticks = []
        await world.look(10)
        assert await world.events() == ["PricesUpdated"], "a little patience after the start"
        await world.look(2)
        assert await world.events() == ["StateChanged"]
        assert world.state() is MarketState.CANCEL_ONLY
        world.source.ticks = [INDEX]
        await world.look(2)
        assert await world.events() == ["PricesUpdated", "StateChanged", "PricesUpdated"]
        assert world.state() is MarketState.ACTIVE
        assert await world.rows("SELECT status FROM markets") == [(1,)]

    play(database_url, scenario)


def test_what_an_operator_ordered_is_never_undone(database_url: str) -> None:
    async def scenario(world: World) -> None:
        operator = await world.operator()
        await world.look(12)
        await world.operations.change_state(operator, world.market, MarketState.PAUSED, "maintenance")
        world.source.ticks = []
        await world.look(3)
        world.source.ticks = [INDEX]
        await world.look()
        assert "StateChanged" in await world.events()
        assert world.state() is MarketState.PAUSED
        # An operator who takes over a market that a lost index has halted keeps it.
        await world.operations.change_state(operator, world.market, MarketState.ACTIVE, "done")
        world.source.ticks = []
        await world.look()
        await world.operations.change_state(operator, world.market, MarketState.CANCEL_ONLY, "mine now")
        world.source.ticks = [INDEX]
        await world.look()
        await world.events()
        assert world.state() is MarketState.CANCEL_ONLY
        entries = await world.operations.entries(Page(10))
        assert [entry.reason for entry in entries] == ["mine now", "done", "maintenance"]

    play(database_url, scenario)


def test_a_state_that_somebody_else_ordered_is_left_alone(database_url: str) -> None:
    """The guard of price limits halts a market by itself; a lost index must not end in ACTIVE what the guard began."""

    async def scenario(world: World) -> None:
        await world.look(12)
        async with world.database.transaction() as transaction:
            number = world.market.number
            await log_commands(transaction, number, [lambda s, ms: SetMarketState(s, ms, MarketState.PAUSED)], 0)
        await world.new_commands()
        world.source.ticks = []
        await world.look(2)
        world.source.ticks = [INDEX]
        await world.look(2)
        await world.new_commands()
        assert world.state() is MarketState.PAUSED

    play(database_url, scenario)


def test_operators_can_feed_a_market_that_has_no_other_source(database_url: str) -> None:
    async def scenario(world: World) -> None:
        world.worker.sources.clear()
        await world.look(20)
        assert await world.events() == []
        assert not world.worker.governs
        operator = await world.operator()
        fed = Quote("desk", INDEX * MICRO, world.clock.now_ms())
        await world.operations.feed_prices(operator, [(world.market, fed)])
        await world.look()
        assert await world.events() == ["PricesUpdated"]
        assert world.worker.governs
        # An older price changes nothing; and the newest gets old.
        older = Quote("desk", 1, world.clock.now_ms() - 5_000)
        await world.operations.feed_prices(operator, [(world.market, older)])
        await world.look(12)
        assert (await world.events())[-1] == "StateChanged"
        assert await world.rows("SELECT index_price_ticks FROM market_prices") == [(INDEX,)]

    play(database_url, scenario)


async def sampled(world: World, until_ms: int) -> None:
    """Look every five seconds until a moment."""
    assert await world.worker._lease.acquire()
    while world.clock.now_ms() < until_ms:
        world.clock.advance(SAMPLE_MS)
        await world.worker.look()


async def short_of_the_end(world: World) -> None:
    """The worker has looked at a period until just before its end: everything but the looks in the middle."""
    await sampled(world, START_MS + 20_000)
    await world.rows(
        "UPDATE funding_periods SET looked_at_ms = period_start_ms + 28795000, live_ms = 28795000 RETURNING 1"
    )
    world.clock.advance(START_MS - 3_600_000 + HOURS_8 - 3_000 - world.clock.now_ms())
    await world.new_commands()


def test_funding_is_applied_once_at_the_end_of_its_period(database_url: str) -> None:
    async def scenario(world: World) -> None:
        await short_of_the_end(world)
        await world.look(2)
        assert "FundingApplied" not in await world.events()
        await world.look(2)
        assert (await world.events()).count("FundingApplied") == 1
        await world.look(30)
        assert "FundingApplied" not in await world.events()
        # A flat book around the index has no premium: the interest of 0.01 % is all.
        assert await world.rows("SELECT rate_ppb, index_price_ticks FROM fundings") == [(100_000, INDEX)]
        now = await FundingQueries(world.database).running(world.market.number, START_MS - 3_600_000 + HOURS_8)
        assert now is not None
        assert now.live_ms > 0
        assert differences(await audit(world.database)) == {}

    play(database_url, scenario)


def test_two_workers_apply_a_period_once(database_url: str) -> None:
    """The second comes when the lease of the first is over; the first wakes up and can do nothing."""

    async def scenario(world: World) -> None:
        await short_of_the_end(world)
        second = world.another("two")
        assert await world.worker._lease.acquire()
        assert not await second._lease.acquire()
        world.clock.advance(10_000)
        await world.look(3, second)
        with pytest.raises(LeaseLost):
            await world.worker.look()
        assert (await world.events()).count("FundingApplied") == 1

    play(database_url, scenario)


def test_a_crash_before_the_commit_leaves_the_period_to_the_next_look(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CrashedError(Exception):
        pass

    async def scenario(world: World) -> None:
        await short_of_the_end(world)
        world.clock.advance(5_000)
        honest = world.worker._step

        async def crash(*values: Any) -> Any:
            await honest(*values)
            raise CrashedError

        monkeypatch.setattr(world.worker, "_step", crash)
        with pytest.raises(CrashedError):
            await world.worker.look()
        assert await world.events() == []
        assert await world.rows("SELECT count(*) FROM funding_periods WHERE sequence IS NOT NULL") == [(0,)]
        monkeypatch.setattr(world.worker, "_step", honest)
        await world.look()
        assert (await world.events()).count("FundingApplied") == 1

    play(database_url, scenario)


def test_a_period_in_which_the_venue_went_away_is_settled_when_it_is_back(database_url: str) -> None:
    """For the time that it was seen alive; periods that nobody saw are not recorded."""

    async def scenario(world: World) -> None:
        await short_of_the_end(world)
        world.clock.advance(3 * HOURS_8 + 60_000)
        await world.look(8)
        assert (await world.events()).count("FundingApplied") == 1
        rows = await world.rows("SELECT period_start_ms, rate_ppb IS NULL FROM funding_periods ORDER BY 1")
        start_ms = START_MS - 3_600_000
        assert rows == [(start_ms, False), (start_ms + 4 * HOURS_8, True)]

    play(database_url, scenario)


def test_a_halted_market_is_not_sampled(database_url: str) -> None:
    async def scenario(world: World) -> None:
        operator = await world.operator()
        await sampled(world, START_MS + 30_000)
        await world.operations.change_state(operator, world.market, MarketState.PAUSED, "maintenance")
        before = await world.rows("SELECT samples FROM funding_periods")
        await sampled(world, START_MS + 60_000)
        ((samples, live, live_ms),) = await world.rows("SELECT samples, live, live_ms FROM funding_periods")
        assert [(samples,)] == before
        assert (live, live_ms) == (False, 30_000)

    play(database_url, scenario)


def test_the_premium_of_the_book_is_sampled(database_url: str) -> None:
    """The vector of the rule book: impact at 65130 over an index of 65000 is 0.2 %."""

    async def scenario(world: World) -> None:
        world.feed.bids, world.feed.asks = [(651_300, 10**6, 1)], [(651_400, 10**6, 1)]
        await sampled(world, START_MS + 10_000)
        assert await world.rows("SELECT samples, premium_sum_ppt::bigint FROM funding_periods") == [(2, 4_000_000_000)]

    play(database_url, scenario)


def test_the_averages_of_the_mark_survive_a_restart(database_url: str) -> None:
    async def scenario(world: World) -> None:
        world.feed.bids, world.feed.asks = [(650_900, 5, 1)], [(651_100, 5, 1)]
        await world.look(50)
        before = await world.rows("SELECT basis_numerator, basis_denominator FROM market_pricing")
        await world.worker._lease.release()
        world.feed.bids = world.feed.asks = []
        world.feed.last_price_ticks = None
        await world.look(1, world.another("after"))
        assert before[0][1] > 0
        await world.new_commands()
        # No book, no last price: the index and the premium that the market had.
        assert await world.rows("SELECT mark_price_ticks FROM market_prices") == [(651_000,)]

    play(database_url, scenario)


def test_the_worker_runs_and_gives_its_lease_back(database_url: str) -> None:
    async def scenario(world: World) -> None:
        stop = asyncio.Event()
        running = asyncio.ensure_future(world.worker.run(stop))
        for _ in range(4):
            await asyncio.sleep(0.05)
            await world.clock.run_for(1_000)
        stop.set()
        await running
        assert (await world.events()).count("PricesUpdated") >= 2
        async with world.database.transaction() as transaction:
            taken = await leases.acquire(transaction, world.market.number, ROLE, "next", world.clock.now_ms(), 1_000)
        assert taken is not None

    play(database_url, scenario)


def test_a_market_without_sources_any_more_is_released(database_url: str) -> None:
    async def scenario(world: World) -> None:
        await world.look()
        world.source.ticks = []
        await world.look(12)
        await world.new_commands()
        assert world.state() is MarketState.CANCEL_ONLY
        world.worker.sources.clear()
        await world.look(2)
        assert await world.events() == ["StateChanged"]
        assert world.state() is MarketState.ACTIVE

    play(database_url, scenario)
