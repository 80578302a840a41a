"""Money: whole numbers of an asset's smallest unit, and the only ways in and out of decimal text.

There is one money type, `int`. 1.25 USDC at six decimals is 1_250_000, and the name of a variable says
so (`fee_units`). A price is a whole number of ticks, a quantity a whole number of lots. Decimal text
exists only at the edge: `Scale` and `Step` read it exactly or refuse it, never rounding, and write it
with no exponent and no more digits than the value needs ("65000", "0.1", "-0.000001").

Where a formula does not come out whole, the rule that uses it names one of the roundings below.
"""

from dataclasses import dataclass
from typing import Final

from crossbook.domain.errors import CrossbookError

MAX_DIGITS: Final = 40
"""Longest number that is read, in digits: enough for every asset, short enough to be read at once."""
MAX_DECIMALS: Final = 18
"""Most decimals of an asset, a tick or a lot."""
MILLION: Final = 1_000_000
"""Rates are whole parts of this: 500 parts per million is 0.0005."""


class InvalidValue(CrossbookError, ValueError):
    """A value that breaks a rule.

    `field` names the value, `rule` says what must hold, `nearest` is the closest value that would do,
    as decimal text, or None where none can be named. The message says all three.
    """

    def __init__(self, field: str, rule: str, nearest: str | None = None) -> None:
        hint = "" if nearest is None else f"; the nearest valid value is {nearest}"
        super().__init__(f"{field} {rule}{hint}")
        self.field = field
        self.rule = rule
        self.nearest = nearest


class InvalidDecimal(InvalidValue):
    """Text that is no plain decimal number, or one between two steps of its grid, or out of its range."""


POWERS_OF_TEN: Final[tuple[int, ...]] = tuple(10**exponent for exponent in range(2 * MAX_DIGITS))
"""`POWERS_OF_TEN[n]` is ten to the n."""


# -- Rounding ----------------------------------------------------------------------------------------
def floor_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded toward minus infinity. Raises ZeroDivisionError for a denominator of 0."""
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded toward plus infinity. Raises ZeroDivisionError for a denominator of 0."""
    return -(-numerator // denominator)


def trunc_div(numerator: int, denominator: int) -> int:
    """The quotient, rounded toward zero. Raises ZeroDivisionError for a denominator of 0."""
    quotient = abs(numerator) // abs(denominator)
    return quotient if (numerator < 0) == (denominator < 0) else -quotient


def half_even_div(numerator: int, denominator: int) -> int:
    """The nearest whole quotient, the even one of two equally near: for display only.

    Raises ZeroDivisionError for a denominator of 0.
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    up = twice > denominator or (twice == denominator and quotient % 2 == 1)
    return quotient + 1 if up else quotient


def mul_div_floor(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator`, rounded once, toward minus infinity."""
    return value * numerator // denominator


def mul_div_ceil(value: int, numerator: int, denominator: int) -> int:
    """`value * numerator / denominator`, rounded once, toward plus infinity."""
    return -(-value * numerator // denominator)


# -- Decimal text ------------------------------------------------------------------------------------
def _is_decimal(text: str) -> bool:
    """Whether `text` is an optional minus, a whole part without leading zeros, and perhaps a point and digits."""
    whole, point, fraction = text.removeprefix("-").partition(".")
    plain = text.isascii() and whole.isdigit() and (whole == "0" or whole[0] != "0")
    return plain and (not point or fraction.isdigit()) and len(whole) + len(fraction) <= MAX_DIGITS


def _tidied(text: str) -> str | None:
    """What the writer of a malformed number most likely meant, or None."""
    bare = text.strip().removeprefix("+")
    sign = "-" if bare.startswith("-") else ""
    whole, _, fraction = bare.removeprefix("-").partition(".")
    if not whole and not fraction:
        return None
    candidate = sign + (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return candidate if _is_decimal(candidate) else None


def _coefficient(text: str) -> tuple[int, int]:
    """The digits of a well-formed decimal as one signed whole number, and how many of them are decimals."""
    whole, _, fraction = text.partition(".")
    return int(whole + fraction), len(fraction)


def _format(units: int, decimals: int) -> str:
    digits = str(abs(units)).rjust(decimals + 1, "0")
    whole, fraction = (digits[:-decimals], digits[-decimals:].rstrip("0")) if decimals else (digits, "")
    return ("-" if units < 0 else "") + whole + (f".{fraction}" if fraction else "")


@dataclass(frozen=True)
class Step:
    """A grid of values: every whole multiple of `size_units / 10**decimals`. A tick, or a lot.

    Raises InvalidValue unless `size_units` is positive and `decimals` is from 0 to 18.
    """

    size_units: int
    decimals: int

    def __post_init__(self) -> None:
        if self.size_units <= 0:
            raise InvalidValue("step", "must be more than 0")
        if not 0 <= self.decimals <= MAX_DECIMALS:
            raise InvalidValue("decimals", f"must be from 0 to {MAX_DECIMALS}", str(MAX_DECIMALS))

    @staticmethod
    def of(text: object, field: str = "step") -> "Step":
        """The grid whose step is the decimal `text`; "0.50" and "0.5" are the same grid.

        Raises InvalidDecimal for malformed text and InvalidValue for a step that is not positive.
        """
        units = Scale(MAX_DECIMALS).parse(text, field)
        decimals = MAX_DECIMALS
        while decimals > 0 and units % 10 == 0 and units != 0:
            units, decimals = units // 10, decimals - 1
        return Step(units, decimals)

    def count(self, text: object, field: str, minimum: int | None = None, maximum: int | None = None) -> int:
        """How many steps the decimal `text` is, exactly; trailing zeros do not matter.

        `minimum` and `maximum` bound the count. Raises InvalidDecimal, with the nearest value on the
        grid and within the bounds, for anything that is not a string, not a plain decimal (no
        exponent, plus, space, leading zero, bare point), between two steps, or out of bounds.
        """
        if not isinstance(text, str):
            raise InvalidDecimal(field, 'must be a decimal in a string, such as "1.25"')
        if not _is_decimal(text):
            tidied = _tidied(text)
            nearest = None if tidied is None else self._nearest(tidied, minimum, maximum)
            raise InvalidDecimal(field, f"must be a plain decimal of at most {MAX_DIGITS} digits", nearest)
        coefficient, decimals = _coefficient(text)
        steps, rest = divmod(coefficient * POWERS_OF_TEN[self.decimals], self.size_units * POWERS_OF_TEN[decimals])
        if rest:
            rule = f"must be a whole multiple of {self.text(1)}"
            raise InvalidDecimal(field, rule, self._nearest(text, minimum, maximum))
        if minimum is not None and steps < minimum:
            raise InvalidDecimal(field, f"must be at least {self.text(minimum)}", self.text(minimum))
        if maximum is not None and steps > maximum:
            raise InvalidDecimal(field, f"must be at most {self.text(maximum)}", self.text(maximum))
        return steps

    def text(self, count: int) -> str:
        """`count` steps as a plain decimal with no more digits than it needs."""
        return _format(count * self.size_units, self.decimals)

    def ratio_text(self, numerator: int, denominator: int, decimals: int) -> str:
        """`numerator / denominator` steps, half-even to `decimals` decimals: for display only."""
        units = numerator * self.size_units * POWERS_OF_TEN[decimals]
        return _format(half_even_div(units, denominator * POWERS_OF_TEN[self.decimals]), decimals)

    def _nearest(self, text: str, minimum: int | None, maximum: int | None) -> str:
        coefficient, decimals = _coefficient(text)
        steps = half_even_div(coefficient * POWERS_OF_TEN[self.decimals], self.size_units * POWERS_OF_TEN[decimals])
        if minimum is not None:
            steps = max(steps, minimum)
        if maximum is not None:
            steps = min(steps, maximum)
        return self.text(steps)


@dataclass(frozen=True)
class Scale:
    """How many decimals an asset has: 1 unit is `10**-decimals`. Raises InvalidValue unless from 0 to 18."""

    decimals: int

    def __post_init__(self) -> None:
        Step(1, self.decimals)

    def parse(self, text: object, field: str = "amount", minimum: int | None = None, maximum: int | None = None) -> int:
        """The decimal `text` in units, exactly. `minimum` and `maximum` are in units.

        Raises InvalidDecimal as `Step.count` does.
        """
        return Step(1, self.decimals).count(text, field, minimum, maximum)

    def format(self, units: int) -> str:
        """`units` as a plain decimal with no more digits than it needs."""
        return _format(units, self.decimals)


RATES: Final = Scale(6)
"""Rates as parts per million: "0.0005" is 500."""
