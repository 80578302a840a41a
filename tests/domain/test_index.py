"""The index: which sources count, their median, and the one rounding."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.index import (
    MAX_AHEAD_MS,
    MICRO,
    Dropped,
    IndexRules,
    Quote,
    median,
    micro_ticks,
    read_index,
    round_half_even,
)
from crossbook.domain.money import InvalidValue, Step
from crossbook.domain.orders import MAX_PRICE_TICKS
from tests.domain.cases import holds_for

NOW = 1_700_000_000_000
RULES = IndexRules(max_age_ms=10_000, outlier_basis_points=500, min_sources=2)


def quotes(*prices: int | Fraction, age_ms: int = 0) -> list[Quote]:
    return [Quote(f"s{place}", int(price * MICRO), NOW - age_ms) for place, price in enumerate(prices)]


@pytest.mark.parametrize(
    ("prices", "index"),
    [
        ((100, 102), 101),
        ((100, 101), 100),  # 100.5, half to even
        ((101, 102), 102),
        ((100, 101, 104), 101),
        ((100, 101, 103, 104), 102),
        ((650_000, 650_010, 650_100), 650_010),
    ],
)
def test_the_median_of_the_sources(prices: tuple[int, ...], index: int) -> None:
    assert read_index(quotes(*prices), NOW, RULES).price_ticks == index


def test_an_old_source_is_dropped_at_its_age_and_not_before() -> None:
    fresh = quotes(100, 102)
    reading = read_index([*fresh, Quote("old", 90 * MICRO, NOW - 10_001)], NOW, RULES)
    assert (reading.price_ticks, reading.dropped) == (101, (("old", Dropped.STALE),))
    reading = read_index([*fresh, Quote("old", 101 * MICRO, NOW - 10_000)], NOW, RULES)
    assert (reading.price_ticks, reading.used) == (101, ("old", "s0", "s1"))


def test_a_source_from_the_future_is_dropped() -> None:
    reading = read_index([*quotes(100, 102), Quote("ahead", 101 * MICRO, NOW + MAX_AHEAD_MS + 1)], NOW, RULES)
    assert reading.dropped == (("ahead", Dropped.AHEAD),)


def test_an_outlier_is_dropped_beyond_its_distance_from_the_median_of_all() -> None:
    reading = read_index(quotes(1_000, 1_001, 1_051), NOW, RULES)
    assert (reading.price_ticks, reading.dropped) == (1_001, ())
    reading = read_index(quotes(1_000, 1_001, 10_010), NOW, RULES)
    assert (reading.price_ticks, reading.dropped) == (1_000, (("s2", Dropped.OUTLIER),))


@pytest.mark.parametrize("spike", [0, -5, 10**14])
def test_a_price_that_is_none_is_dropped(spike: int) -> None:
    reading = read_index([*quotes(100, 102), Quote("odd", spike * MICRO, NOW)], NOW, RULES)
    assert (reading.price_ticks, reading.dropped) == (101, (("odd", Dropped.INVALID),))


def test_too_few_sources_are_no_index() -> None:
    assert read_index(quotes(100), NOW, RULES).price_ticks is None
    assert read_index([], NOW, IndexRules(min_sources=0)).price_ticks is None
    assert read_index(quotes(100, 102, age_ms=20_000), NOW, RULES).price_ticks is None
    # Two that do not agree are both far from the middle.
    assert read_index(quotes(100, 200), NOW, RULES).price_ticks is None


def test_the_order_of_sources_says_nothing() -> None:
    given = quotes(100, 99, 107, 101)
    assert read_index(given, NOW, RULES) == read_index(list(reversed(given)), NOW, RULES)


@holds_for(500, prices=st.lists(st.integers(1, 10**9), min_size=1, max_size=9))
def test_the_median_is_the_one_of_exact_rationals(prices: list[int]) -> None:
    ranked = sorted(prices)
    middle = len(ranked) // 2
    expected = Fraction(ranked[middle] + ranked[-middle - 1], 2)
    assert median(prices) == expected
    # What is inside every distance is never dropped: the index lies between the lowest and the highest.
    reading = read_index([Quote(str(n), p * MICRO, NOW) for n, p in enumerate(prices)], NOW, IndexRules(10, 10_000, 1))
    assert reading.price_ticks is None or min(prices) <= reading.price_ticks <= max(prices)


def test_a_median_of_nothing() -> None:
    with pytest.raises(ValueError, match="median"):
        median([])


@pytest.mark.parametrize(
    ("tick", "price", "micro"),
    [
        ("0.1", "65000.05", 650_000_500_000),
        ("0.5", "65000", 130_000_000_000),
        ("0.01", "0.00000001", 1),
        ("1", "0.0000025", 2),  # two and a half, half to even
    ],
)
def test_prices_in_millionths_of_a_tick(tick: str, price: str, micro: int) -> None:
    assert micro_ticks(Step.of(tick), Fraction(price)) == micro


@pytest.mark.parametrize("price", ["0", "0.0000000001", "1e20", "-3"])
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(InvalidValue):
        micro_ticks(Step.of("0.1"), Fraction(price))


def test_rounding_is_half_to_even_and_bounded() -> None:
    assert [round_half_even(Fraction(n, 2)) for n in (-3, -1, 1, 3, 5)] == [-2, 0, 0, 2, 2]
    assert read_index([Quote("a", MAX_PRICE_TICKS * MICRO, NOW)], NOW, IndexRules()).price_ticks == MAX_PRICE_TICKS
    assert read_index([Quote("a", 1, NOW)], NOW, IndexRules()).price_ticks == 1
