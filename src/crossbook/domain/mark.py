"""The mark price: the median of the index with the market's lasting premium, and of the market itself (3.8).

    first  = index + average over 150 s of (mid - index)
    second = median of best bid, best ask and last price
    third  = an external perpetual's price, if there is one
    mark   = median of those; of two, with the average of `second` over 30 s as the third;
             kept within the band around the index, and rounded to the tick, half to even

The averages are exponential, after a state of two numbers: with the time `t` since the last sample,
`num = num * exp(-t/period) + sample * t` and `den = den * exp(-t/period) + t`; the average is `num / den`. All
in whole numbers. `exp` is off by less than 2^-63, and the state has 64 binary places, so after n samples
the average is off by less than n times the largest of them times 2^-60; older errors fade as older samples do.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from crossbook.domain.index import median, round_half_even
from crossbook.domain.orders import MAX_BASIS_POINTS, MAX_PRICE_TICKS

BASIS_PERIOD_MS: Final = 150_000
"""Period of the average of the market's premium over the index."""
PRICE_PERIOD_MS: Final = 30_000
"""Period of the average of the market's own price."""
MOST_WEIGHT_MS: Final = 10_000
"""A sample after a silence does not count for more than this, however long the silence was."""

HALF: Final = Fraction(1, 2)
DECAY_BITS: Final = 64
_WORK_BITS: Final = 160
_STATE_BITS: Final = 64
_HALVINGS: Final = 14
_TERMS: Final = 14
_NOTHING_LEFT: Final = 45
"""So many periods leave less of a value than 2^-64."""


def decay(elapsed_ms: int, period_ms: int) -> int:
    """`exp(-elapsed / period)` in units of 2^-64, with an error of less than two of them; 0 after 45 periods.

    The exponent is halved 14 times, the series summed with 160 bits, and the result squared 14 times.
    Raises ValueError for a negative time or a period that is not positive.
    """
    if elapsed_ms < 0 or period_ms <= 0:
        raise ValueError("time does not go back, and a period takes some")
    if elapsed_ms >= _NOTHING_LEFT * period_ms:
        return 0
    small = (elapsed_ms << _WORK_BITS) // (period_ms << _HALVINGS)
    term = total = 1 << _WORK_BITS
    for place in range(1, _TERMS):
        term = (term * small >> _WORK_BITS) // place
        total += -term if place % 2 else term
    for _ in range(_HALVINGS):
        total = total * total >> _WORK_BITS
    return total >> (_WORK_BITS - DECAY_BITS)


@dataclass(frozen=True)
class Average:
    """An exponential average. Samples are whole numbers of any unit; nothing was seen while `denominator` is 0."""

    numerator: int = 0
    denominator: int = 0

    def add(self, sample: int, elapsed_ms: int, period_ms: int) -> "Average":
        """The average after a sample, `elapsed_ms` after the one before. The very first counts for a millisecond."""
        kept = decay(elapsed_ms, period_ms)
        weight = (min(elapsed_ms, MOST_WEIGHT_MS) if self.denominator else 1) << _STATE_BITS
        return Average(
            (self.numerator * kept >> DECAY_BITS) + sample * weight,
            (self.denominator * kept >> DECAY_BITS) + weight,
        )

    @property
    def value(self) -> Fraction | None:
        """The average, None before the first sample."""
        return Fraction(self.numerator, self.denominator) if self.denominator else None


@dataclass(frozen=True)
class Top:
    """The market's own prices, in ticks; 0 for none."""

    bid_ticks: int = 0
    ask_ticks: int = 0
    last_ticks: int = 0


@dataclass(frozen=True)
class MarkState:
    """What the mark remembers: both averages in half ticks, and the time of their last sample (0 for never)."""

    basis: Average = field(default_factory=Average)
    price: Average = field(default_factory=Average)
    time_ms: int = 0


def market_price(top: Top) -> Fraction | None:
    """The median of best bid, best ask and last price, as far as they are there; None without any."""
    known = [ticks for ticks in (top.bid_ticks, top.ask_ticks, top.last_ticks) if ticks > 0]
    return median(known) if known else None


def next_mark(
    state: MarkState, top: Top, index_ticks: int, now_ms: int, band_basis_points: int, external_ticks: int = 0
) -> tuple[MarkState, int]:
    """The state after a look at the market at `now_ms`, and the mark then. `external_ticks` 0 for none.

    Raises ValueError unless the index is positive.
    """
    if index_ticks <= 0:
        raise ValueError("an index is positive")
    elapsed_ms = max(0, now_ms - state.time_ms) if state.time_ms else 0
    basis, price = state.basis, state.price
    if top.bid_ticks > 0 and top.ask_ticks > 0:
        basis = basis.add(top.bid_ticks + top.ask_ticks - 2 * index_ticks, elapsed_ms, BASIS_PERIOD_MS)
    second = market_price(top)
    if second is not None:
        price = price.add(int(2 * second), elapsed_ms, PRICE_PERIOD_MS)
    inputs: list[Fraction] = [index_ticks + (basis.value or Fraction(0)) * HALF]
    if second is not None:
        inputs.append(second)
    if external_ticks > 0:
        inputs.append(Fraction(external_ticks))
    if len(inputs) == 2 and price.value is not None:
        inputs.append(price.value * HALF)
    mark = clamp_to_band(median(inputs), index_ticks, band_basis_points)
    return MarkState(basis, price, max(now_ms, state.time_ms)), mark


def clamp_to_band(price: Fraction, index_ticks: int, band_basis_points: int) -> int:
    """The price on the tick, half to even, but no further from the index than the band allows, and at least one."""
    width = index_ticks * band_basis_points // MAX_BASIS_POINTS
    nearest = round_half_even(price)
    return min(max(nearest, index_ticks - width, 1), index_ticks + width, MAX_PRICE_TICKS)
