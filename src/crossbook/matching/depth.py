"""The public book, built from events: price levels with what they show and how many orders stand there.

The only place that turns events into level changes; docs/matching.md, section 7.
"""

import zlib
from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Final

from crossbook.domain.events import (
    Event,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    Trade,
    TradePrevented,
)
from crossbook.domain.orders import Side

CHECKSUM_LEVELS: Final = 10


@dataclass(frozen=True)
class BookDelta:
    """One price level as it is now: what it shows, in lots, and how many orders stand there; both 0 when it is gone."""

    side: Side
    price_ticks: int
    visible_lots: int
    orders: int


@dataclass
class _Shown:
    """One order that stands in the book."""

    side: Side
    price_ticks: int
    visible_lots: int


@dataclass
class _Level:
    visible_lots: int = 0
    orders: int = 0


class DepthBook:
    """The book of one market as others see it. It starts empty and takes every event of the market in order."""

    def __init__(self) -> None:
        self._orders: dict[int, _Shown] = {}
        self._levels: dict[Side, dict[int, _Level]] = {side: {} for side in Side}
        self._prices_ticks: dict[Side, list[int]] = {side: [] for side in Side}  # ascending

    def apply(self, event: Event) -> list[BookDelta]:
        """Take one event and give the levels that it changed, one delta each; two at most."""
        changes: list[BookDelta | None] = []
        match event:
            case OrderRested():
                changes = [self._enter(event)]
            case Trade() | TradePrevented():
                maker = self._lose(event.maker_order_id, event.quantity_lots, event.maker_open_lots)
                taker = self._lose(event.taker_order_id, event.quantity_lots, event.taker_open_lots)
                changes = [maker, taker]
            case OrderReduced() | OrderReplenished():
                changes = [self._show(event.order_id, event.visible_lots)]
            case OrderAmended() if event.kept_place:
                changes = [self._show(event.order_id, event.visible_lots)]
            case OrderAmended() | OrderCancelled() | OrderExpired():
                changes = [self._leave(event.order_id)]
        return [delta for delta in changes if delta is not None]

    def levels(self, side: Side, count: int) -> list[tuple[int, int, int]]:
        """The best `count` levels of `side`: `(price_ticks, visible_lots, orders)`, best first."""
        ascending = self._prices_ticks[side]
        wanted = max(0, count)
        highest_first = ascending[max(0, len(ascending) - wanted) :][::-1]
        best_first = ascending[:wanted] if side is Side.SELL else highest_first
        found = [(price_ticks, self._levels[side][price_ticks]) for price_ticks in best_first]
        return [(price_ticks, level.visible_lots, level.orders) for price_ticks, level in found]

    def best(self, side: Side) -> tuple[int, int, int] | None:
        """The best level of `side`, as in `levels`, or None when the side is empty."""
        return next(iter(self.levels(side, 1)), None)

    def checksum(self) -> int:
        """CRC-32 of the top ten asks low to high, then the top ten bids high to low.

        Each level adds its price in ticks and its lots, as decimal digits without leading zeros, with
        nothing between. Clients that hold fewer levels than ten get another sum.
        """
        rows = self.levels(Side.SELL, CHECKSUM_LEVELS) + self.levels(Side.BUY, CHECKSUM_LEVELS)
        digits = "".join(f"{price_ticks}{visible_lots}" for price_ticks, visible_lots, _ in rows)
        return zlib.crc32(digits.encode("ascii"))

    def _enter(self, event: OrderRested) -> BookDelta:
        self._orders[event.order_id] = _Shown(event.side, event.price_ticks, event.visible_lots)
        return self._change(event.side, event.price_ticks, event.visible_lots, 1)

    def _lose(self, order_id: int, quantity_lots: int, open_lots: int) -> BookDelta | None:
        """An order traded or lost lots: what it shows goes first; with nothing open it leaves."""
        order = self._orders.get(order_id)
        if order is None:
            return None  # a taker
        if open_lots == 0:
            return self._leave(order_id)
        return self._show(order_id, max(0, order.visible_lots - quantity_lots))

    def _show(self, order_id: int, visible_lots: int) -> BookDelta | None:
        order = self._orders.get(order_id)
        if order is None or order.visible_lots == visible_lots:
            return None  # it waits for its trigger, or only its hidden part changed
        added_lots = visible_lots - order.visible_lots
        order.visible_lots = visible_lots
        return self._change(order.side, order.price_ticks, added_lots, 0)

    def _leave(self, order_id: int) -> BookDelta | None:
        order = self._orders.pop(order_id, None)
        if order is None:
            return None  # it never stood in the book, or left it already
        return self._change(order.side, order.price_ticks, -order.visible_lots, -1)

    def _change(self, side: Side, price_ticks: int, added_lots: int, added_orders: int) -> BookDelta:
        levels, prices_ticks = self._levels[side], self._prices_ticks[side]
        if price_ticks not in levels:
            levels[price_ticks] = _Level()
            insort(prices_ticks, price_ticks)
        level = levels[price_ticks]
        level.visible_lots += added_lots
        level.orders += added_orders
        if level.orders == 0:
            del levels[price_ticks]
            del prices_ticks[bisect_left(prices_ticks, price_ticks)]
        return BookDelta(side, price_ticks, level.visible_lots, level.orders)
