"""Liquidation: where it starts, where nothing is left, who pays, and who is deleveraged (3.4 to 3.7).

Prices are exact rationals in ticks; money is in quote units. A long has a positive quantity.
"""

from dataclasses import dataclass
from fractions import Fraction

from crossbook.domain.instruments import Instrument
from crossbook.domain.margin import tier_deductions
from crossbook.domain.money import MILLION, InvalidValue, ceil_div, floor_div, mul_div_floor


def _price_in_tier(
    instrument: Instrument, quantity_lots: int, free_value: int, rate_ppm: int, deduction: int
) -> Fraction | None:
    """The price at which `free_value + q * p` equals `|q| * p * rate - deduction`, in ticks."""
    slope = (abs(quantity_lots) * rate_ppm - quantity_lots * MILLION) * instrument.units_per_tick_lot
    if slope == 0:
        return None
    price = Fraction(free_value * MILLION + deduction, slope)
    return price if price > 0 else None


def liquidation_price_ticks(
    instrument: Instrument, quantity_lots: int, mark_ticks: int, equity: int, other_maintenance: int = 0
) -> Fraction | None:
    """The mark at which equity meets maintenance margin (3.4), all other positions unchanged.

    Cross: `equity` is the account's and `other_maintenance` the margin of its other positions.
    Isolated: `equity` is the position's margin plus its unrealised PnL. With tiers, the tier is that of
    the notional at the price found. None when there is no such positive price, or no position.
    """
    if quantity_lots == 0:
        return None
    free_value = equity - instrument.notional_units(mark_ticks, quantity_lots) - other_maintenance
    if not instrument.tiers:
        return _price_in_tier(instrument, quantity_lots, free_value, instrument.maintenance_margin_ppm, 0)
    ends = [tier.floor_units for tier in instrument.tiers[1:]]
    for index, (tier, deduction) in enumerate(zip(instrument.tiers, tier_deductions(instrument), strict=True)):
        price = _price_in_tier(instrument, quantity_lots, free_value, tier.maintenance_margin_ppm, deduction)
        if price is None:
            continue
        notional = price * instrument.notional_units(1, abs(quantity_lots))
        if notional >= tier.floor_units and (index == len(ends) or notional < ends[index]):
            return price
    return None


def isolated_bankruptcy_price_ticks(
    instrument: Instrument, quantity_lots: int, cost_units: int, margin_units: int
) -> Fraction:
    """`entry - margin / q`: the price at which an isolated position has lost its margin (3.5).

    Raises InvalidValue for a flat position.
    """
    return Fraction(cost_units - margin_units, _unit_value(instrument, quantity_lots))


def cross_bankruptcy_price_ticks(
    instrument: Instrument,
    quantity_lots: int,
    mark_ticks: int,
    equity: int,
    maintenance: int,
    total_maintenance: int,
) -> Fraction:
    """`M - (E * MM / MM_total) / q`: equity is shared among the positions by maintenance margin (3.5).

    Closing every position at its own price leaves exactly nothing. Raises InvalidValue for a flat
    position or no maintenance margin.
    """
    if total_maintenance <= 0:
        raise InvalidValue("total_maintenance", "must be more than 0")
    return mark_ticks - Fraction(equity * maintenance, total_maintenance * _unit_value(instrument, quantity_lots))


def _unit_value(instrument: Instrument, quantity_lots: int) -> int:
    if quantity_lots == 0:
        raise InvalidValue("position", "must not be flat")
    return instrument.notional_units(1, quantity_lots)


def bankruptcy_tick(price_ticks: Fraction, quantity_lots: int) -> int:
    """A bankruptcy price on the tick, in favour of the insurance fund: up for a long, down for a short (3.5)."""
    divide = ceil_div if quantity_lots > 0 else floor_div
    return divide(price_ticks.numerator, price_ticks.denominator)


def fund_flow_units(instrument: Instrument, closed_lots: int, fill_ticks: int, bankruptcy_ticks: int) -> int:
    """What the insurance fund receives, or pays when negative, for one liquidation fill (3.6).

    `closed_lots` is positive when a long was closed, negative for a short. Better than the bankruptcy
    price, the account pays the difference, but at most the instrument's liquidation fee rate of the
    notional, rounded down; worse, the fund pays all of it (as far as it goes: `ledger.cover_loss`).
    """
    gain = instrument.notional_units(fill_ticks - bankruptcy_ticks, closed_lots)
    notional = instrument.notional_units(fill_ticks, abs(closed_lots))
    return min(gain, mul_div_floor(notional, instrument.liquidation_fee_ppm, MILLION))


@dataclass(frozen=True)
class Deleveraging:
    """One account opposite a liquidated position: a candidate for auto-deleveraging."""

    account_id: int
    position_value_units: int
    cost_units: int
    wallet_units: int


def deleveraging_score(candidate: Deleveraging) -> Fraction:
    """Ranking B of 3.7: relative profit times leverage, or, for a loss, divided by it.

    `position_value_units` and `cost_units` are `q * M` and `C`, both signed. Raises InvalidValue for a
    flat position, or for an account without equity (it is in liquidation itself).
    """
    profit = candidate.position_value_units - candidate.cost_units
    equity = candidate.wallet_units + profit
    if candidate.cost_units == 0 or candidate.position_value_units == 0 or equity <= 0:
        raise InvalidValue("candidate", "must have a position and equity")
    relative = Fraction(profit, abs(candidate.cost_units))
    leverage = Fraction(abs(candidate.position_value_units), equity)
    return relative * leverage if profit > 0 else Fraction(relative, leverage)


def deleveraging_order(candidates: tuple[Deleveraging, ...]) -> tuple[Deleveraging, ...]:
    """The candidates, first to be deleveraged first; equal ones by account id."""
    return tuple(sorted(candidates, key=lambda each: (-deleveraging_score(each), each.account_id)))
