"""Margin: what open positions and orders tie up, and whether one more order may come in.

Quote units throughout. Initial margin follows the heavier side of one row per account and market
(3.2, "Crossbook's rule"): its cost does not grow with the number of open orders, and it is a function
of the row alone, so nothing can leak. Everything is exact until one rounding up.
"""

from enum import IntEnum
from typing import NamedTuple

from crossbook.domain.errors import CrossbookError
from crossbook.domain.instruments import Instrument
from crossbook.domain.money import MILLION, InvalidValue, ceil_div
from crossbook.domain.orders import Side


class InvalidRow(InvalidValue):
    """A row of open orders that no orders can have made."""


class InsufficientMargin(CrossbookError, ValueError):
    """An order that the account's equity does not carry: it needs `required_units`, and has `available_units`."""

    def __init__(self, required_units: int, available_units: int) -> None:
        super().__init__("Available margin is below required margin")
        self.required_units = required_units
        self.available_units = available_units


# -- Equity (3.1) ------------------------------------------------------------------------------------
def equity_units(wallet_units: int, unrealised_units: int, fees_due_units: int = 0, funding_due_units: int = 0) -> int:
    """Wallet plus unrealised PnL of all positions, less what is due."""
    return wallet_units + unrealised_units - fees_due_units - funding_due_units


def available_units(equity: int, position_margin: int, order_margin: int, fee_reserve: int) -> int:
    """What is free for new risk; negative when the account is short of initial margin."""
    return equity - position_margin - order_margin - fee_reserve


def withdrawable_units(
    wallet: int, equity: int, position_margin: int, order_margin: int, fee_reserve: int, position_value: int
) -> int:
    """What may leave the venue: `max(0, min(W, equity) - max(all margin, 10 % of the positions' value))`.

    `position_value` is the sum of `|q| * M`. Unrealised profit is not paid out, and what open orders
    have set aside for fees stays too, so never more than is available may leave.
    """
    kept = max(position_margin + order_margin + fee_reserve, ceil_div(position_value, 10))
    return max(0, min(wallet, equity) - kept)


# -- Initial margin (3.2) ----------------------------------------------------------------------------
class MarginRow(NamedTuple):
    """One account in one market: the signed position, and the open orders that are not reduce-only.

    Notionals are at the orders' own limit prices. `fee_reserve_units` is the sum of each order's
    `fees.fee_reserve_units`. `leverage` is the account's choice for this market.
    """

    leverage: int
    position_lots: int = 0
    buy_lots: int = 0
    buy_notional_units: int = 0
    sell_lots: int = 0
    sell_notional_units: int = 0
    fee_reserve_units: int = 0

    def with_order(self, side: Side, quantity_lots: int, notional_units: int, fee_reserve_units: int) -> "MarginRow":
        """The row when this much more is open.

        Negative values take a part of an order, or all of it, out again: give the differences, so that
        `with_order` of a whole order and of its opposite cancel out. Raises InvalidRow when a sum falls
        below zero. A reduce-only order reserves nothing: it never enters the row.
        """
        buys = side is Side.BUY
        row = MarginRow(
            self.leverage,
            self.position_lots,
            self.buy_lots + quantity_lots if buys else self.buy_lots,
            self.buy_notional_units + notional_units if buys else self.buy_notional_units,
            self.sell_lots if buys else self.sell_lots + quantity_lots,
            self.sell_notional_units if buys else self.sell_notional_units + notional_units,
            self.fee_reserve_units + fee_reserve_units,
        )
        sums = (row.buy_lots, row.buy_notional_units, row.sell_lots, row.sell_notional_units, row.fee_reserve_units)
        if min(sums) < 0:
            raise InvalidRow("open orders", "must not fall below nothing", "0")
        return row


def initial_rate(instrument: Instrument, leverage: int, numerator: int, denominator: int = 1) -> tuple[int, int]:
    """`max(1 / min(leverage, max_leverage), initial margin rate)` as an exact numerator and denominator.

    With tiers, the rate is that of the tier that the notional `numerator / denominator` falls into.
    """
    rate_ppm = instrument.initial_margin_ppm
    for tier in instrument.tiers:
        if tier.floor_units * denominator > numerator:
            break
        rate_ppm = tier.initial_margin_ppm
    allowed = min(leverage, instrument.max_leverage)
    return (rate_ppm, MILLION) if rate_ppm * allowed >= MILLION else (1, allowed)


def _margin_of(instrument: Instrument, leverage: int, numerator: int, denominator: int) -> int:
    rate, unit = initial_rate(instrument, leverage, numerator, denominator)
    return ceil_div(numerator * rate, denominator * unit)


def _increasing_part(notional: int, lots: int, reducing_lots: int) -> tuple[int, int]:
    """The notional of orders on one side without the part that reduces the position, as an exact ratio."""
    if lots <= reducing_lots:
        return 0, 1
    return notional * (lots - reducing_lots), lots


def position_margin_units(instrument: Instrument, row: MarginRow, mark_ticks: int) -> int:
    """`ceil(IMR_eff * |q| * M)`: the initial margin of the position alone."""
    return _margin_of(instrument, row.leverage, instrument.notional_units(mark_ticks, abs(row.position_lots)), 1)


def initial_margin_units(instrument: Instrument, row: MarginRow, mark_ticks: int) -> int:
    """`IM_market`: initial margin of position and open orders together, by the heavier side, rounded up once."""
    value = instrument.notional_units(mark_ticks, abs(row.position_lots))
    if row.position_lots >= 0:
        growing = value + row.buy_notional_units
        other, unit = _increasing_part(row.sell_notional_units, row.sell_lots, row.position_lots)
    else:
        growing = value + row.sell_notional_units
        other, unit = _increasing_part(row.buy_notional_units, row.buy_lots, -row.position_lots)
    # Rates do not fall with the notional, so the heavier side is also the one with the larger margin.
    if growing * unit >= other:
        return _margin_of(instrument, row.leverage, growing, 1)
    return _margin_of(instrument, row.leverage, other, unit)


def held_orders_units(instrument: Instrument, row: MarginRow, mark_ticks: int) -> int:
    """What open orders hold beyond the position's own margin: never less than their fee reserve."""
    extra = initial_margin_units(instrument, row, mark_ticks) - position_margin_units(instrument, row, mark_ticks)
    return extra + row.fee_reserve_units


def open_loss_units(instrument: Instrument, side: Side, price_ticks: int, quantity_lots: int, mark_ticks: int) -> int:
    """What an order would lose at the mark if it traded at its limit: buys above it, sells below it."""
    worse = price_ticks - mark_ticks if side is Side.BUY else mark_ticks - price_ticks
    return instrument.notional_units(max(0, worse), quantity_lots)


class MarginDecision(NamedTuple):
    """Whether an order comes in: it needs `required_units` where `available_units` are free.

    Both are counted without the order, in the market before it: `required_units` is by how much margin
    and fee reserve rise, plus the open loss.
    """

    accepted: bool
    required_units: int
    available_units: int
    margin_before_units: int
    margin_after_units: int


def check_new_order(
    instrument: Instrument,
    before: MarginRow,
    after: MarginRow,
    mark_ticks: int,
    equity: int,
    elsewhere_units: int,
    open_loss: int,
) -> MarginDecision:
    """Decide on a new order: `before` and `after` are the market's row without and with it.

    `elsewhere_units` is the initial margin and the fee reserve of the account's other markets. Accepted
    if `equity - all margin(after) - all fee reserves(after) - open loss >= 0`, or if the margin of the
    market does not rise (which is how an account short of margin may still reduce) and the equity
    carries the open loss. Without the latter an account could trade at a bad price with a friend, under
    the cover of a resting order on the other side, and lose what it does not have.
    """
    margin_before = initial_margin_units(instrument, before, mark_ticks)
    margin_after = initial_margin_units(instrument, after, mark_ticks)
    available = equity - elsewhere_units - margin_before - before.fee_reserve_units
    required = margin_after - margin_before + after.fee_reserve_units - before.fee_reserve_units + open_loss
    may_reduce = margin_after <= margin_before and (open_loss == 0 or open_loss <= equity)
    accepted = required <= available or may_reduce
    return MarginDecision(accepted, required, available, margin_before, margin_after)


def require_margin(decision: MarginDecision) -> None:
    """Raise InsufficientMargin, with both amounts, unless the order was accepted."""
    if not decision.accepted:
        raise InsufficientMargin(decision.required_units, decision.available_units)


# -- Maintenance margin and states (3.3) -------------------------------------------------------------
class MarginState(IntEnum):
    """How an account stands; in a margin call only orders that reduce risk come in."""

    HEALTHY = 1
    MARGIN_CALL = 2
    LIQUIDATION = 3


def tier_deductions(instrument: Instrument) -> tuple[int, ...]:
    """What each tier takes off `notional * rate`, so that the margin has no jump; in units times a million."""
    deductions: list[int] = []
    rate = deduction = 0
    for tier in instrument.tiers:
        # The first floor is 0, so its deduction is 0 whatever the rate before it.
        deduction += tier.floor_units * (tier.maintenance_margin_ppm - rate)
        rate = tier.maintenance_margin_ppm
        deductions.append(deduction)
    return tuple(deductions)


def maintenance_margin_units(instrument: Instrument, notional_units: int) -> int:
    """Maintenance margin of a position of `|q| * M`: flat, or `notional * rate(tier) - deduction(tier)`, rounded up."""
    rate, deduction = instrument.maintenance_margin_ppm, 0
    for tier, off in zip(instrument.tiers, tier_deductions(instrument), strict=True):
        if tier.floor_units > notional_units:
            break
        rate, deduction = tier.maintenance_margin_ppm, off
    return ceil_div(notional_units * rate - deduction, MILLION)


def margin_state(equity: int, initial_margin: int, maintenance_margin: int) -> MarginState:
    """The state of an account: liquidation at `equity <= maintenance margin`, the edge included.

    An account without positions has no maintenance margin; it is in liquidation only below zero.
    """
    if equity < 0 or (maintenance_margin > 0 and equity <= maintenance_margin):
        return MarginState.LIQUIDATION
    return MarginState.HEALTHY if equity >= initial_margin else MarginState.MARGIN_CALL


def is_not_riskier(equity_before: int, margin_before: int, equity_after: int, margin_after: int) -> bool:
    """Whether `equity / maintenance margin` does not fall, compared without a division (3.3)."""
    return equity_after * margin_before >= equity_before * margin_after
