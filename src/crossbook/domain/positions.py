"""Positions: a signed quantity, the signed cost of what is open, and what was realised.

No average price is stored, so none can drift. For every fill, with s its signed notional (positive for
a buy), the cost changes by `s + realised`. So over all accounts of a market the quantities sum to zero,
and the costs plus the clearing account, which pays what is realised, sum to zero: exactly, for ever.
"""

from typing import NamedTuple

from crossbook.domain.instruments import Instrument
from crossbook.domain.money import InvalidValue, trunc_div
from crossbook.domain.orders import Side


class Position(NamedTuple):
    """One account's position in one market.

    `quantity_lots` is positive for a long one. `cost_units` (quote units) has the sign of the
    quantity. `realised_units` is all PnL realised so far, fees not counted.
    """

    quantity_lots: int = 0
    cost_units: int = 0
    realised_units: int = 0


def signed_lots(side: Side, quantity_lots: int) -> int:
    """The quantity as a change of position: positive for a buy."""
    return quantity_lots if side is Side.BUY else -quantity_lots


def apply_fill(
    position: Position, side: Side, quantity_lots: int, price_ticks: int, units_per_tick_lot: int
) -> tuple[Position, int]:
    """The position after a fill, and the PnL it realised in quote units.

    What goes against the position closes it, up to its size, and the rest opens the other way at the
    fill's price. A partial close releases `trunc(cost * closed / |quantity|)`; the remainder stays in the
    cost, and the last close releases all of it (3.11). Raises InvalidValue unless quantity and price
    are positive.
    """
    if quantity_lots <= 0 or price_ticks <= 0:
        raise InvalidValue("fill", "must have a positive quantity and price")
    change = signed_lots(side, quantity_lots)
    held = position.quantity_lots
    closed = 0 if (held > 0) == (change > 0) else min(abs(held), quantity_lots)
    released = trunc_div(position.cost_units * closed, abs(held)) if closed else 0
    closing_lots = closed if change > 0 else -closed
    unit = price_ticks * units_per_tick_lot
    realised = -closing_lots * unit - released
    after = Position(
        held + change,
        position.cost_units - released + (change - closing_lots) * unit,
        position.realised_units + realised,
    )
    return after, realised


def value_units(quantity_lots: int, mark_ticks: int, units_per_tick_lot: int) -> int:
    """`q * M`: the signed value of a position at the mark, in quote units."""
    return quantity_lots * mark_ticks * units_per_tick_lot


def unrealised_units(position: Position, mark_ticks: int, units_per_tick_lot: int) -> int:
    """`q * M - C`, for long and short alike (3.1), in quote units."""
    return value_units(position.quantity_lots, mark_ticks, units_per_tick_lot) - position.cost_units


def entry_price_text(position: Position, instrument: Instrument) -> str | None:
    """The average entry price, half-even to the decimals of the quote asset: for display only (3.11).

    None for a flat position.
    """
    if position.quantity_lots == 0:
        return None
    lots_value = position.quantity_lots * instrument.units_per_tick_lot
    return instrument.tick.ratio_text(position.cost_units, lots_value, instrument.quote.decimals)
