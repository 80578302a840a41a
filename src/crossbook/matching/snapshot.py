"""The state of a market as bytes and back. docs/matching.md, section 8.

The content names no row: it is the same for every implementation, and its hash is the state hash.
"""

import hashlib
import zlib
from typing import Final

from crossbook.domain.errors import SnapshotError
from crossbook.matching.book import (
    ACCOUNT_NEXT,
    ACCOUNT_PREV,
    ACCOUNT_SHIFT,
    ACCOUNT_WORDS,
    ASKS,
    BIDS,
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
    SIBLING,
    SOURCE,
    TERMS,
    TRAIL,
    TRAIL_NEXT,
    TRIGGER,
    VISIBLE,
    WAITING,
)
from crossbook.matching.columns import append, i64, read_i64_le, vec
from crossbook.matching.ladder import BLOCK
from crossbook.matching.layout import HAS_EXTRA, SIDE_MASK, TERMS_MASK
from crossbook.matching.market import Market
from crossbook.matching.triggers import queue_family
from crossbook.matching.writer import words_to_bytes

MAGIC: Final = b"CROSSBK1"
FRAME_BYTES: Final = 24  # magic, length, checksum
QUEUES: Final = 8
PLAIN_WORDS: Final = 6
EXTRA_CONTENT_WORDS: Final = 8


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
    words = _Words()
    _write_market(market, words)
    ordinals = _write_orders(market, words)
    _write_lists(market, words, ordinals)
    return words_to_bytes(words.column, words.count)


class _Words:
    """A column that grows at its end."""

    def __init__(self) -> None:
        self.column: vec[i64] = vec[i64]()
        self.count: i64 = 0

    def add(self, value: i64) -> None:
        """Add a word."""
        self.column = append(self.column, value)
        self.count += 1


def _write_market(market: Market, words: _Words) -> None:
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


def _write_orders(market: Market, words: _Words) -> vec[i64]:
    """Write the eight queues; gives the ordinal of each order by its row number (row offset / ORDER_WORDS)."""
    book = market.book
    sizes = words.count
    for _ in range(i64(QUEUES)):
        words.add(0)
    ordinals = vec[i64]([0] * (len(book.orders) // ORDER_WORDS))
    ordinal: i64 = 0
    family: i64 = BIDS
    while family < QUEUES:
        ladder = book.ladder(family)
        before = ordinal
        place = ladder.count - 1
        while place >= 0:
            block = ladder.blocks[place]
            slot = block * BLOCK + ladder.used[block] - 1
            while slot >= block * BLOCK:
                level = ladder.rows[slot]
                price = book.levels[level + LEVEL_PRICE]
                row = book.levels[level + HEAD]
                while row != 0:
                    _write_order(market, words, row, price if family <= ASKS else -1)
                    ordinals[row // ORDER_WORDS] = ordinal
                    ordinal += 1
                    row = book.orders[row + NEXT]
                slot -= 1
            place -= 1
        words.column[sizes + family] = ordinal - before
        family += 1
    return ordinals


def _write_order(market: Market, words: _Words, row: i64, price: i64) -> None:
    """Write one order; `price` is -1 for one that waits, whose price is with its extras."""
    book = market.book
    orders = book.orders
    word = orders[row + TERMS]
    terms = word & TERMS_MASK
    extra = orders[row + EXTRA]
    extended = extra != 0 and _has_content(book.extras, extra)
    words.add(orders[row + ID])
    words.add((word >> ACCOUNT_SHIFT) // ACCOUNT_WORDS - 1)
    words.add(terms | HAS_EXTRA if extended else terms)
    words.add(price if price >= 0 else book.extras[extra + LIMIT])
    words.add(orders[row + OPEN])
    words.add(orders[row + DONE])
    if extended:
        extras = book.extras
        sibling = extras[extra + SIBLING]
        words.add(extras[extra + VISIBLE] if extras[extra + DISPLAY] != 0 else 0)
        words.add(extras[extra + DISPLAY])
        words.add(extras[extra + GROUP])
        words.add(extras[extra + EXPIRE])
        words.add(extras[extra + TRIGGER])
        words.add(extras[extra + TRAIL])
        words.add(extras[extra + MARK])
        words.add(orders[sibling + ID] if sibling != 0 else 0)


def _has_content(extras: vec[i64], extra: i64) -> bool:
    if extras[extra + DISPLAY] | extras[extra + GROUP] | extras[extra + EXPIRE] != 0:
        return True
    return extras[extra + TRIGGER] | extras[extra + SIBLING] != 0


def _write_lists(market: Market, words: _Words, ordinals: vec[i64]) -> None:
    """Accounts' orders, trailing stops by source, orders by expiry: counts and ordinals."""
    book = market.book
    account: i64 = ACCOUNT_WORDS
    while account < len(book.accounts):
        words.add(book.accounts[account + ORDERS])
        row = book.accounts[account + FIRST]
        while row != 0:
            words.add(ordinals[row // ORDER_WORDS])
            row = book.orders[row + ACCOUNT_NEXT]
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


# Reading -------------------------------------------------------------------------------------------


def read(data: bytes) -> Market:
    """The market of a snapshot. Raises SnapshotError when the bytes are not exactly one."""
    if len(data) < FRAME_BYTES or data[:8] != MAGIC:
        raise SnapshotError("not a snapshot of this version: wrong magic or too short")
    length = int.from_bytes(data[8:16], "little")
    if length != len(data) - FRAME_BYTES or length % 8 != 0:
        raise SnapshotError(f"torn snapshot: {len(data) - FRAME_BYTES} bytes of content, {length} announced")
    content = data[16:-8]
    if zlib.crc32(content).to_bytes(8, "little") != data[-8:]:
        raise SnapshotError("altered snapshot: the checksum does not match")
    try:
        return _read_content(content)
    except (IndexError, OverflowError) as error:
        raise SnapshotError("impossible snapshot: its parts do not fit together") from error


class _Reader:
    """Walks over the words of a content."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at: i64 = 0

    def word(self) -> i64:
        """The next word."""
        value = read_i64_le(self.content, self.at)
        self.at += 8
        return value

    def size(self) -> i64:
        """The next word as a count of things, each of at least one word, that must still follow."""
        value = self.word()
        if value < 0 or value > len(self.content) - self.at:
            raise SnapshotError(f"impossible snapshot: a count of {value}")
        return value


def _read_content(content: bytes) -> Market:
    market = Market()
    reader = _Reader(content)
    _read_market(market, reader)
    account_count = reader.size()
    for _ in range(account_count):
        ident = reader.word()
        row = market.book.account(ident)
        market.book.accounts[row + POSITION] = reader.word()
    if i64(len(market.book.accounts)) != (account_count + 1) * ACCOUNT_WORDS:
        raise SnapshotError("impossible snapshot: an account occurs twice")
    siblings = _Words()
    rows = _read_orders(market, reader, account_count, siblings)
    _pair(market, siblings)
    _read_lists(market, reader, rows)
    if reader.at != len(content):
        raise SnapshotError("impossible snapshot: words left over")
    return market


def _read_market(market: Market, reader: _Reader) -> None:
    market.state = reader.word()
    market.sequence = reader.word()
    market.event_count = reader.word()
    market.now_ms = reader.word()
    market.last_price = reader.word()
    market.mark_price = reader.word()
    market.index_price = reader.word()
    market.reference_price = reader.word()
    market.band_basis_points = reader.word()
    market.band_reference = reader.word()
    market.max_open_orders = reader.word()
    market.max_iceberg_parts = reader.word()
    market.max_trailing_orders = reader.word()
    market.trades = reader.word()
    market.out.sequence = market.sequence
    market.out.index = market.event_count


def _read_orders(market: Market, reader: _Reader, account_count: i64, siblings: _Words) -> vec[i64]:
    """Read the eight queues; gives the row of each ordinal. Fills `siblings` with rows and sibling ids."""
    book = market.book
    sizes = vec[i64]()
    for _ in range(i64(QUEUES)):
        sizes = append(sizes, reader.size())
    rows = vec[i64]()
    family: i64 = BIDS
    while family < QUEUES:
        level_price: i64 = -1
        level: i64 = 0
        for _ in range(sizes[family]):
            ident = reader.word()
            place = reader.word()
            terms = reader.word()
            price = reader.word()
            open_ = reader.word()
            done = reader.word()
            if place < 0 or place >= account_count or book.order_ids.find(book.orders, ident) != 0:
                raise SnapshotError(f"impossible snapshot: order {ident} of no account, or twice")
            row = book.enter(ident, (place + 1) * ACCOUNT_WORDS, terms & TERMS_MASK, open_)
            book.orders[row + DONE] = done
            if terms & HAS_EXTRA:
                _read_extra(market, reader, row, price, siblings)
            queue_price = price
            if family >= WAITING:
                if terms & HAS_EXTRA == 0 or queue_family(terms) != family:
                    raise SnapshotError(f"impossible snapshot: order {ident} waits in the wrong queue")
                book.extras[book.orders[row + EXTRA] + SOURCE] = (family - WAITING) // 2 + 1
                queue_price = book.extras[book.orders[row + EXTRA] + TRIGGER]
            elif terms & SIDE_MASK != family + 1:
                raise SnapshotError(f"impossible snapshot: order {ident} stands on the wrong side")
            if queue_price != level_price:
                level = book.level_at(family, queue_price)
                level_price = queue_price
            book.join(row, level, book.visible(row) if family <= ASKS else 0)
            rows = append(rows, row)
        family += 1
    return rows


def _read_extra(market: Market, reader: _Reader, row: i64, price: i64, siblings: _Words) -> None:
    book = market.book
    extra = book.extra(row)
    extras = book.extras
    extras[extra + LIMIT] = price
    extras[extra + VISIBLE] = reader.word()
    extras[extra + DISPLAY] = reader.word()
    extras[extra + GROUP] = reader.word()
    extras[extra + EXPIRE] = reader.word()
    extras[extra + TRIGGER] = reader.word()
    extras[extra + TRAIL] = reader.word()
    extras[extra + MARK] = reader.word()
    sibling = reader.word()
    if sibling != 0:
        siblings.add(row)
        siblings.add(sibling)


def _pair(market: Market, siblings: _Words) -> None:
    book = market.book
    at: i64 = 0
    while at < siblings.count:
        row = siblings.column[at]
        sibling = book.order_ids.find(book.orders, siblings.column[at + 1])
        if sibling == 0:
            raise SnapshotError("impossible snapshot: a sibling that is not there")
        book.extras[book.orders[row + EXTRA] + SIBLING] = sibling
        at += 2


def _read_lists(market: Market, reader: _Reader, rows: vec[i64]) -> None:
    book = market.book
    account: i64 = ACCOUNT_WORDS
    while account < len(book.accounts):
        count = reader.size()
        if count != book.accounts[account + ORDERS]:
            raise SnapshotError("impossible snapshot: an account's orders do not add up")
        _relink(market, reader, rows, account, count)
        account += ACCOUNT_WORDS
    for source in range(i64(3)):
        for _ in range(reader.size()):
            extra = _extra_at(market, reader, rows)
            if book.extras[extra + TRAIL] == 0 or book.extras[extra + SOURCE] != source + 1:
                raise SnapshotError("impossible snapshot: a trailing stop that is none")
            book.start_trailing(extra)
    for _ in range(reader.size()):
        extra = _extra_at(market, reader, rows)
        if book.extras[extra + EXPIRE] == 0:
            raise SnapshotError("impossible snapshot: an expiry that is none")
        book.start_expiry(extra)


def _extra_at(market: Market, reader: _Reader, rows: vec[i64]) -> i64:
    extra = market.book.orders[_row_at(reader, rows) + EXTRA]
    if extra == 0:
        raise SnapshotError("impossible snapshot: a list names an order that does not belong there")
    return extra


def _row_at(reader: _Reader, rows: vec[i64]) -> i64:
    ordinal = reader.word()
    if ordinal < 0 or ordinal >= len(rows):
        raise SnapshotError(f"impossible snapshot: ordinal {ordinal}")
    return rows[ordinal]


def _relink(market: Market, reader: _Reader, rows: vec[i64], account: i64, count: i64) -> None:
    """Put an account's orders, entered in the order of the book, back in order of acceptance."""
    book = market.book
    orders = book.orders
    before: i64 = 0
    for _ in range(count):
        row = _row_at(reader, rows)
        if orders[row + TERMS] >> ACCOUNT_SHIFT != account:
            raise SnapshotError("impossible snapshot: an order in another account's list")
        orders[row + ACCOUNT_PREV] = before
        orders[row + ACCOUNT_NEXT] = 0
        if before == 0:
            book.accounts[account + FIRST] = row
        else:
            orders[before + ACCOUNT_NEXT] = row
        before = row
    book.accounts[account + LAST] = before
