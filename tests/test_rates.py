"""The settings become rate limits."""

import pytest

from crossbook.rates import brake_of, limiter_of
from crossbook.settings import Settings
from crossbook.system import ManualClock


def allowed(settings: Settings, rate_class: str, tries: int) -> int:
    """How many of so many requests at once the limits of one key let pass."""
    limiter = limiter_of(settings, ManualClock())
    verdicts = [limiter.take_key(rate_class, "user 1") for _ in range(tries)]
    return sum(verdict is None or verdict.allowed for verdict in verdicts)


def test_each_class_has_the_budget_of_its_settings() -> None:
    settings = Settings(orders_burst=3, cancels_burst=5, reads_burst=7)
    assert [allowed(settings, name, 10) for name in ("orders", "cancels", "reads")] == [3, 5, 7]


@pytest.mark.parametrize("rate", [0, 1_001])
def test_no_limit_is_no_limit(rate: int) -> None:
    assert allowed(Settings(orders_per_s=rate, orders_burst=1), "orders", 100) == 100


def test_registrations_are_counted_by_address() -> None:
    limiter = limiter_of(Settings(registrations_per_minute=2), ManualClock())
    verdicts = [limiter.take_address("registrations", "192.0.2.1") for _ in range(3)]
    assert [verdict is not None and verdict.allowed for verdict in verdicts] == [True, True, False]
    assert limiter_of(Settings(registrations_per_minute=0), ManualClock()).take_address("registrations", "a") is None


def test_failed_logins_are_slowed_down() -> None:
    brake = brake_of(Settings(logins_per_minute=2), ManualClock())
    assert brake.wait_s("alice", "192.0.2.1") == 0
    brake.failed("alice", "192.0.2.1")
    brake.failed("alice", "192.0.2.1")
    assert brake.wait_s("alice", "192.0.2.1") > 0
    without = brake_of(Settings(logins_per_minute=0), ManualClock())
    without.failed("alice", "192.0.2.1")
    assert without.wait_s("alice", "192.0.2.1") == 0
