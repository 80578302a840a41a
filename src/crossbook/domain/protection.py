"""The protection price of a market order: the worst price at which it may trade, and what margin is held for.

It is the price of the last level that the order needs to be filled whole, widened to five percent beyond the
mark: enough for a book that moves while the order is on its way, and a bound on what that can cost. For an
order that waits for a trigger, it lies five percent beyond the trigger.
"""

from collections.abc import Iterable
from typing import Final

from crossbook.domain.errors import CrossbookError
from crossbook.domain.money import MILLION, mul_div_ceil, mul_div_floor
from crossbook.domain.orders import MAX_BASIS_POINTS, MAX_PRICE_TICKS, Side

WIDENING_PPM: Final = 50_000
"""How far beyond the mark a market order may always trade: 5 %."""


class InsufficientLiquidity(CrossbookError):
    """The book offers `available_lots`, which is less than the order wants."""

    def __init__(self, available_lots: int) -> None:
        super().__init__("the book does not offer the whole quantity")
        self.available_lots = available_lots


def worst_price_ticks(levels: Iterable[tuple[int, int]], quantity_lots: int) -> int:
    """The price of the level at which `quantity_lots` (positive) are filled whole.

    `levels` are price in ticks and quantity in lots of the opposite side, best first. Raises
    InsufficientLiquidity when all of them together do not fill it.
    """
    filled_lots = 0
    for price_ticks, level_lots in levels:
        filled_lots += level_lots
        if filled_lots >= quantity_lots:
            return price_ticks
    raise InsufficientLiquidity(filled_lots)


def protection_price_ticks(
    side: Side, levels: Iterable[tuple[int, int]], quantity_lots: int, mark_ticks: int | None
) -> int:
    """`max(worst, floor(mark * 1.05))` for a buy, `min(worst, ceil(mark * 0.95))` for a sell, in ticks.

    Without a mark it is the worst price alone. Always from 1 to MAX_PRICE_TICKS. Raises
    InsufficientLiquidity as `worst_price_ticks` does.
    """
    worst_ticks = worst_price_ticks(levels, quantity_lots)
    if mark_ticks is None:
        return worst_ticks
    if side is Side.BUY:
        return min(max(worst_ticks, mul_div_floor(mark_ticks, MILLION + WIDENING_PPM, MILLION)), MAX_PRICE_TICKS)
    return min(worst_ticks, mul_div_ceil(mark_ticks, MILLION - WIDENING_PPM, MILLION))


def waiting_protection_ticks(side: Side, trigger_ticks: int) -> int:
    """The protection price of a market order that waits: 5 % beyond its trigger, from 1 to MAX_PRICE_TICKS."""
    if side is Side.BUY:
        return min(mul_div_floor(trigger_ticks, MILLION + WIDENING_PPM, MILLION), MAX_PRICE_TICKS)
    return max(1, mul_div_ceil(trigger_ticks, MILLION - WIDENING_PPM, MILLION))


def first_trailing_trigger_ticks(side: Side, source_ticks: int, trail: int, in_basis_points: bool) -> int:
    """Where the trigger of a trailing stop starts: the furthest from the market that it will ever be.

    `trail` is in ticks, or in basis points of the price. Rounded away from the price, from 1 to MAX_PRICE_TICKS.
    """
    unit = MAX_BASIS_POINTS
    if side is Side.BUY:
        away = mul_div_ceil(source_ticks, unit + trail, unit) if in_basis_points else source_ticks + trail
        return min(away, MAX_PRICE_TICKS)
    away = mul_div_floor(source_ticks, unit - trail, unit) if in_basis_points else source_ticks - trail
    return max(1, away)
