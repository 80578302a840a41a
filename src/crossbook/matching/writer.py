"""Writes event records: 12 words each, numbered within their command."""

from array import array
from typing import Final, final

from crossbook.matching.columns import append, i64, vec
from crossbook.matching.layout import (
    AMENDED,
    CANCELLED,
    EVENT_FLAG_SHIFT,
    EVENT_REASON_SHIFT,
    EVENT_SIDE_SHIFT,
    EVENT_SMALL_SHIFT,
    EVENT_WORDS,
    EXPIRED,
    REDUCED,
    REJECTED,
    REPLENISHED,
)

FIRST_EVENTS: Final = 4096
INTERPRETED: Final = __file__.endswith(".py")


def words_to_bytes(words: vec[i64], count: i64) -> bytes:
    """The first `count` words of a column as bytes, little endian on the machines that we run on."""
    if INTERPRETED:
        return array("q", words[:count]).tobytes()
    return bytes(memoryview(words)[:count])


@final
class EventWriter:
    """The events of one call, as words."""

    def __init__(self) -> None:
        self.words: vec[i64] = vec[i64]([0] * (FIRST_EVENTS * EVENT_WORDS))
        self.count: i64 = 0  # words in use
        self.sequence: i64 = 0
        self.index: i64 = 0

    def event(self, head: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64, i: i64) -> None:
        """Write one event: its head and its nine own words, 0 where it has fewer."""
        at = self.count
        if at + EVENT_WORDS > len(self.words):
            self._grow()
        words = self.words
        words[at + 11] = i
        words[at] = head
        words[at + 1] = self.sequence
        words[at + 2] = self.index
        words[at + 3] = a
        words[at + 4] = b
        words[at + 5] = c
        words[at + 6] = d
        words[at + 7] = e
        words[at + 8] = f
        words[at + 9] = g
        words[at + 10] = h
        self.count = at + EVENT_WORDS
        self.index += 1

    def rejected(self, command: i64, order: i64, account: i64, reason: i64) -> None:
        """CommandRejected."""
        self.event(
            REJECTED | command << EVENT_SMALL_SHIFT | reason << EVENT_REASON_SHIFT, order, account, 0, 0, 0, 0, 0, 0, 0
        )

    def replenished(self, order: i64, account: i64, side: i64, price: i64, open_: i64, visible: i64) -> None:
        """OrderReplenished."""
        self.event(REPLENISHED | side << EVENT_SIDE_SHIFT, order, account, price, open_, visible, 0, 0, 0, 0)

    def amended(
        self, order: i64, account: i64, side: i64, price: i64, open_: i64, visible: i64, trigger: i64, kept: i64
    ) -> None:
        """OrderAmended; `kept` is 1 when it kept its place."""
        self.event(
            AMENDED | side << EVENT_SIDE_SHIFT | kept << EVENT_FLAG_SHIFT,
            order, account, price, open_, visible, trigger, 0, 0, 0,
        )  # fmt: skip

    def reduced(
        self, order: i64, account: i64, side: i64, price: i64, quantity: i64, open_: i64, visible: i64, reason: i64
    ) -> None:
        """OrderReduced."""
        self.event(
            REDUCED | side << EVENT_SIDE_SHIFT | reason << EVENT_REASON_SHIFT,
            order, account, price, quantity, open_, visible, 0, 0, 0,
        )  # fmt: skip

    def cancelled(self, order: i64, account: i64, side: i64, price: i64, open_: i64, reason: i64) -> None:
        """OrderCancelled."""
        self.event(
            CANCELLED | side << EVENT_SIDE_SHIFT | reason << EVENT_REASON_SHIFT,
            order,
            account,
            price,
            open_,
            0,
            0,
            0,
            0,
            0,
        )

    def expired(self, order: i64, account: i64, side: i64, price: i64, open_: i64, reason: i64, unspent: i64) -> None:
        """OrderExpired."""
        self.event(
            EXPIRED | side << EVENT_SIDE_SHIFT | reason << EVENT_REASON_SHIFT,
            order, account, price, open_, unspent, 0, 0, 0, 0,
        )  # fmt: skip

    def _grow(self) -> None:
        words = self.words
        self.words = vec[i64]()
        for _ in range(i64(len(words))):
            words = append(words, 0)
        self.words = words
