"""Spot holds: what an order sets aside is what it pays plus what comes back, to the unit (3.13)."""

from fractions import Fraction

import pytest
from hypothesis import strategies as st

from crossbook.domain.holds import (
    FillOutcome,
    InvalidHold,
    SpotHold,
    apply_fill,
    hold_for_amount,
    hold_for_buy,
    hold_for_sell,
)
from crossbook.domain.instruments import FeeAsset, Instrument
from crossbook.domain.money import Step
from crossbook.domain.orders import Side
from tests.domain.cases import ceil_of, floor_of, holds_for, spot, usdc

MARKET = spot()
IN_BASE = spot(fee_asset=FeeAsset.RECEIVED)
BITCOIN = 10**8


def lots(text: str) -> int:
    return MARKET.quantity_lots(text)


def ticks(text: str) -> int:
    return MARKET.price_ticks(text)


def test_a_limit_buy_holds_price_times_quantity_and_the_takers_fee() -> None:
    hold = hold_for_buy(MARKET, ticks("65000"), lots("1.25"))
    assert (hold.asset, hold.held_units) == ("PYUSD", usdc("81250") + usdc("40.625"))
    assert hold_for_buy(MARKET, ticks("65000"), lots("1.25"), taker_fee_ppm=0).held_units == usdc("81250")
    # 65000.5 * 0.0001 * 0.0005 lies between two units: the fee is rounded up.
    assert hold_for_buy(MARKET, ticks("65000.5"), lots("0.0001")).held_units == 6_500_050 + 3_251


def test_a_buy_that_pays_its_fee_in_base_holds_none() -> None:
    hold = hold_for_buy(IN_BASE, ticks("65000"), lots("1.25"))
    assert hold.held_units == usdc("81250")
    assert apply_fill(hold, IN_BASE, ticks("64000"), lots("1"), 500) == (
        SpotHold(Side.BUY, "PYUSD", usdc("16250"), lots("0.25"), 6_500_000, 0),
        FillOutcome(usdc("65000"), usdc("64000"), BITCOIN, "BTC", 50_000),
    )


def test_a_sell_holds_its_quantity_and_pays_the_fee_from_what_it_gets() -> None:
    hold = hold_for_sell(MARKET, lots("1.25"))
    assert (hold.asset, hold.held_units) == ("BTC", 125_000_000)
    after, outcome = apply_fill(hold, MARKET, ticks("65000"), lots("1"), 200)
    assert outcome == FillOutcome(BITCOIN, BITCOIN, usdc("65000"), "PYUSD", usdc("13"))
    assert after.end()[1] == 25_000_000


def test_a_fill_at_a_better_price_frees_the_difference() -> None:
    hold = hold_for_buy(MARKET, ticks("65000"), lots("1"))
    after, outcome = apply_fill(hold, MARKET, ticks("64000"), lots("0.5"), 500)
    assert outcome == FillOutcome(usdc("32516.25"), usdc("32000"), BITCOIN // 2, "PYUSD", usdc("16"))
    assert after.held_units == after.needed_units == usdc("32516.25")
    assert after.end() == (SpotHold(Side.BUY, "PYUSD", 0, 0, 6_500_000, 500), usdc("32516.25"))


def test_a_rebate_is_not_taken_from_the_hold() -> None:
    hold = hold_for_buy(MARKET, ticks("65000"), lots("1"))
    _, outcome = apply_fill(hold, MARKET, ticks("65000"), lots("1"), -100)
    assert outcome == FillOutcome(usdc("65032.5"), usdc("65000"), BITCOIN, "PYUSD", usdc("-6.5"))


def test_a_market_buy_by_amount_holds_the_amount_and_keeps_its_fees_inside() -> None:
    hold = hold_for_amount(MARKET, usdc("1000"))
    assert hold.held_units == usdc("1000")
    # 1000 / 1.0005 = 999.500249..., in items of 0.00005 PYUSD.
    assert hold.open_items * MARKET.units_per_tick_lot == usdc("999.50020")
    assert hold.needed_units <= usdc("1000") < hold.needed_units + 51
    after, outcome = apply_fill(hold, MARKET, ticks("65000"), lots("0.0100"), 500)
    assert (outcome.paid_units, outcome.fee_units, outcome.released_units) == (usdc("650"), 325_000, 650_325_000)
    assert after.end()[1] == usdc("349.675")


def test_an_amount_that_buys_nothing_is_refused_with_the_least_one() -> None:
    with pytest.raises(InvalidHold) as caught:
        hold_for_amount(MARKET, 50)
    assert caught.value.nearest == "0.000051"
    assert hold_for_amount(MARKET, 51).open_items == 1
    assert hold_for_amount(IN_BASE, 50).open_items == 1


def test_a_fee_never_takes_more_than_its_fill_frees() -> None:
    hold = hold_for_buy(MARKET, ticks("65000.5"), lots("0.0002"))
    assert hold.held_units == 2 * 6_500_050 + 6_501
    hold, first = apply_fill(hold, MARKET, ticks("65000.5"), 1, 500)
    hold, second = apply_fill(hold, MARKET, ticks("65000.5"), 1, 500)
    # Each fee alone would be 3250.025, rounded up to 3251; together they hold 6501.
    assert (first.fee_units, second.fee_units, hold.held_units) == (3_250, 3_251, 0)


BAD = [
    (hold_for_buy(MARKET, 100, 5), 100, 6, 500, "quantity"),
    (hold_for_buy(MARKET, 100, 5), 101, 5, 500, "price"),
    (hold_for_buy(MARKET, 100, 5), 100, 5, 501, "fee_rate"),
    (hold_for_sell(MARKET, 5), 100, 6, 500, "quantity"),
    (hold_for_amount(MARKET, 1000), 100, 1, 500, "quantity"),
]


@pytest.mark.parametrize(("hold", "price", "quantity", "rate", "field"), BAD)
def test_impossible_fills_are_refused(hold: SpotHold, price: int, quantity: int, rate: int, field: str) -> None:
    with pytest.raises(InvalidHold) as caught:
        apply_fill(hold, MARKET, price, quantity, rate)
    assert caught.value.field == field


def test_impossible_orders_are_refused() -> None:
    for price, quantity in ((0, 1), (1, 0), (-1, 1), (1, -1)):
        with pytest.raises(InvalidHold):
            hold_for_buy(MARKET, price, quantity)
    for quantity in (0, -1):
        with pytest.raises(InvalidHold):
            hold_for_sell(MARKET, quantity)
    with pytest.raises(InvalidHold):
        hold_for_sell(MARKET, 1).without(-1)


fee_rates = st.tuples(st.integers(0, 10**6), st.integers(0, 2 * 10**6)).map(
    lambda pair: (pair[1] % (2 * pair[0] + 1) - pair[0], pair[0])
)


def market(tick: int, fees: tuple[int, int], asset: FeeAsset) -> Instrument:
    """A spot market; where fees are taken from what is received there is no rebate."""
    maker = fees[0] if asset is FeeAsset.QUOTE else max(fees[0], 0)
    return spot(tick=Step(tick, 2), maker_fee_ppm=maker, taker_fee_ppm=fees[1], fee_asset=asset)


markets = st.builds(
    market,
    st.integers(1, 200),
    fee_rates,
    st.sampled_from(FeeAsset),
)
steps = st.lists(
    st.tuples(st.sampled_from(["taker", "maker", "reduce"]), st.integers(1, 400), st.integers(1, 1000)), max_size=12
)


def check_history(market: Instrument, hold: SpotHold, limit: int, history: list[tuple[str, int, int]]) -> None:
    """Play fills and reductions, end the order, and count every unit."""
    held = hold.held_units
    spent = freed = 0
    for kind, size, price in history:
        before = hold
        if kind == "reduce":
            hold, released = hold.without(min(size, hold.open_items))
            freed += released
        else:
            at = limit + price if hold.side is Side.SELL else max(1, limit - price)
            most = hold.open_items // at if hold.is_by_amount else hold.open_items
            quantity = min(size, most)
            if quantity == 0:
                continue
            rate = market.taker_fee_ppm if kind == "taker" else market.maker_fee_ppm
            hold, outcome = apply_fill(hold, market, at, quantity, rate)
            quote, base = market.notional_units(at, quantity), quantity * market.base_units_per_lot
            bought = hold.side is Side.BUY
            assert (outcome.paid_units, outcome.received_units) == ((quote, base) if bought else (base, quote))
            in_base = outcome.fee_asset == market.base.name
            exact = Fraction((base if in_base else quote) * rate, 10**6)
            assert outcome.fee_units <= ceil_of(exact)
            assert outcome.fee_units >= floor_of(exact)
            from_hold = outcome.fee_units if outcome.fee_asset == hold.asset else 0
            back = outcome.released_units - outcome.paid_units - from_hold
            assert back >= 0
            assert bought or outcome.fee_units <= outcome.received_units
            spent += outcome.paid_units + from_hold
            freed += back
        assert hold.held_units >= hold.needed_units
        assert 0 <= hold.held_units <= before.held_units
        assert hold.is_by_amount or hold.held_units == hold.needed_units
    hold, released = hold.end()
    assert hold.held_units == hold.open_items == 0
    assert spent + freed + released == held


@holds_for(800, market=markets, limit=st.integers(1, 10**6), quantity=st.integers(1, 2000), history=steps)
def test_a_buy_releases_exactly_what_it_held(
    market: Instrument, limit: int, quantity: int, history: list[tuple[str, int, int]]
) -> None:
    hold = hold_for_buy(market, limit, quantity)
    value = market.notional_units(limit, quantity)
    rate = 0 if market.fee_asset is FeeAsset.RECEIVED else market.taker_fee_ppm
    assert hold.held_units == value + ceil_of(Fraction(value * rate, 10**6))
    check_history(market, hold, limit, history)


@holds_for(500, market=markets, limit=st.integers(1, 10**6), quantity=st.integers(1, 2000), history=steps)
def test_a_sell_releases_exactly_what_it_held(
    market: Instrument, limit: int, quantity: int, history: list[tuple[str, int, int]]
) -> None:
    hold = hold_for_sell(market, quantity)
    assert hold.held_units == quantity * market.base_units_per_lot
    check_history(market, hold, limit, history)


@holds_for(700, market=markets, amount=st.integers(10**5, 10**12), limit=st.integers(1, 10**4), history=steps)
def test_a_buy_by_amount_never_spends_more_and_has_the_largest_budget(
    market: Instrument, amount: int, limit: int, history: list[tuple[str, int, int]]
) -> None:
    hold = hold_for_amount(market, amount)
    unit = market.units_per_tick_lot
    exact = Fraction(amount) / (1 + Fraction(hold.fee_ppm, 10**6)) / unit
    assert hold.open_items == floor_of(exact)
    assert hold.held_units == amount >= hold.needed_units
    check_history(market, hold, limit, history)
