"""What `/ready` says of workers beside the way of an order, and of prices from outside."""

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import pytest

from crossbook.domain.index import Quote
from crossbook.domain.money import Step
from crossbook.readiness import Helper, Warned, helper_checks, prices_check
from crossbook.server.health import Finding, Readiness, readiness
from crossbook.system import ManualClock
from crossbook.workers.health import Condition, Health
from crossbook.workers.names import MarketName
from crossbook.workers.public_prices import PublicPrice, PublicVenue

LIMIT_MS = 10_000


@dataclass
class Worker:
    """A worker that is as a test says."""

    health: Health

    async def run(self, stop: asyncio.Event) -> None:
        await stop.wait()


def worker(clock: ManualClock, condition: Condition) -> Worker:
    found = Worker(Health(clock=clock))
    found.health.set(condition, "database.internal:5432 refuses connections")
    return found


def asked(*helpers: Helper) -> Readiness:
    return asyncio.run(readiness(helper_checks(helpers, LIMIT_MS)))


@pytest.mark.parametrize("condition", [Condition.RUNNING, Condition.STANDBY])
def test_who_works_or_stands_by_is_well_for_ever(condition: Condition) -> None:
    clock = ManualClock()
    helper = Helper("timers", worker(clock, condition))
    clock.advance(100 * LIMIT_MS)
    assert asked(helper).checks == {"timers": Finding(ok=True)}


@pytest.mark.parametrize("condition", [Condition.WAITING, Condition.STARTING])
def test_who_waits_is_told_of_at_once_and_refused_after_a_while(condition: Condition) -> None:
    clock = ManualClock()
    helpers = [
        Helper("pricing", worker(clock, found), market)
        for market, found in (
            ("BTC-PERP", condition),
            ("ETH-PERP", Condition.RUNNING),
        )
    ]
    clock.advance(LIMIT_MS)
    assert asked(*helpers) == Readiness("ready", {"pricing": Finding(True, f"BTC-PERP {condition} for 10 s")})
    clock.advance(2_000)
    assert asked(*helpers) == Readiness("degraded", {"pricing": Finding(False, f"BTC-PERP {condition} for 12 s")})


def test_waiting_again_and_again_counts_from_the_first_time() -> None:
    clock = ManualClock()
    waiting = worker(clock, Condition.WAITING)
    clock.advance(LIMIT_MS)
    waiting.health.set(Condition.WAITING, "still")
    clock.advance(1_000)
    assert asked(Helper("transfers", waiting)).status == "degraded"
    waiting.health.set(Condition.RUNNING)
    waiting.health.set(Condition.WAITING)
    assert asked(Helper("transfers", waiting)).status == "ready"


@pytest.mark.parametrize("condition", [Condition.FAILED, Condition.STOPPED])
def test_who_has_ended_is_refused_at_once(condition: Condition) -> None:
    found = asked(Helper("liquidation", worker(ManualClock(), condition)))
    assert found == Readiness("degraded", {"liquidation": Finding(False, f"{condition} for 0 s")})


def test_what_no_request_depends_on_is_a_warning() -> None:
    clock = ManualClock()
    helper = Helper("activity", worker(clock, Condition.WAITING), vital=False)
    assert asked(helper).checks == {"activity": Finding(True, "waiting for 0 s")}
    clock.advance(LIMIT_MS + 1)
    assert asked(helper) == Readiness("ready", {"activity": Warned(ok=True, warning="waiting for 10 s")})


def test_no_reason_is_told_to_strangers() -> None:
    found = asked(Helper("timers", worker(ManualClock(), Condition.FAILED)))
    assert "internal" not in str(found)


# -- Prices from outside -----------------------------------------------------------------------------
class Source(PublicPrice):
    """A public venue whose prices a test brings."""

    def __init__(self, clock: ManualClock, market: str, source: str) -> None:
        super().__init__(PublicVenue(market, source, "https://prices.internal/x", ("price",)), Step.of("0.1"), clock)
        self._last: list[Quote] = []
        self._now = clock

    def says(self) -> None:
        self._last = [Quote(self.venue.source, int(Fraction(1)), self._now.now_ms())]

    def quotes(self, now_ms: int) -> list[Quote]:
        return self._last


@dataclass
class Pricing:
    """The pricing of a market, as far as it is looked at."""

    symbol: str
    halted: bool = False
    governs: bool = True


class Feed:
    """A market's feed, as far as it is looked at: when its log stated a mark."""

    def __init__(self, clock: ManualClock, symbol: str) -> None:
        self.market = MarketName(1, symbol)
        self.stated_ms: int | None = None
        self._clock = clock

    def mark_age_ms(self) -> int | None:
        return None if self.stated_ms is None else self._clock.now_ms() - self.stated_ms


def test_a_silent_source_and_a_halted_market_are_warnings() -> None:
    clock = ManualClock()
    first, second = Source(clock, "BTC-PERP", "first"), Source(clock, "BTC-PERP", "second")
    btc, eth = Pricing("BTC-PERP"), Pricing("ETH-PERP")
    feeds: Any = [Feed(clock, "BTC-PERP"), Feed(clock, "ETH-PERP")]
    check = prices_check(feeds, [first, second], cast("Any", [btc, eth]), clock, LIMIT_MS)

    def said() -> Finding:
        found = asyncio.run(readiness({"prices": check}))
        assert found.status == "ready"
        return found.checks["prices"]

    first.says()
    assert said() == Warned(ok=True, warning="second for BTC-PERP: no price yet")
    second.says()
    assert said() == Finding(ok=True)
    clock.advance(LIMIT_MS)
    assert said() == Finding(ok=True)
    second.says()
    clock.advance(1_000)
    assert said() == Warned(ok=True, warning="first for BTC-PERP: no price for 11 s")
    btc.halted = True
    assert said() == Warned(
        ok=True, warning="BTC-PERP takes cancels only: too few prices; first for BTC-PERP: no price for 11 s"
    )


def test_marks_that_nobody_states_are_a_warning_whoever_should_state_them() -> None:
    clock = ManualClock()
    here, elsewhere = Feed(clock, "BTC-PERP"), Feed(clock, "ETH-PERP")
    btc = Pricing("BTC-PERP")
    feeds: Any = [here, elsewhere]
    check = prices_check(feeds, [], cast("Any", [btc]), clock, LIMIT_MS)

    def said() -> Finding:
        found = asyncio.run(readiness({"prices": check}))
        assert found.status == "ready"
        return found.checks["prices"]

    assert said() == Finding(ok=True)  # no mark was ever stated
    here.stated_ms = elsewhere.stated_ms = clock.now_ms()
    clock.advance(LIMIT_MS)
    assert said() == Finding(ok=True)
    clock.advance(2_000)
    assert said() == Warned(ok=True, warning="BTC-PERP: no mark for 12 s; ETH-PERP: no mark for 12 s")
    btc.governs = False  # it has no sources any more, and its last trade is its mark
    assert said() == Warned(ok=True, warning="ETH-PERP: no mark for 12 s")
