"""Reads an engine's snapshot as docs/matching.md, section 8, lays it out: the tables see the market through it."""

import zlib
from dataclasses import dataclass
from struct import Struct
from typing import Final

from crossbook.domain.orders import PriceSource, Side
from crossbook.matching.layout import HAS_EXTRA, SIDE_MASK, SOURCE_MASK, SOURCE_SHIFT

_MAGIC: Final = b"CROSSBK1"
_WORD: Final = Struct("<q")
FIRST_WORDS_OF_CALL: Final = 4
"""State, sequence, events and time: what a refused command may change."""

_QUEUES: Final = 8


@dataclass(frozen=True)
class StoredOrder:
    """One order of a snapshot. `shown` is None unless it is an iceberg."""

    order_id: int
    account_id: int
    side: Side
    source: int
    price_ticks: int
    open_lots: int
    filled_lots: int
    shown: int | None
    trigger_price_ticks: int
    sibling_id: int


@dataclass(frozen=True)
class StoredMarket:
    """What a snapshot says of a market."""

    state: int
    words: tuple[int, ...]
    positions: dict[int, int]
    queues: tuple[tuple[StoredOrder, ...], ...]

    @property
    def orders(self) -> dict[int, StoredOrder]:
        """All live orders by id."""
        return {order.order_id: order for queue in self.queues for order in queue}

    def resting(self, side: Side) -> tuple[StoredOrder, ...]:
        """The orders of one side of the book, best price first, then by place."""
        return self.queues[0 if side == Side.BUY else 1]

    def waiting(self, source: PriceSource, rising: bool) -> tuple[StoredOrder, ...]:
        """The orders that wait for `source` to rise or fall, first to fire first."""
        return self.queues[2 + 2 * (int(source) - 1) + (0 if rising else 1)]


def content_words(snapshot: bytes) -> tuple[int, ...]:
    """The content of a snapshot, after a check of its frame."""
    length = _WORD.unpack_from(snapshot, 8)[0]
    content = snapshot[16 : 16 + length]
    checksum = _WORD.unpack_from(snapshot, 16 + length)[0]
    assert snapshot[:8] == _MAGIC
    assert len(snapshot) == 24 + length
    assert checksum == zlib.crc32(content)
    return tuple(word for (word,) in _WORD.iter_unpack(content))


def read_market(snapshot: bytes) -> StoredMarket:
    """The accounts and orders of a snapshot."""
    words = content_words(snapshot)
    at = 14
    count = words[at]
    accounts = [(words[at + 1 + 2 * row], words[at + 2 + 2 * row]) for row in range(count)]
    at += 1 + 2 * count
    sizes = words[at : at + _QUEUES]
    at += _QUEUES
    queues: list[tuple[StoredOrder, ...]] = []
    for size in sizes:
        queue: list[StoredOrder] = []
        for _ in range(size):
            order, at = _order(words, at, accounts)
            queue.append(order)
        queues.append(tuple(queue))
    _check_tail(words, at, sum(sizes), count)
    return StoredMarket(words[0], words, dict(accounts), tuple(queues))


def _order(words: tuple[int, ...], at: int, accounts: list[tuple[int, int]]) -> tuple[StoredOrder, int]:
    order_id, place, terms, price, open_lots, filled = words[at : at + 6]
    at += 6
    extra: tuple[int, ...] = (0,) * 8
    if terms & HAS_EXTRA:
        extra = words[at : at + 8]
        assert any(extra)
        at += 8
    shown, display, _group, _expiry, trigger, _trail, _mark, sibling = extra
    order = StoredOrder(
        order_id,
        accounts[place][0],
        Side(terms & SIDE_MASK),
        (terms >> SOURCE_SHIFT) & SOURCE_MASK,
        price,
        open_lots,
        filled,
        shown if display else None,
        trigger,
        sibling,
    )
    return order, at


def _check_tail(words: tuple[int, ...], at: int, orders: int, accounts: int) -> None:
    """Each live order stands once in its account's list, and the lists fill the content to its end."""
    seen: list[int] = []
    for _ in range(accounts):
        seen.extend(words[at + 1 : at + 1 + words[at]])
        at += 1 + words[at]
    assert sorted(seen) == list(range(orders))
    for _ in range(4):
        listed = words[at + 1 : at + 1 + words[at]]
        assert all(0 <= ordinal < orders for ordinal in listed)
        at += 1 + words[at]
    assert at == len(words)
