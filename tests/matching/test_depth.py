"""The book built from events: by hand, and beside the engine's own after every command of random flows."""

import random
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from crossbook.domain.commands import (
    AdvanceTime,
    AmendOrder,
    CancelAll,
    CancelOrder,
    ReduceOrder,
    SetMarketState,
    SetPosition,
    SingleCommand,
    SubmitOrder,
    UpdatePrices,
)
from crossbook.domain.errors import Reason
from crossbook.domain.events import (
    Event,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    Trade,
    TradePrevented,
)
from crossbook.domain.orders import (
    LIMIT_TYPES,
    TRIGGERED_TYPES,
    MarketState,
    OrderType,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching.depth import BookDelta, DepthBook
from crossbook.matching.reference import ReferenceEngine

BUY, SELL = Side.BUY, Side.SELL
COMMANDS = 1_500


def rested(order_id: int, side: Side, price_ticks: int, open_lots: int, visible_lots: int = 0) -> OrderRested:
    return OrderRested(1, 0, order_id, 1, side, price_ticks, open_lots, visible_lots or open_lots)


def trade(lots: int, maker: tuple[int, int], taker: tuple[int, int], auction: bool = False) -> Trade:
    """A trade at 100; maker and taker are (order id, open lots)."""
    return Trade(2, 0, 1, 100, lots, BUY, maker[0], 1, maker[1], taker[0], 2, taker[1], auction)


@pytest.fixture
def book() -> DepthBook:
    """Asks 100: iceberg 1 shows 2 of 5, order 2 has 3; 101: order 3 has 7. Bid 99: order 4 has 6."""
    book = DepthBook()
    for event in (rested(1, SELL, 100, 5, 2), rested(2, SELL, 100, 3), rested(3, SELL, 101, 7), rested(4, BUY, 99, 6)):
        book.apply(event)
    return book


def test_levels_are_best_first(book: DepthBook) -> None:
    book.apply(rested(5, BUY, 98, 1))
    assert book.levels(SELL, 5) == [(100, 5, 2), (101, 7, 1)]
    assert book.levels(BUY, 5) == [(99, 6, 1), (98, 1, 1)]
    assert book.levels(BUY, 1) == [(99, 6, 1)]
    assert book.levels(BUY, 0) == []
    assert (book.best(BUY), book.best(SELL)) == ((99, 6, 1), (100, 5, 2))
    assert DepthBook().best(BUY) is None


def test_an_order_makes_and_joins_a_level() -> None:
    book = DepthBook()
    assert book.apply(OrderAccepted(1, 0, 1, 1, BUY, OrderType.LIMIT, 5, 100)) == []
    assert book.apply(rested(1, BUY, 100, 5)) == [BookDelta(BUY, 100, 5, 1)]
    assert book.apply(rested(2, BUY, 100, 9, 2)) == [BookDelta(BUY, 100, 7, 2)]


def test_trades_take_from_what_the_maker_shows(book: DepthBook) -> None:
    assert book.apply(trade(1, (1, 4), (9, 7))) == [BookDelta(SELL, 100, 4, 2)]
    assert book.apply(trade(1, (1, 3), (9, 6))) == [BookDelta(SELL, 100, 3, 2)]
    assert book.apply(OrderReplenished(2, 1, 1, 1, SELL, 100, 3, 2)) == [BookDelta(SELL, 100, 5, 2)]
    assert book.apply(trade(3, (2, 0), (9, 3))) == [BookDelta(SELL, 100, 2, 1)]
    assert book.apply(OrderExpired(2, 2, 9, 2, BUY, 100, 3, Reason.IOC_UNFILLED, 0)) == []


def test_an_auction_trade_changes_both_sides(book: DepthBook) -> None:
    book.apply(rested(5, BUY, 101, 4))
    # 4 of the iceberg's 5 lots, shown part first; the buyer is filled and its level is gone.
    both = [BookDelta(SELL, 100, 3, 2), BookDelta(BUY, 101, 0, 0)]
    assert book.apply(trade(4, (1, 1), (5, 0), auction=True)) == both
    assert book.apply(OrderReplenished(2, 1, 1, 1, SELL, 100, 1, 1)) == [BookDelta(SELL, 100, 4, 2)]
    assert book.best(BUY) == (99, 6, 1)


def test_a_decrement_takes_lots_off_and_the_other_modes_do_not(book: DepthBook) -> None:
    expire = TradePrevented(2, 0, SelfTradePrevention.EXPIRE_MAKER, 100, 0, BUY, 2, 1, 3, 9, 1, 4, False)
    assert book.apply(expire) == []
    gone = OrderExpired(2, 1, 2, 1, SELL, 100, 3, Reason.SELF_TRADE_PREVENTION, 0)
    assert book.apply(gone) == [BookDelta(SELL, 100, 2, 1)]
    decrement = TradePrevented(3, 0, SelfTradePrevention.DECREMENT, 101, 7, BUY, 3, 1, 0, 9, 1, 4, False)
    assert book.apply(decrement) == [BookDelta(SELL, 101, 0, 0)]
    assert book.apply(OrderExpired(3, 1, 3, 1, SELL, 101, 0, Reason.SELF_TRADE_PREVENTION, 0)) == []


def test_a_reduction_shows_only_what_others_could_see(book: DepthBook) -> None:
    assert book.apply(OrderReduced(2, 0, 1, 1, SELL, 100, 3, 2, 2, Reason.USER_REQUEST)) == []
    assert book.apply(OrderReduced(2, 0, 1, 1, SELL, 100, 1, 1, 1, Reason.USER_REQUEST)) == [BookDelta(SELL, 100, 4, 2)]


def test_an_amended_order_keeps_its_place_or_leaves(book: DepthBook) -> None:
    assert book.apply(OrderAmended(2, 0, 2, 1, SELL, 100, 1, 1, 0, True)) == [BookDelta(SELL, 100, 3, 2)]
    assert book.apply(OrderAmended(3, 0, 2, 1, SELL, 99, 9, 9, 0, False)) == [BookDelta(SELL, 100, 2, 1)]
    assert book.apply(Trade(3, 1, 1, 99, 6, SELL, 4, 1, 0, 2, 1, 3, False)) == [BookDelta(BUY, 99, 0, 0)]
    assert book.apply(rested(2, SELL, 99, 3)) == [BookDelta(SELL, 99, 3, 1)]


def test_waiting_orders_are_not_in_the_book(book: DepthBook) -> None:
    for event in (
        OrderAccepted(2, 0, 8, 1, BUY, OrderType.STOP, 5, 0),
        OrderReduced(2, 0, 8, 1, BUY, 0, 1, 4, 4, Reason.USER_REQUEST),
        OrderAmended(2, 0, 8, 1, BUY, 0, 6, 6, 120, True),
        OrderAmended(2, 0, 8, 1, BUY, 0, 6, 6, 121, False),
        OrderCancelled(2, 0, 8, 1, BUY, 0, 6, Reason.USER_REQUEST),
    ):
        assert book.apply(event) == []


def test_a_cancelled_order_leaves_its_level(book: DepthBook) -> None:
    assert book.apply(OrderCancelled(2, 0, 1, 1, SELL, 100, 5, Reason.USER_REQUEST)) == [BookDelta(SELL, 100, 3, 1)]
    assert book.apply(OrderCancelled(3, 0, 3, 1, SELL, 101, 7, Reason.USER_REQUEST)) == [BookDelta(SELL, 101, 0, 0)]
    assert book.levels(SELL, 5) == [(100, 3, 1)]


def test_the_checksum_is_over_ten_asks_up_and_ten_bids_down(book: DepthBook) -> None:
    assert DepthBook().checksum() == 0
    assert book.checksum() == zlib.crc32(b"10051017996")
    for distance in range(1, 12):
        book.apply(rested(10 + distance, BUY, 99 - distance, distance))
    expected = b"10051017996981972963954945936927918909"
    assert book.checksum() == zlib.crc32(expected)


class Flow:
    """Random commands near one price, from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.sequence = 0
        self.time_ms = 0

    def next(self, live: Sequence[int]) -> SingleCommand:
        """The next command, often about one of the `live` orders."""
        self.sequence += 1
        self.time_ms += self.random.randint(0, 50)
        makers = (self.order, self.change, self.market)
        return self.random.choices(makers, (60, 25, 15))[0](live)

    def price(self) -> int:
        return self.random.randint(95, 105)

    def account(self) -> int:
        return self.random.randint(1, 4)

    def order(self, live: Sequence[int]) -> SingleCommand:
        pick = self.random.choice
        kind = self.random.choices(list(OrderType), (12, 4, 1, 2, 1, 1, 2))[0]
        times = (TimeInForce.IOC, TimeInForce.FOK) if kind is OrderType.MARKET else tuple(TimeInForce)[:3]
        time_in_force = self.random.choices(times, (6, 1, 1)[: len(times)])[0]
        lots = self.random.randint(1, 20)
        limit = kind in LIMIT_TYPES
        terms: dict[str, Any] = {"time_in_force": time_in_force, "trade_group": pick((0, 0, 5))}
        terms["self_trade_prevention"] = pick(tuple(SelfTradePrevention))
        terms["reduce_only"] = self.random.random() < 0.15
        if limit and time_in_force is TimeInForce.GTC:
            terms["display_quantity_lots"] = pick((0, self.random.randint(1, lots)))
            terms["oco_order_id"] = pick((0, 0, 0, pick(live) if live else 0))
        if kind is OrderType.TRAILING_STOP:
            terms["trail"] = self.random.randint(1, 5)
        elif kind in TRIGGERED_TYPES:
            terms["trigger_price_ticks"] = self.price()
        price_ticks = self.price() if limit else 0
        head = (self.sequence, self.time_ms, self.sequence, self.account(), pick(tuple(Side)), kind)
        return SubmitOrder(*head, lots, price_ticks, **terms)

    def change(self, live: Sequence[int]) -> SingleCommand:
        order_id = self.random.choice(live) if live else 1
        head = (self.sequence, self.time_ms, order_id)
        lots, price_ticks = self.random.randint(1, 20), self.price()
        choice = self.random.randint(1, 5)
        if choice == 1:
            return CancelOrder(*head, 0)
        if choice == 2:
            return ReduceOrder(*head, 0, lots // 2 + 1)
        quantity_lots, new_ticks = (lots, 0) if choice == 3 else (lots * (choice - 4), price_ticks)
        return AmendOrder(*head, self.account(), quantity_lots, new_ticks)

    def market(self, live: Sequence[int]) -> SingleCommand:
        head = (self.sequence, self.time_ms)
        states = (MarketState.ACTIVE, MarketState.AUCTION, MarketState.POST_ONLY)
        state = SetMarketState(*head, self.random.choices(states, (6, 3, 1))[0])
        prices = UpdatePrices(*head, self.price(), self.price())
        position = SetPosition(*head, self.account(), self.random.randint(-20, 20))
        clear = CancelAll(*head, self.account(), self.random.choice((None, *Side)))
        return self.random.choices((state, prices, position, clear, AdvanceTime(*head)), (6, 2, 2, 1, 1))[0]


def run(seed: int) -> Counter[str]:
    """Compare the two books after every command of a flow, and a third kept from deltas; counts what happened."""
    flow, engine, book = Flow(seed), ReferenceEngine(), DepthBook()
    followed: dict[tuple[Side, int], tuple[int, int]] = {}
    kinds: Counter[str] = Counter()
    for _ in range(COMMANDS):
        events: list[Event] = engine.apply(flow.next(tuple(engine.orders)))
        for event in events:
            kinds[type(event).__name__ + (" auction" if getattr(event, "auction", False) else "")] += 1
            follow(followed, book.apply(event))
        for side in Side:
            levels = engine.depth(side, 1_000)
            assert book.levels(side, 1_000) == levels
            assert book.levels(side, 2) == levels[:2]
            assert {price: rest for (its, price), rest in followed.items() if its is side} == {
                price: (lots, orders) for price, lots, orders in levels
            }
    return kinds


def follow(followed: dict[tuple[Side, int], tuple[int, int]], deltas: list[BookDelta]) -> None:
    """What a client of the feed does: keep the last word about every level, drop those that are gone."""
    for delta in deltas:
        level = (delta.side, delta.price_ticks)
        before = followed.pop(level, (0, 0))
        assert before != (delta.visible_lots, delta.orders)
        if delta.orders:
            followed[level] = (delta.visible_lots, delta.orders)
        else:
            assert delta.visible_lots == 0


@pytest.mark.parametrize("seed", range(8))
def test_the_book_of_the_events_is_the_book_of_the_engine(seed: int) -> None:
    run(seed)


def test_the_flows_reach_every_event_that_changes_a_book() -> None:
    kinds: Counter[str] = sum((run(seed) for seed in range(100, 103)), Counter())
    expected = (OrderRested, Trade, TradePrevented, OrderReduced, OrderReplenished, OrderAmended, OrderCancelled)
    names = [*(kind.__name__ for kind in expected), "OrderExpired", "OrderTriggered", "Trade auction"]
    assert [name for name in [*names, "TradePrevented auction"] if kinds[name] == 0] == []
