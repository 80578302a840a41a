"""What `/ready` asks: database, streams, workers, lag, prices from outside. Answers are fit for a stranger's eyes.

Three kinds of trouble. Without the database, the streams and the workers on the way of an order nothing can be done:
they must work at this moment. The venue's other workers may wait a while, and not for long. What no request depends on
is told as a warning: a price source outside may be silent, and the venue goes on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Protocol

from crossbook.server.health import Check, Finding
from crossbook.storage.database import Database
from crossbook.storage.lag import lags
from crossbook.streams.port import Stream
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.market_data import MarketFeed
from crossbook.workers.pricing import PricingWorker
from crossbook.workers.public_prices import PublicPrice

_WORKING: Final = (Condition.RUNNING, Condition.STANDBY)
_OVER: Final = (Condition.FAILED, Condition.STOPPED)
"""Waiting helps no more."""


class Worker(Protocol):
    """Anything that says how it is."""

    @property
    def health(self) -> Health:
        """What it is doing."""
        ...


class BackgroundWorker(Worker, Protocol):
    """A worker that runs beside the way of an order."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`."""
        ...


@dataclass(frozen=True)
class Helper:
    """A worker beside the way of an order: under which name it is checked, and what it works on, if there are several.

    One that is not `vital` may fail, and the venue takes requests as before.
    """

    check: str
    worker: BackgroundWorker
    of: str = ""
    vital: bool = True

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.check} {self.of}".rstrip()


class Warned(Finding, frozen=True, kw_only=True):
    """Well enough to take requests, and yet the operator should look: `warning` says at what."""

    warning: str


def checks_of(
    database: Database,
    stream: Stream,
    symbols: Sequence[str],
    workers: Mapping[str, Sequence[Worker]],
    clock: Clock,
    lag_limit_ms: int,
) -> dict[str, Check]:
    """The checks by name. `workers` are those of this process, by kind."""

    async def database_answers() -> Finding:
        async with database.transaction(read_only=True) as transaction:
            await transaction.value("SELECT 1")
        return Finding(ok=True)

    async def streams_answer() -> Finding:
        for symbol in symbols[:1]:
            await stream.last_sequence(symbol)
        return Finding(ok=True)

    async def settlement_keeps_up() -> Finding:
        async with database.transaction(read_only=True) as transaction:
            found = await lags(transaction)
        now_ms = clock.now_ms()
        oldest_ms = max((now_ms - lag.waiting_since_ms for lag in found if lag.waiting_since_ms is not None), default=0)
        return Finding(oldest_ms <= lag_limit_ms, f"{sum(lag.accepted - lag.settled for lag in found)} commands wait")

    checks: dict[str, Check] = {
        "database": database_answers,
        "streams": streams_answer,
        "settlement": settlement_keeps_up,
    }
    for kind, members in workers.items():
        if members:
            checks[kind] = _all_work(members)
    return checks


def _all_work(workers: Sequence[Worker]) -> Check:
    async def check() -> Finding:
        others = sorted({worker.health.condition for worker in workers if worker.health.condition not in _WORKING})
        return Finding(not others, ", ".join(others))

    return check


def helper_checks(helpers: Sequence[Helper], limit_ms: int) -> dict[str, Check]:
    """The checks of workers beside the way: each may wait, or start, for `limit_ms`."""
    ordered = sorted(helpers, key=lambda helper: helper.check)
    return {name: _all_help(list(members), limit_ms) for name, members in groupby(ordered, lambda helper: helper.check)}


def _all_help(helpers: Sequence[Helper], limit_ms: int) -> Check:
    async def check() -> Finding:
        idle = [helper for helper in helpers if helper.worker.health.condition not in _WORKING]
        late = [helper for helper in idle if _is_late(helper.worker.health, limit_ms)]
        words = ", ".join(map(_words, idle))
        if late and not any(helper.vital for helper in late):
            return Warned(ok=True, warning=words)
        return Finding(not late, words)

    return check


def _is_late(health: Health, limit_ms: int) -> bool:
    return health.condition in _OVER or health.lasts_ms > limit_ms


def _words(helper: Helper) -> str:
    health = helper.worker.health
    return f"{helper.of} {health.condition} for {health.lasts_ms // 1000} s".lstrip()


def prices_check(
    feeds: Sequence[MarketFeed],
    sources: Sequence[PublicPrice],
    pricing: Sequence[PricingWorker],
    clock: Clock,
    max_age_ms: int,
) -> Check:
    """The prices of perpetuals, whoever states them: markets halted for want of sources, marks and sources too old.

    Never a reason to refuse requests: such a market takes cancels, and the others trade. `pricing` and `sources` are
    those of this process. Whether another process does its work is seen by the marks in the log.
    """
    here = {worker.symbol: worker for worker in pricing}

    def about_market(feed: MarketFeed) -> str:
        symbol, age_ms = feed.market.symbol, feed.mark_age_ms()
        worker = here.get(symbol)
        if worker is not None and worker.halted:
            return f"{symbol} takes cancels only: too few prices"
        if age_ms is None or age_ms <= max_age_ms or (worker is not None and not worker.governs):
            return ""
        return f"{symbol}: no mark for {age_ms // 1000} s"

    async def check() -> Finding:
        now_ms = clock.now_ms()
        found = [*map(about_market, feeds), *(_silence(source, now_ms, max_age_ms) for source in sources)]
        words = "; ".join(filter(None, found))
        return Warned(ok=True, warning=words) if words else Finding(ok=True)

    return check


def _silence(source: PublicPrice, now_ms: int, max_age_ms: int) -> str:
    """How long a source has been silent, in words; "" for one whose price counts."""
    who = f"{source.venue.source} for {source.venue.market}"
    age_ms = min((now_ms - quote.time_ms for quote in source.quotes(now_ms)), default=None)
    if age_ms is None:
        return f"{who}: no price yet"
    return f"{who}: no price for {age_ms // 1000} s" if age_ms > max_age_ms else ""
