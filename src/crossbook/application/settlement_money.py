"""The money side of settlement: what trades move, and what open orders no longer tie up.

A perpetual keeps one row per account: the position, and sums over the open orders. A spot market keeps a
hold on every order. Both give the same answers to the same four questions, so the life of an order
(`settlement`) need not know which market it is in.
"""

from dataclasses import replace
from typing import Final, Protocol

from crossbook.application.settlement_rows import AmendmentRow, MarketTerms, OrderRow, PositionRow
from crossbook.domain import holds, ledger
from crossbook.domain.accounts import clearing_account
from crossbook.domain.errors import CrossbookError
from crossbook.domain.fees import fee_reserve_units, fee_units
from crossbook.domain.holds import SpotHold
from crossbook.domain.instruments import FeeAsset, InstrumentKind
from crossbook.domain.ledger import Journal, TradeSide
from crossbook.domain.orders import Side

BUY: Final = int(Side.BUY)
SIDES: Final[tuple[Side, ...]] = (Side.BUY, *Side)
"""Sides by number; the entry at 0 only fills the place of a number that never occurs."""


class MissingPosition(CrossbookError):
    """An order of a perpetual whose account has no row of positions: accepting the order should have made it."""


class Money(Protocol):
    """What the life of an order asks of its market's money. Errors of the domain mean a damaged row."""

    held: dict[tuple[int, int], int]
    """By account and asset: more held, or less. Changed by everything below."""

    def trade(
        self, maker: OrderRow, taker: OrderRow, price_ticks: int, quantity_lots: int, maker_ppm: int, taker_ppm: int
    ) -> tuple[Journal, TradeSide, TradeSide]:
        """Settle a trade: the journal, and fee and PnL of the maker and of the taker. Less is open of both."""

    def reduce(self, order: OrderRow, quantity_lots: int, price_ticks: int) -> None:
        """`quantity_lots` are no longer open and have not traded. The price counts for an order by amount."""

    def amend(self, order: OrderRow, open_lots: int, price_ticks: int) -> None:
        """The order has another open quantity, or another price."""

    def end(self, order: OrderRow) -> None:
        """The order has ended: nothing of it is open, and nothing held."""

    def release(self, amendment: AmendmentRow) -> None:
        """An amendment is no longer under way: what it set aside beside its order is free."""


def _take_off(order: OrderRow, quantity_lots: int, price_ticks: int) -> None:
    """So much less of the order may still trade."""
    if order.budget:
        order.budget_left -= price_ticks * quantity_lots
    else:
        order.open_lots -= quantity_lots


class PerpetualMoney:
    """Positions, realised PnL against the clearing account, and the sums over open orders (3.2).

    The sums change by differences of what each order counts for, so that whole in is whole out. An order
    counts with its open lots at its own price; a reduce-only order, and one by amount, counts for nothing.
    """

    def __init__(self, terms: MarketTerms, rows: dict[int, PositionRow]) -> None:
        self.held: dict[tuple[int, int], int] = {}
        self._rows = rows
        self._instrument = terms.instrument
        self._unit = terms.instrument.units_per_tick_lot
        self._quote = terms.instrument.quote.name
        self._clearing = clearing_account(terms.market_id)

    def trade(
        self, maker: OrderRow, taker: OrderRow, price_ticks: int, quantity_lots: int, maker_ppm: int, taker_ppm: int
    ) -> tuple[Journal, TradeSide, TradeSide]:
        notional_units = price_ticks * quantity_lots * self._unit
        # The engine's order: the maker's position first, then the taker's.
        of_maker = self._fill(maker, price_ticks, quantity_lots, fee_units(notional_units, maker_ppm))
        of_taker = self._fill(taker, price_ticks, quantity_lots, fee_units(notional_units, taker_ppm))
        return ledger.perpetual_trade(self._clearing, self._quote, (of_maker, of_taker)), of_maker, of_taker

    def reduce(self, order: OrderRow, quantity_lots: int, price_ticks: int) -> None:
        open_lots = order.open_lots
        _take_off(order, quantity_lots, price_ticks)
        self._recount(order, open_lots, order.price_ticks)

    def amend(self, order: OrderRow, open_lots: int, price_ticks: int) -> None:
        before_lots, before_ticks = order.open_lots, order.price_ticks
        order.open_lots, order.price_ticks = open_lots, price_ticks
        self._recount(order, before_lots, before_ticks)

    def end(self, order: OrderRow) -> None:
        open_lots = order.open_lots
        order.open_lots = order.budget_left = 0
        if open_lots:
            self._recount(order, open_lots, order.price_ticks)

    def release(self, amendment: AmendmentRow) -> None:
        row = self._row(amendment.account_id)
        if amendment.side == BUY:
            row.buy_lots -= amendment.lots
            row.buy_notional_units -= amendment.notional_units
        else:
            row.sell_lots -= amendment.lots
            row.sell_notional_units -= amendment.notional_units
        row.fee_reserve_units -= amendment.fee_reserve_units

    def _fill(self, order: OrderRow, price_ticks: int, quantity_lots: int, fee: int) -> TradeSide:
        row = self._row(order.account_id)
        realised = row.fill(self._instrument, SIDES[order.side], quantity_lots, price_ticks)
        self.reduce(order, quantity_lots, price_ticks)
        return TradeSide(order.account_id, self._quote, fee, realised)

    def _recount(self, order: OrderRow, before_lots: int, before_ticks: int) -> None:
        """Bring the sums from what the order counted for to what it counts for now."""
        if order.reduce_only:
            return
        before = before_lots * before_ticks * self._unit
        after = order.open_lots * order.price_ticks * self._unit
        row = self._row(order.account_id)
        if order.side == BUY:
            row.buy_lots += order.open_lots - before_lots
            row.buy_notional_units += after - before
        else:
            row.sell_lots += order.open_lots - before_lots
            row.sell_notional_units += after - before
        row.fee_reserve_units += self._reserve(order, after) - self._reserve(order, before)

    def _row(self, account_id: int) -> PositionRow:
        row = self._rows.get(account_id)
        if row is None:
            raise MissingPosition(f"account {account_id} has no row of positions")
        return row

    def _reserve(self, order: OrderRow, notional_units: int) -> int:
        return fee_reserve_units(notional_units, order.maker_fee_ppm, order.taker_fee_ppm, order.post_only)


class SpotMoney:
    """Base against quote, and the hold that every order carries (3.13)."""

    def __init__(self, terms: MarketTerms) -> None:
        self.held: dict[tuple[int, int], int] = {}
        self._instrument = terms.instrument
        self._base_asset_id = terms.base_asset_id
        self._quote_asset_id = terms.quote_asset_id
        self._holds_fees = terms.instrument.fee_asset is not FeeAsset.RECEIVED
        self._holds: dict[int, SpotHold] = {}

    def trade(
        self, maker: OrderRow, taker: OrderRow, price_ticks: int, quantity_lots: int, maker_ppm: int, taker_ppm: int
    ) -> tuple[Journal, TradeSide, TradeSide]:
        of_maker = self._fill(maker, price_ticks, quantity_lots, maker_ppm)
        of_taker = self._fill(taker, price_ticks, quantity_lots, taker_ppm)
        buyer, seller = (of_taker, of_maker) if maker.side != BUY else (of_maker, of_taker)
        instrument = self._instrument
        journal = ledger.spot_trade(
            buyer,
            seller,
            instrument.base.name,
            quantity_lots * instrument.base_units_per_lot,
            instrument.quote.name,
            instrument.notional_units(price_ticks, quantity_lots),
        )
        return journal, of_maker, of_taker

    def reduce(self, order: OrderRow, quantity_lots: int, price_ticks: int) -> None:
        hold = self._hold(order)
        hold, _ = hold.without(price_ticks * quantity_lots if hold.is_by_amount else quantity_lots)
        _take_off(order, quantity_lots, price_ticks)
        self._keep(order, hold)

    def amend(self, order: OrderRow, open_lots: int, price_ticks: int) -> None:
        """What the order needs more was held in advance beside it, and is released with the amendment."""
        before = self._hold(order)
        order.open_lots, order.price_ticks = open_lots, price_ticks
        after = replace(before, open_items=open_lots, units_per_item=self._units_per_item(order))
        added = after.needed_units - before.needed_units
        self._keep(order, replace(after, held_units=before.held_units + added))

    def end(self, order: OrderRow) -> None:
        hold, _ = self._hold(order).end()
        order.open_lots = order.budget_left = 0
        self._keep(order, hold)

    def release(self, amendment: AmendmentRow) -> None:
        key = (amendment.account_id, self._quote_asset_id if amendment.side == BUY else self._base_asset_id)
        self.held[key] = self.held.get(key, 0) - amendment.held_units

    def _fill(self, order: OrderRow, price_ticks: int, quantity_lots: int, fee_ppm: int) -> TradeSide:
        hold, outcome = holds.apply_fill(self._hold(order), self._instrument, price_ticks, quantity_lots, fee_ppm)
        _take_off(order, quantity_lots, price_ticks)
        self._keep(order, hold)
        return TradeSide(order.account_id, outcome.fee_asset, outcome.fee_units)

    def _hold(self, order: OrderRow) -> SpotHold:
        hold = self._holds.get(order.order_id)
        if hold is None:
            hold = self._sell_hold(order) if order.side != BUY else self._buy_hold(order)
        return hold

    def _buy_hold(self, order: OrderRow) -> SpotHold:
        is_by_amount = order.budget > 0
        items = order.budget_left if is_by_amount else order.open_lots
        asset, unit = self._instrument.quote.name, self._units_per_item(order)
        fee_ppm = order.taker_fee_ppm if self._holds_fees else 0
        return SpotHold(Side.BUY, asset, order.held_units, items, unit, fee_ppm, is_by_amount)

    def _sell_hold(self, order: OrderRow) -> SpotHold:
        """By amount, too, a sell holds lots: those that it may come to sell."""
        asset, unit = self._instrument.base.name, self._instrument.base_units_per_lot
        items = order.held_units // unit if order.budget else order.open_lots
        return SpotHold(Side.SELL, asset, order.held_units, items, unit, 0)

    def _units_per_item(self, order: OrderRow) -> int:
        if order.side != BUY:
            return self._instrument.base_units_per_lot
        return self._instrument.units_per_tick_lot * (1 if order.budget else order.price_ticks)

    def _keep(self, order: OrderRow, hold: SpotHold) -> None:
        """Remember the hold on the order, and free the difference on the account."""
        self._holds[order.order_id] = hold
        key = (order.account_id, self._quote_asset_id if order.side == BUY else self._base_asset_id)
        self.held[key] = self.held.get(key, 0) + hold.held_units - order.held_units
        order.held_units = hold.held_units


def money_of(terms: MarketTerms, rows: dict[int, PositionRow]) -> Money:
    """The money side of a market. Raises ValueError for a market without an order book."""
    if terms.instrument.kind is InstrumentKind.PERPETUAL:
        return PerpetualMoney(terms, rows)
    if terms.instrument.kind is InstrumentKind.SPOT:
        return SpotMoney(terms)
    raise ValueError(f"{terms.instrument.symbol} has no order book to settle")
