"""The checks of the reference engine: why a command is refused (sections 2 and 4 of docs/matching.md)."""

from collections.abc import Iterator
from typing import Final

from crossbook.domain.commands import (
    OPERATOR,
    AmendOrder,
    CancelOrder,
    ForceTrade,
    ReduceOrder,
    SettlePositions,
    SubmitOrder,
)
from crossbook.domain.errors import Reason
from crossbook.domain.orders import (
    LIMIT_TYPES,
    MAX_BASIS_POINTS,
    MAX_BUDGET,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_SIDE_LOTS,
    TRIGGERED_TYPES,
    MarketState,
    OrderType,
    Side,
    TimeInForce,
)
from crossbook.matching.reference_market import Account, Market, Order
from crossbook.matching.reference_prices import outside_band

Checks = Iterator[tuple[bool, Reason]]
"""Checks in the order in which they are made: whether one fails, and the reason that it then gives."""

STAYING: Final = (TimeInForce.GTC, TimeInForce.GTD, TimeInForce.DAY)
CLOSED_STATES: Final = {
    MarketState.PAUSED: Reason.MARKET_PAUSED,
    MarketState.SETTLEMENT_ONLY: Reason.MARKET_SETTLEMENT_ONLY,
    MarketState.CANCEL_ONLY: Reason.MARKET_CANCEL_ONLY,
}


def refusal_of_entry(market: Market, command: SubmitOrder) -> Reason:
    """Why an order may not enter, NONE when it may."""
    return _first_failure(_entry(market, command))


def refusal_of_cancel(market: Market, command: CancelOrder) -> Reason:
    """Why a cancel is refused, NONE when it is not."""
    return _first_failure(_owner(market, command))


def refusal_of_reduce(market: Market, command: ReduceOrder) -> Reason:
    """Why a reduction is refused, NONE when it is not."""
    return _first_failure(_reduce(market, command))


def refusal_of_amend(market: Market, command: AmendOrder) -> Reason:
    """Why an amendment is refused before its effect is looked at, NONE when it is not."""
    return _first_failure(_amend(market, command))


def refusal_of_force_trade(command: ForceTrade, reducible_lots: int) -> Reason:
    """Why a forced trade is refused, NONE when it is not; `reducible_lots` is what would reduce both positions."""
    checks = (
        (not 0 < command.price_ticks <= MAX_PRICE_TICKS, Reason.INVALID_PRICE),
        (not 0 < command.quantity_lots <= MAX_QUANTITY_LOTS, Reason.INVALID_QUANTITY),
        (reducible_lots <= 0, Reason.NOTHING_TO_REDUCE),
    )
    return _first_failure(iter(checks))


def refusal_of_settlement(market: Market, command: SettlePositions) -> Reason:
    """Why the final settlement of all positions is refused, NONE when it is not."""
    checks = (
        (not 0 < command.price_ticks <= MAX_PRICE_TICKS, Reason.INVALID_PRICE),
        (market.state is not MarketState.SETTLEMENT_ONLY, Reason.MARKET_NOT_SETTLING),
    )
    return _first_failure(iter(checks))


def refusal_of_change(market: Market, order: Order, price_ticks: int, open_lots: int) -> Reason:
    """Why `order` may not change to a price and an open quantity, NONE when it may."""
    return _first_failure(_change(market, order, price_ticks, open_lots))


def _first_failure(checks: Checks) -> Reason:
    return next((reason for fails, reason in checks if fails), Reason.NONE)


def _entry(market: Market, command: SubmitOrder) -> Checks:
    limit = command.type is OrderType.LIMIT
    yield command.order_id in market.orders, Reason.DUPLICATE_ORDER_ID
    yield from _quantity_and_price(command)
    yield from _time_in_force(market, command)
    yield from _display(market, command)
    yield from _trigger(market, command)
    yield command.oco_order_id != 0 and not _may_pair(market, command), Reason.INVALID_OCO
    yield from _state(market, command)
    yield limit and outside_band(market, command.price_ticks), Reason.PRICE_OUTSIDE_BAND
    yield from _account(market, command)
    takes = limit and market.crosses(command.side, command.price_ticks)
    yield command.post_only and takes and market.is_continuous, Reason.POST_ONLY_WOULD_TAKE


def _quantity_and_price(command: SubmitOrder) -> Checks:
    if command.budget:
        by_amount = command.type is OrderType.MARKET and 1 <= command.budget <= MAX_BUDGET
        yield not by_amount, Reason.INVALID_BUDGET
        yield command.quantity_lots != 0, Reason.INVALID_QUANTITY
    else:
        yield not 1 <= command.quantity_lots <= MAX_QUANTITY_LOTS, Reason.INVALID_QUANTITY
    yield command.type in LIMIT_TYPES and command.price_ticks == 0, Reason.LIMIT_ORDER_MISSING_PRICE
    yield not 0 <= command.price_ticks <= MAX_PRICE_TICKS, Reason.INVALID_PRICE


def _time_in_force(market: Market, command: SubmitOrder) -> Checks:
    stays = command.time_in_force in STAYING
    if command.type is OrderType.MARKET:
        kills_amount = command.budget != 0 and command.time_in_force is TimeInForce.FOK
        yield stays or kills_amount, Reason.INVALID_TIME_IN_FORCE
    if command.time_in_force is TimeInForce.GTD:
        yield command.expire_time_ms <= market.now_ms, Reason.INVALID_EXPIRY
    else:
        yield command.expire_time_ms != 0, Reason.INVALID_EXPIRY
    yield command.post_only and command.type not in LIMIT_TYPES, Reason.POST_ONLY_REQUIRES_LIMIT_ORDER
    yield command.post_only and not stays, Reason.POST_ONLY_REQUIRES_GTC


def _display(market: Market, command: SubmitOrder) -> Checks:
    display_lots = command.display_quantity_lots
    if display_lots:
        can_hide = command.type in LIMIT_TYPES and command.time_in_force in STAYING
        yield not (can_hide and 1 <= display_lots <= command.quantity_lots), Reason.INVALID_DISPLAY_QUANTITY
        yield _too_many_parts(market, command.quantity_lots, display_lots), Reason.TOO_MANY_ICEBERG_PARTS


def _trigger(market: Market, command: SubmitOrder) -> Checks:
    trigger_ticks, trail = command.trigger_price_ticks, command.trail
    trailing = command.type is OrderType.TRAILING_STOP
    if trailing:
        longest = MAX_BASIS_POINTS - 1 if command.trail_in_basis_points else MAX_PRICE_TICKS
        sound = trigger_ticks == 0 and 1 <= trail <= longest
    elif command.type in TRIGGERED_TYPES:
        sound = trail == 0 and 1 <= trigger_ticks <= MAX_PRICE_TICKS
    else:
        sound = trail == 0 and trigger_ticks == 0
    yield not sound, Reason.INVALID_TRIGGER
    yield trailing and market.prices_ticks[command.trigger_source] == 0, Reason.NO_TRIGGER_PRICE


def _may_pair(market: Market, command: SubmitOrder) -> bool:
    first = market.orders.get(command.oco_order_id)
    if command.time_in_force not in STAYING or command.type is OrderType.MARKET or first is None:
        return False
    own = first.account.account_id == command.account_id and first.side is command.side
    return own and first.sibling is None and first.executed_lots == 0


def _state(market: Market, command: SubmitOrder) -> Checks:
    if market.state in CLOSED_STATES:
        yield True, CLOSED_STATES[market.state]
    if market.state is MarketState.AUCTION:
        yield not _may_stay(command), Reason.MARKET_IN_AUCTION
    if market.state is MarketState.POST_ONLY:
        yield not (command.type is OrderType.LIMIT and command.post_only), Reason.MARKET_POST_ONLY


def _account(market: Market, command: SubmitOrder) -> Checks:
    account = market.accounts.get(command.account_id, Account(command.account_id))
    position_lots, most, stays = account.position_lots, market.limits.max_open_orders, _may_stay(command)
    reduces = position_lots < 0 if command.side is Side.BUY else position_lots > 0
    yield command.reduce_only and not reduces, Reason.REDUCE_ONLY_WOULD_INCREASE
    yield stays and 0 < most <= len(account.orders), Reason.OPEN_ORDER_LIMIT
    full = sum(map(len, market.trailing.values())) >= market.limits.max_trailing_orders
    yield command.type is OrderType.TRAILING_STOP and full, Reason.TRAILING_ORDER_LIMIT
    yield abs(position_lots) > MAX_POSITION_LOTS, Reason.POSITION_LIMIT
    total_lots = market.side_lots(command.side) + command.quantity_lots
    yield stays and total_lots > MAX_SIDE_LOTS, Reason.BOOK_FULL


def _may_stay(command: SubmitOrder) -> bool:
    resting = command.type is OrderType.LIMIT and command.time_in_force in STAYING
    return resting or command.type in TRIGGERED_TYPES


def _too_many_parts(market: Market, quantity_lots: int, display_lots: int) -> bool:
    return -(-quantity_lots // display_lots) > market.limits.max_iceberg_parts


def _owner(market: Market, command: CancelOrder | ReduceOrder | AmendOrder) -> Checks:
    yield command.order_id not in market.orders, Reason.ORDER_NOT_FOUND
    owner_id = market.orders[command.order_id].account.account_id
    yield command.account_id not in (OPERATOR, owner_id), Reason.USER_MISMATCH


def _reduce(market: Market, command: ReduceOrder) -> Checks:
    yield from _owner(market, command)
    yield not 1 <= command.quantity_lots <= MAX_QUANTITY_LOTS, Reason.INVALID_QUANTITY


def _amend(market: Market, command: AmendOrder) -> Checks:
    yield from _owner(market, command)
    yield not 0 <= command.quantity_lots <= MAX_QUANTITY_LOTS, Reason.INVALID_QUANTITY
    yield not 0 <= command.price_ticks <= MAX_PRICE_TICKS, Reason.INVALID_PRICE
    if command.trigger_price_ticks:
        order = market.orders[command.order_id]
        has_trigger = order.waiting and order.type is not OrderType.TRAILING_STOP
        sound = has_trigger and 1 <= command.trigger_price_ticks <= MAX_PRICE_TICKS
        yield not sound, Reason.INVALID_TRIGGER
    if market.state in CLOSED_STATES:
        yield True, CLOSED_STATES[market.state]


def _change(market: Market, order: Order, price_ticks: int, open_lots: int) -> Checks:
    added_lots = open_lots - order.open_lots
    if added_lots > 0:
        iceberg = order.display_lots != 0
        yield iceberg and _too_many_parts(market, open_lots, order.display_lots), Reason.TOO_MANY_ICEBERG_PARTS
        yield abs(order.account.position_lots) > MAX_POSITION_LOTS, Reason.POSITION_LIMIT
        yield market.side_lots(order.side) + added_lots > MAX_SIDE_LOTS, Reason.BOOK_FULL
    if order.resting and not order.keeps_place(price_ticks, open_lots):
        moved = price_ticks != order.price_ticks
        yield moved and outside_band(market, price_ticks), Reason.PRICE_OUTSIDE_BAND
        takes = market.crosses(order.side, price_ticks)
        yield takes and order.post_only and market.is_continuous, Reason.POST_ONLY_WOULD_TAKE
        yield takes and market.state is MarketState.POST_ONLY, Reason.MARKET_POST_ONLY
