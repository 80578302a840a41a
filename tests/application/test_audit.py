"""The rules of an audit that need no database, and how it is shown."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from crossbook.application.audit import (
    Check,
    LiveOrder,
    OpenOrders,
    OpenSums,
    Tally,
    hold_difference,
    is_clean,
    needed_hold_units,
    negative_difference,
)
from crossbook.application.audit_replay import (
    Entered,
    Fill,
    Logged,
    Replay,
    ReplayFault,
    entered_difference,
    fills_difference,
    live_difference,
    snapshot_difference,
)
from crossbook.audit_table import CLEAN, DIFFERENT, show_audit
from crossbook.domain.accounts import BAD_DEBT, EXTERNAL, FEES, FIRST_USER, INSURANCE, clearing_account
from crossbook.domain.commands import Batch, CancelOrder, Command, SetMarketState, SubmitOrder
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.holds import hold_for_amount, hold_for_buy, hold_for_sell
from crossbook.domain.instruments import FeeAsset
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import MarketState, OrderType, Side, TimeInForce
from crossbook.matching import Engine
from crossbook.matching.codec import encode_records
from tests.domain.cases import perp, spot

ALICE, BOB = FIRST_USER + 1, FIRST_USER + 2
MARKET = 3


# -- Checks ------------------------------------------------------------------------------------------
def test_a_tally_counts_and_keeps_the_first_difference() -> None:
    tally = Tally("orders", "rows")
    tally.count()
    tally.count(4)
    tally.differs(None)
    assert tally.check() == Check("orders", 5, "rows")
    assert tally.check().ok
    tally.differs("first")
    tally.differs("second")
    assert tally.check() == Check("orders", 5, "rows", "first")
    assert not tally.check().ok


def test_one_difference_makes_an_audit_unclean() -> None:
    assert is_clean([Check("a", 1, "rows"), Check("b", 0, "rows")])
    assert not is_clean([Check("a", 1, "rows"), Check("b", 0, "rows", "differs")])


def test_the_table_names_every_check_and_its_difference() -> None:
    console = Console(width=200, highlight=False)
    checks = [Check("fine [so far]", 12_345, "orders"), Check("wrong", 1, "fills", "trade 7 [seller]")]
    with console.capture() as capture:
        assert show_audit(checks, console) == DIFFERENT
    lines = [line.split() for line in capture.get().splitlines()]
    assert lines[0] == ["fine", "[so", "far]", "12,345", "orders", "ok"]
    assert lines[1] == ["wrong", "1", "fills", "trade", "7", "[seller]"]
    assert lines[2][:5] == ["1", "of", "2", "checks", "found"]
    with console.capture() as capture:
        assert show_audit(checks[:1], console) == CLEAN
    assert "Clean: 1 checks" in capture.get()


@pytest.mark.parametrize("account_id", [EXTERNAL, BAD_DEBT, clearing_account(1)])
def test_contra_accounts_may_be_below_zero(account_id: int) -> None:
    assert negative_difference(account_id, "USDC", -1, is_margin_asset=False) is None


@pytest.mark.parametrize("account_id", [FEES, INSURANCE, ALICE, 77])
def test_others_may_not(account_id: int) -> None:
    assert negative_difference(account_id, "BTC", 0, is_margin_asset=False) is None
    assert str(account_id) in (negative_difference(account_id, "BTC", -1, is_margin_asset=False) or "")


def test_a_user_may_in_a_margin_asset() -> None:
    assert negative_difference(ALICE, "USDC", -1, is_margin_asset=True) is None


# -- Live orders -------------------------------------------------------------------------------------
def order(side: Side = Side.BUY, lots: int = 10, ticks: int = 100, **changes: object) -> LiveOrder:
    found = LiveOrder(7, ALICE, MARKET, 1, side, False, False, OrderStatus.OPEN, lots, ticks, 0, lots, 0, 0, 200, 500)
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("fee_asset", list(FeeAsset))
def test_a_spot_order_needs_what_admission_holds(fee_asset: FeeAsset) -> None:
    market = spot(fee_asset=fee_asset)
    assert needed_hold_units(order(), market) == hold_for_buy(market, 100, 10).held_units
    assert needed_hold_units(order(Side.SELL), market) == hold_for_sell(market, 10).held_units
    amount = hold_for_amount(market, 1_000_003)
    by_amount = order(quantity_lots=0, open_lots=0, price_ticks=0, budget=amount.open_items)
    assert needed_hold_units(by_amount, market) == amount.needed_units


def test_a_spot_order_may_hold_more_and_not_less_than_it_needs() -> None:
    market = spot()
    needed = needed_hold_units(order(), market)
    assert hold_difference(order(held_units=needed + 1), market) is None
    assert hold_difference(order(held_units=needed), market) is None
    assert hold_difference(order(held_units=needed - 1), market) == f"order 7 holds {needed - 1} and needs {needed}"


def test_an_order_of_a_perpetual_holds_nothing_of_its_own() -> None:
    assert hold_difference(order(), perp()) is None
    assert "holds 1" in (hold_difference(order(held_units=1), perp()) or "")


def test_open_sums_are_those_of_the_orders() -> None:
    market = perp()
    orders = OpenOrders()
    orders.add(order(), market)
    orders.add(order(ticks=101, lots=3), market)
    orders.add(order(Side.SELL, lots=2, ticks=110, post_only=True), market)
    orders.add(order(Side.SELL, reduce_only=True), market)
    orders.add(order(open_lots=0, budget=50), market)
    unit = market.units_per_tick_lot
    # Rounded up for each order by itself; the maker's rate for the one that must not take.
    reserve = sum(-(-notional * rate // 1_000_000) for notional, rate in ((1000 * unit, 500), (303 * unit, 500)))
    reserve += -(-220 * unit * 200 // 1_000_000)
    assert orders.compare(ALICE, MARKET, OpenSums(13, 1303 * unit, 2, 220 * unit, reserve)) is None
    assert orders.left_over() is None


@pytest.mark.parametrize("name", list(vars(OpenSums())))
def test_each_open_sum_is_compared(name: str) -> None:
    orders = OpenOrders()
    stored = OpenSums()
    setattr(stored, name, 1)
    assert (
        orders.compare(ALICE, MARKET, stored)
        == f"account {ALICE}, market {MARKET}: {name} is 1, its open orders make 0"
    )


def test_open_orders_that_no_row_counts_are_found() -> None:
    orders = OpenOrders()
    orders.add(order(account_id=BOB), perp())
    assert f"account {BOB}" in (orders.left_over() or "")


def test_what_amendments_set_aside_is_counted_beside_the_orders() -> None:
    orders = OpenOrders()
    orders.add(order(), perp())
    unit = perp().units_per_tick_lot
    reserve = -(-1000 * unit * 500 // 1_000_000)
    orders.add_amendments(ALICE, MARKET, OpenSums(2, 300, 1, 100, 4))
    orders.add_amendments(BOB, MARKET, OpenSums())
    assert orders.compare(ALICE, MARKET, OpenSums(12, 1000 * unit + 300, 1, 100, reserve + 4)) is None
    assert orders.left_over() is None


# -- The log -----------------------------------------------------------------------------------------
def limit(sequence: int, account_id: int, side: Side, lots: int, ticks: int) -> SubmitOrder:
    return SubmitOrder(sequence, sequence, 100 + sequence, account_id, side, OrderType.LIMIT, lots, ticks)


COMMANDS: list[Command] = [
    limit(1, ALICE, Side.SELL, 5, 100),
    limit(2, BOB, Side.BUY, 3, 101),
    CancelOrder(3, 3, 101, ALICE),
    Batch((limit(4, ALICE, Side.BUY, 4, 99), replace(limit(4, ALICE, Side.BUY, 4, 98), order_id=204))),
    limit(5, BOB, Side.SELL, 6, 97),
]


def logged(commands: list[Command]) -> Iterator[Logged]:
    for place, command in enumerate(commands, start=1):
        yield Logged(place, 1, encode_records(command))


def replayed(commands: list[Command]) -> Replay:
    replay = Replay(MARKET)
    replay.play(list(logged(commands)))
    return replay


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_log_gives_the_same_fills_in_parts_of_any_size(size: int) -> None:
    log = list(logged(COMMANDS))
    replay = Replay(MARKET)
    fills: list[Fill] = []
    entered: list[Entered] = []
    for at in range(0, len(log), size):
        played = replay.play(log[at : at + size])
        fills += played.fills
        entered += played.entered
    maker, taker = LiquidityRole.MAKER, LiquidityRole.TAKER
    assert fills == [
        Fill(1, Side.BUY, 102, BOB, taker, 100, 3, 2, 1),
        Fill(1, Side.SELL, 101, ALICE, maker, 100, 3, 2, 1),
        Fill(2, Side.BUY, 104, ALICE, maker, 99, 4, 5, 1),
        Fill(2, Side.SELL, 105, BOB, taker, 99, 4, 5, 1),
        Fill(3, Side.BUY, 204, ALICE, maker, 98, 2, 5, 2),
        Fill(3, Side.SELL, 105, BOB, taker, 98, 2, 5, 2),
    ]
    assert [(found.order_id, found.sequence) for found in entered] == [(101, 1), (102, 2), (104, 4), (204, 4), (105, 5)]
    assert entered[0] == Entered(101, ALICE, MARKET, 1, Side.SELL, OrderType.LIMIT, TimeInForce.GTC, False, False)
    assert (replay.sequence, replay.last_trade_id, replay.entered) == (5, 3, 5)


def test_in_an_auction_both_sides_are_makers() -> None:
    commands: list[Command] = [
        SetMarketState(1, 1, MarketState.AUCTION, 0),
        limit(2, ALICE, Side.SELL, 5, 100),
        limit(3, BOB, Side.BUY, 5, 100),
        SetMarketState(4, 4, MarketState.ACTIVE, 0),
    ]
    fills = Replay(MARKET).play(list(logged(commands))).fills
    assert [(fill.side, fill.account_id, fill.role) for fill in fills] == [(1, BOB, 1), (2, ALICE, 1)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sequence": 3}, "command 2: the log goes on with 3"),
        ({"version": 2}, "command 2: it is of version 2"),
        ({"record": b""}, "command 2: 0 bytes are no whole number"),
        ({"record": b"x" * 113}, "command 2: 113 bytes are no whole number"),
        ({"record": encode_records(limit(9, ALICE, Side.BUY, 1, 1))}, "its records say that they are command 9"),
    ],
)
def test_a_log_that_can_not_be_played_says_where(change: dict[str, object], words: str) -> None:
    log = list(logged(COMMANDS))
    log[1] = log[1]._replace(**change)  # type: ignore[arg-type]
    with pytest.raises(ReplayFault, match=words):
        Replay(MARKET).play(log)


def test_a_record_that_only_continues_is_refused() -> None:
    first, second = encode_records(COMMANDS[3])[:112], encode_records(COMMANDS[3])[112:]
    assert len(first) == len(second)
    as_first = Logged(1, 1, second[:8] + (1).to_bytes(8, "little") + second[16:])
    with pytest.raises(ReplayFault, match="command 1"):
        Replay(MARKET).play([as_first])


def fill(trade_id: int, side: Side, **changes: int) -> Fill:
    return Fill(trade_id, side, 100 + side, ALICE, 1, 100, 5, 9, 1)._replace(**changes)


MADE = [fill(1, Side.BUY), fill(1, Side.SELL), fill(2, Side.BUY), fill(2, Side.SELL)]


def test_equal_fills_do_not_differ() -> None:
    assert fills_difference(MARKET, MADE, list(MADE)) is None
    assert fills_difference(MARKET, [], []) is None


@pytest.mark.parametrize("place", range(4))
def test_a_missing_and_an_additional_fill_are_named(place: int) -> None:
    named = f"market 3, sequence 9, trade {MADE[place].trade_id}, {'buyer' if place % 2 == 0 else 'seller'}"
    without = MADE[:place] + MADE[place + 1 :]
    assert fills_difference(MARKET, MADE, without) == f"{named}: not stored"
    assert fills_difference(MARKET, without, MADE) == f"{named}: stored, and the log does not give it"


@pytest.mark.parametrize("name", Fill._fields[2:])
def test_each_field_of_a_fill_is_compared(name: str) -> None:
    stored = list(MADE)
    stored[2] = stored[2]._replace(**{name: 55})
    assert f"trade 2, buyer: {name} is stored as 55" in (fills_difference(MARKET, MADE, stored) or "")


def test_each_field_of_an_entered_order_is_compared() -> None:
    made = Entered(7, ALICE, MARKET, 2, 1, 1, 1, False, False)
    assert entered_difference([made], {7: made}) is None
    assert entered_difference([made], {}) == "market 3, sequence 2: order 7 is not stored"
    for place, name in enumerate(Entered._fields[1:], start=1):
        values: list[Any] = list(made)
        values[place] = not made[place] if name.endswith("only") else 44
        assert f"order 7: {name} is stored as" in (entered_difference([made], {7: Entered(*values)}) or "")


def test_a_live_order_is_compared_with_the_engine() -> None:
    engine = replayed(COMMANDS[:2]).engine
    stored = order(Side.SELL, 5, 100, order_id=101, open_lots=2, filled_lots=3)
    assert live_difference(stored, engine) is None
    changes = {"account_id": BOB, "side": Side.BUY, "price_ticks": 99, "open_lots": 1, "quantity_lots": 6}
    for name, value in changes.items():
        assert "the engine holds" in (live_difference(replace(stored, **{name: value}), engine) or "")  # type: ignore[arg-type]
    gone = live_difference(replace(stored, order_id=102), engine)
    assert gone == "order 102 is stored as OPEN, the engine holds none"


def test_a_snapshot_is_compared_with_the_engine() -> None:
    engine = replayed(COMMANDS).engine
    assert snapshot_difference(MARKET, 5, engine.snapshot(), engine) is None
    other = snapshot_difference(MARKET, 5, Engine().snapshot(), engine) or ""
    assert Engine().state_hash() in other
    assert engine.state_hash() in other
    assert "frame is damaged" in (snapshot_difference(MARKET, 5, b"X" + engine.snapshot()[1:], engine) or "")
    assert "state" in (snapshot_difference(MARKET, 5, b"", engine) or "")
