"""States the mark and the index of one market in its log, and applies its funding when a period is over.

One process does it for a market, by lease; the lease is checked in the transaction that logs. Everything that must
outlive the process is in that transaction too, so a crash at any moment leaves either all of a look or nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from crossbook.application.markets import Market
from crossbook.application.pricing import BookLook, Known, PriceSource, PricingRules, PricingStep, decide, release
from crossbook.domain.errors import CrossbookError
from crossbook.domain.index import Quote
from crossbook.domain.mark import Top
from crossbook.logs import Log
from crossbook.storage import leases
from crossbook.storage import pricing as stored_pricing
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import LeaseLost
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.lease_keeper import LeaseKeeper
from crossbook.workers.market_data import MarketDataUnavailable, MarketFeed
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

ROLE: Final = "pricing"
DEPTH: Final = 200
"""Levels of each side that impact prices may use."""
STANDBY_MS: Final = 500

_log: Final = Log("pricing")


@dataclass(frozen=True, slots=True)
class PricingSettings:
    """How often a market is looked at, for how long its lease is taken, and the rules of index and mark."""

    every_ms: int = 1_000
    lease_ms: int = 5_000
    rules: PricingRules = field(default_factory=PricingRules)


class PricingWorker:
    """The pricing of one perpetual.

    A market that never had a source, neither one of `sources` nor one that an operator fed, is left alone: it has no
    index, no mark of its own and no funding. `halted` says that it takes cancels only, because too few prices count.
    """

    def __init__(
        self,
        market: Market,
        database: Database,
        feed: MarketFeed,
        clock: Clock,
        holder: str,
        committed: Callable[[int], None],
        *,
        sources: Sequence[PriceSource] = (),
        metrics: Metrics | None = None,
        settings: PricingSettings | None = None,
    ) -> None:
        self.health = Health()
        self.halted = False
        self.sources = list(sources)
        self._market = market
        self._database = database
        self._feed = feed
        self._clock = clock
        self._committed = committed
        self._metrics = metrics or NoMetrics()
        self._settings = settings or PricingSettings()
        self._lease = LeaseKeeper(database, market.number, ROLE, holder, clock, self._settings.lease_ms)
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)
        self._fed = False
        self._started_ms: int | None = None

    @property
    def market_id(self) -> int:
        """The market's number."""
        return self._market.number

    @property
    def symbol(self) -> str:
        """The market's symbol."""
        return self._market.symbol

    @property
    def governs(self) -> bool:
        """Whether this market's mark comes from its log: somebody states prices for it."""
        return bool(self.sources) or self._fed

    async def run(self, stop: asyncio.Event) -> None:
        """Look at the market again and again until `stop`."""
        while not stop.is_set():
            await self._run_once(stop)
        try:
            await self._lease.release()
        except TRANSIENT_LOG as error:
            _log.warning("lease not given back", market=self._market.symbol, error=str(error))
        self.health.set(Condition.STOPPED)

    async def _run_once(self, stop: asyncio.Event) -> None:
        try:
            if not await self._lease.acquire():
                self.health.set(Condition.STANDBY)
                await pause(self._clock, stop, STANDBY_MS)
                return
            while not stop.is_set():
                started_s = self._clock.monotonic_s()
                await self._lease.keep()
                await self.look()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                took_ms = int((self._clock.monotonic_s() - started_s) * 1000)
                await pause(self._clock, stop, max(1, self._settings.every_ms - took_ms))
        except LeaseLost as error:
            _log.warning("pricing goes to another process", market=self._market.symbol, error=str(error))
        except (*TRANSIENT_LOG, MarketDataUnavailable) as error:
            self.health.set(Condition.WAITING, str(error))
            await pause(self._clock, stop, self._backoff.next_ms())
        except CrossbookError as error:
            _log.error("pricing failed", market=self._market.symbol, error=str(error))
            self.health.set(Condition.WAITING, str(error))
            await pause(self._clock, stop, self._backoff.next_ms())

    async def look(self) -> PricingStep | None:
        """Look at the market once, and log what follows; None for a market without sources.

        Raises LeaseLost, StorageError, and MarketDataUnavailable while the book is not known.
        """
        now_ms = self._clock.now_ms()
        if self._started_ms is None:
            self._started_ms = now_ms
        live = [quote for source in self.sources for quote in source.quotes(now_ms)]
        book = self._book()
        async with self._database.transaction() as transaction:
            await leases.require(transaction, self._lease.lease)
            known = await stored_pricing.read(transaction, self._market.number)
            self._fed = bool(known.quotes)
            step = await self._step(transaction, known, book, live, now_ms)
        self._note_halt(step)
        if step is not None and step.commands:
            self._committed(self._market.number)
            self._report(step)
        return step

    async def _step(
        self, transaction: Transaction, known: Known, book: BookLook, live: Sequence[Quote], now_ms: int
    ) -> PricingStep | None:
        if self.governs:
            rules = self._settings.rules
            patient = now_ms - (self._started_ms or 0) <= rules.index.max_age_ms
            step = decide(self._market.instrument, rules, known, book, live, now_ms, patient)
        elif known.control.halted_from is not None:
            step = release(known)
        else:
            return None
        await stored_pricing.write(transaction, self._market.number, step, now_ms)
        return step

    def _book(self) -> BookLook:
        """The market's own prices, as of the newest events."""
        view = self._feed.orderbook(DEPTH)
        bids = [(level[0], level[1]) for level in view.bids]
        asks = [(level[0], level[1]) for level in view.asks]
        last_ticks = self._feed.last_price_ticks or 0
        return BookLook(Top(bids[0][0] if bids else 0, asks[0][0] if asks else 0, last_ticks), bids, asks)

    def _note_halt(self, step: PricingStep | None) -> None:
        halted = step is not None and step.control.halted_from is not None
        if step is None or halted == self.halted:
            self.halted = halted
            return
        self.halted = halted
        dropped = ", ".join(f"{source} {why}" for source, why in step.reading.dropped)
        text = "market halted: too few prices" if halted else "market goes on: prices are back"
        _log.warning(text, market=self._market.symbol, used=len(step.reading.used), dropped=dropped)

    def _report(self, step: PricingStep) -> None:
        symbol = self._market.symbol
        self._metrics.gauge("mark_price_ticks", symbol, step.mark_ticks)
        self._metrics.gauge("index_sources", symbol, len(step.reading.used))
        for applied in step.applied:
            period = applied.period
            _log.info("funding applied", market=symbol, period_start_ms=period.start_ms, rate_ppb=applied.rate_ppb)
