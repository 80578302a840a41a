"""The steps of a liquidation: which one comes next, at which price, and who is closed for it (3.6, 3.7)."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import btc_perp
from crossbook.domain.liquidating import (
    CancelOrders,
    Clear,
    Counterparty,
    CoverLoss,
    Deleverage,
    ForcedClose,
    Reduce,
    Situation,
    Wait,
    deleveraging_plan,
    deleveraging_rank,
    fund_payment_units,
    limit_ticks,
    next_step,
    score_of,
    slice_lots,
)
from crossbook.domain.liquidation import Deleveraging, fund_flow_units
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import Side
from crossbook.domain.risk import Exposure, MarginMode, ScopeRisk, account_risk
from tests.domain.cases import holds_for, perp, usdc

BUY, SELL = Side
NOW_MS = 1_700_000_000_000


def cross(wallet: str, *held: tuple[int, int, int, int]) -> ScopeRisk:
    """A cross scope: (market, lots, entry, mark) each."""
    rows = [
        Exposure(number, perp(), MarginRow(10, lots), perp().notional_units(entry, lots), mark)
        for number, lots, entry, mark in held
    ]
    return account_risk(usdc(wallet), rows).cross


def case(scope: ScopeRisk, fund: str = "0", **more: object) -> Situation:
    return replace(Situation(scope, usdc(fund), NOW_MS), **more)  # type: ignore[arg-type]


SINKING = cross("2100", (1, 1, 60_000, 58_000))
"""Equity 100, maintenance 290, bankruptcy price 57,900."""


def test_own_orders_are_cancelled_first() -> None:
    assert next_step(case(SINKING, with_orders=(2, 1))) == CancelOrders((1, 2))


def test_who_is_healthy_after_that_is_let_go() -> None:
    assert next_step(case(cross("8000", (1, 1, 60_000, 58_000)))) == Clear()


def test_a_margin_call_is_not_healthy_yet() -> None:
    """A flag is cleared at initial margin, not at maintenance margin, so that it does not flicker."""
    step = next_step(case(cross("3000", (1, 1, 60_000, 58_000))))
    assert step == Reduce(1, SELL, 1, 57_000, 57_000, is_partial=False)


def test_the_limit_is_the_bankruptcy_price() -> None:
    assert next_step(case(SINKING)) == Reduce(1, SELL, 1, 57_900, 57_900, is_partial=False)


def test_the_fund_pays_for_a_worse_price_as_far_as_it_goes_and_not_far_from_the_mark() -> None:
    assert next_step(case(SINKING, fund="50")) == Reduce(1, SELL, 1, 57_850, 57_900, is_partial=False)
    assert next_step(case(SINKING, fund="1000000")) == Reduce(1, SELL, 1, 57_710, 57_900, is_partial=False)
    short = cross("2100", (1, -1, 56_000, 58_000))
    assert next_step(case(short, fund="50")) == Reduce(1, BUY, 1, 58_150, 58_100, is_partial=False)
    assert next_step(case(short, fund="1000000")) == Reduce(1, BUY, 1, 58_290, 58_100, is_partial=False)


def test_the_position_with_the_largest_maintenance_margin_is_first() -> None:
    scope = cross("4100", (1, -10, 3_000, 3_100), (2, 2, 60_000, 58_500))
    step = next_step(case(scope))
    assert isinstance(step, Reduce)
    assert (step.market_id, step.side, step.quantity_lots, step.is_partial) == (2, SELL, 1, True)
    twins = cross("10", (4, 1, 1_000, 1_000), (3, 1, 1_000, 1_000))
    assert getattr(next_step(case(twins)), "market_id", None) == 3


def test_a_closed_market_is_left_out_and_when_all_are_closed_it_waits() -> None:
    scope = cross("4100", (1, -10, 3_000, 3_100), (2, 2, 60_000, 58_500))
    assert getattr(next_step(case(scope, closed=(2,))), "market_id", None) == 1
    assert next_step(case(scope, closed=(1, 2))) == Wait()


def test_a_large_position_is_sold_in_fifths_and_then_whole_for_half_a_minute() -> None:
    scope = cross("42000", (1, 21, 60_000, 58_000))
    for last, lots in ((-1, 5), (NOW_MS - 30_000, 5), (NOW_MS - 29_999, 21)):
        step = next_step(case(scope, last_partial_ms=last))
        assert isinstance(step, Reduce)
        assert (step.quantity_lots, step.is_partial) == (lots, lots < 21)


@pytest.mark.parametrize(
    ("lots", "mark", "part"), [(1, 100_000, 1), (2, 50_000, 2), (2, 50_001, 1), (-11, 10_000, 3), (-10, 10_000, 10)]
)
def test_what_is_large(lots: int, mark: int, part: int) -> None:
    assert slice_lots(perp(), lots, mark) == part


def test_where_nobody_answered_winners_are_closed() -> None:
    assert next_step(case(SINKING, unanswered=(1,))) == Deleverage(1, SELL, 1, 57_900)
    short = cross("2100", (1, -3, 58_000, 58_600))
    assert next_step(case(short, unanswered=(1,))) == Deleverage(1, BUY, 3, 58_700)


def test_a_debt_that_is_left_is_covered_and_nothing_left_is_the_end() -> None:
    flat = account_risk(-7, [Exposure(1, perp(), MarginRow(10), 0, 100)]).cross
    assert next_step(case(flat)) == CoverLoss(7)
    assert next_step(case(account_risk(0, []).cross)) == Clear()


def test_an_isolated_position_ends_with_its_own_margin() -> None:
    one = Exposure(1, btc_perp(), MarginRow(10, 1_250), usdc("81250"), 587_939, MarginMode.ISOLATED, usdc("8125"))
    scope = account_risk(usdc("1000000"), [one]).scope_of(1)
    assert next_step(case(scope)) == Reduce(1, SELL, 1_250, 585_000, 585_000, is_partial=False)


@pytest.mark.parametrize(
    ("fill", "fund", "flow"),
    [
        (56_500, "0", "1000"),
        (55_500, "5000", "-1000"),
        (55_500, "300", "-300"),
        (55_500, "0", "0"),
        (58_000, "0", "1740"),
    ],
)
def test_the_fund_never_falls_below_zero(fill: int, fund: str, flow: str) -> None:
    assert fund_payment_units(perp(), 2, fill, 56_000, usdc(fund)) == usdc(flow)


# -- Auto-deleveraging -------------------------------------------------------------------------------
def short(account: int, entry: int, lots: int, equity: int, mark: int = 58_000) -> Counterparty:
    """A short, as one of the golden vector: equity in whole USDC."""
    wallet = equity * 10**6 + lots * (mark - entry) * 10**6
    return Counterparty(Deleveraging(account, -lots * mark * 10**6, -lots * entry * 10**6, wallet), -lots)


THREE = (short(1, 60_000, 1, 3_000), short(2, 66_000, 1, 20_000), short(3, 58_500, 2, 4_000))


def closes(step: Deleverage, *others: Counterparty, mark: int = 58_000) -> list[tuple[int, int, int]]:
    return [(c.account_id, c.quantity_lots, c.price_ticks) for c in deleveraging_plan(perp(), step, mark, others)]


def test_winners_are_closed_in_the_order_of_the_golden_vector() -> None:
    assert closes(Deleverage(1, SELL, 3, 57_000), *THREE) == [(1, 1, 57_000), (2, 1, 57_000), (3, 1, 57_000)]
    assert closes(Deleverage(1, SELL, 4, 57_000), *THREE)[-1] == (3, 2, 57_000)
    assert closes(Deleverage(1, SELL, 9, 57_000), *THREE)[-1] == (3, 2, 57_000)


def test_only_the_other_side_with_equity_is_closed() -> None:
    broke = short(4, 50_000, 5, -1)
    long = Counterparty(Deleveraging(5, 58_000_000_000, 10**10, 10**12), 1)
    assert closes(Deleverage(1, SELL, 3, 57_000), broke, long) == []
    assert closes(Deleverage(1, BUY, 3, 57_000), broke, long) == [(5, 1, 57_000)]


def test_nobody_is_made_bankrupt_by_anothers_bankruptcy_price() -> None:
    """Closing at 60,000 costs each of the shorts 2,000 a lot: the third can carry one of its two."""
    plan = closes(Deleverage(1, SELL, 4, 60_000), *THREE)
    assert plan == [(1, 1, 60_000), (2, 1, 60_000), (3, 1, 60_000), (3, 1, 58_000)]


def test_equal_ranks_go_by_account() -> None:
    twins = (short(9, 60_000, 1, 3_000), short(4, 60_000, 1, 3_000))
    assert closes(Deleverage(1, SELL, 1, 57_000), *twins) == [(4, 1, 57_000)]


@pytest.mark.parametrize(
    ("place", "count", "rank"), [(0, 1, 5), (0, 10, 5), (1, 10, 5), (2, 10, 4), (9, 10, 1), (4, 5, 1), (1, 3, 4)]
)
def test_the_rank_shown(place: int, count: int, rank: int) -> None:
    assert deleveraging_rank(place, count) == rank


def test_the_score_of_a_scope_is_that_of_its_position() -> None:
    scope = cross("1000", (1, -1, 60_000, 58_000))
    score = score_of(scope, 1, 1)
    assert score is not None
    assert round(Fraction(*score), 4) == Fraction("0.6444")
    assert score_of(cross("1000", (1, 0, 1, 58_000)), 1, 1) is None
    assert score_of(cross("-3000", (1, -1, 60_000, 58_000)), 1, 1) is None


# -- Properties --------------------------------------------------------------------------------------
lots_of = st.integers(-5_000, 5_000).filter(bool)


@holds_for(
    700,
    lots=lots_of,
    part=st.integers(1, 5_000),
    mark=st.integers(1, 10**6),
    bankruptcy=st.integers(1, 10**6),
    fund=st.integers(0, 10**12),
)
def test_a_limit_costs_the_fund_no_more_than_it_has(
    lots: int, part: int, mark: int, bankruptcy: int, fund: int
) -> None:
    market, closed = btc_perp(), part if lots > 0 else -part
    limit = limit_ticks(market, lots, part, mark, bankruptcy, fund)
    flow = fund_flow_units(market, closed, limit, bankruptcy)
    assert -fund <= flow
    assert limit >= 1
    worse = (bankruptcy - limit) * (1 if lots > 0 else -1)
    assert worse >= 0
    if worse:  # the fund's money goes 0.5 % beyond the mark at most
        assert (mark - limit) * 1_000 * (1 if lots > 0 else -1) <= 5 * mark


@holds_for(
    700,
    wallet=st.integers(-(10**10), 10**11),
    lots=lots_of,
    entry=st.integers(1, 10**6),
    mark=st.integers(1, 10**6),
    fund=st.integers(0, 10**12),
)
def test_closing_at_the_limit_leaves_the_account_nothing_less_than_the_fund_covers(
    wallet: int, lots: int, entry: int, mark: int, fund: int
) -> None:
    market = btc_perp()
    one = Exposure(1, market, MarginRow(10, lots), market.notional_units(entry, lots), mark)
    scope = account_risk(wallet, [one]).cross
    step = next_step(Situation(scope, fund, NOW_MS, last_partial_ms=NOW_MS))
    if not isinstance(step, Reduce):
        assert isinstance(step, Clear)
        assert scope.equity_units >= scope.initial_units
        return
    assert step.quantity_lots == abs(lots)
    for price in {step.limit_ticks, step.bankruptcy_ticks}:
        flow = fund_payment_units(market, lots, price, step.bankruptcy_ticks, fund)
        left = scope.equity_units + market.notional_units(price - mark, lots) - flow
        clamped = step.bankruptcy_ticks in (1, 2**40 - 1)
        assert clamped or left >= 0


@holds_for(
    600,
    others=st.lists(
        st.tuples(st.integers(1, 40), lots_of, st.integers(1, 10**5), st.integers(-(10**9), 10**12)),
        max_size=8,
        unique_by=lambda each: each[0],
    ),
    quantity=st.integers(1, 20_000),
    side=st.sampled_from([BUY, SELL]),
    bankruptcy=st.integers(1, 2 * 10**5),
    mark=st.integers(1, 10**5),
)
def test_deleveraging_only_reduces_and_never_ruins(
    others: list[tuple[int, int, int, int]], quantity: int, side: Side, bankruptcy: int, mark: int
) -> None:
    market = btc_perp()
    unit = market.units_per_tick_lot
    known = {
        account: Counterparty(Deleveraging(account, lots * mark * unit, lots * entry * unit, wallet), lots)
        for account, lots, entry, wallet in others
    }
    plan = deleveraging_plan(market, Deleverage(1, side, quantity, bankruptcy), mark, known.values())
    sign = 1 if side is BUY else -1
    closed: dict[int, int] = {}
    for one in plan:
        closed[one.account_id] = closed.get(one.account_id, 0) + one.quantity_lots
        assert one.quantity_lots > 0
    carriers = [each for each in known.values() if each.position_lots * sign > 0 and each.equity_units > 0]
    # As much is closed as is wanted, or as there is.
    assert sum(closed.values()) == min(quantity, sum(abs(each.position_lots) for each in carriers))
    for account, lots in closed.items():
        assert lots <= abs(known[account].position_lots)
        loss = sum(
            (mark - each.price_ticks) * unit * -sign * each.quantity_lots for each in plan if each.account_id == account
        )
        assert known[account].equity_units + loss > 0 or loss >= 0
    at_the_price = [each for each in plan if each.price_ticks == bankruptcy]
    assert list(plan[: len(at_the_price)]) == at_the_price or mark == bankruptcy
    assert all(isinstance(each, ForcedClose) for each in plan)
