"""What can be said against an order without looking at the account or the book.

The engine checks the same rules again, for it trusts nobody; here they are found before anything is
stored, and the answer names the field, the rule and the nearest valid value.
"""

from crossbook.application.errors import InvalidOrder
from crossbook.application.requests import NewOrder
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import (
    LIMIT_TYPES,
    MAX_BUDGET,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    TRIGGERED_TYPES,
    OrderType,
    TimeInForce,
)

PASSING = (TimeInForce.IOC, TimeInForce.FOK)


def check(order: NewOrder, instrument: Instrument, now_ms: int) -> None:
    """Raise InvalidOrder for the first field that breaks a rule of the instrument or of the engine's entry."""
    _require(instrument.kind is not InstrumentKind.SWAP_PAIR, "marketId", "has no order book")
    _check_size(order, instrument)
    _check_price(order, instrument)
    _check_time_in_force(order, now_ms)
    _check_post_only(order)
    _check_display(order)
    _check_trigger(order)
    if instrument.kind is InstrumentKind.PERPETUAL:
        _instrument_rule(lambda: instrument.check_leverage(order.leverage))
        _require(order.budget == 0, "budget", "is for spot markets; a perpetual needs a quantity")
    else:
        _require(order.leverage == 1, "leverage", "is for perpetuals only", "1")
        _require(not order.reduce_only, "reduceOnly", "is for perpetuals only", "false")


def _require(holds: bool, field: str, rule: str, nearest: str | None = None) -> None:
    if not holds:
        raise InvalidOrder(field, rule, nearest)


def _instrument_rule(rule: object) -> None:
    """Run a check of the domain and let its refusal speak as ours."""
    try:
        rule()  # type: ignore[operator]
    except InvalidValue as error:
        raise InvalidOrder(error.field, error.rule, error.nearest) from error


def _check_size(order: NewOrder, instrument: Instrument) -> None:
    if order.budget:
        _require(order.type is OrderType.MARKET, "budget", "is for MARKET orders only")
        _require(0 < order.budget <= MAX_BUDGET, "budget", "is out of range")
        _require(order.quantity_lots == 0, "quantity", "must be absent when an amount is given")
        return
    least = instrument.min_quantity_lots
    nearest = instrument.quantity_text(min(max(order.quantity_lots, least), MAX_QUANTITY_LOTS))
    rule = f"must be from {instrument.quantity_text(least)} to {instrument.quantity_text(MAX_QUANTITY_LOTS)}"
    _require(least <= order.quantity_lots <= MAX_QUANTITY_LOTS, "quantity", rule, nearest)


def _check_price(order: NewOrder, instrument: Instrument) -> None:
    if order.type in LIMIT_TYPES:
        _require(order.price_ticks != 0, "price", f"is needed for a {order.type.name} order")
    in_range = 0 <= order.price_ticks <= MAX_PRICE_TICKS
    _require(
        in_range, "price", "is out of range", instrument.price_text(min(max(order.price_ticks, 1), MAX_PRICE_TICKS))
    )
    if order.price_ticks and not order.budget and not order.reduce_only:
        _instrument_rule(lambda: instrument.check_order_size(order.price_ticks, order.quantity_lots))


def _check_time_in_force(order: NewOrder, now_ms: int) -> None:
    tif = order.time_in_force
    if order.type is OrderType.MARKET:
        _require(tif in PASSING, "timeInForce", "must be IOC or FOK for a MARKET order", "IOC")
        _require(not order.budget or tif is TimeInForce.IOC, "timeInForce", "must be IOC for an amount", "IOC")
    if tif is TimeInForce.GTD:
        _require(order.expire_time_ms > now_ms, "expireTime", "must lie in the future")
    else:
        _require(order.expire_time_ms == 0, "expireTime", "is for GTD orders only")


def _check_post_only(order: NewOrder) -> None:
    if order.post_only:
        _require(order.type in LIMIT_TYPES, "postOnly", "is for limit orders only", "false")
        _require(order.time_in_force not in PASSING, "postOnly", "needs GTC, GTD or DAY", "false")


def _check_display(order: NewOrder) -> None:
    if order.display_quantity_lots:
        shows = order.type in LIMIT_TYPES and order.time_in_force not in PASSING
        _require(shows, "displayQuantity", "is for limit orders that rest")
        in_range = 0 < order.display_quantity_lots <= order.quantity_lots
        _require(in_range, "displayQuantity", "must be from one lot to the quantity")


def _check_trigger(order: NewOrder) -> None:
    if order.type is OrderType.TRAILING_STOP:
        _require(order.trigger_price_ticks == 0, "triggerPrice", "follows the market for a trailing stop")
        most = 9_999 if order.trail_in_basis_points else MAX_PRICE_TICKS
        _require(0 < order.trail <= most, "trail", "is out of range")
        return
    _require(order.trail == 0 and not order.trail_in_basis_points, "trail", "is for trailing stops only")
    if order.type in TRIGGERED_TYPES:
        _require(0 < order.trigger_price_ticks <= MAX_PRICE_TICKS, "triggerPrice", "is needed and out of range")
    else:
        _require(order.trigger_price_ticks == 0, "triggerPrice", "is for stop and take-profit orders only")
