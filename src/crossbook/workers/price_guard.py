"""Keeps prices within their limits: puts bands into the logs, halts a market whose price runs, and opens it again.

A halt has phases, which are stored: halted (orders can only be cancelled), collecting orders for the auction, opening
by the auction, trading. Each phase wants a state of the market, and the guard sends the command for it until
settlement says that the market is in it. So a guard may end at any moment, and the next one goes on; several guards do
no harm, because one of them moves a phase and a state that is set twice is set.

Between a trade and the look that sees it, more can trade: the halt is a command in the log like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crossbook.application.market_limits import HaltPhase, MarketLimits
from crossbook.domain.commands import ConfigureMarket, SetMarketState, SingleCommand
from crossbook.domain.orders import MarketState
from crossbook.domain.price_window import PriceWindow
from crossbook.logs import Log
from crossbook.storage import commands_log, market_limits
from crossbook.storage.database import Database
from crossbook.storage.market_limits import StoredLimits
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.market_data import MarketDataUnavailable
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause

SubmitSystem = Callable[[int, Sequence[SingleCommand]], Awaitable[object]]
"""Puts commands of the venue itself into a market's log. They come with sequence 0; the log gives them theirs."""

TRADES_LOOKED_AT: Final = 500
WANTED: Final[Mapping[HaltPhase, MarketState]] = {
    HaltPhase.HALTED: MarketState.CANCEL_ONLY,
    HaltPhase.COLLECTING: MarketState.AUCTION,
    HaltPhase.OPENING: MarketState.ACTIVE,
}
"""The state that each phase wants; a market that trades is in whatever state its operator put it."""

_log: Final = Log("price_guard")


class SeenTrade(Protocol):
    """A trade as the guard sees it."""

    @property
    def trade_id(self) -> int:
        """Its number in the market, rising."""
        ...

    @property
    def price_ticks(self) -> int:
        """Its price."""
        ...

    @property
    def time_ms(self) -> int:
        """When, in milliseconds since the epoch."""
        ...


class TradeFeed(Protocol):
    """The last trades of a market. `crossbook.workers.market_data.MarketFeed` is one."""

    def trades(self, limit: int) -> Sequence[SeenTrade]:
        """The last trades, newest first. Raises MarketDataUnavailable."""
        ...


@dataclass(frozen=True)
class GuardSettings:
    """How often the markets are looked at."""

    look_every_ms: int = 200


class PriceGuard:
    """The guard of all markets that have limits. `feeds` are the trades of each, by the market's number."""

    def __init__(
        self,
        database: Database,
        feeds: Mapping[int, TradeFeed],
        submit_system: SubmitSystem,
        clock: Clock,
        settings: GuardSettings | None = None,
    ) -> None:
        self.health = Health()
        self._database = database
        self._feeds = feeds
        self._submit_system = submit_system
        self._clock = clock
        self._settings = settings or GuardSettings()
        self._watched: dict[int, _Watched] = {}
        self._told: dict[int, int] = {}
        self._backoff = Backoff(first_ms=100, limit_ms=2_000)

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again until `stop`."""
        while not stop.is_set():
            try:
                await self.look()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
                await pause(self._clock, stop, self._settings.look_every_ms)
            except TRANSIENT_LOG as error:
                _log.warning("price guard waits", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self.health.set(Condition.STOPPED)

    async def look(self) -> None:
        """Look once at every market that has limits. Raises StorageError."""
        async with self._database.each_alone() as transaction:
            rows = await market_limits.load(transaction)
        for row in rows:
            if not row.is_configured:
                await self._configure(row)
            phase = await self._next_phase(row)
            wanted = WANTED.get(phase)
            if wanted is not None and row.status is not wanted:
                await self._tell(row.market_id, wanted, row.limits)

    async def _configure(self, row: StoredLimits) -> None:
        """Put the band into the market's log; twice does no harm."""
        limits = row.limits
        command = ConfigureMarket(0, 0, limits.reference_price_ticks, limits.band_basis_points)
        await self._submit_system(row.market_id, [command])
        async with self._database.transaction() as transaction:
            await market_limits.note_configured(transaction, row.market_id, limits)

    async def _next_phase(self, row: StoredLimits) -> HaltPhase:
        """The phase of the market now: the stored one, or the next when its time has come."""
        limits, phase, now_ms = row.limits, row.phase, self._clock.now_ms()
        in_state, passed_ms = row.status is WANTED.get(phase), now_ms - row.phase_since_ms
        if phase is HaltPhase.TRADING:
            return await self._move(row, HaltPhase.HALTED, now_ms) if self._runs(row) else phase
        if phase is HaltPhase.HALTED and in_state and passed_ms >= limits.halt_ms:
            return await self._move(row, HaltPhase.COLLECTING, now_ms)
        if phase is HaltPhase.COLLECTING and in_state and passed_ms >= limits.auction_ms:
            return await self._move(row, HaltPhase.OPENING, now_ms)
        if phase is HaltPhase.OPENING and in_state:
            return await self._move(row, HaltPhase.TRADING, now_ms)
        return phase

    def _runs(self, row: StoredLimits) -> bool:
        """Whether the market's price moved too far within the window, by the trades since it last opened."""
        limits, feed = row.limits, self._feeds.get(row.market_id)
        if not limits.halt_basis_points or feed is None or row.status is not MarketState.ACTIVE:
            return False
        watched = self._watched.get(row.market_id)
        if watched is None or (watched.limits, watched.since_ms) != (limits, row.phase_since_ms):
            watched = self._watched[row.market_id] = _Watched(limits, row.phase_since_ms)
        try:
            return watched.runs(feed.trades(TRADES_LOOKED_AT))
        except MarketDataUnavailable:
            return False

    async def _move(self, row: StoredLimits, phase: HaltPhase, now_ms: int) -> HaltPhase:
        """Store the next phase, unless another guard was quicker."""
        async with self._database.transaction() as transaction:
            moved = await market_limits.set_phase(transaction, row.market_id, row.phase, phase, now_ms)
        if moved:
            _log.warning("market changes phase", market_id=row.market_id, phase=phase.name)
        return phase if moved else row.phase

    async def _tell(self, market_id: int, state: MarketState, limits: MarketLimits) -> None:
        """Send the state that the phase wants, once the last time is settled: before, the state is not known yet."""
        async with self._database.each_alone() as transaction:
            accepted, settled = (await commands_log.last_sequences(transaction))[market_id]
        if settled < self._told.get(market_id, 0):
            return
        await self._submit_system(market_id, [SetMarketState(0, 0, state, limits.reference_price_ticks)])
        self._told[market_id] = accepted + 1


class _Watched:
    """The window of one market since it last opened."""

    def __init__(self, limits: MarketLimits, since_ms: int) -> None:
        self.limits = limits
        self.since_ms = since_ms
        self._window = PriceWindow(limits.halt_window_ms, limits.halt_basis_points)
        self._last_id = 0

    def runs(self, trades: Sequence[SeenTrade]) -> bool:
        """Take the trades that are new, given newest first. Whether one of them moved the price too far."""
        found = False
        for trade in reversed(trades):
            if trade.trade_id > self._last_id and trade.time_ms > self.since_ms:
                self._last_id = trade.trade_id
                found |= self._window.add(trade.time_ms, trade.price_ticks)
        return found
