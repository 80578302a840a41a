"""The margin of an isolated position: what goes into it, and what comes back, at every fill (3.1, 3.4).

It is a part of the account's wallet that the account's other positions can not use. Fees are paid from the
wallet, funding from the margin.
"""

from crossbook.domain.instruments import Instrument
from crossbook.domain.margin import MarginRow, initial_rate, position_margin_units
from crossbook.domain.money import ceil_div, trunc_div
from crossbook.domain.positions import Position


def margin_after_fill(
    instrument: Instrument,
    leverage: int,
    margin_units: int,
    before: Position,
    after: Position,
    price_ticks: int,
    in_liquidation: bool,
) -> int:
    """The margin of an isolated position after a fill that led from `before` to `after`.

    What is opened brings its initial margin at the fill's price. What is closed takes its share of the margin
    back to the wallet, and more of it if its loss is larger than that share: a loss is the margin's first. In
    liquidation all stays in the margin, so that closing a part helps the rest; when the position is gone, what is
    left goes back, and what is missing stays as a debt (negative), until it is covered.
    """
    held, now = before.quantity_lots, after.quantity_lots
    flips = held * now < 0
    closed = abs(held) if flips else max(0, abs(held) - abs(now))
    opened = abs(now) if flips else max(0, abs(now) - abs(held))
    realised = after.realised_units - before.realised_units
    margin = margin_units
    if closed and in_liquidation:
        margin += realised
    elif closed and margin > 0:
        share = trunc_div(margin * closed, abs(held))
        margin -= max(share, min(margin, -realised))
    if closed == abs(held) and (margin > 0 or not in_liquidation):
        margin = 0
    return margin + (opening_margin_units(instrument, leverage, now, opened, price_ticks) if opened else 0)


def opening_margin_units(
    instrument: Instrument, leverage: int, position_lots: int, opened_lots: int, price_ticks: int
) -> int:
    """The initial margin of `opened_lots`, at the rate of the whole position that they lead to, rounded up."""
    whole = instrument.notional_units(price_ticks, abs(position_lots))
    rate, unit = initial_rate(instrument, leverage, whole)
    return ceil_div(instrument.notional_units(price_ticks, opened_lots) * rate, unit)


def least_margin_units(instrument: Instrument, row: MarginRow, cost_units: int, mark_ticks: int) -> int:
    """The least that an isolated position must keep when margin is taken out of it.

    Its initial margin at the mark, without counting unrealised profit: taking margin out never pays profit out.
    """
    value = instrument.notional_units(mark_ticks, row.position_lots)
    return position_margin_units(instrument, row, mark_ticks) - min(0, value - cost_units)
