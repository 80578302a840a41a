"""Flux's words and the venue's numbers, without a server."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.application.errors import InvalidOrder, MarketNotFound, OrderNotFound
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.portfolio import Portfolio
from crossbook.application.requests import NewOrder
from crossbook.application.views import BalanceDetails, Holdings, OrderDetails, PositionDetails
from crossbook.dialects.flux import schemas, translate
from crossbook.domain.errors import Reason
from crossbook.domain.instruments import InvalidLeverage, btc_perp, eth_perp
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import MarginRow
from crossbook.domain.money import InvalidDecimal
from crossbook.domain.orders import MAX_ID, MAX_TIME_MS, OrderType, SelfTradePrevention, Side, TimeInForce
from tests.dialects.flux.venue import SPOT

BTC_PERP = Market(1, btc_perp(), 2, 1)
ETH_PERP = Market(2, eth_perp(), 3, 1)
MARKETS = Markets([BTC_PERP, ETH_PERP, Market(3, SPOT, 2, 1)])
SEED = schemas.SubmitOrder(
    market_id="BTC-PERP",
    side="BUY",
    type="LIMIT",
    quantity="1.25",
    price="65000",
    time_in_force="GTC",
    post_only=True,
    client_order_id="client-123",
    leverage=10,
)
STORED = OrderDetails(
    order_id=7,
    account_id=1_000_000,
    market_id=1,
    client_order_id=None,
    side=Side.BUY,
    type=OrderType.LIMIT,
    time_in_force=TimeInForce.GTC,
    post_only=True,
    reduce_only=False,
    leverage=10,
    quantity_lots=1_250,
    price_ticks=650_000,
    trigger_price_ticks=0,
    expire_time_ms=0,
    status=OrderStatus.OPEN,
    reason=Reason.NONE,
    open_lots=1_250,
    filled_lots=0,
    filled_notional_units=0,
    held_units=0,
    created_at_ms=1,
    updated_at_ms=2,
    maker_fee_ppm=200,
    taker_fee_ppm=500,
)


def changed(**fields: Any) -> schemas.SubmitOrder:
    return msgspec.structs.replace(SEED, **fields)


def order_of(body: schemas.SubmitOrder) -> NewOrder:
    return translate.new_order(body, BTC_PERP, 1_000_000)


def test_the_seeds_order_in_ticks_and_lots() -> None:
    assert order_of(SEED) == NewOrder(
        1_000_000,
        1,
        Side.BUY,
        OrderType.LIMIT,
        1_250,
        650_000,
        TimeInForce.GTC,
        post_only=True,
        leverage=10,
        client_order_id="client-123",
    )


def test_what_is_left_out_has_the_contracts_defaults() -> None:
    order = order_of(changed(time_in_force=None, leverage=None, post_only=False, client_order_id=None))
    assert (order.time_in_force, order.leverage) == (TimeInForce.GTC, 0)
    assert order.self_trade_prevention is SelfTradePrevention.EXPIRE_TAKER


@pytest.mark.parametrize(
    ("asked", "entered"),
    [(None, TimeInForce.IOC), ("GTC", TimeInForce.IOC), ("IOC", TimeInForce.IOC), ("FOK", TimeInForce.FOK)],
)
def test_a_market_order_never_rests(asked: str | None, entered: TimeInForce) -> None:
    body = changed(type="MARKET", price=None, post_only=False, time_in_force=asked)
    order = order_of(body)
    assert (order.type, order.time_in_force, order.price_ticks) == (OrderType.MARKET, entered, 0)


def test_a_repeat_of_a_market_order_is_known_whatever_its_protection_price() -> None:
    order = order_of(changed(type="MARKET", price=None, post_only=False))
    again, larger = (
        msgspec.structs.replace(order, **changes) for changes in ({"price_ticks": 2}, {"quantity_lots": 1})
    )
    assert again.fingerprint() == order.fingerprint()
    assert larger.fingerprint() != order.fingerprint()
    limit = order_of(SEED)
    assert msgspec.structs.replace(limit, price_ticks=1).fingerprint() != limit.fingerprint()


@pytest.mark.parametrize(
    ("fields", "error", "field", "nearest"),
    [
        ({"price": "65000.05"}, InvalidDecimal, "price", "65000"),
        ({"price": "0"}, InvalidDecimal, "price", "0.1"),
        ({"price": None}, InvalidOrder, "price", None),
        ({"type": "MARKET"}, InvalidOrder, "price", None),
        ({"quantity": "0.0004"}, InvalidDecimal, "quantity", "0.001"),
        ({"quantity": "0"}, InvalidDecimal, "quantity", "0.001"),
        ({"leverage": 21}, InvalidLeverage, "leverage", "20"),
        ({"expires_at": MAX_TIME_MS + 1}, InvalidOrder, "expiresAt", str(MAX_TIME_MS)),
    ],
)
def test_a_refusal_names_the_field_and_the_nearest_value(
    fields: dict[str, Any], error: type[Exception], field: str, nearest: str | None
) -> None:
    with pytest.raises(error) as refused:
        order_of(changed(**fields))
    assert (refused.value.field, refused.value.nearest) == (field, nearest)  # type: ignore[attr-defined]


def test_every_market_with_a_book_has_a_name() -> None:
    assert translate.market_named(MARKETS, "BTC-PERP") is BTC_PERP
    assert (translate.market_number(MARKETS, None), translate.market_number(MARKETS, "ETH-PERP")) == (0, 2)
    for name in ("BTC-EUR", "btc-perp", ""):
        with pytest.raises(MarketNotFound):
            translate.market_named(MARKETS, name)


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "order_1", "", "\u0661", "9" * 30, str(MAX_ID + 1)])
def test_an_id_that_no_order_has(text: str) -> None:
    with pytest.raises(OrderNotFound):
        translate.order_number(text)


@given(st.integers(1, MAX_ID))
def test_an_orders_id_is_read_back(order_id: int) -> None:
    assert translate.order_number(str(order_id)) == order_id


@given(st.integers(1, (1 << 40) - 1), st.integers(1, (1 << 40) - 1))
def test_numbers_come_back_as_they_went_out(price_ticks: int, lots: int) -> None:
    view = translate.order_view(replace(STORED, price_ticks=price_ticks, quantity_lots=lots), BTC_PERP, "1")
    assert isinstance(view.price, str)
    again = order_of(changed(price=view.price, quantity=view.quantity))
    assert (again.price_ticks, again.quantity_lots) == (price_ticks, lots)


def test_an_order_holds_its_margin_and_its_fee_reserve() -> None:
    assert translate.order_view(STORED, BTC_PERP, "1").held_margin == "8141.25"
    taking = replace(STORED, post_only=False)
    assert translate.order_view(taking, BTC_PERP, "1").held_margin == "8165.625"
    for free in (replace(STORED, reduce_only=True), replace(STORED, status=OrderStatus.CANCELLED, open_lots=0)):
        assert translate.order_view(free, BTC_PERP, "1").held_margin == "0"


def test_an_order_that_ended_keeps_what_was_left() -> None:
    ended = replace(
        STORED,
        status=OrderStatus.CANCELLED,
        reason=Reason.USER_REQUEST,
        open_lots=0,
        filled_lots=3,
        filled_notional_units=3 * 65_000_000 + 100_000,
    )
    view = translate.order_view(ended, BTC_PERP, "1")
    assert (view.filled_quantity, view.remaining_quantity, view.reason) == ("0.003", "1.247", "USER_REQUEST")
    assert view.average_price == "65033.333333"


def test_a_spot_order_shows_what_it_holds() -> None:
    stored = replace(STORED, held_units=12_500_000, leverage=1)
    spot = Market(3, SPOT, 2, 1)
    assert translate.order_view(stored, spot, "1").held_margin == "12.5"
    assert translate.order_view(replace(stored, side=Side.SELL), spot, "1").held_margin == "0.125"


# -- Holdings ----------------------------------------------------------------------------------------
def holdings(*positions: PositionDetails, total_units: int = 10_000_000_000) -> Holdings:
    return Holdings([BalanceDetails(1_000_000, "USDC", 6, total_units, 0)], list(positions))


def position(market_id: int, lots: int, cost_units: int, **orders: int) -> PositionDetails:
    return PositionDetails(1_000_000, market_id, lots, cost_units, 0, MarginRow(10, lots, **orders))


def marks(**prices: int) -> Marks:
    made = Marks()
    for symbol, ticks in prices.items():
        made.set(MARKETS.named(symbol.replace("_", "-")).number, ticks)
    return made


def test_a_position_at_the_mark() -> None:
    row = position(1, -200, -13_000_000_000)
    portfolio = Portfolio(holdings(row), MARKETS, marks(BTC_PERP=660_000))
    view = translate.position_view(row, BTC_PERP, portfolio, "5")
    assert (view.side, view.quantity, view.entry_price, view.mark_price) == ("SHORT", "-0.2", "65000", "66000")
    assert (view.notional, view.margin, view.unrealized_pnl) == ("13200", "1320", "-200")
    # 10,000 + 13,000 = 0.2 * p * 1.005
    assert portfolio.figures(row).liquidation_ticks == Fraction(23_000 * 10 * 1_000, 201)
    assert view.liquidation_price == "114427.860697"


def test_a_position_without_a_mark_is_shown_at_its_cost() -> None:
    row = position(1, 200, 13_000_000_000)
    portfolio = Portfolio(holdings(row), MARKETS, Marks())
    view = translate.position_view(row, BTC_PERP, portfolio, "5")
    assert (view.mark_price, view.liquidation_price, view.unrealized_pnl) == (None, None, "0")
    assert (view.notional, view.margin) == ("13000", "1300")


def test_the_liquidation_price_counts_the_other_positions() -> None:
    row, other = position(1, 200, 13_000_000_000), position(2, 100, 3_000_000_000)
    alone = Portfolio(holdings(row), MARKETS, marks(BTC_PERP=650_000)).figures(row).liquidation_ticks
    assert alone is not None
    both = marks(BTC_PERP=650_000, ETH_PERP=310_000)
    # The other one has gained 100, and needs 15.5 of maintenance margin.
    richer = Portfolio(holdings(row, other), MARKETS, both).figures(row).liquidation_ticks
    assert richer == alone - Fraction(845 * 1_000, 199)
    assert Portfolio(holdings(row, other), MARKETS, marks(BTC_PERP=650_000)).figures(row).liquidation_ticks is None


def test_a_balance_locks_margin_of_positions_and_orders() -> None:
    row = position(1, 200, 13_000_000_000, buy_lots=100, buy_notional_units=6_000_000_000, fee_reserve_units=3_000_000)
    had = holdings(row)
    view = translate.balance_view(had.balances[0], Portfolio(had, MARKETS, marks(BTC_PERP=650_000)), "5")
    assert (view.total, view.locked, view.available) == ("10000", "1903", "8097")


def test_an_asset_without_perpetuals_locks_what_orders_hold() -> None:
    balance = BalanceDetails(1_000_000, "BTC", 8, 100_000_000, 25_000_000)
    portfolio = Portfolio(Holdings([balance], [position(1, 200, 1)]), MARKETS, Marks())
    assert translate.balance_view(balance, portfolio, "5").available == "0.75"


def test_amounts_are_read_to_the_unit() -> None:
    assert translate.transfer_units("10000.000001", 6) == 10_000_000_001
    for text in ("0", "0.0000001", "10000000000.000001"):
        with pytest.raises(InvalidDecimal):
            translate.transfer_units(text, 6)


def test_a_market_has_the_seeds_fields_in_the_seeds_order() -> None:
    names = list(msgspec.to_builtins(translate.market_view(BTC_PERP)))
    assert names[:12] == [
        "id",
        "symbol",
        "baseAsset",
        "quoteAsset",
        "maxLeverage",
        "initialMarginRate",
        "maintenanceMarginRate",
        "makerFeeRate",
        "takerFeeRate",
        "fundingIntervalHours",
        "fundingRateCap",
        "status",
    ]
