"""What an order would do if it were entered now and traded in full at its limit: nothing is locked, nothing kept."""

from dataclasses import dataclass
from fractions import Fraction

from msgspec.structs import replace

from crossbook.application.books import Balance, Books, FeeRates, PositionRow
from crossbook.application.errors import InLiquidation
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.portfolio import position_row
from crossbook.application.requests import NewOrder
from crossbook.application.reserves import Reserves
from crossbook.application.risk_rows import UNKNOWN_MARK_TICKS, risk_of
from crossbook.application.views import Holdings
from crossbook.domain.fees import fee_units
from crossbook.domain.isolated import margin_after_fill
from crossbook.domain.margin import InsufficientMargin, MarginRow
from crossbook.domain.positions import Position, apply_fill
from crossbook.domain.risk import AccountRisk, MarginMode


@dataclass(frozen=True)
class Preview:
    """What the order would hold, cost and change. Quote units; prices in ticks, exact.

    `held_units` is by how much less is available while the order is open; None when it would be refused, and then
    `refusal` says why. Without a limit, the order is taken to trade at its trigger, or at the mark. `fee_units` is
    the fee at the rate it reserves for. `position` is the one after the whole order traded, and the prices are that
    position's.
    """

    order: NewOrder
    notional_units: int
    held_units: int | None
    fee_units: int
    available_units: int
    refusal: InsufficientMargin | InLiquidation | None
    position: Position
    margin_units: int
    maintenance_units: int
    liquidation_ticks: Fraction | None
    bankruptcy_ticks: Fraction | None


def preview(order: NewOrder, market: Market, holdings: Holdings, markets: Markets, marks: Marks) -> Preview:
    """Weigh an order of a perpetual, validated already, against the holdings of its account.

    Raises InvalidOrder as entering it would.
    """
    books = _books(order.account_id, holdings, market, markets)
    reserves = Reserves(books, markets, marks)
    order = replace(order, leverage=reserves.leverage_of(order, market))
    instrument = market.instrument
    traded_at = order.price_ticks or order.trigger_price_ticks or marks.mark_ticks(market.number) or UNKNOWN_MARK_TICKS
    rates = FeeRates(instrument.maker_fee_ppm, instrument.taker_fee_ppm)
    before = _risk(books, order, market, markets, marks)
    key = (order.account_id, market.number)
    row = books.positions.get(key) or PositionRow(MarginRow(order.leverage))
    held, refusal = None, None
    try:
        reserves.for_order(order, rates, market)
        held = before.available_units - _risk(books, order, market, markets, marks).available_units
    except (InsufficientMargin, InLiquidation) as error:
        refusal = error
    notional = instrument.notional_units(traded_at, order.quantity_lots)
    fee = fee_units(notional, rates.maker_ppm if order.post_only else rates.taker_ppm)
    filled = replace(order, price_ticks=traded_at)
    after, position, isolated = _filled(books, filled, market, row, fee)
    risk = _risk(after, filled, market, markets, marks)
    scope = risk.scope_of(market.number)
    one = scope.in_market(market.number)
    held_now = position.quantity_lots != 0
    bankruptcy = scope.bankruptcy_ticks(market.number) if held_now else None
    return Preview(
        filled,
        notional,
        held,
        fee,
        before.available_units,
        refusal,
        position,
        isolated if row.mode is MarginMode.ISOLATED else one.initial_units,
        one.maintenance_units,
        scope.liquidation_ticks(market.number) if held_now else None,
        bankruptcy if bankruptcy is not None and bankruptcy > 0 else None,
    )


def _filled(books: Books, order: NewOrder, market: Market, row: PositionRow, fee: int) -> tuple[Books, Position, int]:
    """The books after the whole order traded at its limit, the position then, and its isolated margin."""
    key = (order.account_id, market.number)
    lots = order.quantity_lots
    if order.reduce_only:
        lots = min(lots, abs(row.margin.position_lots))
    position, realised = Position(row.margin.position_lots, row.cost_units), 0
    before = position
    if lots:
        position, realised = apply_fill(
            position, order.side, lots, order.price_ticks, market.instrument.units_per_tick_lot
        )
    isolated = 0
    if row.mode is MarginMode.ISOLATED:
        isolated = margin_after_fill(
            market.instrument, order.leverage, row.isolated_units, before, position, order.price_ticks, False
        )
    has_risk = row.margin.position_lots or row.margin.buy_lots or row.margin.sell_lots
    leverage = min(row.margin.leverage, order.leverage) if has_risk else order.leverage
    margin = row.margin._replace(position_lots=position.quantity_lots, leverage=leverage)
    after = Books(balances=dict(books.balances), positions=dict(books.positions))
    after.positions[key] = replace(row, margin=margin, cost_units=position.cost_units, isolated_units=isolated)
    asset = (order.account_id, market.quote_asset_id)
    balance = after.balances.get(asset, Balance())
    after.balances[asset] = replace(balance, total_units=balance.total_units + realised - fee)
    return after, position, isolated


def _risk(books: Books, order: NewOrder, market: Market, markets: Markets, marks: Marks) -> AccountRisk:
    known = {market.number: order.price_ticks}
    return risk_of(books, order.account_id, market.quote_asset_id, markets, marks, known)


def _books(account_id: int, holdings: Holdings, market: Market, markets: Markets) -> Books:
    books = Books()
    for balance in holdings.balances:
        if balance.asset == market.instrument.quote.name:
            key = (account_id, market.quote_asset_id)
            books.balances[key] = Balance(balance.total_units, balance.held_units, balance.transfer_hold_units)
    for row in holdings.positions:
        if any(each.number == row.market_id for each in markets):
            books.positions[account_id, row.market_id] = position_row(row)
    return books
