"""The index price of a market: the median of the sources that are alive and agree with each other (3.8).

Prices are in millionths of a tick, so that a source may be finer than the market's tick. Exact rationals until
the one rounding to the tick, half to even.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from crossbook.domain.money import POWERS_OF_TEN, InvalidValue, Step, half_even_div
from crossbook.domain.orders import MAX_BASIS_POINTS, MAX_PRICE_TICKS

MICRO: Final = 1_000_000
"""Parts of a tick in which sources are kept."""
MAX_PRICE_MICRO_TICKS: Final = MAX_PRICE_TICKS * MICRO
MAX_AHEAD_MS: Final = 5_000
"""How far the clock of a source may be ahead of ours."""


@dataclass(frozen=True)
class Quote:
    """What one source says a unit of the base asset costs, in millionths of a tick, and when it said so."""

    source: str
    price_micro_ticks: int
    time_ms: int


@dataclass(frozen=True)
class IndexRules:
    """When a source counts, and how many must.

    It is not older than `max_age_ms`, and not further than `outlier_basis_points` from the median of all that are not.
    """

    max_age_ms: int = 10_000
    outlier_basis_points: int = 500
    min_sources: int = 1


class Dropped(StrEnum):
    """Why a source does not count."""

    STALE = "stale"
    AHEAD = "ahead"
    OUTLIER = "outlier"
    INVALID = "invalid"


@dataclass(frozen=True)
class IndexReading:
    """An index, or none: `price_ticks` is None with fewer than the least number of sources."""

    price_ticks: int | None
    used: tuple[str, ...]
    dropped: tuple[tuple[str, Dropped], ...]


def median(values: Sequence[int | Fraction]) -> Fraction:
    """The middle value; of an even number, the mean of the two in the middle. Raises ValueError for none."""
    if not values:
        raise ValueError("there is no median of nothing")
    ranked = sorted(values)
    middle = len(ranked) // 2
    if len(ranked) % 2:
        return Fraction(ranked[middle])
    return Fraction(ranked[middle - 1] + ranked[middle], 2)


def micro_ticks(tick: Step, price: Fraction) -> int:
    """A price as a source says it, in millionths of the market's tick, half to even.

    Raises InvalidValue for a price that is not positive, or too large for any market.
    """
    exact = price * POWERS_OF_TEN[tick.decimals] * Fraction(MICRO, tick.size_units)
    micro = round_half_even(exact)
    if not 1 <= micro <= MAX_PRICE_MICRO_TICKS:
        raise InvalidValue("price", "must be more than 0, and a price that the market can have")
    return micro


def round_half_even(value: Fraction) -> int:
    """The nearest whole number; of two equally near, the even one."""
    return half_even_div(value.numerator, value.denominator)


def read_index(quotes: Iterable[Quote], now_ms: int, rules: IndexRules) -> IndexReading:
    """The index of these quotes, one for each source.

    A quote that is no positive price, too old or from the future is dropped; then those too far from the median
    of the rest; the index is the median of what is left.
    """
    dropped: list[tuple[str, Dropped]] = []
    alive: list[Quote] = []
    for quote in sorted(quotes, key=lambda each: each.source):
        fault = _fault(quote, now_ms, rules)
        if fault is None:
            alive.append(quote)
        else:
            dropped.append((quote.source, fault))
    kept = alive
    if alive:
        middle = median([quote.price_micro_ticks for quote in alive])
        kept = [quote for quote in alive if not _is_outlier(quote, middle, rules)]
        dropped += [(quote.source, Dropped.OUTLIER) for quote in alive if _is_outlier(quote, middle, rules)]
    used = tuple(quote.source for quote in kept)
    if len(kept) < max(1, rules.min_sources):
        return IndexReading(None, used, tuple(dropped))
    price = round_half_even(median([quote.price_micro_ticks for quote in kept]) * Fraction(1, MICRO))
    return IndexReading(min(max(1, price), MAX_PRICE_TICKS), used, tuple(dropped))


def _fault(quote: Quote, now_ms: int, rules: IndexRules) -> Dropped | None:
    if not 0 < quote.price_micro_ticks <= MAX_PRICE_MICRO_TICKS:
        return Dropped.INVALID
    if now_ms - quote.time_ms > rules.max_age_ms:
        return Dropped.STALE
    return Dropped.AHEAD if quote.time_ms - now_ms > MAX_AHEAD_MS else None


def _is_outlier(quote: Quote, middle: Fraction, rules: IndexRules) -> bool:
    return abs(quote.price_micro_ticks - middle) * MAX_BASIS_POINTS > middle * rules.outlier_basis_points
