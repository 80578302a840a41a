"""Funding: the golden vectors of 3.8 and 3.11, and payments that always sum to zero with their dust."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.funding import (
    clamp,
    funding_rate,
    impact_notional_units,
    impact_price_ticks,
    instrument_funding_rate,
    mean_premium,
    payment_units,
    premium,
    settle_funding,
)
from crossbook.domain.instruments import btc_perp
from crossbook.domain.money import InvalidValue
from tests.domain.cases import floor_of, holds_for, perp, usdc

RATES = [
    ("0", "0.0001"),
    ("0.0003", "0.0001"),
    ("-0.0004", "0.0001"),
    ("0.0006", "0.0001"),
    ("0.001", "0.0005"),
    ("-0.0005", "0"),
    ("0.01", "0.00375"),
    ("-0.01", "-0.00375"),
]


@pytest.mark.parametrize(("premium_8h", "rate"), RATES)
def test_the_rate(premium_8h: str, rate: str) -> None:
    assert instrument_funding_rate(btc_perp(), Fraction(premium_8h)) == Fraction(rate)


def test_the_rate_is_for_the_interval() -> None:
    hourly = replace(btc_perp(), funding_interval_hours=1)
    assert instrument_funding_rate(hourly, Fraction("0.001")) == Fraction("0.0005") / 8


def test_the_premium() -> None:
    assert premium(Fraction(65_130), Fraction(65_140), Fraction(65_000)) == Fraction("0.002")
    assert premium(Fraction(64_860), Fraction(64_870), Fraction(65_000)) == Fraction("-0.002")
    assert premium(Fraction(64_990), Fraction(65_010), Fraction(65_000)) == 0
    assert premium(None, None, Fraction(65_000)) == 0
    assert premium(Fraction(65_130), None, Fraction(65_000)) == Fraction("0.002")
    assert premium(Fraction(3), None, Fraction(1)) == 2
    with pytest.raises(InvalidValue):
        premium(None, None, Fraction(0))


def test_the_mean_of_no_samples_is_zero() -> None:
    assert mean_premium([]) == 0
    assert mean_premium([Fraction(1, 3), Fraction(2, 3)]) == Fraction(1, 2)


def test_impact_prices() -> None:
    assert impact_notional_units(btc_perp()) == usdc("10000")
    market = perp()
    levels = ((100, 2), (99, 3))
    assert impact_price_ticks(market, levels, usdc("100")) == 100
    assert impact_price_ticks(market, levels, usdc("200")) == 100
    assert impact_price_ticks(market, levels, usdc("299")) == Fraction(299, 3)
    assert impact_price_ticks(market, levels, usdc("497")) == Fraction(497, 5)
    assert impact_price_ticks(market, levels, usdc("497.000001")) is None
    assert impact_price_ticks(market, (), 1) is None


def test_three_longs_pay_a_short_and_the_dust_goes_to_the_fund() -> None:
    market = btc_perp()
    index = market.price_ticks("65000.1")
    held = [(1, 333), (2, 333), (3, 333), (4, -999)]
    settled = settle_funding(market, held, index, Fraction("0.00012345"))
    longs = tuple((account, -usdc("2.672080")) for account in (1, 2, 3))
    assert settled.payments == (*longs, (4, usdc("8.016238")))
    assert settled.dust_units == usdc("0.000002")


def test_positions_of_a_market_sum_to_zero() -> None:
    with pytest.raises(InvalidValue):
        settle_funding(btc_perp(), [(1, 333)], 650_000, Fraction("0.0001"))


rates = st.fractions(Fraction(-1, 100), Fraction(1, 100), max_denominator=10**9)


@holds_for(700, lots=st.lists(st.integers(-(10**6), 10**6), max_size=8), index=st.integers(1, 10**7), rate=rates)
def test_payments_and_dust_sum_to_zero(lots: list[int], index: int, rate: Fraction) -> None:
    market = btc_perp()
    held = list(enumerate([*lots, -sum(lots)]))
    settled = settle_funding(market, held, index, rate)
    assert sum(units for _, units in settled.payments) + settled.dust_units == 0
    assert 0 <= settled.dust_units < len(held)
    for (account, quantity), (paid, units) in zip(held, settled.payments, strict=True):
        exact = -quantity * index * 100 * rate
        assert account == paid
        assert units == floor_of(exact) == payment_units(market, quantity, index, rate)


@holds_for(700, p=rates, hours=st.sampled_from([1, 2, 4, 8, 12, 24]), cap=st.fractions(0, Fraction(1, 100)))
def test_the_rate_stays_in_its_cap_and_near_the_premium(p: Fraction, hours: int, cap: Fraction) -> None:
    rate = funding_rate(p, hours, cap)
    assert -cap <= rate <= cap
    eight_hours = sorted([p - Fraction("0.0005"), Fraction("0.0001"), p + Fraction("0.0005")])[1]
    assert rate == sorted([-cap, eight_hours * hours / 8, cap])[1]
    assert clamp(p, -cap, cap) == max(-cap, min(cap, p))


@holds_for(
    600,
    book=st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 20)), min_size=1, max_size=6),
    part=st.fractions(Fraction(1, 1000), 1),
)
def test_an_impact_price_lies_between_the_levels_it_takes(book: list[tuple[int, int]], part: Fraction) -> None:
    market = perp()
    levels = sorted(book)
    depth = sum(price * size for price, size in levels) * 10**6
    notional = max(1, floor_of(depth * part))
    average = impact_price_ticks(market, levels, notional)
    assert average is not None
    assert levels[0][0] <= average <= levels[-1][0]
    if notional > 1:
        cheaper = impact_price_ticks(market, levels, notional - 1)
        assert cheaper is not None
        assert cheaper <= average
    if notional == depth:
        assert average == Fraction(depth, 10**6 * sum(size for _, size in levels))
    assert impact_price_ticks(market, levels, depth + 1) is None
