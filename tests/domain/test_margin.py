"""Margin: golden vectors, a plain model in exact rationals, and what must rise with what (3.1 to 3.3)."""

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import strategies as st

from crossbook.domain.fees import fee_reserve_units
from crossbook.domain.instruments import Instrument, MarginTier, btc_perp
from crossbook.domain.margin import (
    InsufficientMargin,
    InvalidRow,
    MarginRow,
    MarginState,
    available_units,
    check_new_order,
    equity_units,
    held_orders_units,
    initial_margin_units,
    initial_rate,
    is_not_riskier,
    maintenance_margin_units,
    margin_state,
    open_loss_units,
    position_margin_units,
    require_margin,
    tier_deductions,
    withdrawable_units,
)
from crossbook.domain.orders import Side
from crossbook.domain.positions import Position, unrealised_units
from tests.domain.cases import TIERS, ceil_of, holds_for, perp, usdc

BUY, SELL = Side.BUY, Side.SELL
UNIT = perp()
"""Tick 1, lot 1: a price is in USDC."""


def with_orders(market: Instrument, row: MarginRow, *orders: tuple[Side, int, int]) -> MarginRow:
    """The row with (side, lots, ticks) open, fees set aside at the taker's rate."""
    for side, quantity, price in orders:
        notional = market.notional_units(price, quantity)
        reserve = fee_reserve_units(notional, market.maker_fee_ppm, market.taker_fee_ppm, post_only=False)
        row = row.with_order(side, quantity, notional, reserve)
    return row


# -- Golden vectors ----------------------------------------------------------------------------------
@pytest.mark.parametrize(("post_only", "needed"), [(False, "8165.625"), (True, "8141.25")])
def test_the_seed_order(post_only: bool, needed: str) -> None:
    market = btc_perp()
    notional = market.notional_units(650_000, 1_250)
    reserve = fee_reserve_units(notional, market.maker_fee_ppm, market.taker_fee_ppm, post_only)
    before = MarginRow(leverage=10)
    after = before.with_order(BUY, 1_250, notional, reserve)
    assert initial_margin_units(market, after, 650_000) == usdc("8125")
    assert held_orders_units(market, after, 650_000) == usdc(needed)
    enough = check_new_order(market, before, after, 650_000, usdc(needed), 0, 0)
    assert (enough.accepted, enough.required_units, enough.available_units) == (True, usdc(needed), usdc(needed))
    short = check_new_order(market, before, after, 650_000, usdc(needed) - 1, 0, 0)
    assert not short.accepted
    require_margin(enough)
    with pytest.raises(InsufficientMargin, match="Available margin is below required margin") as caught:
        require_margin(short)
    assert (caught.value.required_units, caught.value.available_units) == (usdc(needed), usdc(needed) - 1)


def test_the_heavier_side() -> None:
    row = with_orders(UNIT, MarginRow(10, position_lots=2), (BUY, 3, 99), (SELL, 1, 101), (SELL, 4, 103))
    assert initial_margin_units(UNIT, row, 100) == usdc("49.7")
    assert position_margin_units(UNIT, row, 100) == usdc("20")
    assert held_orders_units(UNIT, row, 100) == usdc("29.7") + row.fee_reserve_units
    # Without the buys the short side counts: 513 * 3/5 = 307.8, against 200 of the position.
    sells = with_orders(UNIT, MarginRow(10, position_lots=2), (SELL, 1, 101), (SELL, 4, 103))
    assert initial_margin_units(UNIT, sells, 100) == usdc("30.78")


# -- Equity ------------------------------------------------------------------------------------------
def test_equity_adds_every_position_in_any_order() -> None:
    positions = [(Position(2, usdc("200")), 110), (Position(-3, -usdc("300")), 90), (Position(1, usdc("50")), 20)]
    for order in permutations(positions):
        unrealised = sum(unrealised_units(position, mark, UNIT.units_per_tick_lot) for position, mark in order)
        assert equity_units(usdc("1000"), unrealised, usdc("1"), usdc("2")) == usdc("1017")


def test_nothing_is_due_unless_said() -> None:
    assert equity_units(1000, -300) == 700


def test_available_may_be_negative_and_withdrawable_never() -> None:
    assert available_units(1000, 300, 200, 50) == 450
    assert available_units(100, 300, 200, 50) == -450
    assert withdrawable_units(1000, 900, 300, 200, 50, 0) == 350
    assert withdrawable_units(800, 900, 300, 200, 50, 0) == 250
    assert withdrawable_units(1000, 1200, 300, 200, 50, 8_001) == 199
    assert withdrawable_units(100, 900, 300, 200, 50, 0) == 0
    assert withdrawable_units(-5, 900, 0, 0, 0, 0) == 0


# -- Initial margin ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("leverage", "rate"), [(1, (1, 1)), (10, (1, 10)), (19, (1, 19)), (20, (50_000, 10**6)), (50, (50_000, 10**6))]
)
def test_the_rate_is_that_of_the_leverage_but_at_least_the_markets(leverage: int, rate: tuple[int, int]) -> None:
    assert initial_rate(btc_perp(), leverage, 1) == rate


def test_leverage_counts_up_to_the_largest_of_the_market() -> None:
    assert initial_rate(replace(btc_perp(), max_leverage=5), 20, 1) == (1, 5)


def test_the_tier_of_the_worst_notional_decides() -> None:
    market = perp(tiers=TIERS)
    assert initial_rate(market, 20, 10**9 - 1) == (50_000, 10**6)
    assert initial_rate(market, 20, 10**9) == (100_000, 10**6)
    assert initial_rate(market, 20, 2 * 10**9 - 1, 2) == (50_000, 10**6)
    assert initial_rate(market, 5, 10**9) == (1, 5)
    assert initial_rate(market, 20, 10**12) == (250_000, 10**6)
    row = with_orders(market, MarginRow(20, position_lots=5), (BUY, 5, 100))
    assert position_margin_units(market, row, 100) == usdc("25")
    assert initial_margin_units(market, row, 100) == usdc("100")


def test_an_order_that_reduces_needs_no_margin() -> None:
    long = MarginRow(10, position_lots=5)
    assert initial_margin_units(UNIT, with_orders(UNIT, long, (SELL, 5, 120)), 100) == usdc("50")
    assert initial_margin_units(UNIT, with_orders(UNIT, long, (SELL, 10, 120)), 100) == usdc("60")
    short = MarginRow(10, position_lots=-5)
    assert initial_margin_units(UNIT, with_orders(UNIT, short, (BUY, 5, 80)), 100) == usdc("50")
    assert initial_margin_units(UNIT, with_orders(UNIT, short, (BUY, 20, 80)), 100) == usdc("120")


def test_an_account_short_of_margin_may_still_reduce() -> None:
    before = MarginRow(10, position_lots=5)
    reducing = check_new_order(UNIT, before, with_orders(UNIT, before, (SELL, 5, 100)), 100, usdc("1"), 0, 0)
    assert reducing.accepted
    assert reducing.required_units > reducing.available_units
    growing = check_new_order(UNIT, before, with_orders(UNIT, before, (BUY, 1, 100)), 100, usdc("1"), 0, 0)
    assert not growing.accepted


def test_a_resting_order_is_no_cover_for_giving_money_away() -> None:
    # A flat account with 55 rests a sell of 10 at 100 and would buy 9 at 110, where the mark is 100: the
    # margin of the row does not rise, but the 90 that a friend on the other side takes are not there.
    covered = with_orders(UNIT, MarginRow(20), (SELL, 10, 100))
    after = with_orders(UNIT, covered, (BUY, 9, 110))
    assert initial_margin_units(UNIT, after, 100) <= initial_margin_units(UNIT, covered, 100)
    loss = open_loss_units(UNIT, BUY, 110, 9, 100)
    assert loss == usdc("90")
    assert not check_new_order(UNIT, covered, after, 100, usdc("55"), 0, loss).accepted
    assert check_new_order(UNIT, covered, after, 100, usdc("90"), 0, loss).accepted


def test_what_other_markets_tie_up_is_not_free() -> None:
    before = MarginRow(10)
    after = with_orders(UNIT, before, (BUY, 1, 100))
    needed = usdc("10.05")
    assert check_new_order(UNIT, before, after, 100, needed + 7, 7, 0).accepted
    assert not check_new_order(UNIT, before, after, 100, needed + 6, 7, 0).accepted
    assert not check_new_order(UNIT, before, after, 100, needed + 7, 7, 1).accepted


def test_the_open_loss_is_what_the_limit_gives_away() -> None:
    assert open_loss_units(UNIT, BUY, 103, 2, 100) == usdc("6")
    assert open_loss_units(UNIT, BUY, 97, 2, 100) == 0
    assert open_loss_units(UNIT, SELL, 97, 2, 100) == usdc("6")
    assert open_loss_units(UNIT, SELL, 103, 2, 100) == 0


def test_a_row_never_falls_below_nothing() -> None:
    row = with_orders(UNIT, MarginRow(10), (BUY, 1, 100))
    for change in (
        (BUY, -2, 0, 0),
        (SELL, -1, 0, 0),
        (BUY, 0, -usdc("101"), 0),
        (SELL, 0, -1, 0),
        (BUY, 0, 0, -(10**9)),
    ):
        with pytest.raises(InvalidRow):
            row.with_order(*change)


# -- Maintenance margin ------------------------------------------------------------------------------
def test_flat_maintenance_margin_is_rounded_up() -> None:
    assert maintenance_margin_units(btc_perp(), usdc("81250")) == usdc("406.25")
    assert maintenance_margin_units(btc_perp(), 1) == 1
    assert maintenance_margin_units(btc_perp(), 0) == 0


def test_tiers_join_without_a_jump() -> None:
    market = perp(tiers=TIERS)
    assert tier_deductions(market) == (0, 10**9 * 15_000, 10**9 * 15_000 + 10**11 * 80_000)
    assert maintenance_margin_units(market, 10**9 - 1) == maintenance_margin_units(market, 10**9) == 5_000_000
    assert maintenance_margin_units(market, 2 * 10**9) == 25_000_000
    assert maintenance_margin_units(market, 10**11) == 10**11 // 50 - 15_000_000
    assert tier_deductions(btc_perp()) == ()


STATES = [
    (100, 100, 50, MarginState.HEALTHY),
    (99, 100, 50, MarginState.MARGIN_CALL),
    (51, 100, 50, MarginState.MARGIN_CALL),
    (50, 100, 50, MarginState.LIQUIDATION),
    (49, 100, 50, MarginState.LIQUIDATION),
    (50, 50, 50, MarginState.LIQUIDATION),
    (1, 5, 1, MarginState.LIQUIDATION),
    (0, 0, 0, MarginState.HEALTHY),
    (5, 10, 0, MarginState.MARGIN_CALL),
    (-1, 0, 0, MarginState.LIQUIDATION),
]


@pytest.mark.parametrize(("equity", "initial", "maintenance", "state"), STATES)
def test_states(equity: int, initial: int, maintenance: int, state: MarginState) -> None:
    assert margin_state(equity, initial, maintenance) is state


def test_the_numbers_of_states_are_for_ever() -> None:
    assert [(state.name, state.value) for state in MarginState] == [
        ("HEALTHY", 1),
        ("MARGIN_CALL", 2),
        ("LIQUIDATION", 3),
    ]


# -- Properties --------------------------------------------------------------------------------------
tier_lists = st.lists(st.tuples(st.integers(1, 10**11), st.integers(0, 300_000), st.integers(0, 300_000)), max_size=3)


def with_tiers(steps: list[tuple[int, int, int]]) -> Instrument:
    """A market whose tiers rise by the steps given: (width, initial rate, maintenance rate)."""
    tiers = [MarginTier(0, 50_000, 5_000)]
    for width, initial, maintenance in steps:
        last = tiers[-1]
        tiers.append(
            MarginTier(
                last.floor_units + width,
                initial_ppm := min(10**6, last.initial_margin_ppm + initial),
                min(initial_ppm, last.maintenance_margin_ppm + maintenance),
            )
        )
    return perp("0.1", "0.001", tiers=tuple(tiers) if steps else ())


markets = st.builds(with_tiers, tier_lists)
leverages = st.integers(1, 20)
lots = st.integers(1, 5_000)
marks = st.integers(1, 10**6)
orders = st.lists(st.tuples(st.sampled_from(Side), lots, marks), max_size=6)
positions = st.integers(-10_000, 10_000)


def model_margin(market: Instrument, row: MarginRow, mark: int) -> int:
    """Crossbook's rule of 3.2, as it is written there."""
    q, m = Fraction(row.position_lots), Fraction(mark * market.units_per_tick_lot)
    buys, sells = Fraction(row.buy_notional_units), Fraction(row.sell_notional_units)
    if row.buy_lots:
        buys *= 1 - min(Fraction(1), max(-q, Fraction(0)) / row.buy_lots)
    if row.sell_lots:
        sells *= 1 - min(Fraction(1), max(q, Fraction(0)) / row.sell_lots)
    worst = max(max(q, Fraction(0)) * m + buys, max(-q, Fraction(0)) * m + sells)
    floors = [tier.initial_margin_ppm for tier in market.tiers if tier.floor_units <= worst]
    rate = Fraction(floors[-1] if floors else market.initial_margin_ppm, 10**6)
    return ceil_of(max(rate, Fraction(1, row.leverage)) * worst)


@holds_for(600, market=markets, leverage=leverages, position=positions, opened=orders, mark=marks)
def test_margin_is_that_of_the_model(
    market: Instrument, leverage: int, position: int, opened: list[tuple[Side, int, int]], mark: int
) -> None:
    row = with_orders(market, MarginRow(leverage, position), *opened)
    assert initial_margin_units(market, row, mark) == model_margin(market, row, mark)
    alone = MarginRow(leverage, position)
    assert position_margin_units(market, row, mark) == model_margin(market, alone, mark)
    held = held_orders_units(market, row, mark)
    assert held == model_margin(market, row, mark) - model_margin(market, alone, mark) + row.fee_reserve_units
    assert held >= row.fee_reserve_units


@holds_for(
    500,
    market=markets,
    leverage=leverages,
    position=positions,
    opened=orders,
    more=st.tuples(st.sampled_from(Side), lots, marks),
    mark=marks,
    up=marks,
)
def test_margin_never_falls_with_more_orders_a_higher_mark_or_less_leverage(
    market: Instrument,
    leverage: int,
    position: int,
    opened: list[tuple[Side, int, int]],
    more: tuple[Side, int, int],
    mark: int,
    up: int,
) -> None:
    row = with_orders(market, MarginRow(leverage, position), *opened)
    margin = initial_margin_units(market, row, mark)
    assert initial_margin_units(market, with_orders(market, row, more), mark) >= margin
    assert initial_margin_units(market, row, mark + up) >= margin
    assert initial_margin_units(market, row._replace(leverage=max(1, leverage - 1)), mark) >= margin
    assert margin >= position_margin_units(market, row, mark)


@holds_for(400, market=markets, leverage=leverages, position=positions, opened=orders, mark=marks, equity=marks)
def test_orders_that_left_leave_nothing_held(
    market: Instrument, leverage: int, position: int, opened: list[tuple[Side, int, int]], mark: int, equity: int
) -> None:
    start = MarginRow(leverage, position)
    row = with_orders(market, start, *opened)
    for side, quantity, price in opened:
        # First a half is filled or taken off, then the rest.
        half = quantity // 2
        whole, rest = market.notional_units(price, quantity), market.notional_units(price, quantity - half)
        reserved, left = (fee_reserve_units(each, 200, 500, post_only=False) for each in (whole, rest))
        row = row.with_order(side, -half, rest - whole, left - reserved)
        row = row.with_order(side, half - quantity, -rest, -left)
    assert row == start
    assert held_orders_units(market, row, mark) == 0
    assert check_new_order(market, start, row, mark, equity, 0, 0).required_units == 0


@holds_for(
    500,
    market=markets,
    leverage=leverages,
    position=positions,
    opened=orders,
    new=st.tuples(st.sampled_from(Side), lots, marks),
    mark=marks,
    equity=st.integers(-(10**9), 10**11),
    elsewhere=st.integers(0, 10**9),
)
def test_an_order_is_accepted_by_the_written_rule(
    market: Instrument,
    leverage: int,
    position: int,
    opened: list[tuple[Side, int, int]],
    new: tuple[Side, int, int],
    mark: int,
    equity: int,
    elsewhere: int,
) -> None:
    before = with_orders(market, MarginRow(leverage, position), *opened)
    after = with_orders(market, before, new)
    loss = open_loss_units(market, new[0], new[2], new[1], mark)
    decision = check_new_order(market, before, after, mark, equity, elsewhere, loss)
    left = equity - elsewhere - model_margin(market, after, mark) - after.fee_reserve_units - loss
    rises = model_margin(market, after, mark) > model_margin(market, before, mark)
    assert decision.accepted == (left >= 0 or (not rises and (loss == 0 or loss <= equity)))
    assert decision.available_units - decision.required_units == left
    richer = check_new_order(market, before, after, mark, equity + 1, elsewhere, loss)
    assert richer.accepted or not decision.accepted


@holds_for(500, market=markets, notional=st.integers(0, 10**12), more=st.integers(0, 10**10))
def test_maintenance_margin_is_the_sum_over_the_tiers(market: Instrument, notional: int, more: int) -> None:
    tiers = market.tiers or (MarginTier(0, 50_000, market.maintenance_margin_ppm),)
    exact = Fraction(0)
    for tier, ceiling in zip(tiers, [*(each.floor_units for each in tiers[1:]), None], strict=True):
        upper = notional if ceiling is None else min(notional, ceiling)
        exact += max(0, upper - tier.floor_units) * Fraction(tier.maintenance_margin_ppm, 10**6)
    margin = maintenance_margin_units(market, notional)
    assert margin == ceil_of(exact)
    assert margin <= maintenance_margin_units(market, notional + more)


@holds_for(300, before=st.tuples(marks, marks), after=st.tuples(st.integers(-(10**6), 10**6), marks))
def test_riskier_is_compared_as_a_ratio(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert is_not_riskier(*before, *after) == (Fraction(*after) >= Fraction(*before))
    assert is_not_riskier(-5, 10, 0, 0)
    assert not is_not_riskier(5, 10, -1, 0)
