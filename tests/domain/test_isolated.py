"""The margin of an isolated position at every fill, and that its owner's wallet is never charged by surprise."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import btc_perp
from crossbook.domain.isolated import least_margin_units, margin_after_fill, opening_margin_units
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import Side
from crossbook.domain.positions import Position, apply_fill
from tests.domain.cases import TIERS, ceil_of, holds_for, perp, usdc

BUY, SELL = Side
UNIT = perp()


def fill(before: Position, side: Side, lots: int, price: int) -> Position:
    return apply_fill(before, side, lots, price, UNIT.units_per_tick_lot)[0]


def margin(before: Position, after: Position, price: int, has: str, in_liquidation: bool = False) -> int:
    return margin_after_fill(UNIT, 10, usdc(has), before, after, price, in_liquidation)


LONG = fill(Position(), BUY, 4, 100)


@pytest.mark.parametrize(
    ("side", "lots", "price", "left"),
    [
        (BUY, 4, 110, "84"),  # 40 were there, 44 come
        (SELL, 1, 110, "30"),  # a gain goes to the wallet, with the share of the margin
        (SELL, 1, 95, "30"),  # a loss of 5 is within the share of 10
        (SELL, 1, 85, "25"),  # a loss of 15 takes more than the share
        (SELL, 1, 10, "0"),  # a loss of 90 takes all: the rest is the wallet's, as its owner chose
        (SELL, 4, 95, "0"),
        (SELL, 6, 120, "24"),  # turned round: two lots short at 120
    ],
)
def test_margin_follows_the_position(side: Side, lots: int, price: int, left: str) -> None:
    assert margin(LONG, fill(LONG, side, lots, price), price, "40") == usdc(left)


@pytest.mark.parametrize(
    ("lots", "price", "left"), [(1, 91, "31"), (2, 91, "22"), (4, 91, "0"), (4, 88, "-8"), (4, 90, "0"), (1, 60, "0")]
)
def test_in_liquidation_all_stays_until_the_end_and_a_debt_is_kept(lots: int, price: int, left: str) -> None:
    assert margin(LONG, fill(LONG, SELL, lots, price), price, "40", in_liquidation=True) == usdc(left.lstrip("-")) * (
        -1 if left.startswith("-") else 1
    )


def test_the_first_fill_brings_the_initial_margin() -> None:
    assert margin(Position(), LONG, 100, "0") == usdc("40")
    tiered = perp(tiers=TIERS)
    assert opening_margin_units(tiered, 20, 20, 10, 100) == usdc("100")  # the rate of the whole position


def test_margin_can_be_taken_out_down_to_initial_margin_and_loss() -> None:
    row = MarginRow(10, 4)
    assert least_margin_units(UNIT, row, usdc("400"), 100) == usdc("40")
    assert least_margin_units(UNIT, row, usdc("400"), 90) == usdc("36") + usdc("40")
    assert least_margin_units(UNIT, row, usdc("400"), 120) == usdc("48")


lots_of = st.integers(-50, 50)


@holds_for(
    1_000,
    held=lots_of,
    entry=st.integers(1, 10**4),
    change=lots_of.filter(bool),
    price=st.integers(1, 10**4),
    leverage=st.integers(1, 20),
    has=st.integers(0, 10**12),
    in_liquidation=st.booleans(),
)
def test_margin_is_that_of_the_written_rule(
    held: int, entry: int, change: int, price: int, leverage: int, has: int, in_liquidation: bool
) -> None:
    market = btc_perp()
    unit = market.units_per_tick_lot
    has = has if held else 0
    before = Position(held, held * entry * unit)
    side = BUY if change > 0 else SELL
    after, realised = apply_fill(before, side, abs(change), price, unit)
    got = margin_after_fill(market, leverage, has, before, after, price, in_liquidation)
    closed = min(abs(held), abs(change)) if held * change < 0 else 0
    opened = abs(change) - closed
    left = Fraction(has)
    if closed and in_liquidation:
        left += realised
    elif closed:
        left -= max(has * closed // abs(held), min(has, max(0, -realised)))
    if closed == abs(held) and (left > 0 or not in_liquidation):
        left = Fraction(0)
    rate = max(Fraction(1, min(leverage, market.max_leverage)), Fraction(market.initial_margin_ppm, 10**6))
    assert got == left + ceil_of(opened * price * unit * rate)
    if not in_liquidation:
        assert got >= 0
        if closed and not opened:
            assert got <= has
