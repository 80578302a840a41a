"""Funding of perpetuals: premium, rate and payments (3.8), in exact rationals until the payment.

A positive rate means that longs pay shorts. Rates here are per period of the instrument unless a name
says `8h`. Prices are in ticks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from crossbook.domain.instruments import Instrument
from crossbook.domain.money import MILLION, POWERS_OF_TEN, InvalidValue

INTEREST_8H: Final = Fraction(1, 10_000)
"""The interest part of the rate, for eight hours."""
DAMPING_8H: Final = Fraction(5, 10_000)
"""How far the interest may pull the rate away from the premium, for eight hours."""
IMPACT_MARGIN_UNITS: Final = 500
"""The margin, in whole quote assets, whose largest position makes the impact notional."""


def clamp(value: Fraction, low: Fraction, high: Fraction) -> Fraction:
    """`value`, but not below `low` nor above `high`."""
    return max(low, min(value, high))


def impact_notional_units(instrument: Instrument) -> int:
    """The notional that impact prices are measured with, in quote units: `500 / initial margin rate`, rounded down."""
    return IMPACT_MARGIN_UNITS * POWERS_OF_TEN[instrument.quote.decimals] * MILLION // instrument.initial_margin_ppm


def impact_price_ticks(
    instrument: Instrument, levels: Iterable[tuple[int, int]], notional_units: int
) -> Fraction | None:
    """The average price of trading `notional_units` into `levels` ((ticks, lots), best first), exact.

    None for a side too thin. The last level is taken in part, to fractions of a lot.
    """
    left = notional_units
    lots = Fraction(0)
    for price, size in levels:
        value = instrument.notional_units(price, size)
        if value >= left:
            lots += Fraction(left, instrument.notional_units(price, 1))
            return Fraction(Fraction(notional_units, instrument.units_per_tick_lot), lots)
        lots, left = lots + size, left - value
    return None


def premium(impact_bid: Fraction | None, impact_ask: Fraction | None, index: Fraction) -> Fraction:
    """`(max(0, bid - I) - max(0, I - ask)) / I`; a side too thin (None) contributes nothing.

    Raises InvalidValue unless the index is positive.
    """
    if index <= 0:
        raise InvalidValue("index", "must be more than 0")
    above = Fraction(0) if impact_bid is None else max(Fraction(0), impact_bid - index)
    below = Fraction(0) if impact_ask is None else max(Fraction(0), index - impact_ask)
    return Fraction(above - below, index)


def mean_premium(samples: Iterable[Fraction]) -> Fraction:
    """The mean of a period's samples; 0 for a period without any, such as one spent halted."""
    values = tuple(samples)
    return Fraction(sum(values, Fraction(0)), len(values)) if values else Fraction(0)


def funding_rate(premium_8h: Fraction, interval_hours: int, cap: Fraction) -> Fraction:
    """The rate of one period: premium plus clamped interest, scaled to the interval, within plus or minus `cap`."""
    eight_hours = premium_8h + clamp(INTEREST_8H - premium_8h, -DAMPING_8H, DAMPING_8H)
    return clamp(Fraction(eight_hours * interval_hours, 8), -cap, cap)


def instrument_funding_rate(instrument: Instrument, premium_8h: Fraction) -> Fraction:
    """`funding_rate` with the instrument's interval and cap."""
    cap = Fraction(instrument.funding_rate_cap_ppm, MILLION)
    return funding_rate(premium_8h, instrument.funding_interval_hours, cap)


def payment_units(instrument: Instrument, position_lots: int, index_ticks: int, rate: Fraction) -> int:
    """`floor(-q * I * F)`: what an account receives, in quote units; negative when it pays (3.11)."""
    value = instrument.notional_units(index_ticks, position_lots)
    return -value * rate.numerator // rate.denominator


@dataclass(frozen=True)
class FundingPayments:
    """One period: (account id, units received) in the order given, and the dust that goes to the insurance fund."""

    payments: tuple[tuple[int, int], ...]
    dust_units: int


def settle_funding(
    instrument: Instrument, positions: Iterable[tuple[int, int]], index_ticks: int, rate: Fraction
) -> FundingPayments:
    """The payments of (account id, position in lots) at the funding instant.

    Raises InvalidValue unless the positions sum to zero: only then is the dust never negative.
    """
    held = tuple(positions)
    if sum(lots for _, lots in held):
        raise InvalidValue("positions", "must sum to zero")
    payments = tuple((account, payment_units(instrument, lots, index_ticks, rate)) for account, lots in held)
    return FundingPayments(payments, -sum(units for _, units in payments))
