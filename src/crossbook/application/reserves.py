"""What orders and amendments tie up: margin of a perpetual's row (3.2), or a hold on a spot balance (3.13).

Every method either sets aside, in the batch's books, what its order or amendment may cost, or refuses and
leaves them as they were.
"""

from msgspec.structs import replace

from crossbook.application.books import AmendableOrder, Balance, Books, FeeRates, PositionRow, Reserve
from crossbook.application.errors import InLiquidation, InsufficientFunds, InvalidOrder
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.requests import NewOrder
from crossbook.application.risk_rows import risk_of, rows_of
from crossbook.domain.amendments import Terms, growth, possible_terms
from crossbook.domain.fees import fee_reserve_units
from crossbook.domain.holds import SpotHold, held_for_growth, hold_for_amount, hold_for_buy, hold_for_sell
from crossbook.domain.instruments import Asset, Instrument, InstrumentKind
from crossbook.domain.margin import (
    MarginRow,
    MarginState,
    check_new_order,
    open_loss_units,
    position_margin_units,
    require_margin,
)
from crossbook.domain.orders import Side
from crossbook.domain.risk import MarginMode, only_reduces

NOTHING = Reserve()


class Reserves:
    """The risk side of admission, on the books of one batch."""

    def __init__(self, books: Books, markets: Markets, marks: Marks) -> None:
        self._books = books
        self._markets = markets
        self._marks = marks

    def for_order(self, order: NewOrder, rates: FeeRates, market: Market) -> int:
        """Set aside what a new order can cost; gives the units that it holds itself, 0 for a perpetual's.

        Raises InsufficientMargin, InsufficientFunds, InvalidOrder.
        """
        if market.instrument.kind is InstrumentKind.PERPETUAL:
            self._reserve_margin(order, rates, market)
            return 0
        hold = _spot_hold(order, rates, market.instrument)
        asset = market.instrument.quote if order.side is Side.BUY else market.instrument.base
        self._hold(order.account_id, order.side, market, asset, hold.held_units)
        return hold.held_units

    def for_amendment(self, order: AmendableOrder, asked: Terms, market: Market) -> Reserve:
        """Set aside what an amendment may need more than the order, whatever happens until it is settled.

        Raises InsufficientMargin, InsufficientFunds. One that asks for less needs nothing and is not checked.
        """
        if market.instrument.kind is not InstrumentKind.PERPETUAL:
            return self._hold_more(order, asked, market)
        return NOTHING if order.reduce_only else self._reserve_more(order, asked, market)

    # -- Perpetuals ----------------------------------------------------------------------------------
    def _reserve_margin(self, order: NewOrder, rates: FeeRates, market: Market) -> None:
        """Count the order in its account's row of the market, if the account's equity carries it (3.2)."""
        if order.price_ticks == 0 and not order.reduce_only:
            raise InvalidOrder("price", "is needed to know what the order can cost")
        if order.reduce_only:
            return
        key = (order.account_id, market.number)
        before = self._books.positions.get(key) or PositionRow(MarginRow(order.leverage))
        row = before.margin
        if row.leverage != order.leverage and not _has_risk(row):
            row = row._replace(leverage=order.leverage)
        instrument = market.instrument
        notional = instrument.notional_units(order.price_ticks, order.quantity_lots)
        reserve = fee_reserve_units(notional, rates.maker_ppm, rates.taker_ppm, order.post_only)
        after = row.with_order(order.side, order.quantity_lots, notional, reserve)
        # A lower leverage asked for with a later order holds for the whole row: it only raises the margin.
        if order.leverage < after.leverage:
            after = after._replace(leverage=order.leverage)
        mark = self._mark(market.number, order.price_ticks)
        loss = open_loss_units(instrument, order.side, order.price_ticks, order.quantity_lots, mark)
        self._require(order.account_id, market, order.side, row, after, mark, loss)
        self._books.positions[key] = replace(before, margin=after)
        self._books.touched_positions.add(key)

    def leverage_of(self, order: NewOrder, market: Market) -> int:
        """The leverage of an order: what it names, else what the account chose for the market, else the highest."""
        if order.leverage or market.instrument.kind is not InstrumentKind.PERPETUAL:
            return order.leverage or 1
        row = self._books.positions.get((order.account_id, market.number))
        return (row.chosen_leverage if row is not None else 0) or market.instrument.max_leverage

    def _reserve_more(self, order: AmendableOrder, asked: Terms, market: Market) -> Reserve:
        """Count an amendment's growth in the row, if the account's equity carries the amended order as a new one.

        A price that would trade at a loss is checked even when the order does not grow: it could give money away.
        """
        instrument, account_id = market.instrument, order.known.account_id
        more = growth(order.terms, order.under_way, asked, order.done_lots)
        notional = more.tick_lots * instrument.units_per_tick_lot
        reserve = fee_reserve_units(notional, order.rates.maker_ppm, order.rates.taker_ppm, order.post_only)
        mark = self._mark(market.number, order.terms.price_ticks)
        steps = [(terms, terms.amended_by(asked)) for terms in possible_terms(order.terms, order.under_way)]
        loss = max(_open_loss(order, after, instrument, mark) for _, after in steps)
        if more.is_nothing and loss <= min(_open_loss(order, before, instrument, mark) for before, _ in steps):
            return NOTHING
        key = (account_id, market.number)
        row = self._books.positions[key]
        after = row.margin.with_order(order.side, more.lots, notional, reserve)
        without = _without(order, row.margin, instrument)
        self._require(account_id, market, order.side, without, after, mark, loss)
        self._books.positions[key] = replace(row, margin=after)
        self._books.touched_positions.add(key)
        return Reserve(more.lots, notional, reserve)

    def _require(
        self,
        account_id: int,
        market: Market,
        side: Side,
        before: MarginRow,
        after: MarginRow,
        mark_ticks: int,
        open_loss: int,
    ) -> None:
        """Raise InsufficientMargin unless the account's equity carries the row `after`.

        Whoever is short of initial margin may only reduce (3.3). Raises InLiquidation for a scope that is being
        liquidated, unless the order can only reduce.
        """
        reduces = only_reduces(after, side)
        if not reduces and self._in_liquidation(account_id, market):
            raise InLiquidation(market.symbol)
        risk = risk_of(self._books, account_id, market.quote_asset_id, self._markets, self._marks)
        elsewhere = 0
        for each in risk.exposures:
            isolated = each.mode is MarginMode.ISOLATED
            if each.market_id != market.number:
                elsewhere += each.order_units + each.row.fee_reserve_units + (0 if isolated else each.initial_units)
            elif isolated:  # its position's margin is set apart already
                elsewhere -= position_margin_units(market.instrument, before, mark_ticks)
        equity = risk.cross.equity_units
        decision = check_new_order(market.instrument, before, after, mark_ticks, equity, elsewhere, open_loss)
        carried = decision.required_units <= decision.available_units
        if decision.accepted and not carried and not reduces:
            healthy = risk.scope_of(market.number).state is MarginState.HEALTHY
            decision = decision._replace(accepted=healthy)
        require_margin(decision)

    def _in_liquidation(self, account_id: int, market: Market) -> bool:
        """Whether the scope that the market belongs to is flagged: itself, or all cross positions of its asset."""
        own = self._books.positions.get((account_id, market.number))
        if own is not None and own.mode is MarginMode.ISOLATED:
            return own.in_liquidation
        rows = rows_of(self._books.positions, account_id, market.quote_asset_id, self._markets)
        return any(row.in_liquidation for _, row in rows if row.mode is MarginMode.CROSS)

    def _mark(self, market_id: int, otherwise_ticks: int) -> int:
        """The mark price; before there is one, the price that the order itself names."""
        return self._marks.mark_ticks(market_id) or otherwise_ticks

    # -- Spot ----------------------------------------------------------------------------------------
    def _hold_more(self, order: AmendableOrder, asked: Terms, market: Market) -> Reserve:
        instrument = market.instrument
        more = growth(order.terms, order.under_way, asked, order.done_lots)
        units = held_for_growth(instrument, order.side, more, order.rates.taker_ppm)
        if units == 0:
            return NOTHING
        asset = instrument.quote if order.side is Side.BUY else instrument.base
        self._hold(order.known.account_id, order.side, market, asset, units)
        return Reserve(held_units=units)

    def _hold(self, account_id: int, side: Side, market: Market, asset: Asset, units: int) -> None:
        """Hold units of a balance (3.13), of what no perpetual needs.

        Raises InsufficientFunds, and InLiquidation for what backs positions that are being liquidated.
        """
        asset_id = market.quote_asset_id if side is Side.BUY else market.base_asset_id
        balance = self._books.balances.get((account_id, asset_id), Balance())
        available = balance.free_units
        rows = rows_of(self._books.positions, account_id, asset_id, self._markets)
        if any(row.in_liquidation for _, row in rows):
            raise InLiquidation(market.symbol)
        if rows:
            # Margin and fee reserves stay, and unrealised profit buys nothing.
            risk = risk_of(self._books, account_id, asset_id, self._markets, self._marks)
            available = min(risk.cross.backing_units, risk.available_units)
        if units > available:
            raise InsufficientFunds(asset.name, units, available)
        self._books.balances[account_id, asset_id] = replace(balance, held_units=balance.held_units + units)
        self._books.touched_balances.add((account_id, asset_id))


def _has_risk(row: MarginRow) -> bool:
    """Whether anything in the row depends on its leverage."""
    return row.position_lots != 0 or row.buy_notional_units != 0 or row.sell_notional_units != 0


def _without(order: AmendableOrder, row: MarginRow, instrument: Instrument) -> MarginRow:
    """The row as if the order had never come."""
    notional = instrument.notional_units(order.terms.price_ticks, order.open_lots)
    reserve = fee_reserve_units(notional, order.rates.maker_ppm, order.rates.taker_ppm, order.post_only)
    return row.with_order(order.side, -order.open_lots, -notional, -reserve)


def _open_loss(order: AmendableOrder, terms: Terms, instrument: Instrument, mark_ticks: int) -> int:
    open_lots = max(0, terms.total_lots - order.done_lots)
    return open_loss_units(instrument, order.side, terms.price_ticks, open_lots, mark_ticks)


def _spot_hold(order: NewOrder, rates: FeeRates, instrument: Instrument) -> SpotHold:
    if order.side is Side.SELL:
        if order.budget:
            raise InvalidOrder("quantity", "is needed to sell")
        return hold_for_sell(instrument, order.quantity_lots)
    if order.budget:
        amount = order.budget * instrument.units_per_tick_lot
        held = amount + fee_reserve_units(amount, 0, rates.taker_ppm, post_only=False)
        return hold_for_amount(instrument, held, rates.taker_ppm)
    if order.price_ticks == 0:
        raise InvalidOrder("price", "is needed to know what the order can cost")
    return hold_for_buy(instrument, order.price_ticks, order.quantity_lots, rates.taker_ppm)
