"""The protection price of market orders: by hand, and as a bound that always lets the whole quantity trade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.commands import SubmitOrder
from crossbook.domain.orders import MAX_PRICE_TICKS, OrderType, Side
from crossbook.domain.protection import (
    InsufficientLiquidity,
    first_trailing_trigger_ticks,
    protection_price_ticks,
    waiting_protection_ticks,
    worst_price_ticks,
)
from crossbook.matching import Engine
from tests.domain.cases import holds_for

ASKS = [(100, 5), (101, 5), (110, 5)]
BIDS = [(100, 5), (99, 5), (90, 5)]


@pytest.mark.parametrize(("quantity_lots", "worst_ticks"), [(1, 100), (5, 100), (6, 101), (10, 101), (15, 110)])
def test_the_worst_price_is_that_of_the_last_level_needed(quantity_lots: int, worst_ticks: int) -> None:
    assert worst_price_ticks(ASKS, quantity_lots) == worst_ticks


def test_levels_beyond_the_last_one_needed_are_not_looked_at() -> None:
    levels = iter(ASKS)
    assert worst_price_ticks(levels, 6) == 101
    assert list(levels) == [(110, 5)]


@pytest.mark.parametrize(("levels", "available_lots"), [(ASKS, 15), ([], 0)])
def test_too_little_is_refused_with_what_there_is(levels: list[tuple[int, int]], available_lots: int) -> None:
    with pytest.raises(InsufficientLiquidity) as refused:
        worst_price_ticks(levels, 16)
    assert refused.value.available_lots == available_lots


@pytest.mark.parametrize(
    ("side", "quantity_lots", "mark_ticks", "price_ticks"),
    [
        (Side.BUY, 5, 100, 105),
        (Side.BUY, 15, 100, 110),
        (Side.BUY, 5, 99, 103),  # floor of 103.95
        (Side.BUY, 5, 90, 100),
        (Side.BUY, 5, None, 100),
        (Side.SELL, 5, 100, 95),
        (Side.SELL, 15, 100, 90),
        (Side.SELL, 5, 101, 96),  # ceiling of 95.95
        (Side.SELL, 5, 110, 100),
        (Side.SELL, 15, None, 90),
        (Side.SELL, 5, 1, 1),
    ],
)
def test_the_price_is_the_worse_of_the_book_and_five_percent_beyond_the_mark(
    side: Side, quantity_lots: int, mark_ticks: int | None, price_ticks: int
) -> None:
    levels = ASKS if side is Side.BUY else BIDS
    assert protection_price_ticks(side, levels, quantity_lots, mark_ticks) == price_ticks


def test_the_price_stays_in_range() -> None:
    assert protection_price_ticks(Side.BUY, [(1, 1)], 1, MAX_PRICE_TICKS) == MAX_PRICE_TICKS


@given(
    st.sampled_from(Side),
    st.lists(st.tuples(st.integers(1, 1_000), st.integers(1, 50)), min_size=1, unique_by=lambda level: level[0]),
    st.integers(1, 500),
    st.integers(1, 2_000),
)
def test_what_is_offered_within_the_price_fills_the_order(
    side: Side, levels: list[tuple[int, int]], quantity_lots: int, mark_ticks: int
) -> None:
    levels.sort(reverse=side is Side.SELL)
    if sum(lots for _, lots in levels) < quantity_lots:
        with pytest.raises(InsufficientLiquidity):
            protection_price_ticks(side, levels, quantity_lots, mark_ticks)
        return
    limit_ticks = protection_price_ticks(side, levels, quantity_lots, mark_ticks)
    within = [lots for price, lots in levels if (price <= limit_ticks if side is Side.BUY else price >= limit_ticks)]
    assert sum(within) >= quantity_lots
    assert 1 <= limit_ticks <= MAX_PRICE_TICKS


@pytest.mark.parametrize(
    ("side", "trigger_ticks", "price_ticks"),
    [
        (Side.BUY, 1000, 1050),
        (Side.SELL, 1000, 950),
        (Side.BUY, 999, 1048),
        (Side.SELL, 999, 950),
        (Side.BUY, 1, 1),
        (Side.SELL, 1, 1),
        (Side.BUY, MAX_PRICE_TICKS, MAX_PRICE_TICKS),
    ],
)
def test_a_waiting_order_is_protected_from_its_trigger(side: Side, trigger_ticks: int, price_ticks: int) -> None:
    assert waiting_protection_ticks(side, trigger_ticks) == price_ticks


@holds_for(
    60, side=st.sampled_from(Side), source=st.integers(1, 10_000), trail=st.integers(1, 9_999), points=st.booleans()
)
def test_a_trailing_stop_starts_where_the_engine_starts_it(side: Side, source: int, trail: int, points: bool) -> None:
    engine = Engine()
    engine.apply(SubmitOrder(1, 1, 1, 1, Side.SELL, OrderType.LIMIT, 1, source))
    engine.apply(SubmitOrder(2, 1, 2, 2, Side.BUY, OrderType.LIMIT, 1, source))
    kind = OrderType.TRAILING_STOP
    engine.apply(SubmitOrder(3, 1, 3, 1, side, kind, 1, MAX_PRICE_TICKS, trail=trail, trail_in_basis_points=points))
    view = engine.order(3)
    expected = first_trailing_trigger_ticks(side, source, trail, points)
    if view is None:  # clamped onto the price itself, it fired at once
        assert expected == source
    else:
        assert view.trigger_price_ticks == expected
