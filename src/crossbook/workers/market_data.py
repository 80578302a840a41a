"""Step 10 of the way of an order: the public book, trades and statistics of a market, made from its events.

It starts where settlement stands: book from a snapshot of the engine and the log, trades from the settled fills. From
there it follows the stream of events. When the stream no longer has what comes next, it starts again the same way.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from struct import unpack_from
from typing import Final, Protocol

from crossbook.application.errors import MarketNotFound
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import Event, Trade
from crossbook.domain.orders import MarketState
from crossbook.logs import Log
from crossbook.matching import Engine
from crossbook.matching.codec import decode_records
from crossbook.matching.depth import DepthBook
from crossbook.matching.layout import TIME_MS
from crossbook.storage import market_history
from crossbook.storage.database import Database
from crossbook.streams.port import Stream, StreamTrimmed
from crossbook.system import Clock
from crossbook.workers import recovery
from crossbook.workers.day_stats import DAY_MINUTES, MINUTE_MS, DayStats, DayWindow
from crossbook.workers.health import Condition, Health
from crossbook.workers.market_view import TRADES_KEPT, BookView, MarketView, PublicTrade
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import TRANSIENT, Backoff, pause
from crossbook.workers.recovery import MarketStopped
from crossbook.workers.subscriptions import DropReason, Subscribers, Subscription

_log: Final = Log("market_data")
_TIME_BYTE: Final = TIME_MS * 8


OnState = Callable[[int, MarketState], None]
"""Hears of the state of a market: its number and the state, when that is first known and whenever it changes."""


class MarketDataUnavailable(CrossbookError):
    """The market's data are not there yet. Never answered with an empty book, which would be a wrong price."""


@dataclass(frozen=True)
class MarketDataSettings:
    """Entries taken at once, updates that may wait for a subscriber, and how many trades a start looks back at."""

    batch_length: int = 256
    read_block_ms: int = 200
    subscriber_capacity: int = 1_000
    history_trades: int = 100_000


class EventTap(Protocol):
    """Hears of the events that a feed takes; must be quick and must not raise. `AccountFeed` is one."""

    def note(self, market_id: int, sequence: int, entries: Sequence[tuple[int, Sequence[Event]]]) -> None:
        """The market's events up to `sequence`, by sequence."""

    def gap(self, market_id: int, sequence: int) -> None:
        """The feed starts anew after `sequence`: what was before may never have been told of."""


class NoTap:
    """Hears nothing."""

    def note(self, market_id: int, sequence: int, entries: Sequence[tuple[int, Sequence[Event]]]) -> None:
        pass

    def gap(self, market_id: int, sequence: int) -> None:
        pass


class MarketFeed:
    """The worker and the data of one market. Reads never wait, and show the market after one whole command."""

    def __init__(
        self,
        market: MarketName,
        database: Database,
        commands: Stream,
        events: Stream,
        clock: Clock,
        *,
        tap: EventTap | None = None,
        metrics: Metrics | None = None,
        settings: MarketDataSettings | None = None,
        on_state: OnState | None = None,
    ) -> None:
        self.health = Health()
        self.market = market
        self._tap = tap or NoTap()
        self._database = database
        self._commands = commands
        self._events = events
        self._clock = clock
        self._metrics = metrics or NoMetrics()
        self._settings = settings or MarketDataSettings()
        self._on_state = on_state
        self._state: MarketState | None = None
        self._subscribers = Subscribers(self._settings.subscriber_capacity)
        self._view: MarketView | None = None
        self._left_behind = False
        self._updated_ms = 0
        self._prices_stated = 0
        self._priced_ms = 0
        self._backoff = Backoff(limit_ms=500)

    # Reads --------------------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """The last command in the data. This and every other read raises MarketDataUnavailable before the start."""
        return self._ready().sequence

    @property
    def last_price_ticks(self) -> int | None:
        """The price of the last trade, None before the first."""
        return self._ready().last_price_ticks

    @property
    def mark_price_ticks(self) -> int | None:
        """The mark that the market's log states, None before the first."""
        return self._ready().mark_price_ticks or None

    @property
    def index_price_ticks(self) -> int | None:
        """The index that the market's log states, None before the first."""
        return self._ready().index_price_ticks or None

    def mark_age_ms(self) -> int | None:
        """How long ago the log stated a mark, or the data were built.

        None for a market without a mark, and for one that is settled for good.
        """
        view = self._view
        if view is None or not view.mark_price_ticks or view.state is MarketState.SETTLEMENT_ONLY:
            return None
        return self._clock.now_ms() - self._priced_ms

    def orderbook(self, depth: int) -> BookView:
        """The best `depth` levels of both sides, best first, and the sequence they are after."""
        return self._ready().orderbook(depth)

    def trades(self, limit: int) -> list[PublicTrade]:
        """The last trades, newest first: `limit` of them, or the 500 that are kept."""
        return self._ready().trades(limit)

    def day_stats(self) -> DayStats:
        """The last 24 hours."""
        return self._ready().window.stats(self._clock.now_ms())

    def updated_ms(self) -> int:
        """When book or trades last changed here, in milliseconds since the epoch."""
        self._ready()
        return self._updated_ms

    def subscribe(self, depth: int) -> Subscription:
        """The best `depth` levels now, and every change of any level from now on; end it with `unsubscribe`."""
        view = self._ready()
        return self._subscribers.add(view.orderbook(depth), view.book)

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscribers.remove(subscription)

    def _ready(self) -> MarketView:
        if self._view is None:
            raise MarketDataUnavailable(f"the data of {self.market.symbol} are being built")
        return self._view

    # Work ---------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the market until `stop`. With a log that can not be played it waits for `stop` and does nothing."""
        try:
            while not stop.is_set():
                await self._run_once(stop)
        except Exception as error:
            # Nobody knows how much of a batch was taken: the next run starts anew.
            self._left_behind = True
            self.health.set(Condition.FAILED, repr(error))
            raise
        self._subscribers.drop_all(DropReason.STOPPED)
        self.health.set(Condition.STOPPED)

    async def _run_once(self, stop: asyncio.Event) -> None:
        try:
            await self._follow(await self._current())
            self._backoff.reset()
            self.health.set(Condition.RUNNING)
        except StreamTrimmed as error:
            _log.warning("market data start again", market=self.market.symbol, error=str(error))
            self._metrics.count("market_data_rebuilt", self.market.symbol)
            self._left_behind = True
            await pause(self._clock, stop, self._backoff.next_ms())
        except TRANSIENT as error:
            _log.warning("market data wait", market=self.market.symbol, error=str(error))
            self.health.set(Condition.WAITING, str(error))
            await pause(self._clock, stop, self._backoff.next_ms())
        except MarketStopped as error:
            _log.error("market data stopped", market=self.market.symbol, error=str(error))
            self.health.set(Condition.FAILED, str(error))
            await stop.wait()

    async def _current(self) -> MarketView:
        """The data to go on with: built from the log when there are none, or when the next events are gone.

        Readers keep the old ones until the new are there.
        """
        if self._view is None or self._left_behind:
            self._view = await self._build()
            self._updated_ms = self._priced_ms = self._clock.now_ms()
            self._prices_stated = 0
            self._left_behind = False
            self._subscribers.drop_all(DropReason.RESYNC)
            self._tap.gap(self.market.market_id, self._view.sequence)
        return self._view

    async def _build(self) -> MarketView:
        """The market where settlement stands now. Raises StorageError, MarketStopped."""
        market_id = self.market.market_id
        since_ms = self._clock.now_ms() - DAY_MINUTES * MINUTE_MS
        async with self._database.snapshot() as transaction:
            settled = (await recovery.progress_in(transaction, market_id)).settled
            trades = await market_history.recent_trades(transaction, market_id, TRADES_KEPT)
            minutes = await market_history.minutes(transaction, market_id, since_ms, self._settings.history_trades)
        engine, snapshot = await recovery.restore(self._database, self.market, settled, self._metrics)
        book = DepthBook.of_snapshot(snapshot.data) if snapshot else DepthBook()
        await self._replay(engine, book, settled)
        last_price_ticks = engine.market.last_price or None
        known = engine.market
        prices = known.mark_price, known.index_price
        view = MarketView(settled, book, trades, DayWindow(minutes), last_price_ticks, *prices, engine.state)
        self._tell_state(view)
        return view

    async def _replay(self, engine: Engine, book: DepthBook, settled: int) -> None:
        """Bring engine and book to the settled sequence."""
        while engine.last_sequence < settled:
            limit = min(self._settings.batch_length, settled - engine.last_sequence)
            entries = await recovery.read_log(self._database, self.market.market_id, engine.last_sequence, limit)
            try:
                played = recovery.play(engine, entries)
            except recovery.REFUSED as error:
                raise MarketStopped(f"the log can not be played after {engine.last_sequence}: {error}") from error
            for _, records in played:
                for event in decode_records(records):
                    book.apply(event)

    async def _follow(self, view: MarketView) -> None:
        """Take one batch of events. All that waits comes first, so that readers see whole commands."""
        settings = self._settings
        entries = await self._events.read(
            self.market.symbol, view.sequence, settings.batch_length, settings.read_block_ms
        )
        if not entries:
            return
        decoded = [(sequence, decode_records(records) if records else []) for sequence, records in entries]
        times_ms = await self._times_ms([sequence for sequence, events in decoded if _has_trade(events)])
        for sequence, events in decoded:
            update = view.apply(sequence, events, times_ms)
            if update is not None:
                self._updated_ms = self._clock.now_ms()
            if update is not None and len(self._subscribers):
                slow = self._subscribers.publish(update)
                if slow:
                    self._metrics.count("subscribers_dropped", self.market.symbol, slow)
        if view.prices_stated != self._prices_stated:
            self._prices_stated = view.prices_stated
            self._priced_ms = self._clock.now_ms()
        self._tell_state(view)
        self._tap.note(self.market.market_id, view.sequence, decoded)
        self._metrics.gauge("market_data_sequence", self.market.symbol, view.sequence)

    def _tell_state(self, view: MarketView) -> None:
        if view.state is not self._state:
            self._state = view.state
            if self._on_state is not None:
                self._on_state(self.market.market_id, view.state)

    async def _times_ms(self, sequences: Sequence[int]) -> dict[int, int]:
        """The times of these commands: events carry none."""
        if not sequences:
            return {}
        before, number = sequences[0] - 1, sequences[-1] - sequences[0] + 1
        market, database = self.market, self._database
        entries = await recovery.read_commands(database, self._commands, market, before, number, 0)
        if len(entries) < number:  # the stream was emptied, and is not filled yet
            entries = await recovery.read_log(database, market.market_id, before, number)
        return {sequence: unpack_from("<q", record, _TIME_BYTE)[0] for sequence, record in entries}


def _has_trade(events: Sequence[Event]) -> bool:
    return any(isinstance(event, Trade) for event in events)


class MarketData:
    """Every market's data, by symbol. Each read raises MarketNotFound for a symbol that is not there."""

    def __init__(self, feeds: Iterable[MarketFeed]) -> None:
        self._feeds = {feed.market.symbol: feed for feed in feeds}

    def feed(self, market: str) -> MarketFeed:
        """The feed of a market."""
        try:
            return self._feeds[market]
        except KeyError:
            raise MarketNotFound(market) from None

    def orderbook(self, market: str, depth: int) -> BookView:
        """As `MarketFeed.orderbook`."""
        return self.feed(market).orderbook(depth)

    def trades(self, market: str, limit: int) -> list[PublicTrade]:
        """As `MarketFeed.trades`."""
        return self.feed(market).trades(limit)

    def last_price_ticks(self, market: str) -> int | None:
        """As `MarketFeed.last_price_ticks`."""
        return self.feed(market).last_price_ticks

    def index_price_ticks(self, market: str) -> int | None:
        """As `MarketFeed.index_price_ticks`."""
        return self.feed(market).index_price_ticks

    def updated_ms(self, market: str) -> int:
        """As `MarketFeed.updated_ms`."""
        return self.feed(market).updated_ms()

    def day_stats(self, market: str) -> DayStats:
        """As `MarketFeed.day_stats`."""
        return self.feed(market).day_stats()

    def subscribe(self, market: str, depth: int) -> Subscription:
        """As `MarketFeed.subscribe`."""
        return self.feed(market).subscribe(depth)

    def unsubscribe(self, market: str, subscription: Subscription) -> None:
        """As `MarketFeed.unsubscribe`."""
        self.feed(market).unsubscribe(subscription)
