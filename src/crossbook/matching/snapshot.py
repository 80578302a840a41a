"""The state of a market as bytes and back. docs/matching.md, section 8.

The content names no row: it is the same for every implementation, and its hash is the state hash.
"""

import hashlib
import zlib
from typing import Final, final

from crossbook.matching.book import (
    ACCOUNT_NEXT,
    ACCOUNT_PREV,
    ACCOUNT_SHIFT,
    ACCOUNT_WORDS,
    ASKS,
    BIDS,
    COUNT,
    DISPLAY,
    DONE,
    EXPIRE,
    EXPIRY_NEXT,
    EXTRA,
    FIRST,
    GROUP,
    HEAD,
    ID,
    LAST,
    LEVEL_PRICE,
    LIMIT,
    MARK,
    NEXT,
    OPEN,
    ORDER_WORDS,
    ORDERS,
    OWNER,
    POSITION,
    PREV,
    SIBLING,
    TAIL,
    TERMS,
    TRAIL,
    TRAIL_NEXT,
    TRIGGER,
    VISIBLE,
    lengthen,
    zeros,
)
from crossbook.matching.columns import append, i64, vec
from crossbook.matching.ladder import BLOCK
from crossbook.matching.layout import (
    HAS_EXTRA,
    TERMS_MASK,
)
from crossbook.matching.market import Market
from crossbook.matching.writer import words_to_bytes

MAGIC: Final = b"CROSSBK1"
FRAME_BYTES: Final = 24  # magic, length, checksum
QUEUES: Final = 8
PLAIN_WORDS: Final = 6
EXTRA_CONTENT_WORDS: Final = 8
WITH_EXTRA: Final = -1  # stands for the price of a waiting order until its extras are read


def write(market: Market) -> bytes:
    """The snapshot: magic, length of the content, content, CRC-32 of the content."""
    content = content_of(market)
    length = len(content).to_bytes(8, "little")
    return b"".join((MAGIC, length, content, zlib.crc32(content).to_bytes(8, "little")))


def state_hash(market: Market) -> str:
    """BLAKE2b-256 of the content, as hex."""
    return hashlib.blake2b(content_of(market), digest_size=32).hexdigest()


def content_of(market: Market) -> bytes:
    """The canonical content: a row of 64-bit words."""
    words = Words()
    _write_market(market, words)
    ordinals = _write_orders(market, words)
    _write_lists(market, words, ordinals)
    return words_to_bytes(words.column, words.count)


@final
class Words:
    """A column that grows at its end."""

    def __init__(self) -> None:
        self.column: vec[i64] = vec[i64]()
        self.count: i64 = 0

    def add(self, value: i64) -> None:
        """Add a word."""
        self.column = append(self.column, value)
        self.count += 1

    def add_zeros(self, words: i64) -> i64:
        """Add zeros to be filled in; gives the index of the first."""
        start = self.count
        self.column = lengthen(self.column, words)
        self.count += words
        return start


def _write_market(market: Market, words: Words) -> None:
    words.add(market.state)
    words.add(market.sequence)
    words.add(market.event_count)
    words.add(market.now_ms)
    words.add(market.last_price)
    words.add(market.mark_price)
    words.add(market.index_price)
    words.add(market.reference_price)
    words.add(market.band_basis_points)
    words.add(market.band_reference)
    words.add(market.max_open_orders)
    words.add(market.max_iceberg_parts)
    words.add(market.max_trailing_orders)
    words.add(market.trades)
    accounts = market.book.accounts
    words.add((i64(len(accounts)) - ACCOUNT_WORDS) // ACCOUNT_WORDS)
    account: i64 = ACCOUNT_WORDS
    while account < len(accounts):
        words.add(accounts[account + ID])
        words.add(accounts[account + POSITION])
        account += ACCOUNT_WORDS


def _write_orders(market: Market, words: Words) -> vec[i64]:
    """Write the eight queues; gives the ordinal of each order by its row number (row offset / ORDER_WORDS)."""
    book = market.book
    sizes = words.add_zeros(QUEUES)
    ordinals = zeros(i64(len(book.orders)) // ORDER_WORDS)
    ordinal: i64 = 0
    family: i64 = BIDS
    while family < QUEUES:
        before = ordinal
        ladder = book.ladder(family)
        place = ladder.count - 1
        while place >= 0:
            block = ladder.blocks[place]
            slot = block * BLOCK + ladder.used[block] - 1
            while slot >= block * BLOCK:
                ordinal = _write_level(market, words, ladder.rows[slot], family, ordinals, ordinal)
                slot -= 1
            place -= 1
        words.column[sizes + family] = ordinal - before
        family += 1
    return ordinals


def _write_level(market: Market, words: Words, level: i64, family: i64, ordinals: vec[i64], ordinal: i64) -> i64:
    """Write the orders of one level; gives the ordinal after its last."""
    levels = market.book.levels
    count = levels[level + COUNT]
    orders = market.book.orders
    rows = _chain(orders, levels[level + HEAD], levels[level + TAIL], count, PREV, NEXT)
    price = levels[level + LEVEL_PRICE] if family <= ASKS else WITH_EXTRA
    at = words.add_zeros(count * PLAIN_WORDS)
    column = words.column
    for row in rows:
        ordinals[row // ORDER_WORDS] = ordinal
        ordinal += 1
        word = orders[row + TERMS]
        column[at] = orders[row + ID]
        column[at + 1] = (word >> ACCOUNT_SHIFT) // ACCOUNT_WORDS - 1
        column[at + 2] = word & TERMS_MASK
        column[at + 3] = price
        column[at + 4] = orders[row + OPEN]
        column[at + 5] = orders[row + DONE]
        if orders[row + EXTRA] != 0 and _write_extra(market, words, row, at):
            column = words.column
            at += EXTRA_CONTENT_WORDS
        at += PLAIN_WORDS
    return ordinal


def _chain(table: vec[i64], head: i64, tail: i64, count: i64, backward: i64, forward: i64) -> vec[i64]:
    """The rows of a chain of known length, in order. Walked from both ends at once: half the waiting for memory."""
    rows = zeros(count)
    left: i64 = 0
    right = count - 1
    while left < right:
        rows[left] = head
        rows[right] = tail
        head = table[head + forward]
        tail = table[tail + backward]
        left += 1
        right -= 1
    if left == right:
        rows[left] = head
    return rows


def _write_extra(market: Market, words: Words, row: i64, at: i64) -> bool:
    """Complete the order written at word `at` from its extras; gives whether it needed the eight words more."""
    book = market.book
    extras = book.extras
    extra = book.orders[row + EXTRA]
    if words.column[at + 3] == WITH_EXTRA:
        words.column[at + 3] = extras[extra + LIMIT]
    if not has_content(extras, extra):
        return False
    words.column[at + 2] = words.column[at + 2] | HAS_EXTRA
    words.add_zeros(EXTRA_CONTENT_WORDS)
    column = words.column
    sibling = extras[extra + SIBLING]
    at += PLAIN_WORDS
    column[at] = extras[extra + VISIBLE] if extras[extra + DISPLAY] != 0 else 0
    column[at + 1] = extras[extra + DISPLAY]
    column[at + 2] = extras[extra + GROUP]
    column[at + 3] = extras[extra + EXPIRE]
    column[at + 4] = extras[extra + TRIGGER]
    column[at + 5] = extras[extra + TRAIL]
    column[at + 6] = extras[extra + MARK]
    column[at + 7] = book.orders[sibling + ID] if sibling != 0 else 0
    return True


def has_content(extras: vec[i64], extra: i64) -> bool:
    """Whether any of the eight words of an order's extras says something."""
    if extras[extra + DISPLAY] | extras[extra + GROUP] | extras[extra + EXPIRE] != 0:
        return True
    return extras[extra + TRIGGER] | extras[extra + SIBLING] != 0


def _write_lists(market: Market, words: Words, ordinals: vec[i64]) -> None:
    """Accounts' orders, trailing stops by source, orders by expiry: counts and ordinals."""
    book = market.book
    account: i64 = ACCOUNT_WORDS
    while account < len(book.accounts):
        count = book.accounts[account + ORDERS]
        first = book.accounts[account + FIRST]
        rows = _chain(book.orders, first, book.accounts[account + LAST], count, ACCOUNT_PREV, ACCOUNT_NEXT)
        words.add(count)
        at = words.add_zeros(count)
        column = words.column
        for row in rows:
            column[at] = ordinals[row // ORDER_WORDS]
            at += 1
        account += ACCOUNT_WORDS
    source: i64 = 1
    while source <= 3:
        size = words.count
        words.add(0)
        extra = book.trailing[source]
        while extra != 0:
            words.add(ordinals[book.extras[extra + OWNER] // ORDER_WORDS])
            extra = book.extras[extra + TRAIL_NEXT]
        words.column[size] = words.count - size - 1
        source += 1
    size = words.count
    words.add(0)
    ladder = book.expiries
    place = ladder.count - 1
    while place >= 0:
        block = ladder.blocks[place]
        slot = block * BLOCK + ladder.used[block] - 1
        while slot >= block * BLOCK:
            extra = book.levels[ladder.rows[slot] + HEAD]
            while extra != 0:
                words.add(ordinals[book.extras[extra + OWNER] // ORDER_WORDS])
                extra = book.extras[extra + EXPIRY_NEXT]
            slot -= 1
        place -= 1
    words.column[size] = words.count - size - 1
