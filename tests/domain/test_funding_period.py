"""A period of funding: samples, the estimate, time that was halted, and the rate at its end."""

from fractions import Fraction

import pytest

from crossbook.domain.funding_period import SAMPLE_MS, FundingPeriod, begin, interval_ms, period_start_ms
from crossbook.domain.instruments import btc_perp

BTC = btc_perp()
HOURS = 3_600_000
WHOLE = 8 * HOURS
START = 1_700_006_400_000
"""A whole multiple of eight hours."""
INDEX = 650_000


def run(period: FundingPeriod, premium: Fraction | None, looks: int) -> FundingPeriod:
    for _ in range(looks):
        period = period.look(period.looked_at_ms + SAMPLE_MS, INDEX, premium)
    return period


def whole_period(premium: Fraction) -> FundingPeriod:
    """Alive from its start to its end."""
    period = FundingPeriod(START, START, live=True)
    return run(period, premium, WHOLE // SAMPLE_MS - 1).ended(START + WHOLE)


def test_periods_begin_at_whole_multiples() -> None:
    assert START % WHOLE == 0
    assert interval_ms(BTC) == WHOLE
    assert period_start_ms(BTC, START) == period_start_ms(BTC, START + WHOLE - 1) == START
    assert period_start_ms(BTC, START + WHOLE) == START + WHOLE


@pytest.mark.parametrize(
    ("premium", "rate"),
    [
        ("0", "0.0001"),
        ("0.0003", "0.0001"),
        ("-0.0004", "0.0001"),
        ("0.0006", "0.0001"),
        ("0.001", "0.0005"),
        ("-0.0005", "0"),
        ("0.01", "0.00375"),
        ("-0.01", "-0.00375"),
    ],
)
def test_the_vectors_of_the_rule_book(premium: str, rate: str) -> None:
    period = whole_period(Fraction(premium))
    assert period.live_ms == WHOLE
    assert Fraction(period.rate_ppb(BTC), 10**9) == Fraction(rate)
    assert period.estimate_ppb(BTC) == period.rate_ppb(BTC)


def test_half_a_period_halted_pays_half() -> None:
    half = WHOLE // SAMPLE_MS // 2
    period = run(FundingPeriod(START, START, live=True), Fraction(1, 1000), half)
    period = run(period, None, half).ended(START + WHOLE)
    # The step from the last live look to the first halted one counts as alive.
    assert period.live_ms == WHOLE // 2 + SAMPLE_MS
    assert abs(period.rate_ppb(BTC) - 250_000) < 500_000 * SAMPLE_MS // WHOLE + 2
    assert period.estimate_ppb(BTC) == 500_000


def test_a_period_that_was_halted_as_a_whole_pays_nothing() -> None:
    period = run(FundingPeriod(START, START), None, 5).ended(START + WHOLE)
    assert (period.samples, period.rate_ppb(BTC), period.estimate_ppb(BTC)) == (0, 0, 0)


def test_a_silence_is_not_taken_for_life() -> None:
    period = FundingPeriod(START, START).look(START + 100, INDEX, Fraction(0))
    assert period.live_ms == 0
    period = period.look(START + HOURS, INDEX, Fraction(0))
    assert period.live_ms == 2 * SAMPLE_MS
    assert period.ended(START + WHOLE).live_ms == 4 * SAMPLE_MS


def test_periods_follow_each_other_without_a_seam() -> None:
    first = run(FundingPeriod(START, START, live=True), Fraction(0), WHOLE // SAMPLE_MS - 1)
    now_ms = START + WHOLE + 900
    second = begin(BTC, now_ms, first)
    assert (second.start_ms, second.looked_at_ms, second.live) == (START + WHOLE, START + WHOLE, True)
    assert second.look(now_ms, INDEX, Fraction(0)).live_ms == 900
    assert first.ended(START + WHOLE).live_ms == WHOLE
    # After an hour away nobody knows.
    later = begin(BTC, now_ms + HOURS, first)
    assert (later.looked_at_ms, later.live) == (now_ms + HOURS, False)
    assert begin(BTC, now_ms, None).live is False


def test_the_last_index_stays_when_there_is_none() -> None:
    period = FundingPeriod(START, START).look(START + 1, INDEX, Fraction(0)).look(START + 2, 0, None)
    assert (period.index_price_ticks, period.live) == (INDEX, False)


def test_samples_are_kept_in_parts_per_trillion() -> None:
    period = FundingPeriod(START, START)
    for numerator in (1, 2, 2):
        period = period.look(period.looked_at_ms + 1, INDEX, Fraction(numerator, 3))
    assert period.premium_sum_ppt == 333_333_333_333 + 2 * 666_666_666_667
    assert abs(period.mean_premium - Fraction(5, 9)) < Fraction(1, 10**12)
