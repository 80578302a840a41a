"""Prices and amounts of swap offers: decimal text to whole units and back, and what an offer is worth.

An amount is in units of the pair's first currency, a price in units of the second for one whole first. Both are
what a chain can carry: unsigned 64-bit numbers. So two prices compare as numbers, whatever text they came as.
"""

from functools import lru_cache
from typing import Final

from crossbook.domain.money import POWERS_OF_TEN, InvalidDecimal, Scale, mul_div_floor

MAX_UNITS: Final = (1 << 64) - 1
"""The largest amount, price or total."""
_LONGEST: Final = 64
"""Characters of a decimal that are read: enough for every value, leading zeros included."""


def parse_units(text: object, decimals: int, field: str) -> int:
    """The decimal `text` in units of 10**-decimals. Digits, and perhaps a point and digits: no sign, no exponent.

    Raises InvalidDecimal for other text, for more decimals than the currency has, and above MAX_UNITS.
    """
    if not isinstance(text, str):
        raise InvalidDecimal(field, 'must be a decimal in a string, such as "1.25"')
    whole, point, fraction = text.partition(".")
    plain = text.isascii() and whole.isdigit() and (fraction.isdigit() if point else True)
    if not plain or len(text) > _LONGEST:
        raise InvalidDecimal(field, 'must be a plain decimal, such as "1.25": no sign, no exponent')
    if len(fraction) > decimals:
        digits = whole + fraction[:decimals]
        nearest = format_units(min(int(digits), MAX_UNITS), decimals)
        raise InvalidDecimal(field, f"must have at most {decimals} decimals", nearest)
    units = int(whole + fraction) * POWERS_OF_TEN[decimals - len(fraction)]
    if units > MAX_UNITS:
        largest = format_units(MAX_UNITS, decimals)
        raise InvalidDecimal(field, f"must be at most {largest}", largest)
    return units


@lru_cache(1 << 16)
def format_units(units: int, decimals: int) -> str:
    """`units` as a plain decimal with no more digits than it needs. A page shows the same values again and again."""
    return Scale(decimals).format(units)


def total_units(amount_units: int, price_units: int, first_decimals: int) -> int:
    """What an amount costs at a price, in units of the second currency, rounded down."""
    return mul_div_floor(amount_units, price_units, POWERS_OF_TEN[first_decimals])


def checked_total(amount_units: int, price_units: int, first_decimals: int) -> int:
    """The total of an offer. Raises InvalidDecimal for one that rounds to nothing, or that no chain can carry."""
    total = total_units(amount_units, price_units, first_decimals)
    if total == 0:
        raise InvalidDecimal("amount", "times price must not round down to zero")
    if total > MAX_UNITS:
        raise InvalidDecimal("amount", f"times price must be at most {MAX_UNITS} units of the second currency")
    return total
