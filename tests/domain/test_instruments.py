"""Instruments: the demo markets are those of the seed, and terms that break a rule cannot be made."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume
from hypothesis import strategies as st

from crossbook.domain.instruments import (
    BTC,
    ETH,
    USDC,
    Asset,
    BelowMinimum,
    FeeAsset,
    Instrument,
    InstrumentKind,
    InvalidInstrument,
    InvalidLeverage,
    MarginTier,
    btc_perp,
    eth_perp,
)
from crossbook.domain.money import RATES, InvalidDecimal, Step
from crossbook.domain.orders import MarketState
from tests.domain.cases import TIERS, holds_for, perp, spot


@pytest.mark.parametrize(
    ("market", "base", "tick", "lot"), [(btc_perp(), BTC, "0.1", "0.001"), (eth_perp(), ETH, "0.01", "0.01")]
)
def test_the_demo_markets_have_the_terms_of_the_seed(market: Instrument, base: Asset, tick: str, lot: str) -> None:
    assert market.symbol == f"{base.name}-PERP"
    assert (market.kind, market.base, market.quote) == (InstrumentKind.PERPETUAL, base, USDC)
    assert (market.price_text(1), market.quantity_text(1)) == (tick, lot)
    assert market.max_leverage == 20
    assert RATES.format(market.initial_margin_ppm) == "0.05"
    assert RATES.format(market.maintenance_margin_ppm) == "0.005"
    assert RATES.format(market.maker_fee_ppm) == "0.0002"
    assert RATES.format(market.taker_fee_ppm) == "0.0005"
    assert market.funding_interval_hours == 8
    assert RATES.format(market.funding_rate_cap_ppm) == "0.00375"
    assert market.status is MarketState.ACTIVE


def test_the_quote_asset_of_the_seed_has_six_decimals() -> None:
    assert (USDC.decimals, USDC.is_stablecoin, USDC.scale.parse("1")) == (6, True, 1_000_000)


def test_the_notional_of_the_seed_order_is_exact() -> None:
    market = btc_perp()
    price, quantity = market.price_ticks("65000"), market.quantity_lots("1.25")
    assert (price, quantity, market.units_per_tick_lot) == (650_000, 1_250, 100)
    assert market.quote.scale.format(market.notional_units(price, quantity)) == "81250"
    assert market.notional_units(price, -quantity) == -market.notional_units(price, quantity)


def test_a_market_has_no_least_notional_unless_said() -> None:
    assert btc_perp().min_notional_units == 0
    btc_perp().check_order_size(1, 1)


def test_the_smallest_margin_rate_is_a_millionth() -> None:
    assert replace(btc_perp(), initial_margin_ppm=1, maintenance_margin_ppm=1).initial_margin_ppm == 1


def test_the_numbers_of_kinds_are_for_ever() -> None:
    assert [(kind.name, kind.value) for kind in InstrumentKind] == [("SPOT", 1), ("PERPETUAL", 2), ("SWAP_PAIR", 3)]
    assert [(kind.name, kind.value) for kind in FeeAsset] == [("QUOTE", 1), ("RECEIVED", 2)]


def test_a_lot_in_units_of_the_base_asset() -> None:
    assert spot().base_units_per_lot == 10_000


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no symbol": ({"symbol": ""}, "symbol"),
    "odd symbol": ({"symbol": "btc/usd"}, "symbol"),
    "one asset": ({"base": USDC}, "quote"),
    "notional not exact": ({"tick": Step.of("0.0001")}, "tick_size"),
    "no minimum": ({"min_quantity_lots": 0}, "min_quantity"),
    "negative notional": ({"min_notional_units": -1}, "min_notional"),
    "negative taker fee": ({"taker_fee_ppm": -1}, "taker_fee_rate"),
    "taker fee above one": ({"taker_fee_ppm": 1_000_001}, "taker_fee_rate"),
    "rebate above taker fee": ({"maker_fee_ppm": -501}, "maker_fee_rate"),
    "maker above taker": ({"maker_fee_ppm": 501}, "maker_fee_rate"),
    "no leverage": ({"max_leverage": 0}, "max_leverage"),
    "too much leverage": ({"max_leverage": 1001}, "max_leverage"),
    "no initial margin": ({"initial_margin_ppm": 0}, "initial_margin_rate"),
    "no maintenance margin": ({"maintenance_margin_ppm": 0}, "maintenance_margin_rate"),
    "initial below maintenance": ({"initial_margin_ppm": 4_999}, "initial_margin_rate"),
    "initial above one": ({"initial_margin_ppm": 1_000_001}, "initial_margin_rate"),
    "liquidation fee": ({"liquidation_fee_ppm": 15_001}, "liquidation_fee_rate"),
    "fee in what is received": ({"fee_asset": FeeAsset.RECEIVED}, "fee_asset"),
    "no funding interval": ({"funding_interval_hours": 0}, "funding_interval_hours"),
    "interval of no day": ({"funding_interval_hours": 7}, "funding_interval_hours"),
    "negative cap": ({"funding_rate_cap_ppm": -1}, "funding_rate_cap"),
    "tiers from above": ({"tiers": TIERS[1:]}, "tiers"),
    "equal floors": ({"tiers": (TIERS[0], MarginTier(0, 50_000, 5_000))}, "tiers"),
    "falling rates": ({"tiers": (TIERS[0], MarginTier(5, 40_000, 5_000))}, "tiers"),
    "falling maintenance": ({"tiers": (TIERS[0], MarginTier(5, 60_000, 4_000))}, "tiers"),
    "maintenance above initial": ({"tiers": (TIERS[0], MarginTier(5, 60_000, 70_000))}, "tiers"),
    "tier above one": ({"tiers": (TIERS[0], MarginTier(5, 1_000_001, 70_000))}, "tiers"),
}


@pytest.mark.parametrize(("terms", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_a_perpetual_that_breaks_a_rule_cannot_be_made(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInstrument) as caught:
        replace(btc_perp(), **terms)
    assert caught.value.field == field


BROKEN_SPOT: dict[str, tuple[dict[str, Any], str]] = {
    "lot below a unit": ({"lot": Step.of("0.000000001"), "tick": Step.of("1000")}, "lot_size"),
    "leverage": ({"max_leverage": 2}, "max_leverage"),
    "margin": ({"initial_margin_ppm": 50_000}, "max_leverage"),
    "tiers": ({"tiers": TIERS}, "max_leverage"),
    "funding": ({"funding_interval_hours": 8}, "funding_interval_hours"),
    "fees of a swap": ({"kind": InstrumentKind.SWAP_PAIR}, "taker_fee_rate"),
}


@pytest.mark.parametrize(("terms", "field"), BROKEN_SPOT.values(), ids=BROKEN_SPOT.keys())
def test_a_spot_market_that_breaks_a_rule_cannot_be_made(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInstrument) as caught:
        spot(**terms)
    assert caught.value.field == field


def test_edges_of_the_rules_are_allowed() -> None:
    assert replace(btc_perp(), maker_fee_ppm=-500).maker_fee_ppm == -500
    assert replace(btc_perp(), maker_fee_ppm=500).maker_fee_ppm == 500
    assert replace(btc_perp(), initial_margin_ppm=5_000).initial_margin_ppm == 5_000
    assert perp(tiers=TIERS).tiers == TIERS
    assert spot(kind=InstrumentKind.SWAP_PAIR, maker_fee_ppm=0, taker_fee_ppm=0).kind is InstrumentKind.SWAP_PAIR
    assert spot(fee_asset=FeeAsset.RECEIVED).fee_asset is FeeAsset.RECEIVED


def test_a_rebate_and_fees_from_what_is_received_do_not_go_together() -> None:
    with pytest.raises(InvalidInstrument, match="rebate"):
        spot(fee_asset=FeeAsset.RECEIVED, maker_fee_ppm=-1)


def test_assets_have_up_to_eighteen_decimals() -> None:
    assert (Asset("JPY", 0).scale.parse("5"), ETH.decimals, BTC.decimals) == (5, 9, 8)
    for decimals, nearest in ((-1, "0"), (19, "18")):
        with pytest.raises(InvalidInstrument) as caught:
            Asset("X", decimals)
        assert caught.value.nearest == nearest


@pytest.mark.parametrize(("name", "decimals"), [("", 6), ("usdc", 6), ("A" * 33, 6), ("USDC", -1), ("USDC", 19)])
def test_an_asset_is_checked_when_made(name: str, decimals: int) -> None:
    with pytest.raises(InvalidInstrument):
        Asset(name, decimals)


def test_prices_and_quantities_off_the_grid_are_refused_with_the_nearest_one() -> None:
    market = btc_perp()
    for read, text, nearest in (
        (market.price_ticks, "65000.05", "65000"),
        (market.price_ticks, "0", "0.1"),
        (market.price_ticks, "1" + "0" * 20, "109951162777.5"),
        (market.quantity_lots, "0.0005", "0.001"),
        (market.quantity_lots, "-1", "0.001"),
    ):
        with pytest.raises(InvalidDecimal) as caught:
            read(text)
        assert caught.value.nearest == nearest


def test_orders_below_the_minimum_are_refused_with_the_least_quantity() -> None:
    market = perp("0.1", "0.001", min_quantity_lots=5, min_notional_units=10_000_000)
    price = market.price_ticks("100")
    market.check_order_size(price, 100)
    with pytest.raises(BelowMinimum, match=r"^quantity times price must be at least 10 USDC; .* is 0\.1$"):
        market.check_order_size(price, 99)
    with pytest.raises(BelowMinimum, match=r"^quantity must be at least 0\.005; .* is 0\.005$"):
        market.check_order_size(market.price_ticks("65000"), 4)


@pytest.mark.parametrize("leverage", [1, 10, 20])
def test_leverage_is_a_whole_number_up_to_the_largest(leverage: int) -> None:
    assert btc_perp().check_leverage(leverage) == leverage


@pytest.mark.parametrize(
    ("leverage", "nearest"), [(0, "1"), (-3, "1"), (21, "20"), (2.0, None), ("10", None), (True, None), (None, None)]
)
def test_other_leverages_are_refused(leverage: object, nearest: str | None) -> None:
    with pytest.raises(InvalidLeverage) as caught:
        btc_perp().check_leverage(leverage)
    assert caught.value.nearest == nearest


def test_a_status_changes_nothing_else() -> None:
    paused = btc_perp().with_status(MarketState.PAUSED)
    assert paused.status is MarketState.PAUSED
    assert paused.with_status(MarketState.ACTIVE) == btc_perp()


steps = st.builds(Step, st.integers(1, 1000), st.integers(0, 9))


@holds_for(1000, tick=steps, lot=steps, price=st.integers(1, 10**9), quantity=st.integers(1, 10**9))
def test_a_market_is_made_when_every_notional_is_whole(tick: Step, lot: Step, price: int, quantity: int) -> None:
    unit = Fraction(tick.size_units, 10**tick.decimals) * Fraction(lot.size_units, 10**lot.decimals) * 10**6
    if unit.denominator != 1:
        with pytest.raises(InvalidInstrument, match=r"^tick_size times lot_size"):
            replace(btc_perp(), tick=tick, lot=lot)
        return
    market = replace(btc_perp(), tick=tick, lot=lot)
    exact = Fraction(market.price_text(price)) * Fraction(market.quantity_text(quantity)) * 10**6
    assert market.notional_units(price, quantity) == exact
    assert market.price_ticks(market.price_text(price)) == price


@holds_for(1000, price=st.integers(1, 10**9), least=st.integers(0, 10**12), floor=st.integers(1, 10**6))
def test_the_least_quantity_named_is_the_least_that_is_taken(price: int, least: int, floor: int) -> None:
    market = perp("0.1", "0.001", min_quantity_lots=floor, min_notional_units=least)
    assume(market.notional_units(price, 1) < least or floor > 1)
    with pytest.raises(BelowMinimum) as caught:
        market.check_order_size(price, min(floor - 1, 1) if market.notional_units(price, 1) >= least else 1)
    assert caught.value.nearest is not None
    named = Step.of("0.001").count(caught.value.nearest, "quantity")
    market.check_order_size(price, named)
    with pytest.raises(BelowMinimum):
        market.check_order_size(price, named - 1)
