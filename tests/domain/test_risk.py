"""Scopes: equity, margins, states and prices of an account, against sums of exact fractions (3.1 to 3.5)."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import Instrument, btc_perp, eth_perp
from crossbook.domain.margin import MarginRow, MarginState, initial_margin_units, position_margin_units
from crossbook.domain.orders import Side
from crossbook.domain.risk import CROSS_SCOPE, AccountRisk, Exposure, MarginMode, account_risk, only_reduces
from tests.domain.cases import TIERS, ceil_of, holds_for, perp, usdc

CROSS, ISOLATED = MarginMode


def exposure(
    market_id: int, lots: int, entry: int, mark: int, margin: int = -1, instrument: Instrument | None = None
) -> Exposure:
    market = instrument or perp()
    cost = market.notional_units(entry, lots)
    mode = CROSS if margin < 0 else ISOLATED
    return Exposure(market_id, market, MarginRow(10, position_lots=lots), cost, mark, mode, max(margin, 0))


def golden() -> AccountRisk:
    """The account of the golden vector of 3.5."""
    return account_risk(usdc("6000"), [exposure(2, -10, 3_000, 3_100), exposure(1, 2, 60_000, 58_000)])


def test_two_cross_positions_stand_together() -> None:
    cross = golden().cross
    assert (cross.equity_units, cross.maintenance_units) == (usdc("1000"), usdc("735"))
    assert cross.initial_units == usdc("11600") + usdc("3100")
    assert cross.state is MarginState.MARGIN_CALL
    tick = perp().tick
    shown = [cross.bankruptcy_ticks(number) for number in (1, 2)]
    assert [tick.ratio_text(one.numerator, one.denominator, 6) for one in shown] == ["57605.442177", "3121.088435"]
    price = cross.liquidation_ticks(1)
    assert price is not None
    # 6000 + 2 * (p - 60000) - 1000 = 0.005 * 2 * p + 155
    assert price == Fraction(115_155 * 1_000, 1_990)


def test_an_isolated_position_stands_alone() -> None:
    account = account_risk(usdc("6000"), [exposure(1, 2, 60_000, 58_000, usdc("4500")), exposure(2, -1, 3_000, 3_100)])
    alone = account.scope_of(1)
    assert (alone.market_id, alone.equity_units, alone.maintenance_units) == (1, usdc("500"), usdc("580"))
    assert account.in_liquidation == (1,)
    assert account.cross.equity_units == usdc("1400")
    assert alone.bankruptcy_ticks(1) == 60_000 - 2_250
    assert account.scope_of(2) is account.cross
    assert account.scope_of(7) is account.cross
    assert account.available_units == usdc("1400") - usdc("310")
    assert account.withdrawable_units == usdc("1400") - usdc("310")


SEED = [(1_250, "58793.96984925", "58500"), (-1_250, "71144.27860697", "71500")]


@pytest.mark.parametrize(("lots", "price", "bankruptcy"), SEED)
def test_the_seed_position_isolated(lots: int, price: str, bankruptcy: str) -> None:
    market = btc_perp()
    scope = account_risk(usdc("9000"), [exposure(1, lots, 650_000, 650_000, usdc("8125"), market)]).scope_of(1)
    liquidation = scope.liquidation_ticks(1)
    assert liquidation is not None
    assert market.tick.ratio_text(liquidation.numerator, liquidation.denominator, 8) == price
    gone = scope.bankruptcy_ticks(1)
    assert market.tick.ratio_text(gone.numerator, gone.denominator, 8) == bankruptcy


def test_the_edge_of_liquidation_is_included() -> None:
    # 100 at 10x long from 100: maintenance 0.5 of each 100, so equity 0.5 is the edge.
    for wallet, state in (("10.5", MarginState.LIQUIDATION), ("10.500001", MarginState.MARGIN_CALL)):
        risk = account_risk(usdc(wallet), [exposure(1, 1, 110, 100)])
        assert risk.cross.state is state
        assert risk.in_liquidation == ((CROSS_SCOPE,) if state is MarginState.LIQUIDATION else ())


def test_without_a_position_nobody_is_flagged() -> None:
    assert account_risk(-5, [exposure(1, 0, 1, 100)]).in_liquidation == ()
    assert account_risk(-5, []).cross.state is MarginState.LIQUIDATION


def test_a_market_without_a_row_is_not_in_the_scope() -> None:
    with pytest.raises(KeyError):
        golden().cross.in_market(9)


def test_orders_of_an_isolated_market_are_carried_by_the_wallet() -> None:
    row = MarginRow(10, 2, buy_lots=3, buy_notional_units=usdc("300"), fee_reserve_units=usdc("0.15"))
    alone = Exposure(1, perp(), row, usdc("200"), 100, ISOLATED, usdc("20"))
    risk = account_risk(usdc("100"), [alone])
    assert risk.cross.equity_units == usdc("80")
    assert (risk.order_units, risk.fee_reserve_units) == (usdc("30"), usdc("0.15"))
    assert risk.available_units == usdc("49.85")


@pytest.mark.parametrize(
    ("position", "buys", "sells", "buy_reduces", "sell_reduces"),
    [
        (5, 0, 5, False, True),
        (5, 0, 6, False, False),
        (-5, 5, 0, True, False),
        (-5, 6, 0, False, False),
        (0, 1, 1, False, False),
    ],
)
def test_orders_that_only_reduce(position: int, buys: int, sells: int, buy_reduces: bool, sell_reduces: bool) -> None:
    row = MarginRow(10, position, buys, buys * 100, sells, sells * 100)
    assert only_reduces(row, Side.BUY) is buy_reduces
    assert only_reduces(row, Side.SELL) is sell_reduces


held = st.tuples(
    st.integers(-5_000, 5_000),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.sampled_from([-1, 0, 10**7, 10**9]),
    st.sampled_from([btc_perp(), eth_perp(), perp("0.1", "0.001", tiers=TIERS)]),
)


@holds_for(1_000, wallet=st.integers(-(10**10), 10**12), rows=st.lists(held, min_size=1, max_size=4))
def test_scopes_are_the_sums_of_the_written_rules(
    wallet: int, rows: list[tuple[int, int, int, int, Instrument]]
) -> None:
    account = account_risk(wallet, [exposure(number, *row) for number, row in enumerate(rows, 1)][::-1])
    equity, initial, maintenance, value = Fraction(wallet), Fraction(0), Fraction(0), Fraction(0)
    for lots, entry, mark, margin, market in rows:
        unit = market.units_per_tick_lot
        if margin >= 0:
            equity -= margin
            continue
        equity += lots * (mark - entry) * unit
        notional = abs(lots) * mark * unit
        value += notional
        initial += position_margin_units(market, MarginRow(10, lots), mark)
        maintenance += ceil_of(_by_tiers(market, notional))
    cross = account.cross
    assert Fraction(cross.equity_units) == equity
    assert Fraction(cross.initial_units) == initial
    assert Fraction(cross.maintenance_units) == maintenance
    liquidated = equity < 0 or (maintenance > 0 and equity <= maintenance)
    assert (cross.state is MarginState.LIQUIDATION) == liquidated
    kept = max(initial, Fraction(ceil_of(value / 10)))
    backing = Fraction(wallet - sum(max(margin, 0) for _, _, _, margin, _ in rows))
    assert Fraction(account.withdrawable_units) == max(Fraction(0), min(backing, equity) - kept)
    assert account.available_units == equity - initial
    for number, (lots, entry, mark, margin, market) in enumerate(rows, 1):
        if margin >= 0:
            own = margin + lots * (mark - entry) * market.units_per_tick_lot
            assert account.scope_of(number).equity_units == own


def _by_tiers(market: Instrument, notional: int) -> Fraction:
    """Maintenance margin as a sum over the slices of the tiers, which the deductions must equal."""
    if not market.tiers:
        return Fraction(notional * market.maintenance_margin_ppm, 10**6)
    floors = [tier.floor_units for tier in market.tiers] + [max(notional, market.tiers[-1].floor_units)]
    total = Fraction(0)
    for tier, upper in zip(market.tiers, floors[1:], strict=True):
        total += Fraction(max(0, min(notional, upper) - tier.floor_units) * tier.maintenance_margin_ppm, 10**6)
    return total


@holds_for(
    1_000, lots=st.integers(-5_000, 5_000).filter(bool), entry=st.integers(1, 10**6), margin=st.integers(1, 10**10)
)
def test_at_its_liquidation_price_an_isolated_scope_is_at_the_edge(lots: int, entry: int, margin: int) -> None:
    scope = account_risk(margin, [exposure(1, lots, entry, entry, margin, btc_perp())]).scope_of(1)
    price = scope.liquidation_ticks(1)
    if price is None:
        assert lots > 0
        return
    gone = scope.bankruptcy_ticks(1)
    assert (price - gone) * lots > 0  # liquidation comes before bankruptcy
    step = -1 if lots > 0 else 1
    at = price.numerator // price.denominator if lots > 0 else -(-price.numerator // price.denominator)
    for ticks in (at, at + step):
        if ticks > 0:
            there = account_risk(margin, [exposure(1, lots, entry, entry, margin, btc_perp())]).scope_of(1)
            moved = Exposure(1, btc_perp(), MarginRow(10, lots), there.in_market(1).cost_units, ticks, ISOLATED, margin)
            assert account_risk(margin, [moved]).in_liquidation == (1,)


@holds_for(
    300, lots=st.integers(-50, 50), buys=st.integers(0, 60), sells=st.integers(0, 60), mark=st.integers(1, 10**5)
)
def test_what_orders_need_is_what_the_market_needs_beyond_the_position(
    lots: int, buys: int, sells: int, mark: int
) -> None:
    row = MarginRow(7, lots, buys, buys * 90_000_000, sells, sells * 110_000_000)
    one = Exposure(1, perp(), row, lots * 10**8, mark)
    assert one.order_units == initial_margin_units(perp(), row, mark) - position_margin_units(perp(), row, mark)
    assert one.order_units >= 0
