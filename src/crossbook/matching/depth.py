"""The public book, built from events: price levels with what they show and how many orders stand there.

The only place that turns events into level changes; docs/matching.md, section 7.
"""

import zlib
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from crossbook.domain.errors import SnapshotError
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
from crossbook.matching.layout import HAS_EXTRA

CHECKSUM_LEVELS: Final = 10

# The parts of a snapshot that the public book is made of; docs/matching.md, section 8.
_MAGIC: Final = b"CROSSBK1"
_FRAME_BYTES: Final = 24
_MARKET_WORDS: Final = 14
_QUEUES: Final = 8
_PLAIN_WORDS: Final = 6
_EXTRA_WORDS: Final = 8


class BookDelta(NamedTuple):
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
    """The book of one market as others see it.

    It starts empty, or as a snapshot shows it, and takes every event of the market from there on, in order.
    """

    def __init__(self) -> None:
        self._orders: dict[int, _Shown] = {}
        self._levels: dict[Side, dict[int, _Level]] = {side: {} for side in Side}
        self._prices_ticks: dict[Side, list[int]] = {side: [] for side in Side}  # ascending

    @classmethod
    def of_snapshot(cls, snapshot: bytes) -> "DepthBook":
        """The book that an engine's `snapshot` holds: what its resting orders show.

        Only the frame is checked, not whether an engine could have written the content: `Engine.restore`
        does that. Raises SnapshotError for bytes that are torn, altered or of another version.
        """
        words = _content_words(snapshot)
        at = _MARKET_WORDS + 1 + 2 * words[_MARKET_WORDS]
        bids, asks = words[at], words[at + 1]
        book = cls()
        for order_id, order in _resting(words, at + _QUEUES, bids, asks):
            book._orders[order_id] = order
            level = book._levels[order.side].setdefault(order.price_ticks, _Level())
            level.visible_lots += order.visible_lots
            level.orders += 1
        for side in Side:
            book._prices_ticks[side] = sorted(book._levels[side])
        return book

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

    def price_at(self, side: Side, rank: int) -> int | None:
        """The price of the level of `side` that is `rank`-th best, 1 for the best; None when there are fewer."""
        ascending = self._prices_ticks[side]
        if not 1 <= rank <= len(ascending):
            return None
        return ascending[rank - 1 if side is Side.SELL else len(ascending) - rank]

    def depth_of(self, side: Side) -> int:
        """How many levels `side` has."""
        return len(self._prices_ticks[side])

    def level(self, side: Side, price_ticks: int) -> tuple[int, int, int]:
        """The level at a price, as in `levels`; nothing shown and no orders where there is none."""
        level = self._levels[side].get(price_ticks)
        return (price_ticks, 0, 0) if level is None else (price_ticks, level.visible_lots, level.orders)

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


def _content_words(snapshot: bytes) -> Sequence[int]:
    """The words of a snapshot's content. Raises SnapshotError unless its frame fits."""
    content = snapshot[16:-8]
    length = int.from_bytes(snapshot[8:16], "little")
    if len(snapshot) < _FRAME_BYTES or snapshot[:8] != _MAGIC or length != len(content) or length % 8 != 0:
        raise SnapshotError("not a whole snapshot of this version")
    if zlib.crc32(content).to_bytes(8, "little") != snapshot[-8:]:
        raise SnapshotError("altered snapshot: the checksum does not match")
    return memoryview(content).cast("q").tolist()


def _resting(words: Sequence[int], at: int, bids: int, asks: int) -> Iterator[tuple[int, _Shown]]:
    """Ids and shown parts of the orders at word `at`: first `bids` buys, then `asks` sells."""
    for ordinal in range(bids + asks):
        order_id, _, terms, price_ticks, open_lots, _ = words[at : at + _PLAIN_WORDS]
        at += _PLAIN_WORDS
        visible_lots = open_lots
        if terms & HAS_EXTRA:
            shown_lots, display_lots = words[at : at + 2]
            visible_lots = shown_lots if display_lots else open_lots
            at += _EXTRA_WORDS
        yield order_id, _Shown(Side.BUY if ordinal < bids else Side.SELL, price_ticks, visible_lots)
