"""What can be said against an order without looking at the account or the book: its own words, and the market's terms.

The rules are the domain's (`order_rules`, `instruments`); the engine checks the same again, for it trusts
nobody. Here they are found before anything is stored.
"""

from crossbook.application.books import AmendableOrder
from crossbook.application.errors import InvalidOrder
from crossbook.application.requests import AmendRequest, NewOrder
from crossbook.domain.amendments import Terms
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.money import InvalidValue
from crossbook.domain.order_rules import check_price_range, check_quantity, check_terms, check_trigger_price
from crossbook.domain.orders import OrderType


def check(order: NewOrder, instrument: Instrument, now_ms: int) -> None:
    """Raise InvalidOrder for the first field that breaks a rule of the engine's entry or of the instrument."""
    _require(instrument.kind is not InstrumentKind.SWAP_PAIR, "marketId", "has no order book")
    try:
        check_terms(order, now_ms, instrument, instrument.min_quantity_lots)
        if order.price_ticks and not order.budget and not order.reduce_only:
            instrument.check_order_size(order.price_ticks, order.quantity_lots)
        if instrument.kind is InstrumentKind.PERPETUAL and order.leverage:  # 0 is what the account chose
            instrument.check_leverage(order.leverage)
    except InvalidValue as error:
        raise _refusal(error) from error
    if instrument.kind is InstrumentKind.PERPETUAL:
        _require(order.budget == 0, "budget", "is for spot markets; a perpetual needs a quantity")
    else:
        _require(order.leverage == 1, "leverage", "is for perpetuals only", "1")
        _require(not order.reduce_only, "reduceOnly", "is for perpetuals only", "false")


def check_amendment(request: AmendRequest, order: AmendableOrder, instrument: Instrument) -> None:
    """Raise InvalidOrder for the first field of an amendment that breaks a rule, given the order as it is settled.

    A total at or below what has traded is none: it ends the order.
    """
    given = request.changes_terms or request.external_id is not None
    _require(given, "quantity", "or a price or a trigger price must be given")
    _require(order.type is not OrderType.MARKET, "orderId", "names a MARKET order, which never rests")
    asked = Terms(request.quantity_lots, request.price_ticks)
    after = order.terms.amended_by(asked)
    try:
        if asked.total_lots:
            check_quantity(asked.total_lots, instrument, instrument.min_quantity_lots)
        check_price_range(asked.price_ticks, instrument)
        if request.changes_terms and after.price_ticks and not order.reduce_only:
            instrument.check_order_size(after.price_ticks, after.total_lots)
        if request.trigger_price_ticks:
            check_trigger_price(order.type, request.trigger_price_ticks, instrument)
    except InvalidValue as error:
        raise _refusal(error) from error


def _require(holds: bool, field: str, rule: str, nearest: str | None = None) -> None:
    if not holds:
        raise InvalidOrder(field, rule, nearest)


def _refusal(error: InvalidValue) -> InvalidOrder:
    """A refusal of the domain as ours."""
    return InvalidOrder(error.field, error.rule, error.nearest)
