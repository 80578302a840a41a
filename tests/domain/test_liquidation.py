"""Liquidation: the golden vectors of 3.4 to 3.7, and prices that meet the equation they solve."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import Instrument, btc_perp
from crossbook.domain.liquidation import (
    Deleveraging,
    bankruptcy_tick,
    cross_bankruptcy_price_ticks,
    deleveraging_order,
    deleveraging_score,
    fund_flow_units,
    isolated_bankruptcy_price_ticks,
    liquidation_price_ticks,
)
from crossbook.domain.margin import maintenance_margin_units
from crossbook.domain.money import InvalidValue
from tests.domain.cases import TIERS, ceil_of, holds_for, perp, usdc


def shown(market: Instrument, price: Fraction | None, decimals: int) -> str:
    assert price is not None
    return market.tick.ratio_text(price.numerator, price.denominator, decimals)


def test_isolated_example_of_another_venue() -> None:
    market = perp(maintenance_margin_ppm=50_000)
    assert shown(market, liquidation_price_ticks(market, -3, 3000, usdc("1000")), 7) == "3174.6031746"


def test_cross_example_of_another_venue() -> None:
    market = perp(lot="0.5", maintenance_margin_ppm=50_000)
    price = liquidation_price_ticks(market, -3, 3000, usdc("1000"), other_maintenance=usdc("175"))
    assert shown(market, price, 7) == "3380.952381"


SEED = [(1_250, "58793.96984925", "58500"), (-1_250, "71144.27860697", "71500")]


@pytest.mark.parametrize(("lots", "price", "bankruptcy"), SEED)
def test_the_seed_order_isolated_at_ten_times(lots: int, price: str, bankruptcy: str) -> None:
    market = btc_perp()
    margin = usdc("8125")
    assert shown(market, liquidation_price_ticks(market, lots, 650_000, margin), 8) == price
    cost = market.notional_units(650_000, lots)
    assert shown(market, isolated_bankruptcy_price_ticks(market, lots, cost, margin), 8) == bankruptcy


def test_two_cross_positions_share_equity_by_maintenance_margin() -> None:
    market = perp()
    wallet = usdc("6000")
    equity = wallet + market.notional_units(58_000 - 60_000, 2) + market.notional_units(3_100 - 3_000, -10)
    first, second = (maintenance_margin_units(market, usdc(value)) for value in ("116000", "31000"))
    assert (equity, first, second) == (usdc("1000"), usdc("580"), usdc("155"))
    long = cross_bankruptcy_price_ticks(market, 2, 58_000, equity, first, first + second)
    short = cross_bankruptcy_price_ticks(market, -10, 3_100, equity, second, first + second)
    assert shown(market, long, 6) == "57605.442177"
    assert shown(market, short, 6) == "3121.088435"
    assert Fraction(wallet, 10**6) + 2 * (long - 60_000) - 10 * (short - 3_000) == 0


def test_a_bankruptcy_price_goes_to_the_tick_in_favour_of_the_fund() -> None:
    assert (bankruptcy_tick(Fraction(1001, 10), 5), bankruptcy_tick(Fraction(1001, 10), -5)) == (101, 100)
    assert (bankruptcy_tick(Fraction(100), 5), bankruptcy_tick(Fraction(100), -5)) == (100, 100)


FLOWS = [
    (2, 56_500, 56_000, "1000"),
    (2, 55_500, 56_000, "-1000"),
    (2, 58_000, 56_000, "1740"),
    (2, 56_000, 56_000, "0"),
    (-2, 55_500, 56_000, "1000"),
    (-2, 56_500, 56_000, "-1000"),
]


@pytest.mark.parametrize(("closed", "fill", "bankruptcy", "flow"), FLOWS)
def test_what_the_fund_gets_or_pays(closed: int, fill: int, bankruptcy: int, flow: str) -> None:
    market = perp()
    assert fund_flow_units(market, closed, fill, bankruptcy) == usdc(flow)
    assert market.notional_units(56_500, 2) * 15 // 1000 == usdc("1695")


def test_there_is_no_price_without_a_position_or_below_zero() -> None:
    market = perp()
    assert liquidation_price_ticks(market, 0, 100, usdc("1000")) is None
    assert liquidation_price_ticks(market, 1, 100, usdc("100")) is None
    assert liquidation_price_ticks(perp(maintenance_margin_ppm=10**6, initial_margin_ppm=10**6), 1, 100, 5) is None
    assert liquidation_price_ticks(perp(tiers=TIERS), 1, 100, usdc("100")) is None


def test_a_flat_position_has_no_bankruptcy_price() -> None:
    with pytest.raises(InvalidValue):
        isolated_bankruptcy_price_ticks(perp(), 0, 0, 5)
    with pytest.raises(InvalidValue):
        cross_bankruptcy_price_ticks(perp(), 0, 100, 5, 5, 5)
    with pytest.raises(InvalidValue):
        cross_bankruptcy_price_ticks(perp(), 1, 100, 5, 0, 0)


def candidate(account: int, entry: int, lots: int, equity: int, mark: int = 58_000) -> Deleveraging:
    """A candidate in whole USDC."""
    return Deleveraging(account, lots * mark, lots * entry, equity - lots * (mark - entry))


def test_the_three_shorts_of_the_golden_vector() -> None:
    shorts = (candidate(1, 60_000, -1, 3_000), candidate(2, 66_000, -1, 20_000), candidate(3, 58_500, -2, 4_000))
    scores = [deleveraging_score(each) for each in shorts]
    assert [round(score, 4) for score in scores] == [Fraction("0.6444"), Fraction("0.3515"), Fraction("0.2479")]
    assert [each.account_id for each in deleveraging_order(shorts[::-1])] == [1, 2, 3]


def test_a_loss_ranks_last_and_less_leverage_ranks_lower_among_losses() -> None:
    strong, weak = candidate(1, 50_000, -1, 58_000), candidate(2, 50_000, -1, 5_800)
    gain = candidate(3, 59_000, -1, 58_000)
    assert deleveraging_score(strong) == Fraction(-8_000, 50_000)
    assert deleveraging_score(weak) == Fraction(-8_000, 500_000)
    assert deleveraging_order((strong, weak, gain)) == (gain, weak, strong)


def test_without_profit_the_rank_is_zero() -> None:
    assert deleveraging_score(candidate(1, 58_000, -1, 3_000)) == 0
    assert deleveraging_score(Deleveraging(1, 3, 1, -1)) == 6
    assert deleveraging_score(Deleveraging(1, 1, 3, 3)) == Fraction(-2, 3)


def test_equal_ranks_go_by_account() -> None:
    twins = (candidate(9, 60_000, -1, 3_000), candidate(4, 60_000, -1, 3_000))
    assert [each.account_id for each in deleveraging_order(twins)] == [4, 9]


@pytest.mark.parametrize("bad", [candidate(1, 60_000, 0, 3_000), candidate(1, 60_000, -1, 0)])
def test_only_accounts_with_a_position_and_equity_are_ranked(bad: Deleveraging) -> None:
    with pytest.raises(InvalidValue):
        deleveraging_score(bad)


positions = st.integers(-5_000, 5_000).filter(bool)
markets = st.sampled_from([btc_perp(), perp("0.1", "0.001", tiers=TIERS)])


def exact_maintenance(market: Instrument, notional: Fraction) -> Fraction:
    """Maintenance margin of a notional that need not be whole, summed over the tiers."""
    tiers = market.tiers
    if not tiers:
        return notional * market.maintenance_margin_ppm / 10**6
    total = Fraction(0)
    for at, tier in enumerate(tiers):
        upper = min(notional, Fraction(tiers[at + 1].floor_units)) if at + 1 < len(tiers) else notional
        total += max(Fraction(0), upper - tier.floor_units) * tier.maintenance_margin_ppm / 10**6
    return total


@holds_for(
    700,
    market=markets,
    lots=positions,
    mark=st.integers(1, 10**6),
    equity=st.integers(1, 10**11),
    other=st.integers(0, 10**9),
)
def test_at_the_liquidation_price_equity_meets_maintenance_margin(
    market: Instrument, lots: int, mark: int, equity: int, other: int
) -> None:
    def surplus(price: Fraction) -> Fraction:
        gain = (price - mark) * lots * market.units_per_tick_lot
        margin = exact_maintenance(market, abs(lots) * price * market.units_per_tick_lot)
        return equity + gain - margin - other

    price = liquidation_price_ticks(market, lots, mark, equity, other)
    if price is None:
        # A long that survives at zero, or a short that is under water at every price.
        assert surplus(Fraction(0)) >= 0 if lots > 0 else surplus(Fraction(0)) <= 0
        return
    assert surplus(price) == 0
    worse = price * (Fraction(99, 100) if lots > 0 else Fraction(101, 100))
    assert surplus(worse) < 0


@holds_for(
    700,
    held=st.lists(st.tuples(positions, st.integers(1, 10**6)), min_size=1, max_size=4),
    equity=st.integers(-(10**11), 10**11),
)
def test_closing_everything_at_its_bankruptcy_price_leaves_nothing(held: list[tuple[int, int]], equity: int) -> None:
    market = btc_perp()
    margins = [maintenance_margin_units(market, market.notional_units(mark, abs(lots))) for lots, mark in held]
    left = Fraction(equity)
    for (lots, mark), margin in zip(held, margins, strict=True):
        price = cross_bankruptcy_price_ticks(market, lots, mark, equity, margin, sum(margins))
        left += (price - mark) * market.notional_units(1, lots)
        tick = bankruptcy_tick(price, lots)
        assert (tick - price) * lots >= 0
        assert abs(tick - price) < 1
    assert left == 0


@holds_for(600, lots=positions, fill=st.integers(1, 10**6), bankruptcy=st.integers(1, 10**6))
def test_the_fund_never_takes_more_than_the_surplus_or_the_fee(lots: int, fill: int, bankruptcy: int) -> None:
    market = btc_perp()
    flow = fund_flow_units(market, lots, fill, bankruptcy)
    surplus = (fill - bankruptcy) * lots * 100
    assert flow <= surplus
    assert flow == surplus or 0 <= flow <= market.notional_units(fill, abs(lots)) * 15 // 1000
    assert ceil_of(Fraction(flow)) == flow
