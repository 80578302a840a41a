"""What can be said against an order without looking at the account or the book.

The engine checks the same rules again, for it trusts nobody; here they are found before anything is
stored, and the answer names the field, the rule and the nearest valid value.
"""

from crossbook.application.books import AmendableOrder
from crossbook.application.errors import InvalidOrder
from crossbook.application.requests import AmendRequest, NewOrder
from crossbook.domain.amendments import Terms
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
        if order.leverage:  # 0 is what the account chose
            _instrument_rule(lambda: instrument.check_leverage(order.leverage))
        _require(order.budget == 0, "budget", "is for spot markets; a perpetual needs a quantity")
    else:
        _require(order.leverage == 1, "leverage", "is for perpetuals only", "1")
        _require(not order.reduce_only, "reduceOnly", "is for perpetuals only", "false")


def check_amendment(request: AmendRequest, order: AmendableOrder, instrument: Instrument) -> None:
    """Raise InvalidOrder for the first field of an amendment that breaks a rule, given the order as it is settled.

    A total at or below what has traded is none: it ends the order.
    """
    asked = Terms(request.quantity_lots, request.price_ticks)
    given = request.changes_terms or request.external_id is not None
    _require(given, "quantity", "or a price or a trigger price must be given")
    _require(order.type is not OrderType.MARKET, "orderId", "names a MARKET order, which never rests")
    if asked.total_lots:
        _check_quantity(asked.total_lots, instrument)
    _check_price_range(asked.price_ticks, instrument)
    after = order.terms.amended_by(asked)
    if request.changes_terms and after.price_ticks and not order.reduce_only:
        _instrument_rule(lambda: instrument.check_order_size(after.price_ticks, after.total_lots))
    if request.trigger_price_ticks:
        follows = order.type is OrderType.TRAILING_STOP
        _require(not follows, "triggerPrice", "follows the market for a trailing stop")
        _require(order.type in TRIGGERED_TYPES, "triggerPrice", "is for stop and take-profit orders only")
        _require(0 < request.trigger_price_ticks <= MAX_PRICE_TICKS, "triggerPrice", "is out of range")


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
    _check_quantity(order.quantity_lots, instrument)


def _check_quantity(quantity_lots: int, instrument: Instrument) -> None:
    least = instrument.min_quantity_lots
    nearest = instrument.quantity_text(min(max(quantity_lots, least), MAX_QUANTITY_LOTS))
    rule = f"must be from {instrument.quantity_text(least)} to {instrument.quantity_text(MAX_QUANTITY_LOTS)}"
    _require(least <= quantity_lots <= MAX_QUANTITY_LOTS, "quantity", rule, nearest)


def _check_price(order: NewOrder, instrument: Instrument) -> None:
    if order.type in LIMIT_TYPES:
        _require(order.price_ticks != 0, "price", f"is needed for a {order.type.name} order")
    _check_price_range(order.price_ticks, instrument)
    if order.price_ticks and not order.budget and not order.reduce_only:
        _instrument_rule(lambda: instrument.check_order_size(order.price_ticks, order.quantity_lots))


def _check_price_range(price_ticks: int, instrument: Instrument) -> None:
    nearest = instrument.price_text(min(max(price_ticks, 1), MAX_PRICE_TICKS))
    _require(0 <= price_ticks <= MAX_PRICE_TICKS, "price", "is out of range", nearest)


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
