"""What an audit of the venue says, and the rules of it that need no database.

An audit is a list of checks. Each looks at everything there is of one kind, and is fine, or names the
first difference that it met. Rows are compared with what the domain says they must be: nothing here
reads or writes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crossbook.application.markets import Market
from crossbook.domain.accounts import InvalidAccount, kind_of, may_be_negative
from crossbook.domain.fees import fee_reserve_units
from crossbook.domain.holds import SpotHold
from crossbook.domain.instruments import FeeAsset, Instrument, InstrumentKind
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import Side


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: how many `things`, and the first difference, None when there is none."""

    name: str
    counted: int
    things: str
    difference: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return self.difference is None


class Tally:
    """A check while it is being made."""

    def __init__(self, name: str, things: str) -> None:
        self.name = name
        self.things = things
        self.counted = 0
        self._difference: str | None = None

    def count(self, things: int = 1) -> None:
        """So many more were looked at."""
        self.counted += things

    def differs(self, difference: str | None) -> None:
        """Note a difference; only the first one stays, None is none."""
        if self._difference is None:
            self._difference = difference

    def check(self) -> Check:
        """The check as it stands."""
        return Check(self.name, self.counted, self.things, self._difference)


def is_clean(checks: Iterable[Check]) -> bool:
    """Whether no check found a difference."""
    return all(check.ok for check in checks)


# -- Balances ----------------------------------------------------------------------------------------
def negative_difference(account_id: int, asset: str, total_units: int, is_margin_asset: bool) -> str | None:
    """What is wrong with a balance of `total_units`; None when it is not below zero, or may be."""
    if total_units >= 0:
        return None
    try:
        allowed = may_be_negative(kind_of(account_id), is_margin_asset)
    except InvalidAccount as error:
        return f"account {account_id}: {error}"
    return None if allowed else f"account {account_id} has {total_units} units of {asset}"


# -- Live orders -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LiveOrder:
    """The part of a live order's row that an audit compares. Ticks, lots, and units of what it holds."""

    order_id: int
    account_id: int
    market_id: int
    sequence: int
    side: Side
    post_only: bool
    reduce_only: bool
    status: OrderStatus
    quantity_lots: int
    price_ticks: int
    budget: int
    open_lots: int
    filled_lots: int
    held_units: int
    maker_fee_ppm: int
    taker_fee_ppm: int


def needed_hold_units(order: LiveOrder, instrument: Instrument) -> int:
    """What a live spot order must hold at least for what is still open of it (3.13), in units of the held asset."""
    if order.side is Side.SELL:
        asset, items, unit, fee_ppm = instrument.base.name, order.open_lots, instrument.base_units_per_lot, 0
    else:
        fee_ppm = 0 if instrument.fee_asset is FeeAsset.RECEIVED else order.taker_fee_ppm
        # An order by amount never rests: one that lives has spent nothing yet.
        items = order.budget or order.open_lots
        unit = instrument.units_per_tick_lot * (1 if order.budget else order.price_ticks)
        asset = instrument.quote.name
    hold = SpotHold(order.side, asset, order.held_units, items, unit, fee_ppm, order.budget > 0)
    return hold.needed_units


def hold_difference(order: LiveOrder, instrument: Instrument) -> str | None:
    """What is wrong with the hold of a live order; None when nothing is.

    A spot order may hold more than it needs: an amount is held whole. An order of a perpetual holds nothing of its own.
    """
    if instrument.kind is not InstrumentKind.SPOT:
        wrong = order.held_units != 0
        return f"order {order.order_id} holds {order.held_units}, a perpetual's order holds nothing" if wrong else None
    needed = needed_hold_units(order, instrument)
    if order.held_units >= needed:
        return None
    return f"order {order.order_id} holds {order.held_units} and needs {needed}"


@dataclass
class OpenSums:
    """What the open orders of one account in one perpetual market sum up to. Lots, and quote units."""

    buy_lots: int = 0
    buy_notional_units: int = 0
    sell_lots: int = 0
    sell_notional_units: int = 0
    fee_reserve_units: int = 0


@dataclass
class OpenOrders:
    """The sums of all accounts, by account and market number, made again from the orders themselves."""

    sums: dict[tuple[int, int], OpenSums] = field(default_factory=dict)

    def add(self, order: LiveOrder, instrument: Instrument) -> None:
        """Count a live order of a perpetual (3.2): at its own price, unless it is reduce-only."""
        if order.reduce_only or order.open_lots == 0:
            return
        sums = self.sums.setdefault((order.account_id, order.market_id), OpenSums())
        notional = instrument.notional_units(order.price_ticks, order.open_lots)
        if order.side is Side.BUY:
            sums.buy_lots += order.open_lots
            sums.buy_notional_units += notional
        else:
            sums.sell_lots += order.open_lots
            sums.sell_notional_units += notional
        sums.fee_reserve_units += fee_reserve_units(notional, order.maker_fee_ppm, order.taker_fee_ppm, order.post_only)

    def add_amendments(self, account_id: int, market_id: int, set_aside: OpenSums) -> None:
        """Count what an account's amendments under way set aside beside their orders."""
        if set_aside == OpenSums():
            return
        sums = self.sums.setdefault((account_id, market_id), OpenSums())
        for name, value in vars(set_aside).items():
            setattr(sums, name, getattr(sums, name) + value)

    def compare(self, account_id: int, market_id: int, stored: OpenSums) -> str | None:
        """What differs between a stored row and the orders; None when nothing does. Each row is compared once."""
        made = self.sums.pop((account_id, market_id), OpenSums())
        for name, value in vars(made).items():
            if value != getattr(stored, name):
                return (
                    f"account {account_id}, market {market_id}: {name} is {getattr(stored, name)}, "
                    f"its open orders make {value}"
                )
        return None

    def left_over(self) -> str | None:
        """The first account whose open orders no row counted; None when there is none."""
        for account_id, market_id in sorted(self.sums):
            return f"account {account_id}, market {market_id}: open orders, and no row that sums them"
        return None


def look_at_live_order(order: LiveOrder, markets: Mapping[int, Market], holds: Tally, open_orders: OpenOrders) -> None:
    """Compare a live order's hold with its needs, and count it where it is a perpetual's."""
    market = markets.get(order.market_id)
    holds.count()
    if market is None:
        holds.differs(f"order {order.order_id} is in market {order.market_id}, which there is not")
        return
    holds.differs(hold_difference(order, market.instrument))
    if market.instrument.kind is InstrumentKind.PERPETUAL:
        open_orders.add(order, market.instrument)
