"""The rate limits that the settings ask for."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from crossbook.dialects.flux.services import NoBrake
from crossbook.dialects.rate_classes import CANCELS, LOGINS, ORDERS, READS, REGISTRATIONS
from crossbook.server.limits import Budget, LoginThrottle, RateLimiter, RateLimits
from crossbook.settings import Settings
from crossbook.system import Clock

MINUTE_MS: Final = 60_000
MOST_PER_S: Final = 1_000
"""A bucket counts in milliseconds."""


def limiter_of(settings: Settings, clock: Clock) -> RateLimiter:
    """The rate limits of the settings."""
    by_key = {
        ORDERS: _budget(settings.orders_per_s, settings.orders_burst),
        CANCELS: _budget(settings.cancels_per_s, settings.cancels_burst),
        READS: _budget(settings.reads_per_s, settings.reads_burst),
    }
    address = _budget(settings.address_per_s, settings.address_burst)
    by_address = {
        **dict.fromkeys((ORDERS, CANCELS, READS, LOGINS), address),
        REGISTRATIONS: _per_minute(settings.registrations_per_minute),
    }
    return RateLimiter(RateLimits(_given(by_key), _given(by_address)), partial(_passed_ms, clock))


def _budget(per_s: int, burst: int) -> Budget | None:
    """None for no limit. A bucket counts in milliseconds: more than a thousand a second is no limit either."""
    return Budget.per_second(per_s, burst) if 0 < per_s <= MOST_PER_S else None


def _per_minute(count: int) -> Budget | None:
    return Budget(count, max(1, MINUTE_MS // count)) if count else None


def _given(budgets: Mapping[str, Budget | None]) -> dict[str, Budget]:
    return {name: budget for name, budget in budgets.items() if budget is not None}


def brake_of(settings: Settings, clock: Clock) -> LoginThrottle | NoBrake:
    """What slows down who guesses passwords."""
    budget = _per_minute(settings.logins_per_minute)
    if budget is None:
        return NoBrake()
    return LoginThrottle(partial(_passed_ms, clock), pair=budget, account=budget, address=budget)


def _passed_ms(clock: Clock) -> int:
    return int(clock.monotonic_s() * 1000)
