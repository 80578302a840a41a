"""Fees: once per fill and side, by liquidity role, rounded toward plus infinity (3.9).

Rounding up holds for rebates too, which are negative fees: their magnitude is rounded down. Both
roundings are in favour of the venue's fee account.
"""

from enum import IntEnum

from crossbook.domain.money import MILLION, mul_div_ceil


class LiquidityRole(IntEnum):
    """Which side of a trade: resting in the book, or arriving."""

    MAKER = 1
    TAKER = 2


def rate_of(role: LiquidityRole, maker_fee_ppm: int, taker_fee_ppm: int) -> int:
    """The rate, in parts per million, that a side of a trade pays."""
    return maker_fee_ppm if role is LiquidityRole.MAKER else taker_fee_ppm


def order_rates(maker_fee_ppm: int, taker_fee_ppm: int, received: bool) -> tuple[int, int]:
    """The rates, as maker and as taker, of an order whose two rates were set apart from each other.

    A maker's is never more than a taker's, since that is what an order sets aside. Where fees come out of what is
    `received` there is no rebate: a taker who buys would have paid in base the fee that covers it.
    """
    maker = min(maker_fee_ppm, taker_fee_ppm)
    return (max(maker, 0) if received else maker), taker_fee_ppm


def fee_units(notional_units: int, rate_ppm: int) -> int:
    """`ceil(|notional| * rate)`: the fee of one fill, negative for a rebate, in the units of the notional."""
    return mul_div_ceil(abs(notional_units), rate_ppm, MILLION)


def reserve_rate(maker_fee_ppm: int, taker_fee_ppm: int, post_only: bool) -> int:
    """The rate an open order sets aside (3.2): the taker's, or for post-only the maker's, never below 0."""
    return max(maker_fee_ppm, 0) if post_only else taker_fee_ppm


def fee_reserve_units(notional_units: int, maker_fee_ppm: int, taker_fee_ppm: int, post_only: bool) -> int:
    """What an order with `notional_units` still open sets aside for fees, rounded up, in quote units."""
    return fee_units(notional_units, reserve_rate(maker_fee_ppm, taker_fee_ppm, post_only))
