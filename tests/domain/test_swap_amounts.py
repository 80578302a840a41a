"""Decimal text of prices and amounts: exact, within 64 bits, or refused with the nearest value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.money import InvalidDecimal
from crossbook.domain.swap_amounts import MAX_UNITS, checked_total, format_units, parse_units, total_units


@pytest.mark.parametrize(
    ("text", "units"),
    [("1", 10**12), ("0.000000000001", 1), ("007.50", 75 * 10**11), ("18446744.073709551615", MAX_UNITS)],
)
def test_text_is_read_exactly(text: str, units: int) -> None:
    assert parse_units(text, 12, "amount") == units


@pytest.mark.parametrize(
    "text", [".5", "5.", "1e5", "-1", "+1", " 1", "1 ", "", "1,5", "\u0661", "0x1", "1.2.3", "9" * 65, 5, None]
)
def test_what_is_no_plain_decimal_is_refused(text: object) -> None:
    with pytest.raises(InvalidDecimal):
        parse_units(text, 12, "amount")


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("0.1234567890123", "0.123456789012"),
        ("18446744.073709551616", "18446744.073709551615"),
        ("1.0000000000000", "1"),
    ],
)
def test_too_fine_or_too_large_names_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(InvalidDecimal) as caught:
        parse_units(text, 12, "price")
    assert (caught.value.field, caught.value.nearest) == ("price", nearest)


@given(units=st.integers(0, MAX_UNITS), decimals=st.integers(0, 18))
def test_text_and_units_are_the_same_number(units: int, decimals: int) -> None:
    assert parse_units(format_units(units, decimals), decimals, "amount") == units


def test_a_total_is_rounded_down_and_must_be_worth_something() -> None:
    assert total_units(15, 7, 1) == 10
    assert checked_total(15, 7, 1) == 10
    for amount, price in ((1, 9), (0, 5), (5, 0), (MAX_UNITS, MAX_UNITS)):
        with pytest.raises(InvalidDecimal):
            checked_total(amount, price, 1)
