"""The snapshot of the reference engine, word by word as section 8 of docs/matching.md lists it."""

import hashlib
import zlib
from collections.abc import Iterator
from struct import Struct, iter_unpack, pack_into
from typing import Final

from crossbook.domain.errors import SnapshotError
from crossbook.domain.orders import (
    MAX_BUDGET,
    MAX_ID,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    TRIGGERED_TYPES,
    BandReference,
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from crossbook.matching import layout
from crossbook.matching.reference_market import QUEUE_COUNT, Account, Limits, Market, Order

MAGIC: Final = b"CROSSBK1"
WORD: Final = Struct("<q")
EXTRA_WORDS: Final = 8


def content_of(market: Market) -> bytes:
    """The content of a snapshot of `market`, without magic, length and checksum."""
    words = list(_words_of(market))
    content = bytearray(WORD.size * len(words))
    pack_into(f"<{len(words)}q", content, 0, *words)
    return bytes(content)


def pack(content: bytes) -> bytes:
    """A snapshot around its `content`."""
    return MAGIC + WORD.pack(len(content)) + content + WORD.pack(zlib.crc32(content))


def hash_of(content: bytes) -> str:
    """BLAKE2b-256 of a snapshot's content, as hex."""
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def read_into(market: Market, data: bytes) -> None:
    """Bring a new `market` into the state of a snapshot; raises `SnapshotError` when no engine wrote it."""
    content = data[16:-8]
    sound = data[:8] == MAGIC and data[8:16] == WORD.pack(len(content)) and len(content) % WORD.size == 0
    if not sound or data[-8:] != WORD.pack(zlib.crc32(content)):
        raise SnapshotError("no snapshot of this version, or torn, or altered")
    try:
        _read_words(market, (word for (word,) in iter_unpack("<q", content)))
    except (ValueError, KeyError, IndexError, StopIteration) as error:
        raise SnapshotError(f"no engine wrote this snapshot: {error}") from error
    if content_of(market) != content:
        raise SnapshotError("no engine wrote this snapshot: it reads back differently")


# Writing.


def _words_of(market: Market) -> Iterator[int]:
    yield from _head_of(market)
    yield len(market.accounts)
    for account in market.accounts.values():
        yield from (account.account_id, account.position_lots)
    yield from map(len, market.queues)
    row = [order for queue in market.queues for order in queue]
    account_places = {account_id: place for place, account_id in enumerate(market.accounts)}
    for order in row:
        yield from _order_words(order, account_places[order.account.account_id])
    ordinals = {order.order_id: ordinal for ordinal, order in enumerate(row)}
    lists = [account.orders for account in market.accounts.values()]
    for orders in [*lists, *market.trailing.values(), market.expiring]:
        yield len(orders)
        yield from (ordinals[order.order_id] for order in orders)


def _head_of(market: Market) -> Iterator[int]:
    yield from (market.state, market.last_sequence, market.event_count, market.now_ms)
    yield from market.prices_ticks.values()
    yield from market.limits
    yield market.trade_count


def _order_words(order: Order, account_place: int) -> Iterator[int]:
    sibling_id = order.sibling.order_id if order.sibling else 0
    trigger = (order.trigger_ticks, order.trail, order.mark_ticks)
    extra = (order.shown_lots, order.display_lots, order.trade_group, order.expire_time_ms, *trigger, sibling_id)
    terms = _terms_of(order) | (layout.HAS_EXTRA if any(extra) else 0)
    yield from (order.order_id, account_place, terms, order.price_ticks, order.open_lots, order.executed_lots)
    if any(extra):
        yield from extra


def _terms_of(order: Order) -> int:
    terms = order.side | order.type << layout.TYPE_SHIFT | order.time_in_force << layout.TIF_SHIFT
    terms |= order.self_trade_prevention << layout.STP_SHIFT
    terms |= layout.POST_ONLY * order.post_only | layout.REDUCE_ONLY * order.reduce_only
    if order.waiting:
        terms |= order.source << layout.SOURCE_SHIFT | layout.TRAIL_BASIS_POINTS * order.trail_in_basis_points
    return terms


# Reading.


def _read_words(market: Market, words: Iterator[int]) -> None:
    _read_head(market, words)
    for _ in range(_read_count(words)):
        account = Account(next(words), next(words))
        market.accounts[account.account_id] = account
    accounts = list(market.accounts.values())
    row: list[Order] = []
    sibling_ids: dict[int, int] = {}
    for number, count in enumerate([_read_count(words) for _ in range(QUEUE_COUNT)]):
        for _ in range(count):
            order, sibling_ids[len(row)] = _read_order(words, accounts)
            market.orders[order.order_id] = order
            market.join(order, number)
            row.append(order)
    for ordinal, sibling_id in sibling_ids.items():
        row[ordinal].sibling = market.orders[sibling_id] if sibling_id else None
    for orders in [*(account.orders for account in accounts), *market.trailing.values(), market.expiring]:
        orders.extend(row[_place(next(words))] for _ in range(_read_count(words)))
    _check(next(words, None) is None, "words after the end")
    _check_whole(market, row)


def _read_head(market: Market, words: Iterator[int]) -> None:
    market.state = MarketState(next(words))
    market.last_sequence, market.event_count, market.now_ms = _counts(words, 3)
    for source in PriceSource:
        (market.prices_ticks[source],) = _counts(words, 1)
    reference_price_ticks, band_basis_points = _counts(words, 2)
    band_reference = BandReference(next(words))
    most = _counts(words, 3)
    market.limits = Limits(reference_price_ticks, band_basis_points, band_reference, *most)
    (market.trade_count,) = _counts(words, 1)


def _read_order(words: Iterator[int], accounts: list[Account]) -> tuple[Order, int]:
    """One order and the id of its sibling."""
    order_id, account_place, terms = _counts(words, 3)
    price_ticks, open_lots, executed_lots = _counts(words, 3)
    extra = _counts(words, EXTRA_WORDS) if terms & layout.HAS_EXTRA else [0] * EXTRA_WORDS
    source = terms >> layout.SOURCE_SHIFT & layout.SOURCE_MASK
    shown_lots, display_lots, trade_group, expire_time_ms, trigger_ticks, trail, mark_ticks, sibling_id = extra
    order = Order(
        order_id,
        accounts[account_place],
        Side(terms & layout.SIDE_MASK),
        OrderType(terms >> layout.TYPE_SHIFT & layout.TYPE_MASK),
        TimeInForce(terms >> layout.TIF_SHIFT & layout.TIF_MASK),
        terms & layout.POST_ONLY != 0,
        terms & layout.REDUCE_ONLY != 0,
        SelfTradePrevention(terms >> layout.STP_SHIFT & layout.STP_MASK),
        PriceSource(source or PriceSource.LAST),
        terms & layout.TRAIL_BASIS_POINTS != 0,
        price_ticks,
        open_lots,
        executed_lots,
        shown_lots=shown_lots,
        display_lots=display_lots,
        trade_group=trade_group,
        expire_time_ms=expire_time_ms,
        trigger_ticks=trigger_ticks,
        trail=trail,
        mark_ticks=mark_ticks,
    )
    return order, sibling_id


def _read_count(words: Iterator[int]) -> int:
    return _counts(words, 1)[0]


def _counts(words: Iterator[int], count: int) -> list[int]:
    """The next `count` words, none of which may be negative."""
    return [_place(next(words)) for _ in range(count)]


def _place(word: int) -> int:
    _check(word >= 0, "negative word")
    return word


def _check(sound: bool, what: str) -> None:
    if not sound:
        raise ValueError(what)


def _check_whole(market: Market, row: list[Order]) -> None:
    """What must hold between the parts of a snapshot, beyond the form of each."""
    _check(len(market.orders) == len(row), "an order id twice")
    owned = [order for account in market.accounts.values() for order in account.orders]
    _check(_same(owned, row), "an order that is not once its account's")
    _check(all(order in order.account.orders for order in row), "an order of another account")
    for order in row:
        _check_order(order)
    for source, orders in market.trailing.items():
        trailing = [each for each in row if each.type is OrderType.TRAILING_STOP and each.source is source]
        _check(_same(orders, trailing), "trailing stops")
    _check(_same(market.expiring, [order for order in row if order.expire_time_ms]), "orders with an expiry")
    expiries = [order.expire_time_ms for order in market.expiring]
    _check(expiries == sorted(expiries), "order of expiry")


def _same(some: list[Order], others: list[Order]) -> bool:
    """Whether two lists hold the same orders, each once, in whatever order."""
    return sorted(order.order_id for order in some) == sorted(order.order_id for order in others)


def _check_order(order: Order) -> None:
    _check(1 <= order.order_id <= MAX_ID and 1 <= order.account.account_id <= MAX_ID, "id")
    _check(1 <= order.open_lots <= MAX_QUANTITY_LOTS and order.executed_lots <= MAX_QUANTITY_LOTS, "quantity")
    _check(order.price_ticks <= MAX_PRICE_TICKS and order.trigger_ticks <= MAX_PRICE_TICKS, "price")
    _check(order.trade_group <= MAX_ID and order.expire_time_ms <= MAX_BUDGET, "trade group or expiry")
    _check((order.display_lots > 0) == (order.shown_lots > 0), "iceberg")
    _check(order.shown_lots <= order.open_lots and order.shown_lots <= order.display_lots, "shown part")
    _check(order.waiting == (order.type in TRIGGERED_TYPES) == (order.trigger_ticks > 0), "type and queue")
    _check(order.waiting or (order.type is OrderType.LIMIT and order.price_ticks > 0), "resting order")
    _check(order.sibling is None or order.sibling.sibling is order, "pair")
    if order.sibling is not None:
        alike = order.sibling.account is order.account and order.sibling.side is order.side
        _check(alike and order.sibling is not order, "pair that may not be")
