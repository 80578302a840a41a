"""The watcher can fail: every invariant, broken once by a doctored stream, is noticed for its own reason."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    CancelOrder,
    Command,
    ConfigureMarket,
    ForceTrade,
    SetMarketState,
    SetPosition,
    SettlePositions,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import Reason
from crossbook.domain.events import (
    AuctionUncrossed,
    Event,
    ForcedTrade,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    OrderTriggered,
    PositionsSettled,
    Trade,
    TradePrevented,
)
from crossbook.domain.orders import (
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.reference import ReferenceEngine

from .invariants import Breach, Watcher
from .pairs import renumbered

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
NONE, EXPIRE_MAKER = SelfTradePrevention.NONE, SelfTradePrevention.EXPIRE_MAKER

Doctor = Callable[[list[Event]], list[Event]]


def order(order_id: int, account_id: int, side: Side, lots: int, price_ticks: int, **options: Any) -> SubmitOrder:
    """A limit order, or another kind if the options say so."""
    kind = options.pop("kind", OrderType.LIMIT)
    return SubmitOrder(1, 5, order_id, account_id, side, kind, lots, price_ticks, **options)


def changed(kind: type, **values: Any) -> Doctor:
    """The first event of a kind says something else."""

    def doctor(events: list[Event]) -> list[Event]:
        place = next(place for place, event in enumerate(events) if isinstance(event, kind))
        return [*events[:place], replace(events[place], **values), *events[place + 1 :]]

    return doctor


def without(kind: type) -> Doctor:
    """Events of a kind are missing."""
    return lambda events: numbered([event for event in events if not isinstance(event, kind)])


def repeated(kind: type) -> Doctor:
    """The events of a kind come once more at the end."""
    return lambda events: numbered([*events, *(event for event in events if isinstance(event, kind))])


def numbered(events: list[Event]) -> list[Event]:
    """The events with the indices that they must have."""
    return [replace(event, index=index) for index, event in enumerate(events)]


def unchanged(events: list[Event]) -> list[Event]:
    return events


def rests_instead(events: list[Event]) -> list[Event]:
    """The order rests, whatever it did."""
    entered = events[0]
    assert isinstance(entered, OrderAccepted)
    lots, price_ticks = entered.quantity_lots, entered.price_ticks
    rested = OrderRested(
        entered.sequence, 1, entered.order_id, entered.account_id, entered.side, price_ticks, lots, lots
    )
    return [entered, rested]


def rests_after(events: list[Event]) -> list[Event]:
    """An order of nobody rests behind the events."""
    return [*events, OrderRested(events[0].sequence, len(events), 1, 1, BUY, 90, 5, 5)]


def settled_instead(events: list[Event]) -> list[Event]:
    """All positions are said to be closed."""
    return [PositionsSettled(events[0].sequence, 0, 100, 2)]


def cut_short(lots: int, reason: Reason) -> Doctor:
    """The taker's trade is followed by an expiry with `lots` open."""

    def doctor(events: list[Event]) -> list[Event]:
        entered, trade = events[:2]
        assert isinstance(entered, OrderAccepted)
        assert isinstance(trade, Trade)
        traded_lots = entered.quantity_lots - lots
        maker_lots = trade.maker_open_lots + trade.quantity_lots - traded_lots
        part = replace(trade, quantity_lots=traded_lots, taker_open_lots=lots, maker_open_lots=maker_lots)
        ended = (entered.order_id, entered.account_id, entered.side, entered.price_ticks, lots, reason, 0)
        return [entered, part, OrderExpired(entered.sequence, 2, *ended)]

    return doctor


@dataclass(frozen=True)
class Case:
    """Commands that are watched; what becomes of the last one's events, and of itself; what is to be noticed."""

    name: str
    commands: tuple[Any, ...]
    doctor: Doctor
    notice: str
    told: Any = None
    """What the watcher is told that the last command was."""
    in_band: bool = False
    """Whether the watcher is told of a band of 5 % around 100."""


ASKS = (order(1, 1, SELL, 5, 100), order(2, 2, SELL, 5, 100), order(3, 1, SELL, 5, 101))
BAND = ConfigureMarket(1, 5, 100, 100, BandReference.LAST)
SWEEP = order(9, 3, BUY, 15, 0, kind=OrderType.MARKET, time_in_force=IOC)
ICEBERG = order(1, 1, SELL, 9, 100, display_quantity_lots=3)
PAIR = (order(1, 1, SELL, 5, 110), order(2, 1, SELL, 5, 111, oco_order_id=1))
STOP = order(5, 3, BUY, 2, 0, kind=OrderType.STOP, trigger_price_ticks=105)
SET_OFF = (STOP, order(1, 1, SELL, 5, 105), order(9, 2, BUY, 1, 105))
AUCTION = (SetMarketState(1, 5, MarketState.AUCTION), order(1, 1, SELL, 5, 99), order(2, 2, BUY, 5, 101))
OPENING = SetMarketState(1, 5, MarketState.ACTIVE)
REDUCER = (SetPosition(1, 5, 3, -4), order(4, 3, BUY, 4, 90, reduce_only=True))
SHORT_AND_LONG = (SetPosition(1, 5, 3, -4), SetPosition(1, 5, 4, 9))
FORCED = (*SHORT_AND_LONG, ForceTrade(1, 5, 3, 4, 100, 7))
SETTLED = (*SHORT_AND_LONG, SetMarketState(1, 5, MarketState.SETTLEMENT_ONLY), SettlePositions(1, 5, 100))
CONFIGURE = ConfigureMarket(1, 5)
TAKE_TWO = order(9, 3, BUY, 2, 100)
TAKE_EIGHT = order(9, 3, BUY, 8, 101)
SPEND = order(9, 3, BUY, 0, 0, kind=OrderType.MARKET, time_in_force=IOC, budget=450)

CANCELLED = (*ASKS, CancelOrder(1, 5, 1, 1))
AMENDED = (*ASKS, AmendOrder(1, 5, 1, 1, 4))
TAKE_OR_KILL = replace(TAKE_TWO, time_in_force=FOK)
TAKE_OWN = replace(TAKE_TWO, account_id=1)
TAKE_PAIR = replace(TAKE_EIGHT, price_ticks=110)
LESS = changed(OrderReduced, quantity_lots=2)
OF_ANOTHER = changed(OrderCancelled, account_id=2)

CASES = [
    Case("an end with other lots", CANCELLED, changed(OrderCancelled, open_lots=4), "ended as"),
    Case("an end at another price", CANCELLED, changed(OrderCancelled, price_ticks=4), "ended"),
    Case("lots of the maker lost", (*ASKS, TAKE_TWO), changed(Trade, maker_open_lots=2), "leaves open"),
    Case("lots of the taker lost", (*ASKS, TAKE_TWO), changed(Trade, taker_open_lots=1), "leaves open"),
    Case("a reduction by other lots", (*REDUCER, SetPosition(1, 5, 3, -3)), LESS, "said"),
    Case("two ends", CANCELLED, repeated(OrderCancelled), "not live"),
    Case("a trade after the end", (*ASKS, TAKE_TWO), repeated(Trade), "not live"),
    Case("an order of another account", CANCELLED, OF_ANOTHER, "not account 2's"),
    Case("no answer", (*ASKS, TAKE_TWO), lambda _: [], "not answered"),
    Case("no answer to a cancel", CANCELLED, lambda _: [], "not answered"),
    Case("no answer to prices", (UpdatePrices(1, 5, 7, 7),), lambda _: [], "answered 0 times"),
    Case("two acceptances", (order(1, 1, BUY, 5, 90),), repeated(OrderAccepted), "nobody asked"),
    Case("acceptance of another", (order(1, 1, BUY, 5, 90),), changed(OrderAccepted, quantity_lots=6), "as another"),
    Case("a refusal with a deed", (order(1, 1, BUY, 0, 90),), rests_after, "not live"),
    Case("an index left out", (*ASKS, TAKE_TWO), changed(Trade, index=2), "numbered"),
    Case("a place lost", (*ASKS, TAKE_TWO), changed(Trade, maker_order_id=2, maker_account_id=2), "met before order 1"),
    Case("a better price passed", (*ASKS, TAKE_EIGHT), changed(Trade, maker_order_id=3, price_ticks=101), "met before"),
    Case("a taker that stands", (*ASKS, TAKE_TWO), changed(Trade, taker_side=SELL), "one side with itself"),
    Case("a crossed book", (*ASKS, order(9, 3, BUY, 2, 100)), rests_instead, "crossed"),
    Case("a post-only that takes", (*ASKS, TAKE_TWO), unchanged, "post-only", replace(TAKE_TWO, post_only=True)),
    Case("half a fill-or-kill", (*ASKS, TAKE_OR_KILL), cut_short(1, Reason.FOK_UNFILLED), "in part"),
    Case("an IOC that rests", (order(9, 3, BUY, 2, 90, time_in_force=IOC),), rests_instead, "may not rest"),
    Case("an order that vanishes", (order(9, 3, BUY, 2, 90),), without(OrderRested), "neither rests"),
    Case("a reduce-only that grows", (*ASKS, TAKE_TWO), unchanged, "not reduce", replace(TAKE_TWO, reduce_only=True)),
    Case(
        "a reduce-only that flips",
        (*ASKS, SetPosition(1, 5, 3, -1), TAKE_TWO),
        unchanged,
        "not reduce",
        replace(TAKE_TWO, reduce_only=True),
    ),
    Case("a forced trade that flips", FORCED, changed(ForcedTrade, quantity_lots=5), "reduce both"),
    Case("a forced trade out of row", FORCED, changed(ForcedTrade, trade_id=2), "not the next"),
    Case("forced trades twice", FORCED, repeated(ForcedTrade), "not the next"),
    Case("a settlement too early", (*SHORT_AND_LONG, CONFIGURE), settled_instead, "goes on"),
    Case("a settlement of fewer", SETTLED, changed(PositionsSettled, positions=1), "another number"),
    Case("stale reduce-only", (*REDUCER, SetPosition(1, 5, 3, 1)), without(OrderCancelled), "not reduce"),
    Case("reduce-only above the position", (*REDUCER, SetPosition(1, 5, 3, -3)), without(OrderReduced), "exceed"),
    Case(
        "a trade with himself",
        (*ASKS, replace(TAKE_TWO, account_id=1, self_trade_prevention=NONE)),
        unchanged,
        "one hand",
        replace(TAKE_TWO, account_id=1),
    ),
    Case(
        "a trade inside a group",
        (order(1, 1, SELL, 5, 100, trade_group=4), TAKE_TWO),
        unchanged,
        "one hand",
        replace(TAKE_TWO, trade_group=4),
    ),
    Case(
        "kept apart unasked",
        (*ASKS, replace(TAKE_TWO, account_id=1)),
        unchanged,
        "unasked",
        replace(TAKE_TWO, account_id=1, self_trade_prevention=NONE),
    ),
    Case(
        "an outlived prevention",
        (*ASKS[:1], replace(TAKE_OWN, self_trade_prevention=EXPIRE_MAKER)),
        lambda events: events[:2],
        "outlives self",
    ),
    Case("lots in the wrong mode", (*ASKS, TAKE_OWN), changed(TradePrevented, quantity_lots=1), "mode"),
    Case("a better price for the taker", (*ASKS, TAKE_TWO), changed(Trade, price_ticks=99), "resting order's price"),
    Case(
        "a trade beyond the limit",
        (*ASKS, replace(SWEEP, price_ticks=101)),
        changed(OrderAccepted, price_ticks=99),
        "beyond its limit",
        replace(SWEEP, price_ticks=99),
    ),
    Case("an entry outside the band", (order(9, 3, BUY, 2, 90),), unchanged, "outside the band", in_band=True),
    Case("a trade beyond the band", (order(1, 1, SELL, 5, 109), SWEEP), unchanged, "beyond the band", in_band=True),
    Case("a trade number left out", (*ASKS, TAKE_TWO), changed(Trade, trade_id=2), "not the next"),
    Case("a trade of nothing", (*ASKS, TAKE_TWO), changed(Trade, quantity_lots=0), "of nothing"),
    Case("a visible part too large", (ICEBERG,), changed(OrderRested, visible_lots=9), "known"),
    Case("a part too many", (ICEBERG, TAKE_TWO), lambda events: [*events, shows_again(events)], "no part to show"),
    Case("a part too few", (ICEBERG, replace(TAKE_TWO, quantity_lots=3)), without(OrderReplenished), "shows 0"),
    Case("a place kept", AMENDED, changed(OrderAmended, kept_place=False), "its place"),
    Case("an amendment of another size", AMENDED, changed(OrderAmended, open_lots=3), "known"),
    Case("an outlived sibling", (*PAIR, CancelOrder(1, 5, 1, 1)), lambda events: events[:1], "nobody cancelled"),
    Case("a late sibling", (*PAIR, TAKE_PAIR), without(OrderCancelled), "outlives its"),
    Case("a trigger too early", SET_OFF, changed(OrderTriggered, observed_price_ticks=104), "triggered too early"),
    Case("a trigger of an order that rests", CANCELLED, lambda _: [triggered(1)], "did not wait"),
    Case("an auction of other lots", (*AUCTION, OPENING), changed(AuctionUncrossed, volume_lots=6), "an auction's"),
    Case("an auction at two prices", (*AUCTION, OPENING), changed(AuctionUncrossed, price_ticks=101), "an auction's"),
    Case("a book left crossed", (*AUCTION, OPENING), lambda events: numbered(events[-1:]), "crossed"),
    Case("a budget overspent", (*ASKS, SPEND), unchanged, "spent more", replace(SPEND, budget=399)),
    Case("a budget lost", (*ASKS, SPEND), changed(OrderExpired, unspent_budget=49), "left of its budget"),
]


def shows_again(events: list[Event]) -> Event:
    return OrderReplenished(events[0].sequence, len(events), 1, 1, SELL, 100, 7, 3)


def triggered(order_id: int) -> Event:
    return OrderTriggered(4, 0, order_id, 1, SELL, PriceSource.LAST, 100, 100)


def watched(commands: tuple[Command, ...]) -> tuple[Watcher, ReferenceEngine, Command, list[Event]]:
    """A watcher that has seen all commands but the last, and the last one with its true events."""
    watcher, engine = Watcher(), ReferenceEngine()
    *before, last = renumbered(commands, 0)
    for command in before:
        watcher.see(command, engine.apply(command))
        watcher.compare(engine)
    return watcher, engine, last, engine.apply(last)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_doctored_stream_is_noticed(case: Case) -> None:
    watcher, _, last, events = watched(case.commands)
    told = renumbered([case.told], last.sequence - 1)[0] if case.told else last
    if case.in_band:
        watcher.band_width, watcher.reference_ticks = 500, 100
    with pytest.raises(Breach, match=case.notice):
        watcher.see(told, case.doctor(events))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_true_stream_is_not(case: Case) -> None:
    watcher, engine, last, events = watched(case.commands)
    watcher.see(last, events)
    watcher.compare(engine)


OTHER_STATES = {
    "position of account 3": SetPosition(1, 5, 3, 77),
    "number of orders": order(50, 4, BUY, 1, 50),
    "order 2": AmendOrder(1, 5, 2, 2, 4),
    "state": SetMarketState(1, 5, MarketState.PAUSED),
}


@pytest.mark.parametrize(("notice", "secret"), OTHER_STATES.items())
def test_an_engine_in_another_state_is_noticed(notice: str, secret: Command) -> None:
    watcher, engine, last, events = watched((*ASKS, SetPosition(1, 5, 3, 9)))
    watcher.see(last, events)
    watcher.compare(engine)
    engine.apply(renumbered([secret], engine.last_sequence)[0])
    with pytest.raises(Breach, match=notice):
        watcher.compare(engine)


def test_an_engine_with_another_depth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher, engine, last, events = watched(ASKS)
    watcher.see(last, events)
    monkeypatch.setattr(engine, "depth", lambda side, levels: [(100, 9, 2)])
    with pytest.raises(Breach, match="public book"):
        watcher.compare(engine)


def test_limits_may_change_while_orders_rest() -> None:
    """A band that comes later says nothing about orders that rest already."""
    watcher, engine, last, events = watched((*ASKS, BAND, AdvanceTime(1, 9)))
    watcher.see(last, events)
    watcher.compare(engine)
