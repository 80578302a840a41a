"""Spot holds: what an open order sets aside, and exactly that released again (3.13).

The hold is recorded on the order. At any time it must cover what is still open, at the limit price,
with the taker's fee: `needed = value + ceil(value * rate)`. A fill frees the difference between what
was needed before and after it; the end frees all that is still recorded. So whatever happens in
between, held and released are equal to the last unit.

A fill frees the fee of its part rounded down or up, while its fee is rounded up (3.9). The fee therefore
never exceeds what the fill frees: an order split into many fills can owe a unit less per fill, never
more than it holds.
"""

from dataclasses import dataclass, replace

from crossbook.domain.amendments import Growth
from crossbook.domain.fees import fee_units
from crossbook.domain.instruments import FeeAsset, Instrument
from crossbook.domain.money import MILLION, InvalidValue
from crossbook.domain.orders import Side


class InvalidHold(InvalidValue):
    """A hold that cannot be, or more released than is held."""


@dataclass(frozen=True)
class SpotHold:
    """What one open spot order holds.

    `open_items` counts what may still trade: lots, or, for a market buy by amount, ticks times lots.
    One item is worth `units_per_item` of the held asset, plus fees at `fee_ppm`. `held_units` of
    `asset` are recorded; after any number of fills they are at least `needed_units`.
    """

    side: Side
    asset: str
    held_units: int
    open_items: int
    units_per_item: int
    fee_ppm: int
    is_by_amount: bool = False

    @property
    def needed_units(self) -> int:
        """What the open part needs, in units of the held asset."""
        return self._needed(self.open_items)

    def _needed(self, items: int) -> int:
        value = items * self.units_per_item
        return value + fee_units(value, self.fee_ppm)

    def without(self, items: int) -> tuple["SpotHold", int]:
        """The hold when `items` are no longer open, and the units that frees: a reduced order, for one.

        Raises InvalidHold for more items than are open.
        """
        if not 0 <= items <= self.open_items:
            raise InvalidHold("quantity", f"must be from 0 to {self.open_items}", str(self.open_items))
        freed = self.needed_units - self._needed(self.open_items - items)
        return replace(self, held_units=self.held_units - freed, open_items=self.open_items - items), freed

    def end(self) -> tuple["SpotHold", int]:
        """The empty hold of an order that ended, and the units that frees: all that was still held."""
        return replace(self, held_units=0, open_items=0), self.held_units


@dataclass(frozen=True)
class FillOutcome:
    """What a fill does to one side.

    `released_units` of the held asset are no longer held. The account then pays `paid_units` of the
    held asset, gets `received_units` of the other one, and owes `fee_units` (a rebate when negative) in
    `fee_asset`. What was released and not spent is free again.
    """

    released_units: int
    paid_units: int
    received_units: int
    fee_asset: str
    fee_units: int


def _opened(side: Side, asset: str, items: int, units_per_item: int, fee_ppm: int) -> SpotHold:
    hold = SpotHold(side, asset, 0, items, units_per_item, fee_ppm)
    return replace(hold, held_units=hold.needed_units)


def _held_fee(instrument: Instrument, taker_fee_ppm: int | None) -> int:
    """The rate held with a buy: the taker's, or none when the fee comes out of the base received."""
    if instrument.fee_asset is FeeAsset.RECEIVED:
        return 0
    return instrument.taker_fee_ppm if taker_fee_ppm is None else taker_fee_ppm


def hold_for_buy(
    instrument: Instrument, price_ticks: int, quantity_lots: int, taker_fee_ppm: int | None = None
) -> SpotHold:
    """The hold of a limit buy: `price * quantity + ceil(fee at taker)` of quote.

    It serves a market buy by base as well, with its protection price (the worst price it may pay).
    `taker_fee_ppm` is the client's own rate; None takes the instrument's. Raises InvalidHold unless
    price and quantity are positive.
    """
    if price_ticks <= 0 or quantity_lots <= 0:
        raise InvalidHold("order", "must have a positive price and quantity")
    unit = price_ticks * instrument.units_per_tick_lot
    return _opened(Side.BUY, instrument.quote.name, quantity_lots, unit, _held_fee(instrument, taker_fee_ppm))


def hold_for_sell(instrument: Instrument, quantity_lots: int) -> SpotHold:
    """The hold of any sell: its quantity of base; the fee comes out of the quote received.

    Raises InvalidHold unless the quantity is positive.
    """
    if quantity_lots <= 0:
        raise InvalidHold("order", "must have a positive quantity")
    return _opened(Side.SELL, instrument.base.name, quantity_lots, instrument.base_units_per_lot, 0)


def hold_for_amount(instrument: Instrument, amount_units: int, taker_fee_ppm: int | None = None) -> SpotHold:
    """The hold of a market buy by amount: the amount, fees included.

    `open_items` of the hold is the budget to give to the engine: the most ticks times lots whose value
    and taker's fee fit into the amount. Raises InvalidHold when not even one fits.
    """
    fee_ppm = _held_fee(instrument, taker_fee_ppm)
    unit = instrument.units_per_tick_lot
    budget = amount_units * MILLION // (unit * (MILLION + fee_ppm))
    if budget <= 0:
        least = unit + fee_units(unit, fee_ppm)
        raise InvalidHold("amount", "must pay for one lot at one tick", instrument.quote.scale.format(least))
    return SpotHold(Side.BUY, instrument.quote.name, amount_units, budget, unit, fee_ppm, is_by_amount=True)


def held_for_growth(instrument: Instrument, side: Side, more: Growth, taker_fee_ppm: int) -> int:
    """What covers the growth of an order beside the order's own hold: quote of a buy, with its fee; base of a sell.

    An order that holds for a value of `v`, and this for a growth of `g`, hold for a value of `v + g` together,
    or a unit more, since both fees are rounded up.
    """
    if side is Side.SELL:
        return more.lots * instrument.base_units_per_lot
    value = more.tick_lots * instrument.units_per_tick_lot
    return value + fee_units(value, _held_fee(instrument, taker_fee_ppm))


def apply_fill(
    hold: SpotHold, instrument: Instrument, price_ticks: int, quantity_lots: int, fee_ppm: int
) -> tuple[SpotHold, FillOutcome]:
    """The hold after a fill, and what the fill does to its side. `fee_ppm` is the rate of the side's role.

    Raises InvalidHold for a fill of more than is open, worse than the limit of a buy, or at a rate above
    the one held for a buy that pays in quote.
    """
    notional = instrument.notional_units(price_ticks, quantity_lots)
    base = quantity_lots * instrument.base_units_per_lot
    after, released = hold.without(price_ticks * quantity_lots if hold.is_by_amount else quantity_lots)
    if hold.side is Side.SELL:
        return after, FillOutcome(released, base, notional, instrument.quote.name, fee_units(notional, fee_ppm))
    if instrument.notional_units(price_ticks, 1) > hold.units_per_item and not hold.is_by_amount:
        raise InvalidHold("price", "must not be worse than the limit")
    if instrument.fee_asset is FeeAsset.RECEIVED:
        return after, FillOutcome(released, notional, base, instrument.base.name, fee_units(base, fee_ppm))
    if fee_ppm > hold.fee_ppm:
        raise InvalidHold("fee_rate", "must not exceed the rate that is held")
    fee = min(fee_units(notional, fee_ppm), released - notional)
    return after, FillOutcome(released, notional, base, instrument.quote.name, fee)
