"""What each event settles, read as a trader reads it; and the events that must stop a market."""

from dataclasses import replace
from typing import Any

import pytest

from crossbook.application.settlement import orders_named, settle
from crossbook.application.settlement_rows import (
    AmendmentRow,
    CommandEvents,
    MarketTerms,
    SettlementFault,
    UnknownOrder,
)
from crossbook.domain.commands import CommandKind
from crossbook.domain.errors import Reason
from crossbook.domain.events import (
    CommandRejected,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRested,
    PricesUpdated,
    Trade,
)
from crossbook.domain.instruments import FeeAsset, Instrument, InstrumentKind, btc_perp
from crossbook.domain.orders import MarketState, OrderType, Side
from tests.application.blotter import ACCOUNTS, START_MS, Blotter
from tests.application.venue import MARKET, Sums
from tests.domain.cases import perp, spot

ALICE, BOB = ACCOUNTS["alice"], ACCOUNTS["bob"]


def rebating() -> Instrument:
    return perp(maker_fee_ppm=-200)


# -- Perpetual ---------------------------------------------------------------------------------------
def test_a_trade_is_two_fills_and_one_journal() -> None:
    blotter = Blotter(perp())
    settlement = blotter.play("""
        bob sells 3 @ 100
        alice buys 2 @ 101
    """)
    assert blotter.fills(settlement) == [
        "bob sold 2 @ 100 as maker, fee 0.04",
        "alice bought 2 @ 100 as taker, fee 0.1",
    ]
    assert blotter.postings(settlement) == [
        "bob -0.04 USDC TRADING_FEE",
        "fees 0.04 USDC TRADING_FEE",
        "alice -0.1 USDC TRADING_FEE",
        "fees 0.1 USDC TRADING_FEE",
    ]
    assert blotter.order(1) == "PARTIALLY_FILLED 2 of 3, 1 open"
    assert blotter.order(2) == "FILLED 2 of 2, 0 open"
    assert blotter.position("alice") == "2 for 200, realised 0"
    assert blotter.position("bob") == "-2 for -200, realised 0"
    assert blotter.sums("alice") == "buys 0 for 0, sells 0 for 0, fees 0"
    assert blotter.sums("bob") == "buys 0 for 0, sells 1 for 100, fees 0.05"


def test_the_journal_and_the_fills_name_their_event_and_its_time() -> None:
    settlement = Blotter(perp()).play("""
        bob sells 1 @ 100
        alice buys 1 @ 100
    """)
    assert settlement.journals == [(10, 2, 1, START_MS + 2)]
    assert [fill[12:] for fill in settlement.fills] == [(2, 1, START_MS + 2)] * 2


def test_closing_realises_against_the_clearing_account() -> None:
    blotter = Blotter(perp(maker_fee_ppm=0, taker_fee_ppm=0))
    blotter.play("""
        bob sells 3 @ 100
        alice buys 3 @ 100
    """)
    settlement = blotter.play("""
        carol buys 2 @ 110
        alice sells 2 @ 110
    """)
    assert blotter.fills(settlement) == [
        "carol bought 2 @ 110 as maker, fee 0",
        "alice sold 2 @ 110 as taker, fee 0, realised 20",
    ]
    assert blotter.postings(settlement) == ["clearing -20 USDC REALIZED_PNL", "alice 20 USDC REALIZED_PNL"]
    assert blotter.position("alice") == "1 for 100, realised 20"


def test_a_trade_that_moves_no_money_leaves_no_journal() -> None:
    settlement = Blotter(perp(maker_fee_ppm=0, taker_fee_ppm=0)).play("""
        bob sells 3 @ 100
        alice buys 3 @ 100
    """)
    assert (len(settlement.fills), settlement.journals, settlement.postings) == (2, [], [])


def test_positions_turn_and_the_last_close_releases_every_unit() -> None:
    blotter = Blotter(perp(maker_fee_ppm=0, taker_fee_ppm=0))
    blotter.play("""
        bob sells 1 @ 100
        alice buys 1 @ 100
        bob sells 2 @ 101
        alice buys 2 @ 101
        carol buys 1 @ 100
        alice sells 1 @ 100
    """)
    # 302 paid for 3; a third of it, cut off, leaves with the first lot: 100.666666, and 201.333334 stays.
    assert blotter.position("alice") == "2 for 201.333334, realised -0.666666"
    blotter.play("""
        carol buys 5 @ 100
        alice sells 5 @ 100
    """)
    assert blotter.position("alice") == "-3 for -300, realised -2"


def test_the_seeds_order() -> None:
    """Exchange-rules 3.2: 1.25 at 65,000, post-only: 81,250 open, 16.25 set aside for fees; 40.625 unless post-only."""
    blotter = Blotter(btc_perp())
    blotter.play("""
        alice buys 1250 @ 650000 post-only
        bob buys 1250 @ 650000
    """)
    assert blotter.sums("alice") == "buys 1250 for 81250, sells 0 for 0, fees 16.25"
    assert blotter.sums("bob") == "buys 1250 for 81250, sells 0 for 0, fees 40.625"
    settlement = blotter.play("""
        carol sells 1250 @ 650000
    """)
    assert blotter.fills(settlement) == [
        "alice bought 1250 @ 650000 as maker, fee 16.25",
        "carol sold 1250 @ 650000 as taker, fee 40.625",
    ]
    assert blotter.sums("alice") == "buys 0 for 0, sells 0 for 0, fees 0"


def test_fee_reserves_come_and_go_whole() -> None:
    """7 lots in three parts, each reserve rounded up: the parts take out what the whole brought in."""
    blotter = Blotter(perp("0.000001", "1"))
    for line in ("alice buys 7 @ 333", "bob sells 2 @ 333", "bob sells 3 @ 333", "bob sells 2 @ 333"):
        blotter.play(line)
    assert blotter.sums("alice") == "buys 0 for 0, sells 0 for 0, fees 0"
    assert blotter.order(1) == "FILLED 7 of 7, 0 open"


def test_reduce_only_orders_count_for_nothing() -> None:
    blotter = Blotter(perp())
    blotter.play("""
        bob sells 5 @ 100
        alice buys 5 @ 100
        alice sells 3 @ 120 reduce-only
        alice sells 2 @ 130
    """)
    assert blotter.sums("alice") == "buys 0 for 0, sells 2 for 260, fees 0.13"


def test_reduce_only_orders_are_cut_short_with_their_position() -> None:
    blotter = Blotter(perp())
    blotter.play("""
        bob sells 5 @ 100
        alice buys 5 @ 100
        alice sells 4 @ 120 reduce-only
        carol buys 3 @ 90
        alice sells 3 @ 90
    """)
    assert blotter.order(3) == "OPEN 0 of 2, 2 open, REDUCE_ONLY"


@pytest.mark.parametrize(
    ("then", "order", "sums"),
    [
        ("alice cancels 1", "CANCELLED 0 of 10, 0 open, USER_REQUEST", "buys 0 for 0"),
        ("alice reduces 1 by 4", "OPEN 0 of 6, 6 open, USER_REQUEST", "buys 6 for 600"),
        ("alice amends 1 to 4", "OPEN 0 of 4, 4 open", "buys 4 for 400"),
        ("alice amends 1 to 20 @ 90", "OPEN 0 of 20, 20 open", "buys 20 for 1800"),
        ("bob cancels 1", "OPEN 0 of 10, 10 open", "buys 10 for 1000"),
        ("bob amends 1 to 4", "OPEN 0 of 10, 10 open", "buys 10 for 1000"),
    ],
)
def test_changing_an_order_changes_the_sums(then: str, order: str, sums: str) -> None:
    blotter = Blotter(perp())
    blotter.play("alice buys 10 @ 100")
    blotter.play(then)
    assert blotter.order(1) == order
    assert blotter.sums("alice").startswith(sums + ",")


def test_the_reason_of_a_shortened_order_stays_when_it_trades_on() -> None:
    blotter = Blotter(perp())
    blotter.play("""
        alice buys 10 @ 100
        alice reduces 1 by 4
        bob sells 6 @ 100
    """)
    assert blotter.order(1) == "FILLED 6 of 6, 0 open, USER_REQUEST"


@pytest.mark.parametrize(
    ("taker", "order"),
    [
        ("alice buys 5 @ 100 ioc", "EXPIRED 3 of 5, 0 open, IOC_UNFILLED"),
        ("alice buys 5 @ 100 fok", "EXPIRED 0 of 5, 0 open, FOK_UNFILLED"),
        ("alice buys 5 @ 120 market", "EXPIRED 3 of 5, 0 open, MARKET_LIQUIDITY_EXHAUSTED"),
        ("alice buys 5 @ 100", "PARTIALLY_FILLED 3 of 5, 2 open"),
        ("alice buys 5 @ 100 post-only", "REJECTED 0 of 5, 0 open, POST_ONLY_WOULD_TAKE"),
        ("alice buys 250 worth", "FILLED 2 of 0, 0 open, BUDGET_SPENT"),
        ("alice buys 50 worth", "EXPIRED 0 of 0, 0 open, BUDGET_SPENT"),
        ("alice buys 400 worth", "EXPIRED 3 of 0, 0 open, MARKET_LIQUIDITY_EXHAUSTED"),
        ("alice buys 5 @ 100 stop@110", "OPEN 0 of 5, 5 open"),
    ],
)
def test_every_way_of_ending_says_so(taker: str, order: str) -> None:
    blotter = Blotter(perp())
    blotter.play(f"""
        bob sells 3 @ 100
        {taker}
    """)
    assert blotter.order(2) == order


def test_a_stop_that_was_set_off_trades_like_any_other() -> None:
    blotter = Blotter(perp())
    blotter.play("""
        alice buys 2 @ 111 stop@110
        bob sells 1 @ 110
        carol buys 1 @ 110
        bob sells 5 @ 111
    """)
    assert blotter.order(1) == "FILLED 2 of 2, 0 open"
    assert blotter.sums("alice") == "buys 0 for 0, sells 0 for 0, fees 0"


def test_a_decrement_takes_from_both_and_the_total_stays() -> None:
    blotter = Blotter(perp())
    blotter.play("""
        alice sells 2 @ 100
        alice buys 5 @ 100 stp-decrement
    """)
    assert blotter.order(1) == "EXPIRED 0 of 2, 0 open, SELF_TRADE_PREVENTION"
    assert blotter.order(2) == "OPEN 0 of 5, 3 open"
    assert blotter.sums("alice") == "buys 3 for 300, sells 0 for 0, fees 0.15"


def test_trading_with_oneself_ends_flat() -> None:
    blotter = Blotter(perp())
    settlement = blotter.play("""
        alice sells 2 @ 100
        alice buys 2 @ 100 stp-none
    """)
    assert blotter.fills(settlement) == [
        "alice sold 2 @ 100 as maker, fee 0.04",
        "alice bought 2 @ 100 as taker, fee 0.1",
    ]
    assert blotter.position("alice") == "0 for 0, realised 0"


def test_in_an_auction_both_sides_are_makers() -> None:
    blotter = Blotter(perp())
    settlement = blotter.play("""
        venue goes auction
        bob sells 2 @ 99
        alice buys 2 @ 101
        venue goes active
    """)
    assert [line.split(" as ")[1] for line in blotter.fills(settlement)] == ["maker, fee 0.0396"] * 2
    assert settlement.status is MarketState.ACTIVE


def test_a_rebate_comes_from_the_takers_fee_and_is_not_paid_in_an_auction() -> None:
    blotter = Blotter(rebating())
    settlement = blotter.play("""
        bob sells 2 @ 100
        alice buys 2 @ 100
        venue goes auction
        bob sells 2 @ 100
        alice buys 2 @ 100
        venue goes active
    """)
    assert [line.split(" as ")[1] for line in blotter.fills(settlement)] == [
        "maker, fee -0.04",
        "taker, fee 0.1",
        "maker, fee 0",
        "maker, fee 0",
    ]
    assert [fill[9] for fill in settlement.fills] == [-200, 500, 0, 0]


def test_rows_come_in_the_order_of_their_locks() -> None:
    settlement = Blotter(perp()).play("""
        carol sells 1 @ 100
        bob sells 1 @ 101
        alice buys 2 @ 101
    """)
    for rows in (settlement.balances, settlement.positions, settlement.orders):
        assert rows == sorted(rows)
        assert rows


# -- Spot --------------------------------------------------------------------------------------------
def test_a_spot_trade_moves_both_assets_and_frees_the_holds() -> None:
    blotter = Blotter(spot())
    settlement = blotter.play("""
        bob sells 30000 @ 100
        alice buys 20000 @ 110
    """)
    assert blotter.fills(settlement) == [
        "bob sold 20000 @ 100 as maker, fee 0.02",
        "alice bought 20000 @ 100 as taker, fee 0.05",
    ]
    assert blotter.postings(settlement) == [
        "bob -2 BTC TRADE",
        "alice 2 BTC TRADE",
        "alice -100 PYUSD TRADE",
        "bob 100 PYUSD TRADE",
        "alice -0.05 PYUSD TRADING_FEE",
        "fees 0.05 PYUSD TRADING_FEE",
        "bob -0.02 PYUSD TRADING_FEE",
        "fees 0.02 PYUSD TRADING_FEE",
    ]
    assert blotter.order(1) == "PARTIALLY_FILLED 20000 of 30000, 10000 open, holds 1"
    assert blotter.balance("alice") == "2 BTC (0 held), -100.05 PYUSD (0 held)"
    assert blotter.balance("bob") == "-2 BTC (1 held), 99.98 PYUSD (0 held)"
    assert settlement.positions == []


def test_the_fee_of_what_is_received() -> None:
    blotter = Blotter(spot(fee_asset=FeeAsset.RECEIVED))
    settlement = blotter.play("""
        bob sells 20000 @ 100
        alice buys 20000 @ 100
    """)
    assert blotter.fills(settlement) == [
        "bob sold 20000 @ 100 as maker, fee 0.02",
        "alice bought 20000 @ 100 as taker, fee 0.001",
    ]
    assert blotter.balance("alice") == "1.999 BTC (0 held), -100 PYUSD (0 held)"


@pytest.mark.parametrize(
    ("then", "order"),
    [
        ("alice cancels 1", "CANCELLED 0 of 20000, 0 open, holds 0, USER_REQUEST"),
        ("alice reduces 1 by 5000", "OPEN 0 of 15000, 15000 open, holds 75.0375, USER_REQUEST"),
        ("alice amends 1 to 10000", "OPEN 0 of 10000, 10000 open, holds 50.025"),
        ("alice amends 1 to 20000 @ 50", "OPEN 0 of 20000, 20000 open, holds 50.025"),
        ("alice amends 1 to 40000", "OPEN 0 of 40000, 40000 open, holds 200.1"),
        ("bob cancels 1", "OPEN 0 of 20000, 20000 open, holds 100.05"),
    ],
)
def test_changing_a_spot_order_changes_its_hold(then: str, order: str) -> None:
    blotter = Blotter(spot())
    blotter.play("alice buys 20000 @ 100")
    blotter.play(then)
    assert blotter.order(1) == order


@pytest.mark.parametrize(
    ("then", "holds", "decided"),
    [
        ("amends 1 to 40000", "holds 200.1", (1, Reason.NONE)),
        ("amends 9 to 40000", "holds 100.05", (9, Reason.ORDER_NOT_FOUND)),
        ("amends 1 to 0 @ -5", "holds 100.05", (1, Reason.INVALID_PRICE)),
    ],
)
def test_what_an_amendment_set_aside_is_free_once_it_is_settled_whatever_came_of_it(
    then: str, holds: str, decided: tuple[int, Reason]
) -> None:
    blotter = Blotter(spot())
    blotter.play("alice buys 20000 @ 100")
    venue = blotter.venue
    venue.amendments[2] = AmendmentRow(2, ALICE, 1, 0, 0, 0, 150_000_000)
    venue.held[ALICE, 20] += 150_000_000
    settlement = blotter.play(f"alice {then}")
    assert [row[:3] for row in settlement.amendments] == [(2, *decided)]
    assert blotter.order(1).endswith(holds)


def test_a_perpetual_counts_an_amendment_in_its_row_until_it_is_settled() -> None:
    blotter = Blotter(perp())
    blotter.play("alice buys 10 @ 100")
    before = blotter.sums("alice")
    blotter.venue.amendments[2] = AmendmentRow(2, ALICE, 1, 10, 100_000, 50, 0)
    blotter.venue.sums[ALICE].add(Sums(buy_lots=10, buy_units=100_000, reserve_units=50))
    assert [row[0] for row in blotter.play("alice amends 1 to 10 @ -5").amendments] == [2]
    assert blotter.sums("alice") == before


def test_a_buy_by_amount_gives_back_what_it_could_not_spend() -> None:
    blotter = Blotter(spot())
    blotter.play("""
        bob sells 10000 @ 100
        alice buys 1500000 worth
    """)
    assert blotter.order(2) == "EXPIRED 10000 of 0, 0 open, holds 0, MARKET_LIQUIDITY_EXHAUSTED"
    assert blotter.balance("alice") == "1 BTC (0 held), -50.025 PYUSD (0 held)"


# -- What stops a market -----------------------------------------------------------------------------
def faulty(*events: Event, instrument: Instrument | None = None) -> pytest.ExceptionInfo[SettlementFault]:
    """Alice's bid of 10 at 100 rests (order 1); then these events come."""
    blotter = Blotter(instrument or perp())
    blotter.play("""
        alice buys 10 @ 100
        bob sells 5 @ 200
    """)
    blotter.venue.waiting.append(CommandEvents(3, START_MS, events))
    with pytest.raises(SettlementFault) as caught:
        blotter.venue.settle()
    return caught


def trade(**changes: Any) -> Trade:
    """Bob's order 2 takes 4 of Alice's."""
    return replace(Trade(3, 0, 1, 100, 4, Side.SELL, 1, ALICE, 6, 2, BOB, 1, False), **changes)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (OrderRested(3, 0, 9, ALICE, Side.BUY, 100, 10, 10), "there is no order 9"),
        (OrderAccepted(3, 0, 9, ALICE, Side.BUY, OrderType.LIMIT, 10, 100), "there is no order 9"),
        (CommandRejected(3, 0, CommandKind.SUBMIT, 9, ALICE, Reason.MARKET_PAUSED), "there is no order 9"),
        (OrderCancelled(3, 0, 1, BOB, Side.BUY, 100, 10, Reason.USER_REQUEST), "order 1 belongs to account"),
        (trade(taker_order_id=7), "there is no order 7"),
    ],
)
def test_events_of_orders_that_are_not_ours(event: Event, message: str) -> None:
    caught = faulty(event)
    assert caught.type is UnknownOrder
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (OrderAccepted(3, 0, 1, ALICE, Side.BUY, OrderType.LIMIT, 10, 100), "order 1 is accepted a second time"),
        (CommandRejected(3, 0, CommandKind.SUBMIT, 1, ALICE, Reason.MARKET_PAUSED), "rejected after it was accepted"),
        (OrderCancelled(3, 0, 1, ALICE, Side.BUY, 100, 9, Reason.USER_REQUEST), "has 10 lots open, not 9"),
        (OrderExpired(3, 0, 1, ALICE, Side.BUY, 100, 10, Reason.TIME_EXPIRED, 5), "has 0 of its budget left, not 5"),
        (trade(maker_open_lots=5), "order 1 has 6 lots open, not 5"),
        (trade(taker_open_lots=-1), "order 2 has 1 lots open, not -1"),
        (trade(taker_order_id=1, taker_account_id=ALICE), "both sides of a trade are the same"),
        (trade(quantity_lots=0), "fill must have a positive quantity and price"),
    ],
)
def test_events_that_do_not_fit_the_rows(event: Event, message: str) -> None:
    caught = faulty(event)
    assert message in str(caught.value)
    assert str(caught.value).startswith("market 1, event 3/0: ")


def test_a_trade_above_the_limit_of_a_spot_buy() -> None:
    caught = faulty(trade(price_ticks=101), instrument=spot())
    assert "must not be worse than the limit" in str(caught.value)


def test_nothing_happens_to_an_order_after_its_end() -> None:
    end = OrderCancelled(3, 0, 1, ALICE, Side.BUY, 100, 10, Reason.USER_REQUEST)
    assert "order 1 has ended before" in str(faulty(end, replace(end, index=1)).value)


def test_events_of_the_market_change_nothing() -> None:
    blotter = Blotter(perp())
    blotter.venue.waiting.append(CommandEvents(1, START_MS, [PricesUpdated(1, 0, 100, 100)]))
    settlement = blotter.venue.settle()
    assert (settlement.orders, settlement.balances, settlement.status) == ([], [], None)


def test_a_market_of_swaps_has_nothing_to_settle() -> None:
    swaps = spot(kind=InstrumentKind.SWAP_PAIR, maker_fee_ppm=0, taker_fee_ppm=0)
    with pytest.raises(ValueError, match="BTC-PYUSD has no order book to settle"):
        settle(MarketTerms(MARKET, swaps, 10, 20), [], {}, {})


def test_the_orders_that_events_name() -> None:
    events: list[Event] = [
        trade(maker_order_id=8, taker_order_id=3),
        OrderRested(3, 0, 5, ALICE, Side.BUY, 100, 10, 10),
        OrderRested(3, 1, 5, ALICE, Side.BUY, 100, 10, 10),
        CommandRejected(3, 0, CommandKind.SUBMIT, 4, ALICE, Reason.MARKET_PAUSED),
        CommandRejected(3, 0, CommandKind.CANCEL, 9, ALICE, Reason.ORDER_NOT_FOUND),
        CommandRejected(3, 0, CommandKind.CANCEL_ALL, 99, ALICE, Reason.ORDER_NOT_FOUND),
        PricesUpdated(3, 0, 1, 1),
    ]
    assert orders_named(events) == [3, 4, 5, 8, 9]
