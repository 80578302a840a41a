"""Budgets, exactly, by a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.server.limits import Buckets, Budget, LoginThrottle, RateLimiter, RateLimits, network_of


class Hands:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Hands:
    return Hands()


def test_a_budget_is_spent_and_fills_again(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=2, refill_ms=500), clock)
    assert [buckets.take("a").allowed for _ in range(3)] == [True, True, False]
    clock.now_ms += 499
    assert not buckets.take("a").allowed
    clock.now_ms += 1
    assert buckets.take("a").allowed
    assert not buckets.take("a").allowed


def test_the_verdict_says_what_is_left_and_how_long_to_wait(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=3, refill_ms=2000), clock)
    first = buckets.take("a")
    assert (first.limit, first.remaining, first.reset_s, first.retry_after_s) == (3, 2, 2, 0)
    buckets.take("a")
    buckets.take("a")
    clock.now_ms += 500
    refused = buckets.take("a")
    assert (refused.allowed, refused.remaining, refused.reset_s, refused.retry_after_s) == (False, 0, 6, 2)


def test_waiting_as_told_is_enough(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=1, refill_ms=2345), clock)
    buckets.take("a")
    clock.now_ms += buckets.take("a").retry_after_s * 1000
    assert buckets.take("a").allowed


def test_looking_and_being_refused_cost_nothing(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=1, refill_ms=1000), clock)
    assert buckets.look("a").allowed
    assert buckets.take("a").allowed
    for _ in range(5):
        assert not buckets.take("a").allowed
    clock.now_ms += 1000
    assert buckets.look("a").allowed


def test_keys_do_not_share(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=1, refill_ms=1000), clock)
    assert buckets.take("a").allowed
    assert buckets.take("b").allowed


def test_memory_is_bounded_and_the_longest_unused_goes(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=1, refill_ms=1000), clock, capacity=3)
    for key in ("a", "b", "c", "a", "d"):
        buckets.take(key)
    assert len(buckets) == 3
    assert not buckets.look("a").allowed
    assert buckets.look("b").allowed


def test_a_clock_that_steps_back_gives_nothing(clock: Hands) -> None:
    buckets = Buckets(Budget(burst=1, refill_ms=1000), clock)
    buckets.take("a")
    clock.now_ms -= 5000
    assert not buckets.take("a").allowed
    clock.now_ms += 1000
    assert buckets.take("a").allowed


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 5), st.integers(1, 2000))
def test_no_one_gets_more_than_burst_and_refill(waits_ms: list[int], burst: int, refill_ms: int) -> None:
    clock = Hands()
    buckets = Buckets(Budget(burst, refill_ms), clock)
    passed = 0
    for wait_ms in waits_ms:
        clock.now_ms += wait_ms
        passed += buckets.take("a").allowed
    assert passed <= burst + sum(waits_ms) // refill_ms


def test_a_rate_becomes_a_budget() -> None:
    assert Budget.per_second(100, burst=20) == Budget(20, 10)
    assert Budget.per_second(3, burst=1) == Budget(1, 334)
    with pytest.raises(ValueError, match="1 to 1000"):
        Budget.per_second(2000, burst=1)
    with pytest.raises(ValueError, match="at least one request"):
        Budget(0, 1)


def test_a_flood_of_orders_leaves_the_cancels_their_budget(clock: Hands) -> None:
    budgets = {"order": Budget(1, 1000), "cancel": Budget(1, 1000)}
    limiter = RateLimiter(RateLimits(budgets, {"order": Budget(5, 1000)}), clock)
    verdicts = [limiter.take_key("order", "anna") for _ in range(9)]
    assert [verdict is not None and verdict.allowed for verdict in verdicts] == [True] + [False] * 8
    cancel = limiter.take_key("cancel", "anna")
    assert cancel is not None
    assert cancel.allowed


def test_a_class_without_a_budget_is_not_limited(clock: Hands) -> None:
    limiter = RateLimiter(RateLimits({}, {"order": Budget(1, 1000)}), clock)
    assert limiter.take_key("order", "anna") is None
    assert limiter.take_address("read", "192.0.2.1") is None
    assert limiter.take_address("order", "192.0.2.1") is not None


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002/64"),
        ("2001:db8:1:2:ffff::1", "20010db800010002/64"),
        ("2001:db8:1:3::1", "20010db800010003/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80000000000000/64"),
        ("", ""),
        ("no:address", "no:address"),
    ],
)
def test_an_ipv6_site_is_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def throttle(clock: Hands) -> LoginThrottle:
    return LoginThrottle(clock, pair=Budget(3, 60_000), account=Budget(5, 60_000), address=Budget(7, 60_000))


def test_guessing_is_slowed_and_the_owner_elsewhere_is_not(clock: Hands) -> None:
    brake = throttle(clock)
    for _ in range(3):
        assert brake.wait_s("anna", "192.0.2.1") == 0
        brake.failed("anna", "192.0.2.1")
    assert brake.wait_s("anna", "192.0.2.1") == 60
    assert brake.wait_s("anna", "192.0.2.2") == 0
    clock.now_ms += 60_000
    assert brake.wait_s("anna", "192.0.2.1") == 0


def test_a_guess_spread_over_addresses_is_slowed(clock: Hands) -> None:
    brake = throttle(clock)
    for number in range(5):
        brake.failed("anna", f"192.0.2.{number}")
    assert brake.wait_s("anna", "198.51.100.1") == 60
    assert brake.wait_s("bert", "198.51.100.1") == 0


def test_a_guess_spread_over_accounts_is_slowed(clock: Hands) -> None:
    brake = throttle(clock)
    for number in range(7):
        brake.failed(f"user{number}", "192.0.2.1")
    assert brake.wait_s("anna", "192.0.2.1") == 60
    assert brake.wait_s("anna", "192.0.2.2") == 0


def test_a_right_password_clears_the_pair(clock: Hands) -> None:
    brake = throttle(clock)
    for _ in range(3):
        brake.failed("anna", "192.0.2.1")
    brake.succeeded("anna", "192.0.2.1")
    assert brake.wait_s("anna", "192.0.2.1") == 0
