"""The settler over a real log, real streams of this process, and the faults that it has to bear."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from crossbook.domain.orders import Side
from crossbook.matching import Engine
from crossbook.matching.codec import encode_records
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import CommitOutcomeUnknown, DatabaseUnavailable
from crossbook.streams.entries import Entry
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind, StreamUnavailable
from crossbook.system import SystemClock
from crossbook.workers.health import Condition
from crossbook.workers.names import MarketName
from crossbook.workers.settler import Settled, Settler, SettlerSettings
from tests.application.venue import MARKET, Venue, account_of
from tests.domain.cases import perp
from tests.storage.settling import SYMBOL, StoredVenue, open_market
from tests.storage.test_settlement import limit
from tests.workers.world import running, until, with_database

NAME = MarketName(MARKET, SYMBOL)
QUICK = SettlerSettings(batch_length=7, read_block_ms=5)


class Figures:
    """Remembers what a worker reports."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.gauges: dict[str, int] = {}

    def count(self, name: str, market: str, amount: int = 1) -> None:
        assert market == SYMBOL
        self.counts[name] = self.counts.get(name, 0) + amount

    def gauge(self, name: str, market: str, value: int) -> None:
        assert market == SYMBOL
        self.gauges[name] = value


class Scene:
    """A market whose commands are accepted and matched, and its settlers."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.stored = StoredVenue(Venue(perp()), database)
        self.stream = InProcessStreams(StreamKind.EVENTS)
        self.figures = Figures()
        self.told: list[Settled] = []
        self._engine = Engine()
        self.matched: list[Entry] = []

    async def grow(self, count: int) -> None:
        """Accept `count` more orders, and match them."""
        venue = self.stored.venue
        first = len(venue.log) + 1
        for sequence in range(first, first + count):
            side = Side.BUY if sequence % 2 else Side.SELL
            venue.enter(limit(sequence, account_of(1 + sequence % 3), side, 1 + sequence % 4, 1000))
        await self.stored.accept()
        for command, _ in venue.log[first - 1 :]:
            self.matched.append((command.sequence, self._engine.process(encode_records(command))))

    async def publish(self, first: int = 1) -> None:
        await self.stream.append(SYMBOL, self.matched[first - 1 :])

    def settler(self, **changes: Any) -> Settler:
        parts: dict[str, Any] = {
            "database": self.database,
            "events": self.stream,
            "clock": SystemClock(),
            "on_settled": self.told.append,
            "metrics": self.figures,
            "settings": QUICK,
            **changes,
        }
        return Settler(NAME, **parts)

    async def all_settled(self, settler: Settler) -> None:
        async def reached() -> bool:
            return settler.settled_sequence == len(self.matched)

        await until(reached)

    async def audit(self) -> None:
        """Everything is settled once, and everybody who listens was told of it once."""
        self.stored.venue.settle()
        self.stored.venue.audit()
        await self.stored.audit()
        ends = [(batch.first_sequence, batch.last_sequence) for batch in self.told]
        assert [first for first, _ in ends] == [1, *(last + 1 for _, last in ends[:-1])]
        assert ends[-1][1] == len(self.matched)
        events = [event for batch in self.told for event in batch.events]
        assert events == [event for _, command in self.stored.venue.log for event in command.events]


def play(database_url: str, scene: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def prepared(database: Database) -> None:
        await open_market(database, perp())
        await scene(Scene(database))

    with_database(database_url, prepared)


def test_it_settles_what_comes_and_says_so(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        settler = scene.settler()
        conditions = [settler.health.condition]
        await scene.grow(30)
        await scene.publish()
        assert await settler.lag() == 30
        async with running(settler):
            await scene.all_settled(settler)
            await scene.grow(10)
            await scene.publish(31)
            await scene.all_settled(settler)
            assert await settler.lag() == 0
            conditions.append(settler.health.condition)
        conditions.append(settler.health.condition)
        assert conditions == [Condition.STARTING, Condition.RUNNING, Condition.STOPPED]
        await scene.audit()
        trades = sum(batch.trades for batch in scene.told)
        assert trades > 10
        assert scene.figures.counts == {
            "commands_settled": 40,
            "events_settled": sum(len(batch.events) for batch in scene.told),
            "trades_settled": trades,
            "batches_settled": len(scene.told),
        }
        assert scene.figures.gauges == {"settled_sequence": 40}
        assert len(scene.told) >= 40 / QUICK.batch_length

    play(database_url, scene)


def test_the_next_settler_goes_on_where_the_last_one_stopped(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        await scene.grow(20)
        await scene.publish()
        first = scene.settler()
        assert await first.turn() == QUICK.batch_length
        second = scene.settler()
        async with running(second):
            await scene.all_settled(second)
        await scene.audit()

    play(database_url, scene)


def test_two_settlers_settle_everything_once(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        others: list[Settled] = []
        one, two = scene.settler(), scene.settler(on_settled=others.append)
        await scene.grow(60)
        async with running(one, two):
            await scene.publish()
            await scene.all_settled(one)
            await scene.all_settled(two)
        await scene.audit()

    play(database_url, scene)


def test_an_emptied_and_a_trimmed_stream_are_waited_for(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        await scene.grow(14)
        await scene.publish()
        settler = scene.settler()
        async with running(settler):
            await scene.all_settled(settler)
            await scene.stream.clear(SYMBOL)
            await scene.grow(10)
            await scene.stream.start_after(SYMBOL, 20)
            await scene.publish(21)

            async def waiting() -> bool:
                return settler.health.condition is Condition.WAITING

            await until(waiting)
            assert "begins at 21, after the asked 15" in settler.health.reason
            assert scene.figures.counts["settler_waits"] >= 1
            await scene.stream.clear(SYMBOL)
            await scene.stream.start_after(SYMBOL, 14)
            await scene.publish(15)
            await scene.all_settled(settler)
        await scene.audit()

    play(database_url, scene)


class FailingDatabase:
    """A database that fails as told: before a transaction, in its middle, or when its commit was done."""

    def __init__(self, database: Database, faults: list[str]) -> None:
        self._database = database
        self._faults = faults

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False) -> AsyncIterator[Transaction]:
        fault = "" if read_only or not self._faults else self._faults.pop(0)
        if fault == "before":
            raise DatabaseUnavailable("not there")
        async with self._database.transaction(read_only=read_only) as transaction:
            yield transaction
            if fault == "middle":
                raise DatabaseUnavailable("lost on the way")
        if fault == "after":
            raise CommitOutcomeUnknown("lost while committing")


def test_a_lost_database_is_waited_for_and_nothing_is_doubled_or_left_out(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        faults = ["before", "middle", "after", "", "after", "after", "middle", "before", "after"]
        settler = scene.settler(database=FailingDatabase(scene.database, faults))
        await scene.grow(40)
        await scene.publish()
        async with running(settler):
            await scene.all_settled(settler)
        assert faults == []
        assert scene.figures.counts["settler_waits"] == 8
        await scene.audit()

    play(database_url, scene)


class UnavailableStream(InProcessStreams):
    """A stream whose first reads fail."""

    def __init__(self, failures: int) -> None:
        super().__init__(StreamKind.EVENTS)
        self.failures = failures

    async def read(self, market: str, after_sequence: int, limit: int, block_ms: int = 0) -> list[Entry]:
        if self.failures:
            self.failures -= 1
            raise StreamUnavailable("away")
        return await super().read(market, after_sequence, limit, block_ms)


def test_a_lost_stream_is_waited_for(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        scene.stream = UnavailableStream(3)
        await scene.grow(9)
        await scene.publish()
        settler = scene.settler()
        async with running(settler):
            await scene.all_settled(settler)
        assert scene.figures.counts["settler_waits"] == 3
        await scene.audit()

    play(database_url, scene)


def test_events_that_do_not_fit_stop_the_market_and_change_nothing(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        await scene.grow(3)
        await scene.stored.audit()
        async with scene.database.transaction() as transaction:
            await transaction.execute("DELETE FROM orders WHERE order_id = 3")
        await scene.publish()
        settler = scene.settler()
        async with running(settler):

            async def failed() -> bool:
                return settler.health.condition is Condition.FAILED

            await until(failed)
            assert settler.health.reason.endswith("event 3/0: there is no order 3")
            await asyncio.sleep(0.02)
            assert (scene.told, settler.settled_sequence) == ([], 0)
            assert scene.figures.gauges == {"market_failed": 1}
        assert settler.health.condition is Condition.FAILED
        async with scene.database.transaction() as transaction:
            assert await transaction.value("SELECT count(*) FROM fills") == 0
            assert await transaction.value("SELECT min(status) = max(status) FROM orders") is True

    play(database_url, scene)


def test_records_that_nobody_can_read_stop_the_market(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        await scene.grow(1)
        await scene.stream.append(SYMBOL, [(1, b"no record")])
        settler = scene.settler()
        async with running(settler):

            async def failed() -> bool:
                return settler.health.condition is Condition.FAILED

            await until(failed)
            assert "no whole number of event records" in settler.health.reason

    play(database_url, scene)


def test_a_market_that_is_not_there_fails(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        settler = Settler(MarketName(5, "NOWHERE"), scene.database, scene.stream, SystemClock(), settings=QUICK)
        async with running(settler):

            async def failed() -> bool:
                return settler.health.condition is Condition.FAILED

            await until(failed)
            assert "NOWHERE" in settler.health.reason

    play(database_url, scene)


def test_it_stops_soon_while_it_waits_for_the_database(database_url: str) -> None:
    async def scene(scene: Scene) -> None:
        await scene.grow(1)
        await scene.publish()
        settler = scene.settler(database=FailingDatabase(scene.database, ["before"] * 100_000))
        async with running(settler):

            async def waiting() -> bool:
                return settler.health.condition is Condition.WAITING

            await until(waiting)
        assert settler.health.condition is Condition.STOPPED

    play(database_url, scene)
