"""A market from the bytes of its snapshot, refusing what no engine can have written. docs/matching.md, section 8."""

import zlib
from typing import Final, final

from crossbook.domain.errors import SnapshotError
from crossbook.domain.orders import (
    DAY_MS,
    MAX_BASIS_POINTS,
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_SIDE_LOTS,
    MAX_TIME_MS,
)
from crossbook.matching.auction import crossed
from crossbook.matching.book import (
    ACCOUNT_NEXT,
    ACCOUNT_SHIFT,
    ACCOUNT_WORDS,
    ASKS,
    BIDS,
    DISPLAY,
    DONE,
    EXPIRE,
    EXPIRY_LEVEL,
    EXTRA,
    GROUP,
    ID,
    LAST,
    LIMIT,
    MARK,
    OPEN,
    ORDERS,
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
from crossbook.matching.columns import append, i64, vec
from crossbook.matching.ending import sibling_of
from crossbook.matching.entry import DAY, GTC, GTD
from crossbook.matching.layout import (
    HAS_EXTRA,
    POST_ONLY,
    SIDE_MASK,
    SOURCE_MASK,
    SOURCE_SHIFT,
    STP_MASK,
    STP_SHIFT,
    TERMS_MASK,
    TIF_MASK,
    TIF_SHIFT,
    TRAIL_BASIS_POINTS,
    TYPE_MASK,
    TYPE_SHIFT,
)
from crossbook.matching.market import ACTIVE, POST_ONLY_STATE, SETTLEMENT_ONLY, Market
from crossbook.matching.snapshot import FRAME_BYTES, MAGIC, PLAIN_WORDS, QUEUES, Words, has_content
from crossbook.matching.taking import DECREMENT, IOC, LIMIT_TYPE, STP_NONE
from crossbook.matching.triggers import FOK, STOP_TYPE, TRAILING_TYPE, has_limit, queue_family, trailing_trigger

MOST_PARTS: Final = 1_000_000  # of an iceberg, and of trailing stops, whatever the market's limits were
MOST_HELD_LOTS: Final = MAX_POSITION_LOTS + MAX_SIDE_LOTS + MAX_SIDE_LOTS  # what orders entered in time may add up to


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


@final
class _Reader:
    """Walks over the words of a content."""

    def __init__(self, content: bytes) -> None:
        self.words: vec[i64] = vec[i64](memoryview(content).cast("q"))
        self.at: i64 = 0
        self.trailing: i64 = 0  # trailing stops read
        self.expiring: i64 = 0  # orders with an expiry read

    def word(self) -> i64:
        """The next word."""
        value = self.words[self.at]
        self.at += 1
        return value

    def size(self) -> i64:
        """The next word as a count of things, each of at least one word, that must still follow."""
        value = self.word()
        if value < 0 or value > len(self.words) - self.at:
            raise SnapshotError(f"impossible snapshot: a count of {value}")
        return value


def _read_content(content: bytes) -> Market:
    market = Market()
    reader = _Reader(content)
    _read_market(market, reader)
    account_count = reader.size()
    for _ in range(account_count):
        ident = reader.word()
        position = reader.word()
        if ident < 1 or ident > MAX_ID or position > MOST_HELD_LOTS or position < -MOST_HELD_LOTS:
            raise SnapshotError(f"impossible snapshot: account {ident} with position {position}")
        row = market.book.account(ident)
        market.book.accounts[row + POSITION] = position
    if i64(len(market.book.accounts)) != (account_count + 1) * ACCOUNT_WORDS:
        raise SnapshotError("impossible snapshot: an account occurs twice")
    siblings = Words()
    rows = _read_orders(market, reader, account_count, siblings)
    _pair(market, siblings)
    _check_book(market)
    _read_lists(market, reader, rows)
    if reader.at != len(reader.words):
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
    _check_market(market)
    _check_limits(market)


def _check_market(market: Market) -> None:
    """What a market says of itself lies in its ranges."""
    sound = market.state >= ACTIVE and market.state <= SETTLEMENT_ONLY
    sound = sound and market.sequence >= 0 and market.sequence <= MAX_ID
    sound = sound and market.event_count >= 0 and market.event_count <= MAX_ID
    sound = sound and market.trades >= 0 and market.trades <= MAX_ID
    sound = sound and market.now_ms >= 0 and market.now_ms <= MAX_TIME_MS
    sound = sound and _is_price(market.last_price) and _is_price(market.mark_price) and _is_price(market.index_price)
    if not sound:
        raise SnapshotError("impossible snapshot: a state, count, time or price out of its range")


def _check_limits(market: Market) -> None:
    """The market's limits lie in the ranges that `ConfigureMarket` takes."""
    sound = _is_price(market.reference_price) and _is_price(market.max_open_orders)
    sound = sound and market.band_basis_points >= 0 and market.band_basis_points <= MAX_BASIS_POINTS
    sound = sound and market.band_reference >= 1 and market.band_reference <= 4
    sound = sound and market.max_iceberg_parts >= 0 and market.max_iceberg_parts <= MOST_PARTS
    sound = sound and market.max_trailing_orders >= 0 and market.max_trailing_orders <= MOST_PARTS
    if not sound:
        raise SnapshotError("impossible snapshot: a limit out of its range")


def _is_price(value: i64) -> bool:
    return value >= 0 and value <= MAX_PRICE_TICKS


def _read_orders(market: Market, reader: _Reader, account_count: i64, siblings: Words) -> vec[i64]:
    """Read the eight queues; gives the row of each ordinal. Fills `siblings` with rows and sibling ids."""
    book = market.book
    sizes = vec[i64]()
    total: i64 = 0
    for _ in range(i64(QUEUES)):
        size = reader.size()
        sizes = append(sizes, size)
        total += size
    book.order_ids.reserve(total)
    words = reader.words
    rows = vec[i64]()
    family: i64 = BIDS
    while family < QUEUES:
        level_price: i64 = -1
        level: i64 = 0
        known_terms: i64 = 0
        for _ in range(sizes[family]):
            at = reader.at
            ident = words[at]
            place = words[at + 1]
            terms = words[at + 2]
            price = words[at + 3]
            open_ = words[at + 4]
            done = words[at + 5]
            reader.at = at + PLAIN_WORDS
            if place < 0 or place >= account_count or book.is_live(ident):
                raise SnapshotError(f"impossible snapshot: order {ident} of no account, or twice")
            if level == 0 or terms != known_terms:  # most orders of a queue have the same terms
                _check_terms(ident, terms, family)
                known_terms = terms
            _check_order(ident, terms, price, open_, done)
            row = book.make_order(ident, (place + 1) * ACCOUNT_WORDS, terms & TERMS_MASK, open_)
            book.orders[row + DONE] = done
            if terms & HAS_EXTRA:
                _read_extra(market, reader, row, price, siblings)
            queue_price = price
            if family >= WAITING:
                queue_price = _trigger_of(market, row, terms, family)
            if queue_price != level_price:
                if level != 0 and (queue_price > level_price) == (book.ladder(family).sign > 0):
                    raise SnapshotError(f"impossible snapshot: order {ident} stands behind a worse price")
                level = book.level_at(family, queue_price)
                level_price = queue_price
            book.join(row, level, book.visible(row) if family <= ASKS else 0)
            rows = append(rows, row)
            if book.buy_lots > MAX_SIDE_LOTS or book.sell_lots > MAX_SIDE_LOTS:
                raise SnapshotError("impossible snapshot: more lots than a side may hold")
        family += 1
    return rows


def _check_terms(ident: i64, terms: i64, family: i64) -> None:
    """What an order is may stand in the queue it stands in, and does not contradict itself."""
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    mode = terms >> STP_SHIFT & STP_MASK
    side = terms & SIDE_MASK
    passing = tif == IOC or tif == FOK
    sound = terms >= 0 and terms & ~(TERMS_MASK | HAS_EXTRA) == 0 and tif >= GTC and tif <= DAY
    sound = sound and mode >= STP_NONE and mode <= DECREMENT
    if terms & POST_ONLY:
        sound = sound and has_limit(kind) and not passing
    if terms & TRAIL_BASIS_POINTS:
        sound = sound and kind == TRAILING_TYPE
    if tif == GTD or tif == DAY:
        sound = sound and terms & HAS_EXTRA != 0
    if family <= ASKS:
        waits_for = terms >> SOURCE_SHIFT & SOURCE_MASK
        sound = sound and side == family + 1 and kind == LIMIT_TYPE and not passing and waits_for == 0
    else:
        sound = sound and (side == 1 or side == 2) and kind >= STOP_TYPE and kind <= TRAILING_TYPE
        sound = sound and terms & HAS_EXTRA != 0 and queue_family(terms) == family
    if not sound:
        raise SnapshotError(f"impossible snapshot: order {ident} with terms {terms} in queue {family}")


def _check_order(ident: i64, terms: i64, price: i64, open_: i64, done: i64) -> None:
    """The numbers of an order lie in their ranges."""
    if ident < 1 or ident > MAX_ID:
        raise SnapshotError(f"impossible snapshot: an order with id {ident}")
    if price < 0 or price > MAX_PRICE_TICKS or (price == 0 and has_limit(terms >> TYPE_SHIFT & TYPE_MASK)):
        raise SnapshotError(f"impossible snapshot: order {ident} at price {price}")
    if open_ < 1 or done < 0 or done > MAX_QUANTITY_LOTS or open_ > MAX_QUANTITY_LOTS - done:
        raise SnapshotError(f"impossible snapshot: order {ident} with {open_} lots open, {done} done")


def _trigger_of(market: Market, row: i64, terms: i64, family: i64) -> i64:
    """Note the source of an order that waits; gives its trigger price."""
    book = market.book
    extra = book.orders[row + EXTRA]
    if book.orders[row + DONE] != 0:
        raise SnapshotError(f"impossible snapshot: order {book.orders[row + ID]} traded before it was triggered")
    book.extras[extra + SOURCE] = (family - WAITING) // 2 + 1
    return book.extras[extra + TRIGGER]


def _read_extra(market: Market, reader: _Reader, row: i64, price: i64, siblings: Words) -> None:
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
    elif not has_content(extras, extra):
        raise SnapshotError("impossible snapshot: eight words that say nothing")
    terms = book.orders[row + TERMS] & TERMS_MASK
    if not (
        _sound_display(extras, extra, terms, book.orders[row + OPEN])
        and _sound_expiry(extras, extra, terms)
        and _sound_trigger(extras, extra, terms)
        and extras[extra + GROUP] >= 0
        and extras[extra + GROUP] <= MAX_ID
    ):
        raise SnapshotError(f"impossible snapshot: order {book.orders[row + ID]} with options that do not fit it")
    if extras[extra + TRAIL] != 0:
        reader.trailing += 1
    if extras[extra + EXPIRE] != 0:
        reader.expiring += 1


def _sound_display(extras: vec[i64], extra: i64, terms: i64, open_: i64) -> bool:
    """Whether an iceberg shows a part of itself, and has no more parts than any market allows."""
    display = extras[extra + DISPLAY]
    shown = extras[extra + VISIBLE]
    if display == 0:
        return shown == 0
    tif = terms >> TIF_SHIFT & TIF_MASK
    if not has_limit(terms >> TYPE_SHIFT & TYPE_MASK) or tif == IOC or tif == FOK:
        return False
    if display < 1 or display > MAX_QUANTITY_LOTS or shown < 1 or shown > display or shown > open_:
        return False
    return (open_ - 1) // display < MOST_PARTS


def _sound_expiry(extras: vec[i64], extra: i64, terms: i64) -> bool:
    """Whether GTD and DAY orders, and no others, have an expiry."""
    tif = terms >> TIF_SHIFT & TIF_MASK
    expiry = extras[extra + EXPIRE]
    if tif != GTD and tif != DAY:
        return expiry == 0
    return expiry >= 1 and expiry <= MAX_TIME_MS + DAY_MS


def _sound_trigger(extras: vec[i64], extra: i64, terms: i64) -> bool:
    """Whether an order waits as its type does; the trigger of a trailing stop is where its mark and trail put it."""
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    trigger = extras[extra + TRIGGER]
    trail = extras[extra + TRAIL]
    mark = extras[extra + MARK]
    if kind == LIMIT_TYPE:
        return trigger == 0 and trail == 0 and mark == 0
    if kind != TRAILING_TYPE:
        return trigger >= 1 and trigger <= MAX_PRICE_TICKS and trail == 0 and mark == 0
    most: i64 = MAX_BASIS_POINTS - 1 if terms & TRAIL_BASIS_POINTS else MAX_PRICE_TICKS
    if mark < 1 or mark > MAX_PRICE_TICKS or trail < 1 or trail > most:
        return False
    return trailing_trigger(terms, mark, trail) == trigger


def _pair(market: Market, siblings: Words) -> None:
    """Make the pairs: two orders of one account and side that name each other."""
    book = market.book
    orders = book.orders
    at: i64 = 0
    while at < siblings.count:
        row = siblings.column[at]
        sibling = book.order_ids.find(orders, siblings.column[at + 1])
        if sibling == 0 or sibling == row:
            raise SnapshotError("impossible snapshot: a sibling that is not there")
        book.extras[orders[row + EXTRA] + SIBLING] = sibling
        at += 2
    at = 0
    while at < siblings.count:
        row = siblings.column[at]
        sibling = book.extras[orders[row + EXTRA] + SIBLING]
        alike = orders[row + TERMS] >> ACCOUNT_SHIFT == orders[sibling + TERMS] >> ACCOUNT_SHIFT
        alike = alike and (orders[row + TERMS] ^ orders[sibling + TERMS]) & SIDE_MASK == 0
        if not alike or sibling_of(market, sibling) != row:
            raise SnapshotError("impossible snapshot: a pair that is none")
        at += 2


def _check_book(market: Market) -> None:
    """A book that the market's state allows: not crossed while orders may trade, empty after settlement."""
    book = market.book
    if market.state == ACTIVE or market.state == POST_ONLY_STATE:
        if crossed(market):
            raise SnapshotError("impossible snapshot: a crossed book")
    elif market.state == SETTLEMENT_ONLY and book.live != 0:
        raise SnapshotError("impossible snapshot: orders after settlement")


def _read_lists(market: Market, reader: _Reader, rows: vec[i64]) -> None:
    """Read who holds, trails and expires what, in order of acceptance; each order must be named once."""
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
            if book.extras[extra + TRAIL_NEXT] != 0 or book.trailing[4 + source + 1] == extra:
                raise SnapshotError("impossible snapshot: a trailing stop named twice")
            book.start_trailing(extra)
    earliest: i64 = 0
    count = reader.size()
    for _ in range(count):
        extra = _extra_at(market, reader, rows)
        expiry = book.extras[extra + EXPIRE]
        if expiry == 0 or expiry < earliest or book.extras[extra + EXPIRY_LEVEL] != 0:
            raise SnapshotError("impossible snapshot: an expiry that is none, twice, or out of order")
        book.start_expiry(extra)
        earliest = expiry
    if book.trailing_count != reader.trailing or count != reader.expiring:
        raise SnapshotError("impossible snapshot: a list of trailing stops or expiries is not complete")


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
    """Link an account's orders in order of acceptance."""
    book = market.book
    orders = book.orders
    for _ in range(count):
        row = _row_at(reader, rows)
        if orders[row + TERMS] >> ACCOUNT_SHIFT != account:
            raise SnapshotError("impossible snapshot: an order in another account's list")
        if orders[row + ACCOUNT_NEXT] != 0 or book.accounts[account + LAST] == row:
            raise SnapshotError("impossible snapshot: an order twice in its account's list")
        book.link(row, account)
