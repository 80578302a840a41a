"""Positions: exact partial closes, flips, and sums that stay zero whatever trades (3.1, 3.11)."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import btc_perp
from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import Side
from crossbook.domain.positions import (
    Position,
    apply_fill,
    entry_price_text,
    signed_lots,
    unrealised_units,
    value_units,
)
from tests.domain.cases import holds_for, prices, quantities

BUY, SELL = Side.BUY, Side.SELL

# Position before as (quantity, cost); fill; position after as (quantity, cost, realised).
FILLS = [
    ("open long", (0, 0), (BUY, 3, 100), (3, 300, 0)),
    ("open short", (0, 0), (SELL, 3, 100), (-3, -300, 0)),
    ("add to long", (3, 300), (BUY, 1, 110), (4, 410, 0)),
    ("add to short", (-3, -300), (SELL, 1, 90), (-4, -390, 0)),
    ("close a part of a long: 100 / 3 is cut off", (3, 100), (SELL, 1, 50), (2, 67, 17)),
    ("and the next part", (2, 67), (SELL, 1, 50), (1, 34, 17)),
    ("the last close releases all", (1, 34), (SELL, 1, 50), (0, 0, 16)),
    ("close a part of a short: cut off toward zero", (-3, -100), (BUY, 1, 30), (-2, -67, 3)),
    ("close a short at a loss", (-2, -67), (BUY, 2, 40), (0, 0, -13)),
    ("flip a long", (2, 200), (SELL, 5, 110), (-3, -330, 20)),
    ("flip a short", (-2, -200), (BUY, 5, 110), (3, 330, -20)),
]


@pytest.mark.parametrize(("before", "fill", "after"), [row[1:] for row in FILLS], ids=[row[0] for row in FILLS])
def test_fills(before: tuple[int, int], fill: tuple[Side, int, int], after: tuple[int, int, int]) -> None:
    position, realised = apply_fill(Position(*before), *fill, units_per_tick_lot=1)
    assert (position.quantity_lots, position.cost_units, realised) == after
    assert position.realised_units == realised


@pytest.mark.parametrize(("quantity", "price"), [(0, 1), (-1, 1), (1, 0), (1, -1)])
def test_a_fill_has_a_quantity_and_a_price(quantity: int, price: int) -> None:
    with pytest.raises(InvalidValue):
        apply_fill(Position(), BUY, quantity, price, 1)


def test_long_and_short_gain_and_lose_by_one_formula() -> None:
    assert unrealised_units(Position(2, 200), 110, 1) == 20
    assert unrealised_units(Position(-2, -200), 110, 1) == -20
    assert unrealised_units(Position(), 110, 1) == 0
    assert value_units(-2, 110, 10) == -2200


def test_the_entry_price_is_for_display_and_half_even() -> None:
    market = btc_perp()
    third = market.notional_units(1000, 1) + 2 * market.notional_units(1001, 1)
    assert entry_price_text(Position(3, third), market) == "100.066667"
    assert entry_price_text(Position(-3, -third), market) == "100.066667"
    assert entry_price_text(Position(), market) is None
    # 1.25 units of a quote asset with six decimals lie between two of them; the even one is shown.
    assert entry_price_text(Position(8_000_000, 1_000), market) == "0"
    assert entry_price_text(Position(1_250, market.notional_units(650_000, 1_250)), market) == "65000"


trades = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 50), prices), max_size=30)


@holds_for(700, history=trades, unit=st.integers(1, 1000), mark=prices)
def test_quantities_and_costs_with_clearing_sum_to_zero(
    history: list[tuple[int, int, int, int]], unit: int, mark: int
) -> None:
    accounts = [Position() for _ in range(4)]
    clearing = 0
    for buyer, seller, quantity, price in history:
        for account, side in ((buyer, BUY), (seller, SELL)):
            accounts[account], realised = apply_fill(accounts[account], side, quantity, price, unit)
            clearing -= realised
        assert sum(each.quantity_lots for each in accounts) == 0
        assert clearing + sum(each.cost_units for each in accounts) == 0
        assert sum(each.realised_units for each in accounts) == -clearing
        # What is realised and what is not is all the same money: it sums to zero at every mark.
        assert sum(each.realised_units + unrealised_units(each, mark, unit) for each in accounts) == 0
        for each in accounts:
            assert each.quantity_lots * each.cost_units >= 0
            assert each.quantity_lots != 0 or each.cost_units == 0


@holds_for(700, held=quantities, cost=st.integers(1, 10**15), side=st.sampled_from(Side), parts=st.lists(quantities))
def test_a_close_in_parts_releases_the_cost_exactly(held: int, cost: int, side: Side, parts: list[int]) -> None:
    sign = signed_lots(side, 1)
    position = Position(sign * held, sign * cost)
    closing = SELL if side is BUY else BUY
    proceeds = 0
    for part in [*parts, held]:
        closed = min(part, abs(position.quantity_lots))
        if closed == 0:
            break
        left = Fraction(position.cost_units * (abs(position.quantity_lots) - closed), abs(position.quantity_lots))
        position, _ = apply_fill(position, closing, closed, 7, 3)
        proceeds += sign * closed * 21
        assert abs(position.cost_units - left) < 1
        assert abs(position.cost_units) >= abs(left)
    assert position == Position(0, 0, proceeds - sign * cost)


@holds_for(600, held=st.integers(-1000, 1000), price=prices, fill=st.integers(1, 3000), side=st.sampled_from(Side))
def test_a_flip_is_a_close_and_an_opening(held: int, price: int, fill: int, side: Side) -> None:
    start = Position(held, held * 11)
    whole, realised = apply_fill(start, side, fill, price, 1)
    first = min(fill, abs(held)) if held * signed_lots(side, 1) < 0 else fill
    parts, gained = apply_fill(start, side, first, price, 1)
    if fill > first:
        parts, more = apply_fill(parts, side, fill - first, price, 1)
        gained += more
    assert (whole, realised) == (parts, gained)
    # Costs change by the signed notional and what is realised: the law that keeps the sums at zero.
    assert whole.cost_units - start.cost_units == signed_lots(side, fill) * price + realised
