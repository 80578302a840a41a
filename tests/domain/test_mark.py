"""The mark: median of three, averages with a stated error, and the band."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.mark import (
    BASIS_PERIOD_MS,
    MOST_WEIGHT_MS,
    PRICE_PERIOD_MS,
    Average,
    MarkState,
    Top,
    clamp_to_band,
    decay,
    market_price,
    next_mark,
)
from tests.domain.cases import holds_for

NOW = 1_700_000_000_000
BAND = 500


def exact_decay(elapsed_ms: int, period_ms: int) -> Decimal:
    with localcontext() as context:
        context.prec = 80
        return (Decimal(-elapsed_ms) / Decimal(period_ms)).exp()


@pytest.mark.parametrize(
    ("elapsed_ms", "period_ms", "first_digits"),
    [
        (0, 150_000, "1"),
        (1_000, 150_000, "0.99335550625503442"),
        (150_000, 150_000, "0.36787944117144232"),
        (300_000, 150_000, "0.13533528323661269"),
        (1_000, 30_000, "0.96721610048"),
    ],
)
def test_decay_by_known_values(elapsed_ms: int, period_ms: int, first_digits: str) -> None:
    found = Fraction(decay(elapsed_ms, period_ms), 1 << 64)
    places = len(first_digits) - 2 if "." in first_digits else 0
    assert abs(found - Fraction(first_digits)) <= Fraction(1, 10**places)


@holds_for(2_000, elapsed_ms=st.integers(0, 8_000_000), period_ms=st.sampled_from([BASIS_PERIOD_MS, PRICE_PERIOD_MS]))
def test_decay_is_off_by_less_than_two_units(elapsed_ms: int, period_ms: int) -> None:
    exact = exact_decay(elapsed_ms, period_ms) * (1 << 64)
    assert abs(Decimal(decay(elapsed_ms, period_ms)) - exact) < 2


def test_decay_ends_and_never_goes_back() -> None:
    assert decay(45 * 150_000, 150_000) == 0
    assert decay(44 * 150_000, 150_000) == 1
    for wrong in ((-1, 5), (1, 0)):
        with pytest.raises(ValueError, match="time"):
            decay(*wrong)


def exact_average(samples: list[tuple[int, int]], period_ms: int) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        numerator = denominator = Decimal(0)
        for place, (sample, elapsed_ms) in enumerate(samples):
            kept = (Decimal(-elapsed_ms) / Decimal(period_ms)).exp()
            weight = min(elapsed_ms, MOST_WEIGHT_MS) if place else 1
            numerator = numerator * kept + sample * weight
            denominator = denominator * kept + weight
        return numerator / denominator


samples = st.lists(st.tuples(st.integers(-200_000, 200_000), st.integers(1, 60_000)), min_size=1, max_size=40)


@holds_for(1_000, given=samples, period_ms=st.sampled_from([BASIS_PERIOD_MS, PRICE_PERIOD_MS]))
def test_averages_stay_within_the_stated_error(given: list[tuple[int, int]], period_ms: int) -> None:
    average = Average()
    for sample, elapsed_ms in given:
        average = average.add(sample, elapsed_ms, period_ms)
    assert average.value is not None
    exact = Fraction(exact_average(given, period_ms))
    largest = max(1, *(abs(sample) for sample, _ in given))
    assert abs(average.value - exact) < Fraction(len(given) * largest, 1 << 60)


def test_an_average_by_hand() -> None:
    """Ten for a millisecond, then twenty a second later: the first has nearly no weight."""
    average = Average().add(10, 0, BASIS_PERIOD_MS)
    assert average.value == 10
    after = average.add(20, 1_000, BASIS_PERIOD_MS).value
    assert after is not None
    kept = Fraction("0.99335550625503442")
    expected = (10 * kept + 20 * 1_000) / (kept + 1_000)
    assert abs(after - expected) < Fraction(1, 10**9)


def test_a_silence_gives_a_sample_no_more_weight_than_ten_seconds() -> None:
    long = Average().add(10, 0, 30_000).add(10, 10_000, 30_000).add(40, 20_000, 30_000)
    assert long.value is not None
    assert long.value < 40


def test_the_first_mark_without_a_market_is_the_index() -> None:
    state, mark = next_mark(MarkState(), Top(), 650_000, NOW, BAND)
    assert mark == 650_000
    assert state == MarkState(time_ms=NOW)


def test_the_median_of_three() -> None:
    """Index and premium, the market's own price, and an external one; a single odd one says nothing."""
    top = Top(650_100, 650_120, 650_110)
    assert next_mark(MarkState(), top, 650_000, NOW, BAND)[1] == 650_110
    assert next_mark(MarkState(), top, 650_000, NOW, BAND, external_ticks=650_400)[1] == 650_110
    wild = Top(650_100, 650_120, 900_000)
    assert next_mark(MarkState(), wild, 650_000, NOW, BAND)[1] == 650_120
    no_book = Top(last_ticks=640_000)
    # Two inputs, and the average of the second as the third: the last price wins, as it must.
    assert next_mark(MarkState(), no_book, 650_000, NOW, BAND)[1] == 640_000


def test_a_jump_of_the_last_price_moves_the_mark_slowly() -> None:
    """With a book on one side only, the mark is held by the average of 30 s."""
    state, top = MarkState(), Top(last_ticks=650_000)
    for second in range(60):
        state, mark = next_mark(state, top, 650_000, NOW + 1_000 * second, BAND)
    assert mark == 650_000
    state, mark = next_mark(state, Top(last_ticks=660_000), 650_000, NOW + 60_000, BAND)
    assert 650_000 < mark < 651_000


def test_a_lasting_premium_comes_into_the_mark() -> None:
    state, top = MarkState(), Top(650_195, 650_205, 650_200)
    for second in range(300):
        state, mark = next_mark(state, top, 650_000, NOW + 1_000 * second, BAND)
    assert mark == 650_200
    # The book leaves: the average of 30 s, two seconds old, lies between the premium and the last price.
    assert next_mark(state, Top(last_ticks=650_300), 650_000, NOW + 301_000, BAND)[1] == 650_207


@pytest.mark.parametrize(
    ("price", "mark"),
    [("700000", 682_500), ("600000", 617_500), ("650000.5", 650_000), ("650001.5", 650_002), ("682500.4", 682_500)],
)
def test_the_band_and_the_rounding(price: str, mark: int) -> None:
    assert clamp_to_band(Fraction(price), 650_000, BAND) == mark


def test_a_mark_is_never_below_one_tick() -> None:
    assert clamp_to_band(Fraction(0), 1, 10_000) == 1
    with pytest.raises(ValueError, match="index"):
        next_mark(MarkState(), Top(), 0, NOW, BAND)


def test_the_markets_own_price() -> None:
    assert market_price(Top()) is None
    assert market_price(Top(ask_ticks=7)) == 7
    assert market_price(Top(bid_ticks=4, ask_ticks=7)) == Fraction(11, 2)
    assert market_price(Top(4, 7, 100)) == 7


def test_time_that_steps_back_changes_no_weight() -> None:
    state, _ = next_mark(MarkState(), Top(1, 3, 2), 2, NOW, BAND)
    again, _ = next_mark(state, Top(1, 3, 2), 2, NOW - 5_000, BAND)
    assert (again.basis, again.price, again.time_ms) == (state.basis, state.price, NOW)


tops = st.builds(Top, st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))


@holds_for(500, looks=st.lists(st.tuples(tops, st.integers(1, 10**6), st.integers(0, 90_000)), min_size=1, max_size=12))
def test_the_mark_stays_in_the_band_and_depends_on_nothing_else(looks: list[tuple[Top, int, int]]) -> None:
    first, second = MarkState(), MarkState()
    now_ms = NOW
    for top, index_ticks, elapsed_ms in looks:
        now_ms += elapsed_ms
        first, mark = next_mark(first, top, index_ticks, now_ms, BAND)
        second, again = next_mark(second, top, index_ticks, now_ms, BAND)
        assert (first, mark) == (second, again)
        assert abs(mark - index_ticks) * 10_000 <= index_ticks * BAND or mark == 1
