"""What can be said against an order from its own words, with the field, the rule and the nearest valid value.

These are the engine's checks of entry 1 to 10, in its order, as far as they need neither the book nor the
account. The door asks here before anything is stored; the engine checks again by itself, for it trusts
nobody, and a property test holds the two together. docs/matching.md, section 2.
"""

from typing import Final, Protocol

from crossbook.domain.errors import Reason
from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import (
    LIMIT_TYPES,
    MAX_BASIS_POINTS,
    MAX_BUDGET,
    MAX_ID,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_TIME_MS,
    TRIGGERED_TYPES,
    OrderType,
    TimeInForce,
)

PASSING: Final = (TimeInForce.IOC, TimeInForce.FOK)
"""Times in force of orders that never rest."""
MAX_ICEBERG_PARTS: Final = 100
"""How many parts an iceberg may have where the market's limits say nothing else."""


class InvalidTerms(InvalidValue):
    """An order whose own words break a rule; `reason` is what the engine would say."""

    def __init__(self, reason: Reason, field: str, rule: str, nearest: str | None = None) -> None:
        super().__init__(field, rule, nearest)
        self.reason = reason


class OrderTerms(Protocol):
    """The words of an order: a command that submits it has them, and so has a request. Ticks, lots, milliseconds."""

    @property
    def type(self) -> OrderType: ...
    @property
    def quantity_lots(self) -> int: ...
    @property
    def price_ticks(self) -> int: ...
    @property
    def time_in_force(self) -> TimeInForce: ...
    @property
    def post_only(self) -> bool: ...
    @property
    def trade_group(self) -> int: ...
    @property
    def expire_time_ms(self) -> int: ...
    @property
    def budget(self) -> int: ...
    @property
    def display_quantity_lots(self) -> int: ...
    @property
    def trigger_price_ticks(self) -> int: ...
    @property
    def trail(self) -> int: ...
    @property
    def trail_in_basis_points(self) -> bool: ...
    @property
    def oco_order_id(self) -> int: ...


class Texts(Protocol):
    """Says prices and quantities in the market's words. `crossbook.domain.instruments.Instrument` does."""

    def price_text(self, price_ticks: int) -> str:
        """A price as decimal text."""
        ...

    def quantity_text(self, quantity_lots: int) -> str:
        """A quantity as decimal text."""
        ...


def check_terms(order: OrderTerms, now_ms: int, texts: Texts, least_lots: int = 1) -> None:
    """Raise InvalidTerms for the first rule that the order breaks by itself.

    `now_ms` is the time that an expiry is compared with. `least_lots` is the market's least quantity.
    """
    _check_ranges(order)
    _check_size(order, texts, least_lots)
    _check_price(order, texts)
    _check_time_in_force(order)
    _check_expiry(order, now_ms)
    _check_post_only(order)
    _check_display(order, texts)
    _check_trigger(order, texts)
    _check_sibling(order)


def check_quantity(quantity_lots: int, texts: Texts, least_lots: int = 1) -> None:
    """Raise InvalidTerms unless the quantity lies between the market's least and the largest of all."""
    if not least_lots <= quantity_lots <= MAX_QUANTITY_LOTS:
        rule = f"must be from {texts.quantity_text(least_lots)} to {texts.quantity_text(MAX_QUANTITY_LOTS)}"
        nearest = texts.quantity_text(min(max(quantity_lots, least_lots), MAX_QUANTITY_LOTS))
        raise InvalidTerms(Reason.INVALID_QUANTITY, "quantity", rule, nearest)


def check_price_range(price_ticks: int, texts: Texts) -> None:
    """Raise InvalidTerms for a price out of range; 0 stands for none."""
    if not 0 <= price_ticks <= MAX_PRICE_TICKS:
        raise InvalidTerms(Reason.INVALID_PRICE, "price", "is out of range", _nearest_price(price_ticks, texts))


def check_trigger_price(kind: OrderType, trigger_price_ticks: int, texts: Texts) -> None:
    """Raise InvalidTerms unless an order of this kind may wait for this trigger price."""
    reason, field = Reason.INVALID_TRIGGER, "triggerPrice"
    _require(kind is not OrderType.TRAILING_STOP, reason, field, "follows the market for a trailing stop")
    _require(kind in TRIGGERED_TYPES, reason, field, "is for stop and take-profit orders only")
    if not 0 < trigger_price_ticks <= MAX_PRICE_TICKS:
        raise InvalidTerms(reason, field, "is needed, and in range", _nearest_price(trigger_price_ticks, texts))


def _require(holds: bool, reason: Reason, field: str, rule: str, nearest: str | None = None) -> None:
    if not holds:
        raise InvalidTerms(reason, field, rule, nearest)


def _nearest_price(price_ticks: int, texts: Texts) -> str:
    return texts.price_text(min(max(price_ticks, 1), MAX_PRICE_TICKS))


def _check_ranges(order: OrderTerms) -> None:
    malformed = Reason.MALFORMED_COMMAND
    _require(0 <= order.trade_group <= MAX_ID, malformed, "tradeGroup", "is out of range")
    _require(0 <= order.oco_order_id <= MAX_ID, malformed, "ocoOrderId", "is out of range")
    _require(0 <= order.expire_time_ms <= MAX_TIME_MS, malformed, "expireTime", "is out of range", str(MAX_TIME_MS))


def _check_size(order: OrderTerms, texts: Texts, least_lots: int) -> None:
    if not order.budget:
        check_quantity(order.quantity_lots, texts, least_lots)
        return
    _require(order.type is OrderType.MARKET, Reason.INVALID_BUDGET, "budget", "is for MARKET orders only")
    _require(0 < order.budget <= MAX_BUDGET, Reason.INVALID_BUDGET, "budget", "is out of range")
    absent = order.quantity_lots == 0
    _require(absent, Reason.INVALID_QUANTITY, "quantity", "must be absent when an amount is given")


def _check_price(order: OrderTerms, texts: Texts) -> None:
    if order.price_ticks == 0 and order.type in LIMIT_TYPES:
        raise InvalidTerms(Reason.LIMIT_ORDER_MISSING_PRICE, "price", f"is needed for a {order.type.name} order")
    check_price_range(order.price_ticks, texts)


def _check_time_in_force(order: OrderTerms) -> None:
    if order.type is not OrderType.MARKET:
        return
    reason, field, tif = Reason.INVALID_TIME_IN_FORCE, "timeInForce", order.time_in_force
    _require(tif in PASSING, reason, field, "must be IOC or FOK for a MARKET order", "IOC")
    _require(not order.budget or tif is TimeInForce.IOC, reason, field, "must be IOC for an amount", "IOC")


def _check_expiry(order: OrderTerms, now_ms: int) -> None:
    reason, field = Reason.INVALID_EXPIRY, "expireTime"
    if order.time_in_force is TimeInForce.GTD:
        _require(order.expire_time_ms > now_ms, reason, field, "must lie in the future")
    else:
        _require(order.expire_time_ms == 0, reason, field, "is for GTD orders only")


def _check_post_only(order: OrderTerms) -> None:
    if order.post_only:
        limited, rests = order.type in LIMIT_TYPES, order.time_in_force not in PASSING
        _require(limited, Reason.POST_ONLY_REQUIRES_LIMIT_ORDER, "postOnly", "is for limit orders only", "false")
        _require(rests, Reason.POST_ONLY_REQUIRES_GTC, "postOnly", "needs GTC, GTD or DAY", "false")


def _check_display(order: OrderTerms, texts: Texts) -> None:
    shown = order.display_quantity_lots
    if not shown:
        return
    reason, field = Reason.INVALID_DISPLAY_QUANTITY, "displayQuantity"
    rests = order.type in LIMIT_TYPES and order.time_in_force not in PASSING
    _require(rests, reason, field, "is for limit orders that rest")
    nearest = texts.quantity_text(min(max(shown, 1), order.quantity_lots))
    _require(0 < shown <= order.quantity_lots, reason, field, "must be from one lot to the quantity", nearest)
    parts = -(-order.quantity_lots // shown)
    least = texts.quantity_text(-(-order.quantity_lots // MAX_ICEBERG_PARTS))
    rule = f"must not cut the quantity into more than {MAX_ICEBERG_PARTS} parts"
    _require(parts <= MAX_ICEBERG_PARTS, Reason.TOO_MANY_ICEBERG_PARTS, field, rule, least)


def _check_trigger(order: OrderTerms, texts: Texts) -> None:
    reason = Reason.INVALID_TRIGGER
    if order.type is OrderType.TRAILING_STOP:
        follows = order.trigger_price_ticks == 0
        _require(follows, reason, "triggerPrice", "follows the market for a trailing stop")
        most = MAX_BASIS_POINTS - 1 if order.trail_in_basis_points else MAX_PRICE_TICKS
        _require(0 < order.trail <= most, reason, "trail", "is needed, and in range")
        return
    none = order.trail == 0 and not order.trail_in_basis_points
    _require(none, reason, "trail", "is for trailing stops only")
    if order.type in TRIGGERED_TYPES or order.trigger_price_ticks:
        check_trigger_price(order.type, order.trigger_price_ticks, texts)


def _check_sibling(order: OrderTerms) -> None:
    if order.oco_order_id:
        stays = order.type is not OrderType.MARKET and order.time_in_force not in PASSING
        _require(stays, Reason.INVALID_OCO, "ocoOrderId", "is for orders that rest or wait")
