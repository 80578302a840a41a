"""The rules of an order's own words: by hand, and against the engine, which checks them by itself."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbook.domain.commands import ConfigureMarket, SubmitOrder
from crossbook.domain.errors import Reason
from crossbook.domain.events import CommandRejected, PricesUpdated
from crossbook.domain.order_rules import MAX_ICEBERG_PARTS, InvalidTerms, check_terms
from crossbook.domain.orders import (
    MAX_BUDGET,
    MAX_ID,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_TIME_MS,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching import Engine
from tests.domain.cases import perp

NOW_MS = 1_000_000
LIMIT = SubmitOrder(1, NOW_MS, 7, 1, Side.BUY, OrderType.LIMIT, 10, 100)
MARKET = perp("0.1", "0.001")
OF_FIELDS = {reason for reason in Reason if 300 <= reason <= 314} - {Reason.DUPLICATE_ORDER_ID}
"""What the engine says for an order's own words: checks 1 to 9."""


def refusal(order: SubmitOrder) -> InvalidTerms | None:
    try:
        check_terms(order, NOW_MS, MARKET)
    except InvalidTerms as error:
        return error
    return None


def of_engine(order: SubmitOrder) -> Reason | None:
    (first, *_) = Engine().apply(order)
    assert not isinstance(first, PricesUpdated)
    return first.reason if isinstance(first, CommandRejected) else None


@pytest.mark.parametrize(
    ("changes", "field", "nearest"),
    [
        ({"quantity_lots": 0}, "quantity", "0.001"),
        ({"quantity_lots": MAX_QUANTITY_LOTS + 1}, "quantity", "1099511627.775"),
        ({"price_ticks": 0}, "price", None),
        ({"price_ticks": -1}, "price", "0.1"),
        ({"type": OrderType.MARKET}, "timeInForce", "IOC"),
        ({"time_in_force": TimeInForce.GTD, "expire_time_ms": NOW_MS}, "expireTime", None),
        ({"expire_time_ms": NOW_MS + 1}, "expireTime", None),
        ({"time_in_force": TimeInForce.IOC, "post_only": True}, "postOnly", "false"),
        ({"display_quantity_lots": 11}, "displayQuantity", "0.01"),
        ({"quantity_lots": 1_000, "display_quantity_lots": 9}, "displayQuantity", "0.01"),
        ({"type": OrderType.STOP_LIMIT}, "triggerPrice", "0.1"),
        ({"trigger_price_ticks": 5}, "triggerPrice", None),
        ({"type": OrderType.TRAILING_STOP}, "trail", None),
        ({"type": OrderType.TRAILING_STOP, "trail": 5, "trigger_price_ticks": 5}, "triggerPrice", None),
        ({"trail": 5}, "trail", None),
        ({"budget": 5}, "budget", None),
        ({"time_in_force": TimeInForce.IOC, "oco_order_id": 5}, "ocoOrderId", None),
    ],
)
def test_a_refusal_names_field_and_nearest_value(changes: dict[str, Any], field: str, nearest: str | None) -> None:
    found = refusal(replace(LIMIT, **changes))
    assert found is not None
    assert (found.field, found.nearest) == (field, nearest)


def test_a_plain_order_passes() -> None:
    assert refusal(LIMIT) is None


def test_the_market_says_nothing_else_about_icebergs() -> None:
    assert ConfigureMarket(1, 1).max_iceberg_parts == MAX_ICEBERG_PARTS


QUANTITIES = (-1, 0, 1, 2, 99, 100, 101, 10_000, MAX_QUANTITY_LOTS, MAX_QUANTITY_LOTS + 1)
PRICES = (-1, 0, 1, 100, 10_000, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1)
EDGES: dict[str, tuple[Any, ...]] = {
    "side": tuple(Side),
    "type": tuple(OrderType),
    "quantity_lots": QUANTITIES,
    "price_ticks": PRICES,
    "time_in_force": tuple(TimeInForce),
    "post_only": (True,),
    "reduce_only": (True,),
    "self_trade_prevention": tuple(SelfTradePrevention),
    "trade_group": (1, -1, MAX_ID, MAX_ID + 1),
    "expire_time_ms": (1, -1, NOW_MS, NOW_MS + 1, MAX_TIME_MS, MAX_TIME_MS + 1),
    "budget": (-1, 50, MAX_BUDGET, MAX_BUDGET + 1),
    "display_quantity_lots": QUANTITIES,
    "trigger_price_ticks": PRICES,
    "trigger_source": tuple(PriceSource),
    "trail": (-1, 1, 9_999, 10_000, MAX_PRICE_TICKS, MAX_PRICE_TICKS + 1),
    "trail_in_basis_points": (True,),
    "oco_order_id": (-1, 9, MAX_ID, MAX_ID + 1),
}
SOUND = (
    LIMIT,
    replace(LIMIT, time_in_force=TimeInForce.IOC),
    replace(LIMIT, type=OrderType.MARKET, time_in_force=TimeInForce.IOC),
    replace(LIMIT, type=OrderType.MARKET, time_in_force=TimeInForce.IOC, quantity_lots=0, budget=50),
    replace(LIMIT, type=OrderType.STOP_LIMIT, trigger_price_ticks=5),
    replace(LIMIT, type=OrderType.TRAILING_STOP, trail=5),
    replace(LIMIT, time_in_force=TimeInForce.GTD, expire_time_ms=NOW_MS + 1, display_quantity_lots=2),
)
edits = st.sampled_from([(name, value) for name, values in EDGES.items() for value in values])
orders = st.builds(
    lambda sound, changes: replace(sound, **dict(changes)), st.sampled_from(SOUND), st.lists(edits, max_size=4)
)
"""Sound orders, of which some fields are moved to an edge."""


@settings(max_examples=800)
@given(orders)
def test_the_door_and_the_engine_agree(order: SubmitOrder) -> None:
    """What the door passes, the engine does not refuse for its words; what the engine refuses so, the door does."""
    found, reason = refusal(order), of_engine(order)
    if reason in OF_FIELDS:
        assert found is not None
        assert found.reason is reason
    if found is None:
        assert reason not in OF_FIELDS
    elif found.reason is not Reason.INVALID_OCO:
        # The one thing that only the door minds: a unit for a trail that is not there.
        assert reason in OF_FIELDS or (order.trail_in_basis_points and found.field == "trail")


def test_the_random_orders_are_worth_their_time() -> None:
    """One edit of a sound order is enough for every reason that its words can lead to."""
    seen = {of_engine(replace(sound, **{name: value})) for sound in SOUND for name in EDGES for value in EDGES[name]}
    assert seen >= (OF_FIELDS | {None}) - {Reason.ORDER_NOT_FOUND, Reason.USER_MISMATCH}
