"""Quotes: what an order of some size would cost now, by walking the opposite side of the book (3.12).

A quote never invents a price: where the depth does not suffice it says so and prices what there is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from crossbook.domain.instruments import Instrument
from crossbook.domain.money import InvalidValue, mul_div_ceil, mul_div_floor
from crossbook.domain.orders import MAX_BASIS_POINTS, Side

Level = tuple[int, int]
"""Price in ticks and quantity in lots of one level, best first."""


@dataclass(frozen=True)
class Quote:
    """The answer: `filled_lots` for `cost_units` of quote, the last of them at `worst_price_ticks` (0 for none).

    `missing_lots` (base basis) or `unspent_units` (quote basis) is what the walk could not use.
    `is_partial` when the book ended before the request was met.
    """

    filled_lots: int
    cost_units: int
    worst_price_ticks: int
    missing_lots: int
    unspent_units: int
    is_partial: bool

    def vwap_ticks(self, instrument: Instrument) -> Fraction | None:
        """`cost / filled`, exact, in ticks; None when nothing was filled."""
        if self.filled_lots == 0:
            return None
        return Fraction(self.cost_units, self.filled_lots * instrument.units_per_tick_lot)

    def vwap_text(self, instrument: Instrument, decimals: int) -> str | None:
        """`cost / filled` as decimal text, half-even, for display; None when nothing was filled."""
        if self.filled_lots == 0:
            return None
        value = self.filled_lots * instrument.units_per_tick_lot
        return instrument.tick.ratio_text(self.cost_units, value, decimals)


def quote_base(instrument: Instrument, levels: Iterable[Level], quantity_lots: int) -> Quote:
    """Walk `levels` until `quantity_lots` are filled. Raises InvalidValue unless the quantity is positive."""
    if quantity_lots <= 0:
        raise InvalidValue("quantity", "must be more than 0", instrument.quantity_text(1))
    left, cost, worst = quantity_lots, 0, 0
    for price, size in levels:
        if left == 0:
            break
        take = min(size, left)
        cost, left, worst = cost + instrument.notional_units(price, take), left - take, price
    return Quote(quantity_lots - left, cost, worst, left, 0, left > 0)


def quote_amount(instrument: Instrument, levels: Iterable[Level], amount_units: int) -> Quote:
    """Walk `levels` while whole lots fit into the amount of quote left. Raises InvalidValue unless it is positive."""
    if amount_units <= 0:
        raise InvalidValue("amount", "must be more than 0", instrument.quote.scale.format(1))
    filled, left, worst = 0, amount_units, 0
    for price, size in levels:
        if left == 0:
            break
        take = min(size, left // instrument.notional_units(price, 1))
        if take:
            filled, left, worst = filled + take, left - instrument.notional_units(price, take), price
        if take < size:
            return Quote(filled, amount_units - left, worst, 0, left, False)
    return Quote(filled, amount_units - left, worst, 0, left, left > 0)


def protection_price_ticks(side: Side, worst_ticks: int, reference_ticks: int, basis_points: int) -> int:
    """The hard limit of a market order: the worst price it needs, widened to the reference plus or minus a part.

    `worst_ticks` is the worst price of the visible depth it takes, `reference_ticks` the mark (or that
    worst price itself). The part is rounded so that the limit stays inside it; a sell's limit is at
    least one tick.
    """
    if side is Side.BUY:
        return max(worst_ticks, mul_div_floor(reference_ticks, MAX_BASIS_POINTS + basis_points, MAX_BASIS_POINTS))
    return max(1, min(worst_ticks, mul_div_ceil(reference_ticks, MAX_BASIS_POINTS - basis_points, MAX_BASIS_POINTS)))
