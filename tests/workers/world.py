"""A market with a real log, its streams, and the faults that the workers have to bear."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from crossbook.domain.commands import Batch, Command
from crossbook.domain.orders import Side
from crossbook.matching import Engine
from crossbook.matching.codec import encode_records
from crossbook.storage import commands_log
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.streams.entries import Entry
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import Stream, StreamKind, StreamUnavailable
from crossbook.streams.redis_streams import RedisStreams
from crossbook.streams.refill import RefillSettings
from crossbook.system import SystemClock
from crossbook.workers.matcher import Matcher, MatcherSettings
from crossbook.workers.names import MarketName
from crossbook.workers.relay import Relay
from tests.matching.flows import Flow

DEADLINE_S = 30.0
"""When a wait is given up. No test depends on how much of it is used."""

QUICK = MatcherSettings(
    batch_length=7, read_block_ms=5, lease_ms=10_000, snapshot_every=10, events_kept=0, shutdown_ms=20_000
)
QUICK_REFILL = RefillSettings(batch_length=9, idle_ms=1, backoff_first_ms=1, backoff_limit_ms=8)

T = TypeVar("T")
Levels = tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]


class ShiftedClock(SystemClock):
    """The machine's clock, and a way to let an hour pass at once."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self.ahead_ms / 1000


@dataclass
class Carriers:
    """The two streams of a venue, and how to lose what they hold."""

    commands: Stream
    events: Stream
    empty: Callable[[], Coroutine[Any, Any, None]]


@asynccontextmanager
async def carriers(redis_url: str | None, symbol: str) -> AsyncIterator[Carriers]:
    """Streams of this process or, with an address, of a server, which is then emptied as a whole."""
    commands: Stream
    events: Stream
    if redis_url is None:
        commands, events = InProcessStreams(StreamKind.COMMANDS), InProcessStreams(StreamKind.EVENTS)
    else:
        commands, events = RedisStreams(redis_url, StreamKind.COMMANDS), RedisStreams(redis_url, StreamKind.EVENTS)

    async def empty() -> None:
        if isinstance(commands, RedisStreams):
            await cast("Any", commands)._client.flushall()
        else:
            await commands.clear(symbol)
            await events.clear(symbol)

    try:
        yield Carriers(commands, events, empty)
    finally:
        await empty()
        await commands.close()
        await events.close()


@dataclass
class World:
    """One market: its log in the database, what a straight run of it gives, and the workers over it."""

    database: Database
    market: MarketName
    carriers: Carriers
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    flow: Flow = field(default_factory=lambda: Flow(random.Random(7).randrange))
    engine: Engine = field(default_factory=Engine)
    expected: list[Entry] = field(default_factory=list)
    depths: list[Levels] = field(default_factory=lambda: [([], [])])

    async def grow(self, number: int) -> None:
        """Put the next commands of the flow into the log, in one commit."""
        commands: list[Command] = []
        while len(commands) < number:
            command = self.flow.next()
            if not isinstance(command, Batch) or command.commands:
                commands.append(command)
        await self.log(commands)

    async def log(self, commands: Sequence[Command]) -> None:
        """Put commands into the log; note what they must give."""
        for command in commands:
            record = encode_records(command)
            self.expected.append((command.sequence, self.engine.process(record)))
            self.depths.append((self.engine.depth(Side.BUY, 10_000), self.engine.depth(Side.SELL, 10_000)))
        await self.log_records([encode_records(command) for command in commands])

    async def log_records(self, records: Sequence[bytes]) -> None:
        """Put records into the log as they are."""
        market_id = self.market.market_id
        async with self.database.transaction() as transaction:
            first = (await commands_log.take_sequences(transaction, {market_id: len(records)}))[market_id]
            logged = [LoggedCommand(market_id, first + n, record, 0) for n, record in enumerate(records)]
            await commands_log.append(transaction, logged)

    async def settle(self, sequence: int) -> None:
        """Say that settlement has come that far."""
        async with self.database.transaction() as transaction:
            await transaction.execute(
                "UPDATE market_settlements SET last_settled_sequence = $2 WHERE market_id = $1",
                self.market.market_id,
                sequence,
            )

    async def snapshot_sequences(self) -> list[int]:
        """The sequences of the stored snapshots."""
        async with self.database.transaction() as transaction:
            rows = await transaction.rows(
                "SELECT sequence FROM snapshots WHERE market_id = $1 ORDER BY sequence", self.market.market_id
            )
        return [row["sequence"] for row in rows]

    def matcher(self, holder: str = "one", settings: MatcherSettings = QUICK, **changes: Any) -> Matcher:
        """A matcher of this market; `changes` replace what it works with."""
        parts: dict[str, Any] = {
            "database": self.database,
            "commands": self.carriers.commands,
            "events": self.carriers.events,
            "clock": self.clock,
            **changes,
        }
        return Matcher(self.market, **parts, holder=holder, settings=settings)

    def relay(self, **changes: Any) -> Relay:
        """A relay of this market."""
        parts: dict[str, Any] = {
            "database": self.database,
            "commands": self.carriers.commands,
            "clock": self.clock,
            "settings": QUICK_REFILL,
            **changes,
        }
        return Relay(self.market, **parts)

    async def caught_up(self) -> None:
        """Return when the stream of events reaches the end of the log."""
        await until(lambda: self.ends_at(len(self.expected)))

    async def ends_at(self, sequence: int) -> bool:
        """Whether the stream of events ends there."""
        return await self.carriers.events.last_sequence(self.market.symbol) == sequence

    async def held_events(self) -> list[Entry]:
        """Everything on the stream of events."""
        after = await self.carriers.events.first_sequence(self.market.symbol) - 1
        found: list[Entry] = []
        while batch := await self.carriers.events.read(self.market.symbol, after, 100):
            found += batch
            after = batch[-1][0]
        return found


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    """Return when `condition` holds; the deadline of the test ends the wait."""
    while not await condition():
        await asyncio.sleep(0.002)


async def add_market(transaction: Transaction, market_id: int) -> MarketName:
    """A market of two assets, which are made with the first one."""
    await transaction.execute(
        "INSERT INTO assets (asset_id, name, decimals) VALUES (1, 'USDC', 6), (2, 'BTC', 8) ON CONFLICT DO NOTHING"
    )
    market = MarketName(market_id, f"TEST-{market_id}")
    await transaction.execute(
        """
        INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status,
                             tick_decimals, tick_size, lot_decimals, lot_size, created_at_ms)
        VALUES ($1, $2, 1, 2, 1, 1, 1, 1, 3, 1, 0)
        """,
        *market,
    )
    return market


@asynccontextmanager
async def a_world(database: Database, redis_url: str | None = None, *, number: int = 1) -> AsyncIterator[World]:
    """A market of its own in the database, without any command."""
    async with database.transaction() as transaction:
        market = await add_market(transaction, number)
    async with carriers(redis_url, market.symbol) as pair:
        yield World(database, market, pair)


def in_world(database_url: str, scene: Callable[[World], Coroutine[Any, Any, T]], redis_url: str | None = None) -> T:
    """Play a scene in a world of its own."""

    async def play(database: Database) -> T:
        async with a_world(database, redis_url) as world:
            return await scene(world)

    return with_database(database_url, play)


def with_database(database_url: str, scene: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Run `scene` with a pool of connections, with an end to the wait for it."""

    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_S):
            database = await Database.connect(database_url)
            try:
                return await scene(database)
            finally:
                await database.close()

    return asyncio.run(bounded())


@asynccontextmanager
async def running(*workers: Any) -> AsyncIterator[asyncio.Event]:
    """Run workers meanwhile, and stop them in order."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.gather(*tasks)


# -- Faults ------------------------------------------------------------------------------------------
class Crossings:
    """Every moment at which a worker hands something over, or gets it: there it may be killed."""

    def __init__(self, crash_at: int) -> None:
        self.count = 0
        self._crash_at = crash_at
        self._task: asyncio.Task[None] | None = None

    async def run(self, worker: Any, done: Coroutine[Any, Any, None]) -> bool:
        """Run the worker until it is killed or, after `done`, has stopped in order; whether it was killed."""
        stop = asyncio.Event()
        self._task = asyncio.create_task(worker.run(stop))
        finished = asyncio.create_task(done)
        await asyncio.wait((self._task, finished), return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        stop.set()
        with suppress(asyncio.CancelledError):
            await self._task
        return self.count >= self._crash_at

    async def cross(self) -> None:
        """One such moment."""
        self.count += 1
        if self.count == self._crash_at and self._task is not None:
            self._task.cancel()
            await asyncio.Event().wait()

    def stream(self, stream: Stream) -> Stream:
        """A stream with such a moment before and after every call."""
        return cast("Stream", _CrossedStream(stream, self))

    def database(self, database: Database) -> Database:
        """A database with such a moment before, at the end of, and after every transaction."""
        return cast("Database", _CrossedDatabase(database, self))


class _CrossedStream:
    def __init__(self, stream: Stream, crossings: Crossings) -> None:
        self._stream = stream
        self._crossings = crossings

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stream, name)

        async def call(*arguments: Any) -> Any:
            await self._crossings.cross()
            result = await method(*arguments)
            await self._crossings.cross()
            return result

        return call


class _CrossedDatabase:
    def __init__(self, database: Database, crossings: Crossings) -> None:
        self._database = database
        self._crossings = crossings

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Transaction]:
        await self._crossings.cross()
        async with self._database.transaction(**options) as transaction:
            yield transaction
            await self._crossings.cross()
        await self._crossings.cross()

    @asynccontextmanager
    async def each_alone(self) -> AsyncIterator[Transaction]:
        await self._crossings.cross()
        async with self._database.each_alone() as transaction:
            yield transaction
            await self._crossings.cross()
        await self._crossings.cross()

    def snapshot(self) -> Any:
        return self.transaction(isolation="repeatable_read", read_only=True)


class Luck:
    """Decides by a seed what fails; good from the moment `over` is set."""

    def __init__(self, seed: int, percent: int = 15) -> None:
        self._random = random.Random(seed)
        self._percent = percent
        self.over = False

    def fails(self) -> bool:
        return not self.over and self._random.randrange(100) < self._percent

    def stream(self, stream: Stream) -> Stream:
        """A stream whose calls fail before or after they are done."""
        return cast("Stream", _UnluckyStream(stream, self))

    def database(self, database: Database) -> Database:
        """A database whose transactions fail before they begin, or before or after they commit."""
        return cast("Database", _UnluckyDatabase(database, self))


class _UnluckyStream:
    def __init__(self, stream: Stream, luck: Luck) -> None:
        self._stream = stream
        self._luck = luck

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stream, name)

        async def call(*arguments: Any) -> Any:
            if self._luck.fails():
                raise StreamUnavailable("lost on the way there")
            result = await method(*arguments)
            if self._luck.fails():
                raise StreamUnavailable("lost on the way back")
            return result

        return call


class _UnluckyDatabase:
    def __init__(self, database: Database, luck: Luck) -> None:
        self._database = database
        self._luck = luck

    @asynccontextmanager
    async def transaction(self, **options: Any) -> AsyncIterator[Transaction]:
        self._fail_perhaps()
        async with self._database.transaction(**options) as transaction:
            yield transaction
            self._fail_perhaps()
        self._fail_perhaps()

    @asynccontextmanager
    async def each_alone(self) -> AsyncIterator[Transaction]:
        self._fail_perhaps()
        async with self._database.each_alone() as transaction:
            yield transaction
            self._fail_perhaps()

    def snapshot(self) -> Any:
        return self.transaction(isolation="repeatable_read", read_only=True)

    def _fail_perhaps(self) -> None:
        if self._luck.fails():
            raise DatabaseUnavailable("lost")
