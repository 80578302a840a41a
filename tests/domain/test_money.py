"""Money: exact reading and writing of decimals, and the roundings, against exact rationals."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor, trunc

import pytest
from hypothesis import strategies as st

from crossbook.domain.errors import CrossbookError
from crossbook.domain.money import (
    InvalidDecimal,
    InvalidValue,
    Scale,
    Step,
    ceil_div,
    floor_div,
    half_even_div,
    mul_div_ceil,
    mul_div_floor,
    trunc_div,
)
from tests.domain.cases import holds_for

WRITTEN = [
    (0, 6, "0"),
    (1, 6, "0.000001"),
    (-1, 6, "-0.000001"),
    (65_000_000_000, 6, "65000"),
    (1_250_000, 6, "1.25"),
    (-1_250_000, 6, "-1.25"),
    (10, 0, "10"),
    (100, 1, "10"),
    (10**18, 18, "1"),
    (123, 2, "1.23"),
]


@pytest.mark.parametrize(("units", "decimals", "text"), WRITTEN)
def test_amounts_are_written_with_the_digits_they_need(units: int, decimals: int, text: str) -> None:
    assert Scale(decimals).format(units) == text
    assert Scale(decimals).parse(text) == units


def test_trailing_zeros_change_nothing_even_beyond_the_scale() -> None:
    assert Scale(2).parse("1.50") == Scale(2).parse("1.5") == Scale(2).parse("1.5000000") == 150
    assert Scale(0).parse("7.000") == 7
    assert Scale(2).parse("-0.00") == 0


def test_forty_digits_are_read() -> None:
    assert Scale(18).parse("9" * 40) == (10**40 - 1) * 10**18
    assert Scale(18).parse("9" * 22 + "." + "9" * 18) == 10**40 - 1


MALFORMED = [
    ("", None),
    (" ", None),
    ("abc", None),
    ("1e3", None),
    ("1E-3", None),
    ("0x10", None),
    ("1,5", None),
    ("1_000", None),
    ("NaN", None),
    ("Infinity", None),
    ("--1", None),
    ("1.2.3", None),
    ("٣", None),
    ("1.٣", None),
    (".", None),
    ("9" * 41, None),
    (" 1.5", "1.5"),
    ("1.5\n", "1.5"),
    ("+1.5", "1.5"),
    (".5", "0.5"),
    ("-.5", "-0.5"),
    ("5.", "5"),
    ("007", "7"),
    ("00.50", "0.5"),
    ("01.006", "1.01"),
]


@pytest.mark.parametrize(("text", "nearest"), MALFORMED)
def test_what_is_no_plain_decimal_is_refused_with_what_was_meant(text: str, nearest: str | None) -> None:
    with pytest.raises(InvalidDecimal) as caught:
        Scale(2).parse(text, "price")
    assert (caught.value.field, caught.value.nearest) == ("price", nearest)
    assert caught.value.rule == "must be a plain decimal of at most 40 digits"


@pytest.mark.parametrize("value", [1, 1.5, None, True, ["1"], b"1"])
def test_only_strings_are_read(value: object) -> None:
    with pytest.raises(InvalidDecimal, match=r"^amount must be a decimal in a string"):
        Scale(2).parse(value)


def test_an_error_is_one_of_ours_and_says_everything() -> None:
    with pytest.raises(InvalidValue) as caught:
        Step.of("0.1").count("65000.07", "price")
    assert isinstance(caught.value, CrossbookError)
    assert isinstance(caught.value, ValueError)
    assert str(caught.value) == "price must be a whole multiple of 0.1; the nearest valid value is 65000.1"


OFF_GRID = [
    ("0.5", "100.3", None, None, "must be a whole multiple of 0.5", "100.5"),
    ("0.5", "100.25", None, None, "must be a whole multiple of 0.5", "100"),
    ("0.001", "0.0004", 1, None, "must be a whole multiple of 0.001", "0.001"),
    ("0.001", "9.9999", 1, 5, "must be a whole multiple of 0.001", "0.005"),
    ("0.001", "0", 1, None, "must be at least 0.001", "0.001"),
    ("0.001", "-5", 1, None, "must be at least 0.001", "0.001"),
    ("25", "110", None, None, "must be a whole multiple of 25", "100"),
    ("25", "250", None, 4, "must be at most 100", "100"),
    ("0.01", "+0.001", 1, 9, "must be a plain decimal of at most 40 digits", "0.01"),
]


@pytest.mark.parametrize(("step", "text", "low", "high", "rule", "nearest"), OFF_GRID)
def test_between_steps_or_out_of_bounds_the_nearest_step_is_named(
    step: str, text: str, low: int | None, high: int | None, rule: str, nearest: str
) -> None:
    with pytest.raises(InvalidDecimal) as caught:
        Step.of(step).count(text, "quantity", low, high)
    assert (caught.value.rule, caught.value.nearest) == (rule, nearest)


def test_steps_are_read_from_text() -> None:
    assert Step.of("0.50") == Step.of("0.5") == Step(5, 1)
    assert Step.of("0.001") == Step(1, 3)
    assert Step.of("10") == Step(10, 0)
    assert Step.of("0.000000000000000001") == Step(1, 18)


@pytest.mark.parametrize("text", ["0", "-1", "x", "0.0000000000000000001"])
def test_a_step_must_be_positive_and_representable(text: str) -> None:
    with pytest.raises(InvalidValue):
        Step.of(text)


@pytest.mark.parametrize(("size", "decimals"), [(0, 1), (-1, 1), (1, -1), (1, 19)])
def test_a_step_is_checked_when_made(size: int, decimals: int) -> None:
    with pytest.raises(InvalidValue):
        Step(size, decimals)
    if size == 1:
        with pytest.raises(InvalidValue, match="nearest valid value is"):
            Scale(decimals)


def test_ratios_are_written_half_even() -> None:
    step = Step.of("0.5")
    assert step.ratio_text(1, 1, 6) == "0.5"
    assert step.ratio_text(1, 3, 4) == "0.1667"
    assert step.ratio_text(-1, 3, 4) == "-0.1667"
    assert step.ratio_text(1, 4, 2) == "0.12"
    assert step.ratio_text(3, 4, 2) == "0.38"


@pytest.mark.parametrize("divide", [floor_div, ceil_div, trunc_div, half_even_div])
def test_nothing_is_divided_by_zero(divide: object) -> None:
    assert callable(divide)
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)


numbers = st.integers(-(10**24), 10**24)
small = st.integers(-30, 30)
divisors = st.one_of(small, numbers).filter(bool)


@holds_for(800, a=st.one_of(small, numbers), b=divisors)
def test_roundings_are_those_of_the_exact_quotient(a: int, b: int) -> None:
    exact = Fraction(a, b)
    assert floor_div(a, b) == floor(exact)
    assert ceil_div(a, b) == ceil(exact)
    assert trunc_div(a, b) == trunc(exact)
    assert half_even_div(a, b) == round(exact)


@holds_for(300, value=numbers, a=numbers, b=divisors)
def test_products_are_rounded_once(value: int, a: int, b: int) -> None:
    exact = value * Fraction(a, b)
    assert mul_div_floor(value, a, b) == floor(exact)
    assert mul_div_ceil(value, a, b) == ceil(exact)


@holds_for(500, units=numbers, decimals=st.integers(0, 18))
def test_what_is_written_reads_back_and_is_the_value(units: int, decimals: int) -> None:
    text = Scale(decimals).format(units)
    assert Scale(decimals).parse(text) == units
    assert Fraction(text) == Fraction(units, 10**decimals)
    assert Scale(decimals).format(Scale(decimals).parse(text + ("0" if "." in text else ".0"))) == text
    assert text == format(Decimal(text).normalize() + 0, "f")


@holds_for(
    400,
    size=st.integers(1, 1000),
    decimals=st.integers(0, 9),
    value=st.decimals(min_value=-(10**9), max_value=10**9, places=10, allow_nan=False),
)
def test_a_step_takes_its_multiples_and_names_the_nearest_one_otherwise(
    size: int, decimals: int, value: Decimal
) -> None:
    step = Step(size, decimals)
    text = format(value, "f")
    steps = Fraction(text) / Fraction(size, 10**decimals)
    if steps.denominator == 1:
        assert step.count(text, "price") == steps
        return
    with pytest.raises(InvalidDecimal) as caught:
        step.count(text, "price")
    assert caught.value.nearest is not None
    assert step.count(caught.value.nearest, "price") == round(steps)
