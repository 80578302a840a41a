"""The reference engine against events worked out by hand, section by section of docs/matching.md."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import fields
from struct import pack
from typing import Any, cast

import pytest

from crossbook.domain import commands
from crossbook.domain.commands import (
    OPERATOR,
    AdvanceTime,
    AmendOrder,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
    CommandKind,
    ConfigureMarket,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import MalformedCommand, Reason, SequenceError, SnapshotError
from crossbook.domain.events import (
    AuctionUncrossed,
    CommandRejected,
    Event,
    MarketConfigured,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    OrdersCancelled,
    OrderTriggered,
    PositionSet,
    PricesUpdated,
    StateChanged,
    Trade,
    TradePrevented,
)
from crossbook.domain.orders import (
    DAY_MS,
    MAX_POSITION_LOTS,
    MAX_TIME_MS,
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.reference import ReferenceEngine
from crossbook.matching.views import OrderView

BUY, SELL = Side.BUY, Side.SELL
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
T0 = 20_000 * DAY_MS
"""A midnight."""

COMPILED = not str(commands.__file__).endswith(".py")

Expected = tuple[Any, ...]


class Desk:
    """An engine, and short names for its commands. Sequences count up by themselves; the time stands at `now_ms`."""

    def __init__(self) -> None:
        self.engine = ReferenceEngine()
        self.now_ms = T0

    def do(self, make: Callable[..., SingleCommand], *values: Any, **terms: Any) -> list[Event]:
        return self.engine.apply(make(self.engine.last_sequence + 1, self.now_ms, *values, **terms))

    def buy(self, order_id: int, account_id: int, lots: int, price_ticks: int, **terms: Any) -> list[Event]:
        return self.submit(order_id, account_id, BUY, lots, price_ticks, **terms)

    def sell(self, order_id: int, account_id: int, lots: int, price_ticks: int, **terms: Any) -> list[Event]:
        return self.submit(order_id, account_id, SELL, lots, price_ticks, **terms)

    def submit(
        self, order_id: int, account_id: int, side: Side, lots: int, price_ticks: int, **terms: Any
    ) -> list[Event]:
        kind = terms.pop("type", LIMIT)
        return self.do(SubmitOrder, order_id, account_id, side, kind, lots, price_ticks, **terms)

    def state(self, state: MarketState, reference_price_ticks: int = 0) -> list[Event]:
        return self.do(SetMarketState, state, reference_price_ticks)

    def trade_at(self, price_ticks: int) -> None:
        """Two accounts that appear nowhere else trade one lot."""
        self.sell(900_001, 901, 1, price_ticks)
        self.buy(900_002, 902, 1, price_ticks)

    def book(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        return self.engine.depth(BUY, 10), self.engine.depth(SELL, 10)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def said(events: list[Event]) -> list[Expected]:
    """Events without sequence and index, after a look at both."""
    assert [event.index for event in events] == list(range(len(events)))
    assert len({event.sequence for event in events}) <= 1
    return [(type(event), *(getattr(event, each.name) for each in fields(event)[2:])) for event in events]


def reasons(events: list[Event]) -> list[Reason]:
    return [cast("Any", event).reason for event in events if hasattr(event, "reason")]


def trade(
    number: int, price_ticks: int, lots: int, maker: tuple[int, int, int], taker: tuple[int, int, int], side: Side
) -> Expected:
    """A continuous trade; maker and taker are (order id, account id, open lots)."""
    return (Trade, number, price_ticks, lots, side, *maker, *taker, False)


# Section 1: the interface.


def test_a_gap_in_the_sequence_applies_nothing(desk: Desk) -> None:
    desk.buy(1, 1, 5, 100)
    before = desk.engine.snapshot()
    with pytest.raises(SequenceError):
        desk.engine.apply(AdvanceTime(3, T0))
    good, bad = CancelOrder(2, T0, 1, 1), AdvanceTime(3, T0)
    with pytest.raises(SequenceError):
        desk.engine.apply(Batch((good, bad)))
    assert desk.engine.snapshot() == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: AdvanceTime(1, 1 << 63),
        lambda: AdvanceTime(1, cast("int", "5")),
        lambda: CancelAll(1, T0, 1, cast("Side", "BUY")),
        lambda: SubmitOrder(1, T0, 1, 1, BUY, LIMIT, 5, 100, post_only=cast("bool", 1)),
        lambda: SubmitOrder(1, T0, 1, 1, cast("Side", None), LIMIT, 5, 100),
        lambda: Batch((AdvanceTime(1, T0), cast("SingleCommand", "cancel"))),
        lambda: Batch((AdvanceTime(1, T0), SetPosition(1, T0, 1, -(1 << 63) - 1))),
        lambda: cast("Command", None),
    ],
)
def test_a_field_that_no_record_holds_applies_nothing(make: Callable[[], Command]) -> None:
    engine = ReferenceEngine()
    before = engine.snapshot()
    # Compiled commands refuse a value of another type before the engine sees it.
    with pytest.raises((MalformedCommand, TypeError)):
        engine.apply(make())
    assert engine.snapshot() == before


@pytest.mark.skipif(COMPILED, reason="compiled commands hold whole numbers and members of their enumerations only")
def test_what_only_interpreted_commands_can_hold(desk: Desk) -> None:
    with pytest.raises(MalformedCommand):
        desk.engine.apply(AdvanceTime(1, True))
    assert reasons(desk.submit(1, 1, cast("Side", 3), 5, 100)) == [Reason.MALFORMED_COMMAND]
    assert reasons(desk.buy(1, 1, 5, 100, type=0)) == [Reason.MALFORMED_COMMAND]
    assert said(desk.submit(1, 1, cast("Side", 1), 5, 100))[1] == (OrderRested, 1, 1, BUY, 100, 5, 5)


def test_a_batch_shares_its_sequence_and_numbers_through(desk: Desk) -> None:
    refused = CancelOrder(1, T0, 9, 1)
    events = desk.engine.apply(Batch((refused, SubmitOrder(1, T0, 1, 1, BUY, LIMIT, 5, 100))))
    assert events == [
        CommandRejected(1, 0, CommandKind.CANCEL, 9, 1, Reason.ORDER_NOT_FOUND),
        OrderAccepted(1, 1, 1, 1, BUY, LIMIT, 5, 100),
        OrderRested(1, 2, 1, 1, BUY, 100, 5, 5),
    ]
    before = desk.engine.snapshot()
    assert desk.engine.apply(Batch(())) == []
    assert desk.engine.snapshot() == before


def test_refused_commands_move_the_time_and_malformed_ones_do_not(desk: Desk) -> None:
    desk.engine.apply(CancelOrder(1, T0 + 5, 9, 1))
    assert desk.engine.now_ms == T0 + 5
    desk.engine.apply(CancelOrder(2, T0 + 9, 0, 1))
    assert (desk.engine.now_ms, desk.engine.last_sequence) == (T0 + 5, 2)
    desk.engine.apply(AdvanceTime(3, T0))
    assert desk.engine.now_ms == T0 + 5


def test_what_the_engine_answers(desk: Desk) -> None:
    desk.buy(1, 1, 10, 100, display_quantity_lots=3)
    desk.buy(2, 2, 4, 100)
    desk.buy(3, 2, 6, 99)
    desk.sell(4, 3, 2, 100)
    desk.buy(5, 2, 1, 0, type=OrderType.STOP, trigger_price_ticks=120)
    assert desk.engine.depth(BUY, 2) == [(100, 5, 2), (99, 6, 1)]
    assert desk.engine.depth(BUY, 1) == [(100, 5, 2)]
    assert desk.engine.depth(SELL, 5) == []
    assert desk.engine.order(1) == OrderView(1, 1, BUY, LIMIT, 100, 8, 1, 2, 0, False)
    assert desk.engine.order(5) == OrderView(5, 2, BUY, OrderType.STOP, 0, 1, 1, 0, 120, True)
    assert desk.engine.order(4) is None
    assert [desk.engine.position(account_id) for account_id in (1, 2, 3, 4)] == [2, 0, -2, 0]
    assert (desk.engine.state, desk.engine.last_sequence, desk.engine.open_orders) == (MarketState.ACTIVE, 5, 4)


# Section 2: entry, and how a taker ends.

REFUSED_TERMS: list[tuple[dict[str, Any], Reason]] = [
    ({"order_id": 0}, Reason.MALFORMED_COMMAND),
    ({"account_id": OPERATOR}, Reason.MALFORMED_COMMAND),
    ({"account_id": 1 << 62}, Reason.MALFORMED_COMMAND),
    ({"time_ms": MAX_TIME_MS + 1}, Reason.MALFORMED_COMMAND),
    ({"trade_group": -1}, Reason.MALFORMED_COMMAND),
    ({"order_id": 7, "quantity_lots": 0}, Reason.DUPLICATE_ORDER_ID),
    ({"budget": 5, "quantity_lots": 0}, Reason.INVALID_BUDGET),
    ({"type": MARKET, "budget": -1, "quantity_lots": 0}, Reason.INVALID_BUDGET),
    ({"type": MARKET, "budget": 1 << 61, "quantity_lots": 0}, Reason.INVALID_BUDGET),
    ({"type": MARKET, "budget": 5}, Reason.INVALID_QUANTITY),
    ({"quantity_lots": 0, "price_ticks": 0}, Reason.INVALID_QUANTITY),
    ({"quantity_lots": 1 << 40}, Reason.INVALID_QUANTITY),
    ({"price_ticks": 0}, Reason.LIMIT_ORDER_MISSING_PRICE),
    ({"price_ticks": -1}, Reason.INVALID_PRICE),
    ({"type": MARKET, "price_ticks": 1 << 40}, Reason.INVALID_PRICE),
    ({"type": MARKET}, Reason.INVALID_TIME_IN_FORCE),
    ({"type": MARKET, "budget": 5, "quantity_lots": 0, "time_in_force": FOK}, Reason.INVALID_TIME_IN_FORCE),
    ({"time_in_force": TimeInForce.GTD, "expire_time_ms": T0}, Reason.INVALID_EXPIRY),
    ({"time_in_force": TimeInForce.DAY, "expire_time_ms": T0 + 1}, Reason.INVALID_EXPIRY),
    ({"type": MARKET, "time_in_force": IOC, "post_only": True}, Reason.POST_ONLY_REQUIRES_LIMIT_ORDER),
    ({"time_in_force": IOC, "post_only": True}, Reason.POST_ONLY_REQUIRES_GTC),
    ({"time_in_force": FOK, "display_quantity_lots": 1}, Reason.INVALID_DISPLAY_QUANTITY),
    ({"display_quantity_lots": 6}, Reason.INVALID_DISPLAY_QUANTITY),
    ({"quantity_lots": 101, "display_quantity_lots": 1}, Reason.TOO_MANY_ICEBERG_PARTS),
    ({"trigger_price_ticks": 5}, Reason.INVALID_TRIGGER),
    ({"type": OrderType.STOP}, Reason.INVALID_TRIGGER),
    ({"type": OrderType.STOP, "trigger_price_ticks": 5, "trail": 1}, Reason.INVALID_TRIGGER),
    ({"type": OrderType.TRAILING_STOP, "trail": 10_000, "trail_in_basis_points": True}, Reason.INVALID_TRIGGER),
    ({"type": OrderType.TRAILING_STOP, "trail": 10_000, "trigger_source": PriceSource.MARK}, Reason.NO_TRIGGER_PRICE),
    ({"oco_order_id": 8}, Reason.INVALID_OCO),
    ({"reduce_only": True}, Reason.REDUCE_ONLY_WOULD_INCREASE),
    ({"account_id": 5}, Reason.POSITION_LIMIT),
    ({"price_ticks": 110, "post_only": True}, Reason.POST_ONLY_WOULD_TAKE),
]


@pytest.mark.parametrize(("terms", "reason"), REFUSED_TERMS)
def test_the_first_failing_check_of_entry_is_the_reason(desk: Desk, terms: dict[str, Any], reason: Reason) -> None:
    desk.sell(7, 2, 5, 110)
    desk.do(SetPosition, 5, MAX_POSITION_LOTS)
    desk.sell(6, 6, 1, 109)
    desk.buy(5, 5, 1, 109)
    values = {"order_id": 1, "account_id": 1, "side": BUY, "type": LIMIT, "quantity_lots": 5, "price_ticks": 100}
    command = SubmitOrder(**({"sequence": 5, "time_ms": T0} | values | terms))
    before = desk.engine.depth(BUY, 9), desk.engine.depth(SELL, 9), desk.engine.open_orders
    expected = CommandRejected(5, 0, CommandKind.SUBMIT, command.order_id, command.account_id, reason)
    assert desk.engine.apply(command) == [expected]
    assert (desk.engine.depth(BUY, 9), desk.engine.depth(SELL, 9), desk.engine.open_orders) == before


def test_a_limit_order_takes_in_price_time_order_at_the_makers_price_and_rests(desk: Desk) -> None:
    desk.sell(1, 1, 2, 101)
    desk.sell(2, 2, 3, 100)
    desk.sell(3, 3, 4, 100)
    desk.sell(4, 3, 4, 102)
    assert said(desk.buy(5, 4, 10, 101)) == [
        (OrderAccepted, 5, 4, BUY, LIMIT, 10, 101),
        trade(1, 100, 3, (2, 2, 0), (5, 4, 7), BUY),
        trade(2, 100, 4, (3, 3, 0), (5, 4, 3), BUY),
        trade(3, 101, 2, (1, 1, 0), (5, 4, 1), BUY),
        (OrderRested, 5, 4, BUY, 101, 1, 1),
    ]
    assert desk.book() == ([(101, 1, 1)], [(102, 4, 1)])


@pytest.mark.parametrize(
    ("terms", "reason", "open_lots"),
    [
        ({"price_ticks": 101, "time_in_force": IOC}, Reason.IOC_UNFILLED, 5),
        ({"price_ticks": 0, "type": MARKET, "time_in_force": IOC}, Reason.MARKET_LIQUIDITY_EXHAUSTED, 1),
        ({"price_ticks": 101, "type": MARKET, "time_in_force": IOC}, Reason.PROTECTION_PRICE, 5),
    ],
)
def test_what_a_taker_can_not_trade_expires(desk: Desk, terms: dict[str, Any], reason: Reason, open_lots: int) -> None:
    desk.sell(1, 1, 3, 101)
    desk.sell(2, 1, 4, 103)
    events = desk.buy(3, 2, 8, **terms)
    expired = (OrderExpired, 3, 2, BUY, terms["price_ticks"], open_lots, reason, 0)
    assert said(events)[-1] == expired
    assert desk.engine.position(2) == 8 - open_lots


@pytest.mark.parametrize(
    ("budget", "trades", "reason", "unspent"),
    [
        (450, [(100, 3), (120, 1)], Reason.BUDGET_SPENT, 30),
        (300, [(100, 3)], Reason.BUDGET_SPENT, 0),
        (400, [(100, 3)], Reason.BUDGET_SPENT, 100),
        (2000, [(100, 3), (120, 4)], Reason.MARKET_LIQUIDITY_EXHAUSTED, 1220),
    ],
)
def test_an_order_by_amount_buys_whole_lots(
    desk: Desk, budget: int, trades: list[tuple[int, int]], reason: Reason, unspent: int
) -> None:
    desk.sell(1, 1, 3, 100)
    desk.sell(2, 1, 4, 120)
    events = desk.buy(3, 2, 0, 0, type=MARKET, time_in_force=IOC, budget=budget)
    found = [event for event in events if isinstance(event, Trade)]
    assert [(event.price_ticks, event.quantity_lots) for event in found] == trades
    assert all(event.taker_open_lots == -1 for event in found)
    assert said(events)[0] == (OrderAccepted, 3, 2, BUY, MARKET, 0, 0)
    assert said(events)[-1] == (OrderExpired, 3, 2, BUY, 0, 0, reason, unspent)


def test_fill_or_kill_counts_hidden_parts_and_trades_all_or_nothing(desk: Desk) -> None:
    desk.sell(1, 1, 9, 100, display_quantity_lots=4)
    desk.sell(2, 2, 2, 101)
    assert said(desk.buy(3, 3, 12, 101, time_in_force=FOK))[1:] == [
        (OrderExpired, 3, 3, BUY, 101, 12, Reason.FOK_UNFILLED, 0),
    ]
    assert said(desk.buy(4, 3, 11, 101, time_in_force=FOK))[1:] == [
        trade(1, 100, 4, (1, 1, 5), (4, 3, 7), BUY),
        (OrderReplenished, 1, 1, SELL, 100, 5, 4),
        trade(2, 100, 4, (1, 1, 1), (4, 3, 3), BUY),
        (OrderReplenished, 1, 1, SELL, 100, 1, 1),
        trade(3, 100, 1, (1, 1, 0), (4, 3, 2), BUY),
        trade(4, 101, 2, (2, 2, 0), (4, 3, 0), BUY),
    ]


def test_the_dry_run_of_fill_or_kill_follows_self_trades_reduce_only_and_pairs(desk: Desk) -> None:
    desk.do(SetPosition, 1, 3)
    desk.sell(1, 1, 3, 100, reduce_only=True)
    desk.sell(2, 3, 2, 100)
    desk.sell(3, 1, 1, 101)
    desk.sell(4, 1, 9, 102, oco_order_id=3)
    mode = SelfTradePrevention.EXPIRE_MAKER
    # Lots there are: 3 of order 1, none of 2 (own), 1 of 3, and then none of 4, its cancelled sibling.
    kill = desk.buy(5, 3, 5, 102, time_in_force=FOK, self_trade_prevention=mode)
    assert reasons(kill) == [Reason.FOK_UNFILLED]
    assert desk.engine.open_orders == 4
    fill = desk.buy(6, 3, 4, 102, time_in_force=FOK, self_trade_prevention=mode)
    assert said(fill)[1:] == [
        trade(1, 100, 3, (1, 1, 0), (6, 3, 1), BUY),
        (TradePrevented, mode, 100, 0, BUY, 2, 3, 2, 6, 3, 1, False),
        (OrderExpired, 2, 3, SELL, 100, 2, Reason.SELF_TRADE_PREVENTION, 0),
        trade(2, 101, 1, (3, 1, 0), (6, 3, 0), BUY),
        (OrderCancelled, 4, 1, SELL, 102, 9, Reason.OCO_SIBLING),
    ]


# Section 3: matching.


def test_an_iceberg_shows_its_next_part_at_the_end_of_the_level(desk: Desk) -> None:
    assert said(desk.sell(1, 1, 5, 100, display_quantity_lots=2))[1:] == [(OrderRested, 1, 1, SELL, 100, 5, 2)]
    desk.sell(2, 2, 3, 100)
    assert said(desk.buy(3, 3, 6, 100))[1:] == [
        trade(1, 100, 2, (1, 1, 3), (3, 3, 4), BUY),
        (OrderReplenished, 1, 1, SELL, 100, 3, 2),
        trade(2, 100, 3, (2, 2, 0), (3, 3, 1), BUY),
        trade(3, 100, 1, (1, 1, 2), (3, 3, 0), BUY),
    ]
    assert desk.book() == ([], [(100, 1, 1)])


def prevented(mode: SelfTradePrevention, lots: int, maker_open: int, taker_open: int) -> Expected:
    return (TradePrevented, mode, 100, lots, BUY, 1, 1, maker_open, 3, 1, taker_open, False)


def ended(order_id: int, side: Side, open_lots: int) -> Expected:
    return (OrderExpired, order_id, 1, side, 100, open_lots, Reason.SELF_TRADE_PREVENTION, 0)


MODES = SelfTradePrevention
SELF_TRADES: list[tuple[SelfTradePrevention, list[Expected]]] = [
    (MODES.NONE, [trade(1, 100, 4, (1, 1, 0), (3, 1, 2), BUY), trade(2, 100, 2, (2, 2, 3), (3, 1, 0), BUY)]),
    (MODES.EXPIRE_TAKER, [prevented(MODES.EXPIRE_TAKER, 0, 4, 6), ended(3, BUY, 6)]),
    (
        MODES.EXPIRE_MAKER,
        [
            prevented(MODES.EXPIRE_MAKER, 0, 4, 6),
            ended(1, SELL, 4),
            trade(1, 100, 5, (2, 2, 0), (3, 1, 1), BUY),
            (OrderRested, 3, 1, BUY, 100, 1, 1),
        ],
    ),
    (MODES.EXPIRE_BOTH, [prevented(MODES.EXPIRE_BOTH, 0, 4, 6), ended(1, SELL, 4), ended(3, BUY, 6)]),
    (
        MODES.DECREMENT,
        [
            prevented(MODES.DECREMENT, 4, 0, 2),
            ended(1, SELL, 0),
            trade(1, 100, 2, (2, 2, 3), (3, 1, 0), BUY),
        ],
    ),
]


@pytest.mark.parametrize(("mode", "expected"), SELF_TRADES, ids=[mode.name for mode, _ in SELF_TRADES])
def test_self_trades_go_by_the_takers_mode(desk: Desk, mode: SelfTradePrevention, expected: list[Expected]) -> None:
    desk.sell(1, 1, 4, 100)
    desk.sell(2, 2, 5, 100)
    assert said(desk.buy(3, 1, 6, 100, self_trade_prevention=mode))[1:] == expected


def test_a_trade_group_widens_self_trade_prevention(desk: Desk) -> None:
    desk.sell(1, 1, 4, 100, trade_group=8)
    desk.sell(2, 2, 4, 100)
    assert reasons(desk.buy(3, 3, 1, 100, trade_group=8)) == [Reason.SELF_TRADE_PREVENTION]
    assert reasons(desk.buy(4, 3, 1, 100, trade_group=9)) == []


def test_a_decrement_takes_what_the_iceberg_shows_and_then_shows_the_next_part(desk: Desk) -> None:
    desk.sell(1, 1, 5, 100, display_quantity_lots=2)
    mode = MODES.DECREMENT
    assert said(desk.buy(3, 1, 3, 100, self_trade_prevention=mode))[1:] == [
        prevented(mode, 2, 3, 1),
        (OrderReplenished, 1, 1, SELL, 100, 3, 2),
        prevented(mode, 1, 2, 0),
        ended(3, BUY, 0),
    ]
    assert desk.engine.order(1) == OrderView(1, 1, SELL, LIMIT, 100, 2, 1, 3, 0, False)


def test_a_decremented_order_by_amount_goes_on_with_the_rest_of_its_budget(desk: Desk) -> None:
    desk.buy(1, 1, 3, 100)
    desk.buy(2, 2, 3, 40)
    terms: dict[str, Any] = {"type": MARKET, "time_in_force": IOC, "self_trade_prevention": MODES.DECREMENT}
    assert said(desk.sell(3, 1, 0, 0, budget=390, **terms))[1:] == [
        (TradePrevented, MODES.DECREMENT, 100, 3, SELL, 1, 1, 0, 3, 1, -1, False),
        ended(1, BUY, 0),
        trade(1, 40, 2, (2, 2, 1), (3, 1, -1), SELL),
        (OrderExpired, 3, 1, SELL, 0, 0, Reason.BUDGET_SPENT, 10),
    ]


def test_a_reduce_only_taker_trades_its_position_and_stops(desk: Desk) -> None:
    desk.buy(1, 1, 9, 100)
    desk.do(SetPosition, 2, 4)
    assert said(desk.sell(2, 2, 6, 100, reduce_only=True))[1:] == [
        trade(1, 100, 4, (1, 1, 5), (2, 2, 2), SELL),
        (OrderCancelled, 2, 2, SELL, 100, 2, Reason.REDUCE_ONLY),
    ]


def test_a_reduce_only_maker_trades_its_position_and_leaves(desk: Desk) -> None:
    desk.do(SetPosition, 1, 5)
    desk.sell(1, 1, 3, 101, reduce_only=True)
    desk.sell(2, 1, 2, 102, reduce_only=True)
    desk.sell(3, 1, 4, 100)
    desk.sell(4, 3, 1, 102)
    assert said(desk.buy(5, 2, 7, 102))[1:] == [
        trade(1, 100, 4, (3, 1, 0), (5, 2, 3), BUY),
        trade(2, 101, 1, (1, 1, 2), (5, 2, 2), BUY),
        (OrderCancelled, 1, 1, SELL, 101, 2, Reason.REDUCE_ONLY),
        (OrderCancelled, 2, 1, SELL, 102, 2, Reason.REDUCE_ONLY),
        trade(3, 102, 1, (4, 3, 0), (5, 2, 1), BUY),
        (OrderRested, 5, 2, BUY, 102, 1, 1),
    ]


def test_upkeep_keeps_resting_reduce_only_orders_within_the_position_best_price_first(desk: Desk) -> None:
    desk.do(SetPosition, 1, 10)
    desk.sell(1, 1, 2, 103, reduce_only=True)
    desk.sell(2, 1, 5, 102, reduce_only=True, display_quantity_lots=2)
    desk.sell(3, 1, 3, 101, reduce_only=True)
    desk.sell(4, 1, 7, 0, type=OrderType.STOP, trigger_price_ticks=90, reduce_only=True)
    assert said(desk.do(SetPosition, 1, 6)) == [
        (PositionSet, 1, 6),
        (OrderReduced, 2, 1, SELL, 102, 2, 3, 2, Reason.REDUCE_ONLY),
        (OrderCancelled, 1, 1, SELL, 103, 2, Reason.REDUCE_ONLY),
    ]
    assert said(desk.sell(5, 1, 2, 100, reduce_only=True))[1:] == [
        (OrderRested, 5, 1, SELL, 100, 2, 2),
        (OrderReduced, 2, 1, SELL, 102, 2, 1, 1, Reason.REDUCE_ONLY),
    ]
    assert [event[1] for event in said(desk.do(SetPosition, 1, -1))[1:]] == [2, 3, 4, 5]
    assert desk.engine.open_orders == 0


# Section 4: changing orders.


def test_cancel_and_reduce_ask_for_the_owner_or_the_operator(desk: Desk) -> None:
    desk.buy(1, 1, 5, 100)
    desk.buy(2, 1, 5, 100, display_quantity_lots=4)
    assert reasons(desk.do(CancelOrder, 3, 1)) == [Reason.ORDER_NOT_FOUND]
    assert reasons(desk.do(CancelOrder, 1, 2)) == [Reason.USER_MISMATCH]
    assert reasons(desk.do(ReduceOrder, 1, 2, 0)) == [Reason.USER_MISMATCH]
    assert reasons(desk.do(ReduceOrder, 1, 1, 0)) == [Reason.INVALID_QUANTITY]
    assert said(desk.do(ReduceOrder, 2, OPERATOR, 2)) == [
        (OrderReduced, 2, 1, BUY, 100, 2, 3, 3, Reason.OPERATOR_REQUEST)
    ]
    assert said(desk.do(ReduceOrder, 2, 1, 3)) == [(OrderCancelled, 2, 1, BUY, 100, 3, Reason.USER_REQUEST)]
    assert said(desk.do(CancelOrder, 1, OPERATOR)) == [(OrderCancelled, 1, 1, BUY, 100, 5, Reason.OPERATOR_REQUEST)]


def test_cancel_all_goes_account_by_account_in_order_of_acceptance(desk: Desk) -> None:
    desk.buy(1, 2, 1, 100)
    desk.buy(2, 1, 1, 101)
    desk.sell(3, 2, 1, 110)
    desk.buy(4, 2, 1, 105)
    desk.sell(5, 1, 1, 111)
    assert said(desk.do(CancelAll, 1, SELL)) == [
        (OrderCancelled, 5, 1, SELL, 111, 1, Reason.USER_REQUEST),
        (OrdersCancelled, 1, 1),
    ]
    everything = said(desk.do(CancelAll, OPERATOR))
    assert [event[1] for event in everything[:-1]] == [1, 3, 4, 2]
    assert everything[-1] == (OrdersCancelled, OPERATOR, 4)
    assert said(desk.do(CancelAll, 77)) == [(OrdersCancelled, 77, 0)]


def test_an_amendment_that_only_reduces_keeps_the_place(desk: Desk) -> None:
    desk.sell(1, 1, 5, 100)
    desk.sell(2, 2, 5, 100)
    desk.buy(3, 3, 1, 100)
    assert said(desk.do(AmendOrder, 1, 1, 3, 100)) == [(OrderAmended, 1, 1, SELL, 100, 2, 2, 0, True)]
    assert said(desk.buy(4, 3, 2, 100))[1:] == [trade(2, 100, 2, (1, 1, 0), (4, 3, 0), BUY)]


def test_an_amendment_that_loses_the_place_may_trade(desk: Desk) -> None:
    desk.buy(1, 1, 6, 98, display_quantity_lots=2)
    desk.buy(2, 1, 1, 98)
    desk.sell(3, 2, 2, 100)
    assert said(desk.do(AmendOrder, 2, 1, quantity_lots=2)) == [
        (OrderAmended, 2, 1, BUY, 98, 2, 2, 0, False),
        (OrderRested, 2, 1, BUY, 98, 2, 2),
    ]
    assert said(desk.do(AmendOrder, 1, 1, price_ticks=100)) == [
        (OrderAmended, 1, 1, BUY, 100, 6, 2, 0, False),
        trade(1, 100, 2, (3, 2, 0), (1, 1, 4), BUY),
        (OrderRested, 1, 1, BUY, 100, 4, 2),
    ]
    assert said(desk.do(AmendOrder, 1, 1, quantity_lots=2)) == [
        (OrderCancelled, 1, 1, BUY, 100, 4, Reason.AMENDED_BELOW_FILLED)
    ]


@pytest.mark.parametrize(
    ("amend", "reason"),
    [
        ((1, 0), Reason.MALFORMED_COMMAND),
        ((8, 1), Reason.ORDER_NOT_FOUND),
        ((1, 2), Reason.USER_MISMATCH),
        ((1, 1, -1), Reason.INVALID_QUANTITY),
        ((1, 1, 0, 1 << 40), Reason.INVALID_PRICE),
        ((1, 1, 0, 0, 90), Reason.INVALID_TRIGGER),
        ((3, 1, 0, 0, -1), Reason.INVALID_TRIGGER),
        ((4, 1, 201), Reason.TOO_MANY_ICEBERG_PARTS),
        ((5, 1, 0, 110), Reason.POST_ONLY_WOULD_TAKE),
    ],
)
def test_a_refused_amendment_changes_nothing(desk: Desk, amend: tuple[int, ...], reason: Reason) -> None:
    desk.buy(1, 1, 5, 100)
    desk.sell(2, 2, 5, 110)
    desk.buy(3, 1, 5, 0, type=OrderType.STOP, trigger_price_ticks=120)
    desk.buy(4, 1, 10, 100, display_quantity_lots=2)
    desk.buy(5, 1, 1, 99, post_only=True)
    before = [desk.engine.order(order_id) for order_id in range(1, 6)]
    assert said(desk.do(AmendOrder, *amend)) == [(CommandRejected, CommandKind.AMEND, *amend[:2], reason)]
    assert [desk.engine.order(order_id) for order_id in range(1, 6)] == before


def test_an_amended_trigger_is_looked_at_at_once(desk: Desk) -> None:
    desk.do(UpdatePrices, 100)
    mark = PriceSource.MARK
    stop = {"type": OrderType.STOP_LIMIT, "trigger_source": mark, "trigger_price_ticks": 110}
    desk.buy(1, 1, 5, 98, **stop)
    assert said(desk.do(AmendOrder, 1, 1, 7, 97, 110)) == [(OrderAmended, 1, 1, BUY, 97, 7, 7, 110, True)]
    assert said(desk.do(AmendOrder, 1, 1, 0, 0, 105)) == [(OrderAmended, 1, 1, BUY, 97, 7, 7, 105, False)]
    assert said(desk.do(AmendOrder, 1, 1, 0, 0, 100)) == [
        (OrderAmended, 1, 1, BUY, 97, 7, 7, 100, False),
        (OrderTriggered, 1, 1, BUY, mark, 100, 100),
        (OrderRested, 1, 1, BUY, 97, 7, 7),
    ]
    assert desk.engine.order(1) == OrderView(1, 1, BUY, LIMIT, 97, 7, 7, 0, 0, False)


def test_one_of_a_pair_cancels_the_other(desk: Desk) -> None:
    desk.sell(1, 1, 5, 110)
    stop = {"type": OrderType.STOP, "trigger_price_ticks": 90}
    assert len(desk.sell(2, 1, 5, 0, oco_order_id=1, **stop)) == 1
    assert reasons(desk.sell(3, 1, 5, 111, oco_order_id=1)) == [Reason.INVALID_OCO]
    assert reasons(desk.buy(3, 1, 5, 90, oco_order_id=1)) == [Reason.INVALID_OCO]
    assert said(desk.buy(4, 2, 1, 110))[1:] == [
        trade(1, 110, 1, (1, 1, 4), (4, 2, 0), BUY),
        (OrderCancelled, 2, 1, SELL, 0, 5, Reason.OCO_SIBLING),
    ]
    assert reasons(desk.sell(5, 1, 5, 111, oco_order_id=1)) == [Reason.INVALID_OCO, Reason.OCO_SIBLING]
    assert desk.engine.open_orders == 0


def test_a_pair_is_entered_whole_or_not_at_all(desk: Desk) -> None:
    desk.sell(1, 1, 5, 110)
    malformed = desk.sell(2, 1, 5, 111, oco_order_id=1, trade_group=-1)
    assert reasons(malformed) == [Reason.MALFORMED_COMMAND]
    assert reasons(desk.sell(2, 2, 0, 111, oco_order_id=1)) == [Reason.INVALID_QUANTITY]
    assert said(desk.sell(2, 1, 0, 111, oco_order_id=1)) == [
        (CommandRejected, CommandKind.SUBMIT, 2, 1, Reason.INVALID_QUANTITY),
        (OrderCancelled, 1, 1, SELL, 110, 5, Reason.OCO_SIBLING),
    ]


# Section 5: states, auctions, bands, limits.


@pytest.mark.parametrize(
    ("state", "limit", "post_only", "stop", "ioc"),
    [
        (MarketState.AUCTION, None, None, None, Reason.MARKET_IN_AUCTION),
        (MarketState.POST_ONLY, Reason.MARKET_POST_ONLY, None, Reason.MARKET_POST_ONLY, Reason.MARKET_POST_ONLY),
        (MarketState.PAUSED, *[Reason.MARKET_PAUSED] * 4),
        (MarketState.CANCEL_ONLY, *[Reason.MARKET_CANCEL_ONLY] * 4),
        (MarketState.SETTLEMENT_ONLY, *[Reason.MARKET_SETTLEMENT_ONLY] * 4),
    ],
)
def test_what_each_state_takes(
    desk: Desk,
    state: MarketState,
    limit: Reason | None,
    post_only: Reason | None,
    stop: Reason | None,
    ioc: Reason | None,
) -> None:
    assert said(desk.state(state)) == [(StateChanged, MarketState.ACTIVE, state)]
    terms: list[dict[str, Any]] = [
        {},
        {"post_only": True},
        {"type": OrderType.STOP_LIMIT, "trigger_price_ticks": 120},
        {"time_in_force": IOC},
    ]
    for order_id, (each, reason) in enumerate(zip(terms, (limit, post_only, stop, ioc), strict=True), start=1):
        assert reasons(desk.buy(order_id, 1, 5, 100, **each)) == ([] if reason is None else [reason])
        cancelled = desk.do(CancelOrder, order_id, 1)
        assert reasons(cancelled) == [Reason.USER_REQUEST if reason is None else Reason.ORDER_NOT_FOUND]


def test_post_only_state_refuses_amendments_that_trade(desk: Desk) -> None:
    desk.buy(1, 1, 5, 100)
    desk.buy(2, 1, 5, 99, post_only=True)
    desk.sell(3, 2, 5, 105)
    desk.state(MarketState.POST_ONLY)
    assert reasons(desk.do(AmendOrder, 1, 1, 0, 105)) == [Reason.MARKET_POST_ONLY]
    assert reasons(desk.do(AmendOrder, 2, 1, 0, 105)) == [Reason.POST_ONLY_WOULD_TAKE]
    assert said(desk.do(AmendOrder, 1, 1, 0, 104))[-1] == (OrderRested, 1, 1, BUY, 104, 5, 5)


@pytest.mark.parametrize(
    ("bids", "asks", "reference", "expected"),
    [
        ([(105, 10), (103, 5)], [(100, 8), (102, 4)], 0, (102, 12, 3)),  # largest volume
        ([(105, 10), (103, 2)], [(100, 10), (104, 5)], 105, (103, 10, 2)),  # smallest imbalance
        ([(105, 10), (103, 5)], [(100, 10), (104, 5)], 105, (105, 10, -5)),  # equal imbalance: the nearest
        ([(105, 10), (103, 5)], [(100, 10), (104, 5)], 0, (100, 10, 5)),
        ([(110, 5)], [(100, 5)], 107, (107, 5, 0)),  # a price where no order stands
        ([(110, 5)], [(100, 5)], 200, (110, 5, 0)),
        ([(110, 5)], [(100, 5)], 0, (100, 5, 0)),
        ([(99, 5)], [(100, 5)], 0, (0, 0, 0)),
    ],
)
def test_the_auction_price(
    desk: Desk,
    bids: list[tuple[int, int]],
    asks: list[tuple[int, int]],
    reference: int,
    expected: tuple[int, int, int],
) -> None:
    desk.do(ConfigureMarket, reference_price_ticks=reference)
    desk.state(MarketState.AUCTION)
    for order_id, (price_ticks, lots) in enumerate(bids, start=1):
        desk.buy(order_id, 1, lots, price_ticks)
    for order_id, (price_ticks, lots) in enumerate(asks, start=101):
        desk.sell(order_id, 2, lots, price_ticks)
    assert desk.engine.indicative() == expected


def test_an_auction_pairs_in_price_time_order_at_one_price(desk: Desk) -> None:
    desk.state(MarketState.AUCTION)
    desk.buy(1, 1, 4, 101)
    desk.buy(2, 2, 9, 103, display_quantity_lots=2)
    desk.sell(3, 3, 7, 99)
    desk.sell(4, 4, 5, 101)
    desk.buy(5, 5, 1, 0, type=OrderType.STOP, trigger_price_ticks=100)
    # At 99 and 100: 13 against 7; at 101: 13 against 12; at 102 and 103: 9 against 12.
    assert said(desk.state(MarketState.ACTIVE, 100)) == [
        (Trade, 1, 101, 7, BUY, 3, 3, 0, 2, 2, 2, True),
        (OrderReplenished, 2, 2, BUY, 103, 2, 2),
        (Trade, 2, 101, 2, BUY, 4, 4, 3, 2, 2, 0, True),
        (Trade, 3, 101, 3, BUY, 4, 4, 0, 1, 1, 1, True),
        (AuctionUncrossed, 101, 12, 1),
        (StateChanged, MarketState.AUCTION, MarketState.ACTIVE),
        (OrderTriggered, 5, 5, BUY, PriceSource.LAST, 100, 101),
        (OrderExpired, 5, 5, BUY, 0, 1, Reason.MARKET_LIQUIDITY_EXHAUSTED, 0),
    ]
    assert desk.book() == ([(101, 1, 1)], [])


def test_an_auction_takes_from_the_shown_part_first_and_repeats_while_crossed(desk: Desk) -> None:
    desk.state(MarketState.AUCTION)
    desk.buy(1, 1, 10, 105)
    desk.buy(2, 2, 2, 101)
    desk.sell(3, 1, 10, 100)
    desk.sell(4, 3, 6, 101, display_quantity_lots=5)
    # At 105: 10 against 16. At 101: 12 against 16. The first pair is one account, by the buyer's mode.
    taker = MODES.EXPIRE_TAKER
    assert said(desk.state(MarketState.POST_ONLY)) == [
        (TradePrevented, taker, 101, 0, BUY, 3, 1, 10, 1, 1, 10, True),
        (OrderExpired, 1, 1, BUY, 105, 10, Reason.SELF_TRADE_PREVENTION, 0),
        (Trade, 1, 101, 2, BUY, 3, 1, 8, 2, 2, 0, True),
        (AuctionUncrossed, 101, 2, -4),
        (StateChanged, MarketState.AUCTION, MarketState.POST_ONLY),
    ]
    desk.do(CancelOrder, 3, 1)
    desk.state(MarketState.AUCTION)
    desk.buy(5, 2, 2, 101)
    assert said(desk.state(MarketState.ACTIVE))[:2] == [
        (Trade, 2, 101, 2, BUY, 4, 3, 4, 5, 2, 0, True),
        (AuctionUncrossed, 101, 2, -4),
    ]
    assert desk.book() == ([], [(101, 3, 1)])


def test_leaving_an_auction_with_nothing_to_match_says_so(desk: Desk) -> None:
    desk.state(MarketState.AUCTION)
    zeros = (AuctionUncrossed, 0, 0, 0)
    assert said(desk.state(MarketState.ACTIVE)) == [zeros, (StateChanged, MarketState.AUCTION, MarketState.ACTIVE)]
    assert said(desk.state(MarketState.PAUSED)) == [(StateChanged, MarketState.ACTIVE, MarketState.PAUSED)]
    assert said(desk.state(MarketState.ACTIVE)) == [(StateChanged, MarketState.PAUSED, MarketState.ACTIVE)]


def test_settlement_cancels_every_order(desk: Desk) -> None:
    desk.buy(1, 2, 1, 100)
    desk.buy(2, 1, 1, 0, type=OrderType.STOP, trigger_price_ticks=200)
    desk.sell(3, 2, 4, 110)
    assert said(desk.state(MarketState.SETTLEMENT_ONLY)) == [
        (StateChanged, MarketState.ACTIVE, MarketState.SETTLEMENT_ONLY),
        (OrderCancelled, 1, 2, BUY, 100, 1, Reason.MARKET_SETTLEMENT),
        (OrderCancelled, 3, 2, SELL, 110, 4, Reason.MARKET_SETTLEMENT),
        (OrderCancelled, 2, 1, BUY, 0, 1, Reason.MARKET_SETTLEMENT),
    ]


def test_the_price_band_refuses_limits_and_stops_market_orders(desk: Desk) -> None:
    desk.do(ConfigureMarket, reference_price_ticks=201, band_basis_points=500)
    desk.sell(1, 1, 1, 211)
    assert reasons(desk.sell(2, 1, 1, 212)) == [Reason.PRICE_OUTSIDE_BAND]
    desk.do(ConfigureMarket, 0, 0)
    desk.sell(3, 1, 1, 212)
    desk.buy(4, 2, 1, 191)
    # Midpoint (191 + 211) / 2 = 201; 5 % of it is 10.05, so the band is 191 to 211.
    desk.do(ConfigureMarket, band_basis_points=500)
    assert reasons(desk.buy(5, 2, 1, 190)) == [Reason.PRICE_OUTSIDE_BAND]
    assert said(desk.buy(6, 3, 5, 0, type=MARKET, time_in_force=IOC))[1:] == [
        trade(1, 211, 1, (1, 1, 0), (6, 3, 4), BUY),
        (OrderExpired, 6, 3, BUY, 0, 4, Reason.PROTECTION_PRICE, 0),
    ]
    desk.do(ConfigureMarket, band_basis_points=500, band_reference=BandReference.LAST)
    assert reasons(desk.buy(7, 2, 1, 200)) == [Reason.PRICE_OUTSIDE_BAND]
    assert reasons(desk.buy(7, 2, 1, 201)) == []


def test_limits_hold_for_orders_to_come(desk: Desk) -> None:
    desk.trade_at(100)
    desk.buy(1, 1, 1, 90)
    desk.buy(2, 1, 1, 91)
    values = (50, 0, BandReference.MARK, 2, 3, 1)
    assert said(desk.do(ConfigureMarket, *values)) == [(MarketConfigured, *values)]
    assert reasons(desk.buy(3, 1, 1, 92)) == [Reason.OPEN_ORDER_LIMIT]
    assert reasons(desk.buy(4, 1, 1, 92, time_in_force=IOC)) == [Reason.IOC_UNFILLED]
    assert reasons(desk.buy(5, 2, 7, 92, display_quantity_lots=2)) == [Reason.TOO_MANY_ICEBERG_PARTS]
    trailing = {"type": OrderType.TRAILING_STOP, "trail": 5}
    assert reasons(desk.sell(6, 2, 1, 0, **trailing)) == []
    assert reasons(desk.sell(7, 3, 1, 0, **trailing)) == [Reason.TRAILING_ORDER_LIMIT]
    refused = desk.do(ConfigureMarket, band_basis_points=10_001)
    assert said(refused) == [(CommandRejected, CommandKind.CONFIGURE, 0, 0, Reason.MALFORMED_COMMAND)]


def test_orders_expire_when_the_clock_says_so(desk: Desk) -> None:
    gtd = {"time_in_force": TimeInForce.GTD}
    desk.buy(1, 1, 1, 100, expire_time_ms=T0 + 20, **gtd)
    desk.buy(2, 1, 1, 101, expire_time_ms=T0 + 10, **gtd)
    desk.buy(3, 1, 1, 102, expire_time_ms=T0 + 10, **gtd)
    desk.buy(4, 1, 1, 103, time_in_force=TimeInForce.DAY)
    desk.now_ms = T0 + 20
    assert said(desk.sell(5, 2, 1, 103))[1][0] is Trade  # order 4, though orders 1 to 3 are due
    assert [event[1] for event in said(desk.do(AdvanceTime))] == [2, 3, 1]
    desk.buy(6, 1, 1, 99, time_in_force=TimeInForce.DAY)
    desk.now_ms = T0 + DAY_MS - 1
    assert desk.do(AdvanceTime) == []
    desk.now_ms = T0 + DAY_MS
    assert said(desk.do(AdvanceTime)) == [(OrderExpired, 6, 1, BUY, 99, 1, Reason.TIME_EXPIRED, 0)]


# Section 6: triggers.


def test_new_prices_fire_rising_orders_first_then_falling_ones(desk: Desk) -> None:
    mark = {"trigger_source": PriceSource.MARK}
    desk.do(UpdatePrices, 100, 50)
    desk.buy(1, 1, 1, 0, type=OrderType.TAKE_PROFIT, trigger_price_ticks=120, **mark)
    # Fires at once: a take-profit buy at 120 or less.
    assert desk.engine.open_orders == 0
    desk.state(MarketState.PAUSED)
    desk.state(MarketState.AUCTION)
    desk.sell(2, 1, 1, 0, type=OrderType.STOP, trigger_price_ticks=110, **mark)
    desk.buy(3, 1, 1, 0, type=OrderType.TAKE_PROFIT, trigger_price_ticks=111, **mark)
    desk.buy(4, 1, 1, 0, type=OrderType.STOP, trigger_price_ticks=99, **mark)
    desk.sell(5, 1, 1, 0, type=OrderType.TAKE_PROFIT, trigger_price_ticks=98, **mark)
    desk.sell(6, 1, 1, 0, type=OrderType.TAKE_PROFIT, trigger_price_ticks=101, **mark)
    events = desk.state(MarketState.ACTIVE)
    fired = [event for event in events if isinstance(event, OrderTriggered)]
    assert [(event.order_id, event.trigger_price_ticks) for event in fired] == [(5, 98), (4, 99), (3, 111), (2, 110)]
    assert {event.observed_price_ticks for event in fired} == {100}
    assert said(desk.do(UpdatePrices, 101))[:2] == [
        (PricesUpdated, 101, 50),
        (OrderTriggered, 6, 1, SELL, PriceSource.MARK, 101, 101),
    ]


def test_a_trailing_stop_follows_the_best_price(desk: Desk) -> None:
    desk.do(UpdatePrices, 1000)
    trailing = {"type": OrderType.TRAILING_STOP, "trigger_source": PriceSource.MARK}
    desk.sell(1, 1, 1, 0, trail=15, **trailing)
    desk.buy(2, 1, 1, 0, trail=250, trail_in_basis_points=True, **trailing)

    def triggers() -> list[int]:
        views = [desk.engine.order(order_id) for order_id in (1, 2)]
        return [view.trigger_price_ticks for view in views if view is not None]

    assert triggers() == [985, 1025]
    desk.do(UpdatePrices, 1009)
    assert triggers() == [994, 1025]
    desk.do(UpdatePrices, 995)  # 995 x 1.025 = 1019.875
    assert triggers() == [994, 1020]
    assert said(desk.do(UpdatePrices, 994))[1:] == [
        (OrderTriggered, 1, 1, SELL, PriceSource.MARK, 994, 994),
        (OrderExpired, 1, 1, SELL, 0, 1, Reason.MARKET_LIQUIDITY_EXHAUSTED, 0),
    ]
    assert triggers() == [1019]  # 994 x 1.025 = 1018.85


def test_trades_fire_stops_which_take_their_turn_after_the_step(desk: Desk) -> None:
    desk.trade_at(100)
    stop = {"type": OrderType.STOP}
    desk.buy(1, 1, 1, 0, trigger_price_ticks=102, **stop)
    desk.buy(2, 2, 1, 105, type=OrderType.STOP_LIMIT, trigger_price_ticks=104)
    desk.buy(3, 3, 1, 0, trigger_price_ticks=101, **stop)
    for order_id, price_ticks in enumerate((101, 102, 104, 110), start=11):
        desk.sell(order_id, 9, 1, price_ticks)
    last = PriceSource.LAST
    assert said(desk.buy(4, 4, 2, 102))[1:] == [
        trade(2, 101, 1, (11, 9, 0), (4, 4, 1), BUY),
        trade(3, 102, 1, (12, 9, 0), (4, 4, 0), BUY),
        (OrderTriggered, 3, 3, BUY, last, 101, 101),
        trade(4, 104, 1, (13, 9, 0), (3, 3, 0), BUY),
        (OrderTriggered, 1, 1, BUY, last, 102, 102),
        trade(5, 110, 1, (14, 9, 0), (1, 1, 0), BUY),
        (OrderTriggered, 2, 2, BUY, last, 104, 104),
        (OrderRested, 2, 2, BUY, 105, 1, 1),
    ]


def test_a_triggered_order_cancels_its_sibling_and_may_end_at_once(desk: Desk) -> None:
    desk.do(SetPosition, 1, 5)
    desk.do(ConfigureMarket, reference_price_ticks=100, band_basis_points=1000)
    desk.sell(9, 9, 5, 108)
    mark = {"trigger_source": PriceSource.MARK, "trigger_price_ticks": 120}
    desk.sell(1, 1, 5, 109)
    desk.sell(2, 1, 5, 0, type=OrderType.TAKE_PROFIT, reduce_only=True, oco_order_id=1, **mark)
    desk.buy(3, 2, 5, 111, type=OrderType.STOP_LIMIT, **mark)
    desk.buy(4, 2, 5, 108, type=OrderType.STOP_LIMIT, post_only=True, **mark)
    mark_price = PriceSource.MARK
    assert said(desk.do(UpdatePrices, 120))[1:] == [
        (OrderTriggered, 2, 1, SELL, mark_price, 120, 120),
        (OrderCancelled, 1, 1, SELL, 109, 5, Reason.OCO_SIBLING),
        (OrderExpired, 2, 1, SELL, 0, 5, Reason.MARKET_LIQUIDITY_EXHAUSTED, 0),
        (OrderTriggered, 3, 2, BUY, mark_price, 120, 120),
        (OrderExpired, 3, 2, BUY, 111, 5, Reason.PRICE_OUTSIDE_BAND, 0),
        (OrderTriggered, 4, 2, BUY, mark_price, 120, 120),
        (OrderExpired, 4, 2, BUY, 108, 5, Reason.POST_ONLY_WOULD_TAKE, 0),
    ]


# Section 8: the snapshot.


def small_market() -> Desk:
    """Two bids, one an iceberg; one trailing stop; a trade, a position, prices."""
    desk = Desk()
    desk.do(UpdatePrices, 100, 50)
    desk.do(SetPosition, 7, -4)
    desk.buy(11, 8, 5, 90, display_quantity_lots=2, time_in_force=TimeInForce.DAY)
    desk.buy(12, 7, 6, 91, reduce_only=True)
    desk.sell(13, 8, 1, 91)
    trailing = {"type": OrderType.TRAILING_STOP, "trigger_source": PriceSource.MARK, "trail_in_basis_points": True}
    desk.sell(14, 8, 3, 80, trail=100, trade_group=6, **trailing)
    return desk


def test_the_snapshot_to_the_byte() -> None:
    plain_terms = 1 | 1 << 2 | 1 << 6 | 1 << 10 | 2 << 11
    iceberg_terms = 1 | 1 << 2 | 5 << 6 | 2 << 11 | 1 << 17
    trailing_terms = 2 | 7 << 2 | 1 << 6 | 2 << 11 | 2 << 14 | 1 << 16 | 1 << 17
    head = [1, 6, 1, T0, 91, 100, 50, 0, 0, 1, 0, 100, 1000, 1]
    # Order 12 rested with 6 lots; upkeep left 4, the size of the short position; one traded.
    words = [
        *head,
        *(2, 7, -3, 8, -1),
        *(2, 0, 0, 0, 0, 1, 0, 0),
        *(12, 0, plain_terms, 91, 3, 1),
        *(11, 1, iceberg_terms, 90, 5, 0, 2, 2, 0, T0 + DAY_MS, 0, 0, 0, 0),
        *(14, 1, trailing_terms, 80, 3, 0, 0, 0, 6, 0, 99, 100, 100, 0),
        *(1, 0),
        *(2, 1, 2),
        *(0,),
        *(1, 2),
        *(0,),
        *(1, 1),
    ]
    content = pack(f"<{len(words)}q", *words)
    engine = small_market().engine
    expected = b"CROSSBK1" + pack("<q", len(content)) + content + pack("<q", zlib.crc32(content))
    assert engine.snapshot() == expected
    assert engine.state_hash() == hashlib.blake2b(content, digest_size=32).hexdigest()


def test_a_restored_engine_goes_on_like_the_first() -> None:
    desk, other = small_market(), Desk()
    other.engine = ReferenceEngine.restore(desk.engine.snapshot())
    assert other.engine.state_hash() == desk.engine.state_hash()
    for engine in (desk.engine, other.engine):
        assert engine.open_orders == 3
    for each in (desk, other):
        each.now_ms = T0 + DAY_MS
    assert said(desk.do(UpdatePrices, 98)) == said(other.do(UpdatePrices, 98))
    assert said(other.do(AdvanceTime)) == [(OrderExpired, 11, 8, BUY, 90, 5, Reason.TIME_EXPIRED, 0)]


def test_a_torn_or_altered_snapshot_is_refused() -> None:
    data = small_market().engine.snapshot()
    for size in range(len(data)):
        with pytest.raises(SnapshotError):
            ReferenceEngine.restore(data[:size])
    for place in range(len(data)):
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(SnapshotError):
            ReferenceEngine.restore(altered)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (0, 7),  # no such state
        (14, 3),  # more accounts than follow
        (27, 11),  # order 12 becomes a second order 11
        (28, 2),  # an account that is not there
        (29, 3),  # no such side, and no type
        (30, 89),  # worse than the bid behind it
        (31, 0),  # nothing open
        (39, 3),  # shows more than its display quantity
        (46, 12),  # paired with an order that has no pair
        (62, 1),  # an order of the other account
        (65, 1),  # the same order twice
        (71, 2),  # an expiry that the order does not have
    ],
)
def test_a_snapshot_that_no_engine_wrote_is_refused(word: int, value: int) -> None:
    data = small_market().engine.snapshot()
    content = bytearray(data[16:-8])
    content[8 * word : 8 * word + 8] = pack("<q", value)
    forged = data[:16] + bytes(content) + pack("<q", zlib.crc32(content))
    with pytest.raises(SnapshotError):
        ReferenceEngine.restore(forged)
