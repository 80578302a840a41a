"""The largest numbers that a market takes. The reference counts without a limit: an overflow would show beside it."""

from array import array
from dataclasses import fields, replace
from random import Random
from typing import Any

import pytest

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    Batch,
    CancelOrder,
    Command,
    ConfigureMarket,
    SetMarketState,
    SetPosition,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import MalformedCommand, Reason, SequenceError, SnapshotError
from crossbook.domain.events import CommandRejected, Event, OrderExpired, Trade
from crossbook.domain.orders import (
    MAX_BUDGET,
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_SIDE_LOTS,
    MAX_TIME_MS,
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching import Engine, layout
from crossbook.matching.codec import encode
from crossbook.matching.reference import ReferenceEngine
from crossbook.matching.reference_market import Market

from .flows import Flow
from .pairs import Pair, renumbered, snapshot_of, words_of

BUY, SELL = Side.BUY, Side.SELL
LIMIT, MARKET = OrderType.LIMIT, OrderType.MARKET
IOC = TimeInForce.IOC
LOTS_SCALE = MAX_QUANTITY_LOTS // 25
POSITION_SCALE = MAX_POSITION_LOTS // 20
LARGE = {
    "quantity_lots": LOTS_SCALE,
    "display_quantity_lots": LOTS_SCALE,
    "budget": MAX_BUDGET // 3_001,
    "position_lots": POSITION_SCALE,
}
FULL_ORDERS = MAX_SIDE_LOTS // MAX_QUANTITY_LOTS
"""So many of the largest orders make a side full."""


def order(
    order_id: int, side: Side, lots: int, price_ticks: int, kind: OrderType = LIMIT, **options: Any
) -> SubmitOrder:
    """An order of account 1 if it buys, 2 if it sells, unless the options say otherwise."""
    account_id = options.pop("account_id", int(side))
    return SubmitOrder(1, 5, order_id, account_id, side, kind, lots, price_ticks, **options)


def applied(*commands: Command, pair: Pair | None = None) -> list[Event]:
    """The events of the last of the commands, applied to both engines."""
    pair = pair or Pair()
    events: list[Event] = []
    for command in renumbered(commands, pair.fast.last_sequence):
        events = pair.apply(command)
    return events


def reasons(events: list[Event]) -> list[Reason]:
    return [event.reason for event in events if isinstance(event, CommandRejected)]


def enlarged(command: Command) -> Command:
    """The command with quantities, budgets and positions as large as they get."""
    if isinstance(command, Batch):
        return Batch(tuple(_enlarged(member) for member in command.commands))
    return _enlarged(command)


def _enlarged(command: SingleCommand) -> SingleCommand:
    values = {field.name: getattr(command, field.name) for field in fields(command)}
    large = {name: values[name] * scale for name, scale in LARGE.items() if 1 < abs(values.get(name, 0)) < 1 << 20}
    return replace(command, **large)


@pytest.mark.parametrize("seed", range(8))
def test_random_commands_with_the_largest_numbers(seed: int) -> None:
    pair = Pair()
    flow = Flow(Random(seed).randrange)
    largest_lots = 0
    for _ in range(700):
        pair.apply(enlarged(flow.next()))
        largest_lots = max(largest_lots, *map(abs, pair.watcher.positions_lots.values()), 0)
    assert pair.watcher.trades > 10
    assert largest_lots > 1 << 56


@pytest.mark.parametrize("price_ticks", [1, 2, MAX_PRICE_TICKS - 1, MAX_PRICE_TICKS])
@pytest.mark.parametrize("lots", [1, MAX_QUANTITY_LOTS - 1, MAX_QUANTITY_LOTS])
def test_the_largest_order_trades_at_the_largest_price(lots: int, price_ticks: int) -> None:
    events = applied(order(1, SELL, lots, price_ticks), order(2, BUY, lots, price_ticks))
    assert [(event.quantity_lots, event.price_ticks) for event in events if isinstance(event, Trade)] == [
        (lots, price_ticks)
    ]


@pytest.mark.parametrize("mode", list(SelfTradePrevention))
@pytest.mark.parametrize("price_ticks", [1, 3, MAX_PRICE_TICKS])
@pytest.mark.parametrize("side", list(Side))
def test_the_largest_budget(side: Side, price_ticks: int, mode: SelfTradePrevention) -> None:
    """Spent to the tick, also where the account meets itself."""
    other = SELL if side is BUY else BUY
    makers = [order(each, other, MAX_QUANTITY_LOTS, price_ticks, account_id=1 + each % 2) for each in range(1, 6)]
    options: dict[str, Any] = {"time_in_force": IOC, "budget": MAX_BUDGET, "self_trade_prevention": mode}
    events = applied(*makers, order(9, side, 0, 0, MARKET, account_id=1, **options))
    ended = events[-1]
    assert isinstance(ended, OrderExpired) or mode is SelfTradePrevention.EXPIRE_BOTH
    if mode is SelfTradePrevention.NONE:
        spent = sum(event.quantity_lots * event.price_ticks for event in events if isinstance(event, Trade))
        assert isinstance(ended, OrderExpired)
        assert spent + ended.unspent_budget == MAX_BUDGET


def test_an_auction_of_the_largest_orders() -> None:
    buys = [order(each, BUY, MAX_QUANTITY_LOTS, MAX_PRICE_TICKS) for each in range(1, 30)]
    sells = [order(50 + each, SELL, MAX_QUANTITY_LOTS, each) for each in range(1, 28)]
    pair = Pair()
    applied(SetMarketState(1, 5, MarketState.AUCTION), *buys, *sells, pair=pair)
    assert pair.fast.indicative() == pair.naive.indicative()
    assert pair.fast.indicative()[1:] == (27 * MAX_QUANTITY_LOTS, 2 * MAX_QUANTITY_LOTS)
    events = applied(SetMarketState(1, 5, MarketState.ACTIVE, MAX_PRICE_TICKS), pair=pair)
    assert sum(isinstance(event, Trade) for event in events) == 27


@pytest.mark.parametrize("points", [1, 9_999, 10_000])
@pytest.mark.parametrize("reference", list(BandReference))
@pytest.mark.parametrize("side", list(Side))
def test_bands_around_the_largest_price(side: Side, reference: BandReference, points: int) -> None:
    pair = Pair()
    applied(
        UpdatePrices(1, 5, MAX_PRICE_TICKS, MAX_PRICE_TICKS),
        order(1, BUY, 5, MAX_PRICE_TICKS - 1),
        order(2, SELL, 5, MAX_PRICE_TICKS - 1, self_trade_prevention=SelfTradePrevention.NONE),
        order(3, BUY, 5, MAX_PRICE_TICKS - 2),
        order(4, SELL, 5, MAX_PRICE_TICKS),
        ConfigureMarket(1, 5, MAX_PRICE_TICKS, points, reference),
        pair=pair,
    )
    far_ticks = MAX_PRICE_TICKS - MAX_PRICE_TICKS * points // 10_000
    for number, price_ticks in enumerate((1, far_ticks - 2, far_ticks - 1, far_ticks, far_ticks + 1, MAX_PRICE_TICKS)):
        applied(order(10 + number, side, 1, max(1, price_ticks)), pair=pair)
    applied(order(30, side, 100, 0, MARKET, time_in_force=IOC), pair=pair)


@pytest.mark.parametrize(("trail", "in_points"), [(1, True), (9_999, True), (1, False), (MAX_PRICE_TICKS, False)])
@pytest.mark.parametrize("mark_ticks", [1, 2, MAX_PRICE_TICKS])
@pytest.mark.parametrize("side", list(Side))
def test_trailing_stops_at_the_ends_of_the_prices(side: Side, mark_ticks: int, trail: int, *, in_points: bool) -> None:
    options = {"trail": trail, "trail_in_basis_points": in_points, "trigger_source": PriceSource.INDEX}
    trailing = order(1, side, 5, 0, OrderType.TRAILING_STOP, **options)
    pair = Pair()
    applied(UpdatePrices(1, 5, 0, mark_ticks), trailing, pair=pair)
    for index_ticks in (mark_ticks, 1, MAX_PRICE_TICKS, mark_ticks // 2, MAX_PRICE_TICKS - 1):
        applied(UpdatePrices(1, 5, 0, index_ticks), pair=pair)


def test_the_largest_ids_and_times() -> None:
    day = order(MAX_ID, BUY, 5, 100, account_id=MAX_ID, trade_group=MAX_ID, time_in_force=TimeInForce.DAY)
    until_the_end = replace(day, order_id=1, time_in_force=TimeInForce.GTD, expire_time_ms=MAX_TIME_MS)
    pair = Pair()
    applied(day, until_the_end, AdvanceTime(1, MAX_TIME_MS - 1), pair=pair)
    applied(replace(day, order_id=2, time_ms=MAX_TIME_MS), pair=pair)
    assert pair.fast.open_orders == 2
    assert isinstance(applied(AdvanceTime(1, MAX_TIME_MS), pair=pair)[0], OrderExpired)
    assert pair.fast.order(2) is not None, "its midnight never comes"
    assert Engine.restore(pair.fast.snapshot()).snapshot() == pair.fast.snapshot()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", [LIMIT, MARKET, OrderType.STOP])
def test_position_limit(kind: OrderType, sign: int) -> None:
    """At the largest position an order may enter; beyond it none may, on either side, not even to reduce."""
    side, other = (BUY, SELL) if sign == 1 else (SELL, BUY)
    pair = Pair()
    options: dict[str, Any] = {"account_id": 1}
    if kind is MARKET:
        options["time_in_force"] = IOC
    if kind is OrderType.STOP:
        options["trigger_price_ticks"] = 90
    price_ticks = 100 if kind is LIMIT else 0
    applied(SetPosition(1, 5, 1, sign * MAX_POSITION_LOTS), order(1, other, 9, 100, account_id=2), pair=pair)
    assert reasons(applied(order(2, side, 1, 100, account_id=1), pair=pair)) == []
    assert pair.fast.position(1) == sign * (MAX_POSITION_LOTS + 1)
    for order_side in Side:
        refused = applied(order(3, order_side, 1, price_ticks, kind, **options), pair=pair)
        assert reasons(refused) == [Reason.POSITION_LIMIT]
    reducing = order(4, other, 1, price_ticks, kind, reduce_only=True, **options)
    assert reasons(applied(reducing, pair=pair)) == [Reason.POSITION_LIMIT]
    too_large = SetPosition(1, 5, 1, sign * (MAX_POSITION_LOTS + 1))
    assert reasons(applied(too_large, pair=pair)) == [Reason.MALFORMED_COMMAND]
    applied(SetPosition(1, 5, 1, sign * MAX_POSITION_LOTS), pair=pair)
    assert reasons(applied(order(3, side, 1, price_ticks, kind, **options), pair=pair)) == []


def test_a_position_beyond_the_limit_survives_a_restart() -> None:
    pair = Pair()
    applied(SetPosition(1, 5, 1, MAX_POSITION_LOTS), order(1, SELL, MAX_QUANTITY_LOTS, 1), pair=pair)
    applied(order(2, BUY, MAX_QUANTITY_LOTS, 1), pair=pair)
    for engine_type in (Engine, ReferenceEngine):
        assert engine_type.restore(pair.fast.snapshot()).position(1) == MAX_POSITION_LOTS + MAX_QUANTITY_LOTS


def test_a_position_that_no_orders_add_up_to_is_no_snapshot() -> None:
    engine = Engine()
    engine.apply(SetPosition(1, 5, 1, 12_345))
    words = words_of(engine.snapshot())
    place = words.index(12_345)
    for position_lots in (1 << 63) - 1, -(1 << 63), 1 << 62 | 1 << 61:
        with pytest.raises(SnapshotError):
            Engine.restore(snapshot_of([*words[:place], position_lots, *words[place + 1 :]]))


@pytest.fixture
def nearly_full(monkeypatch: pytest.MonkeyPatch) -> Pair:
    """Both engines count so many lots more on the buying side that five more make it full.

    To enter them would take two million orders; the soak does.
    """
    others_lots = MAX_SIDE_LOTS - 5
    pair = Pair()
    counted = Market.side_lots
    monkeypatch.setattr(
        Market, "side_lots", lambda market, side: counted(market, side) + (others_lots if side is BUY else 0)
    )
    pair.fast.market.book.buy_lots = others_lots
    return pair


def test_book_full(nearly_full: Pair) -> None:
    pair = nearly_full
    assert reasons(applied(order(1, BUY, 6, 90), pair=pair)) == [Reason.BOOK_FULL]
    assert reasons(applied(order(1, BUY, 4, 90), pair=pair)) == []
    stop = order(2, BUY, 2, 0, OrderType.STOP, trigger_price_ticks=120)
    assert reasons(applied(stop, pair=pair)) == [Reason.BOOK_FULL], "what waits counts too"
    assert reasons(applied(replace(stop, quantity_lots=1), pair=pair)) == []
    assert reasons(applied(order(3, BUY, 1, 80), pair=pair)) == [Reason.BOOK_FULL]
    assert reasons(applied(order(3, BUY, 1, 80, time_in_force=IOC), pair=pair)) == [], "it does not stay"
    assert reasons(applied(order(4, SELL, MAX_QUANTITY_LOTS, 200), pair=pair)) == [], "the other side has room"
    assert reasons(applied(AmendOrder(1, 5, 1, 1, 5), pair=pair)) == [Reason.BOOK_FULL]
    assert reasons(applied(AmendOrder(1, 5, 2, 1, 2), pair=pair)) == [Reason.BOOK_FULL]
    assert reasons(applied(AmendOrder(1, 5, 1, 1, 3), pair=pair)) == []
    assert reasons(applied(AmendOrder(1, 5, 2, 1, 2), pair=pair)) == []
    applied(CancelOrder(1, 5, 2, 1), pair=pair)
    assert reasons(applied(order(5, BUY, 2, 70), pair=pair)) == []


@pytest.mark.soak
def test_a_side_filled_to_the_last_lot() -> None:
    """Two million of the largest orders; then nothing more fits until one of them is gone."""
    engine = Engine()
    count = FULL_ORDERS
    template = list(encode(order(1, BUY, MAX_QUANTITY_LOTS, 90)))
    chunk = 50_000
    for start in range(1, count + 1, chunk):
        words = array("q", template * (min(count + 1, start + chunk) - start))
        for number in range(len(words) // layout.COMMAND_WORDS):
            words[number * layout.COMMAND_WORDS + layout.SEQUENCE] = start + number
            words[number * layout.COMMAND_WORDS + layout.ORDER_ID] = start + number
        engine.process(words.tobytes())
    assert engine.open_orders == count
    rest_lots = MAX_SIDE_LOTS - count * MAX_QUANTITY_LOTS
    following: tuple[tuple[Any, list[Reason]], ...] = (
        (order(count + 1, BUY, rest_lots + 1, 80), [Reason.BOOK_FULL]),
        (order(count + 1, BUY, rest_lots, 80), []),
        (order(count + 2, BUY, 1, 80), [Reason.BOOK_FULL]),
        (CancelOrder(1, 5, 7, 1), []),
        (order(count + 2, BUY, 1, 80), []),
    )
    for command, expected in following:
        assert reasons(engine.apply(replace(command, sequence=engine.last_sequence + 1))) == expected


def test_sequences_and_words_beyond_64_bits_are_refused() -> None:
    for engine in (Engine(), ReferenceEngine()):
        for beyond in (1 << 63, 1 << 64, -(1 << 63) - 1):
            with pytest.raises((MalformedCommand, TypeError, OverflowError)):
                engine.apply(AdvanceTime(1, beyond))
        with pytest.raises(SequenceError):
            engine.apply(AdvanceTime((1 << 63) - 1, 5))
        assert engine.last_sequence == 0
