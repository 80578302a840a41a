"""Waiting orders: arming, looking at prices, firing, and the end of a step. docs/matching.md, section 6."""

from typing import Final

from crossbook.domain.orders import MAX_PRICE_TICKS
from crossbook.matching import band
from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    DONE,
    EXTRA,
    FIRED_LEVEL,
    GROUP,
    HEAD,
    ID,
    LEVEL_PRICE,
    LIMIT,
    MARK,
    OBSERVED,
    OPEN,
    OWNER,
    POSITION,
    SOURCE,
    TERMS,
    TRAIL,
    TRAIL_NEXT,
    TRIGGER,
    WAITING,
)
from crossbook.matching.columns import i64
from crossbook.matching.dry_run import can_fill
from crossbook.matching.ending import FOK_UNFILLED, REDUCE_ONLY_ENDED, cancel, cancel_sibling, expire
from crossbook.matching.layout import (
    EVENT_SIDE_SHIFT,
    EVENT_SMALL_SHIFT,
    POST_ONLY,
    REDUCE_ONLY,
    SIDE_MASK,
    SOURCE_MASK,
    SOURCE_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TRAIL_BASIS_POINTS,
    TRIGGERED,
    TYPE_MASK,
    TYPE_SHIFT,
)
from crossbook.matching.market import ACTIVE, INDEX_PRICE, LAST_PRICE, MARK_PRICE, NO_BUDGET, Market
from crossbook.matching.reducing import reducible, upkeep
from crossbook.matching.taking import LIMIT_TYPE, end_taker, finish, take, would_take

# Order types and times in force, as numbered in domain.orders.
MARKET_TYPE: Final = 2
STOP_TYPE: Final = 3
STOP_LIMIT_TYPE: Final = 4
TAKE_PROFIT_TYPE: Final = 5
TAKE_PROFIT_LIMIT_TYPE: Final = 6
TRAILING_TYPE: Final = 7
FOK: Final = 3

PRICE_OUTSIDE_BAND: Final = 330
POST_ONLY_WOULD_TAKE: Final = 336


def waits(kind: i64) -> bool:
    """Whether an order type waits for a trigger."""
    return kind >= STOP_TYPE


def has_limit(kind: i64) -> bool:
    """Whether an order type has a limit price."""
    return kind == LIMIT_TYPE or kind == STOP_LIMIT_TYPE or kind == TAKE_PROFIT_LIMIT_TYPE


def queue_family(terms: i64) -> i64:
    """The waiting queue of an order: its source's rising or falling ladder."""
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    takes_profit = kind == TAKE_PROFIT_TYPE or kind == TAKE_PROFIT_LIMIT_TYPE
    buying = terms & SIDE_MASK == 1
    source = terms >> SOURCE_SHIFT & SOURCE_MASK
    return WAITING + 2 * (source - 1) + (1 if buying == takes_profit else 0)


def trailing_trigger(terms: i64, mark: i64, trail: i64) -> i64:
    """The trigger of a trailing stop whose best price was `mark`; basis points round away from it."""
    buying = terms & SIDE_MASK == 1
    if terms & TRAIL_BASIS_POINTS:
        if buying:
            price = (mark * (10_000 + trail) + 9_999) // 10_000
        else:
            price = mark * (10_000 - trail) // 10_000
    else:
        price = mark + trail if buying else mark - trail
    if price < 1:
        return 1
    return price if price < MAX_PRICE_TICKS else MAX_PRICE_TICKS


def arm(market: Market, row: i64) -> None:
    """Queue an order at its trigger price."""
    book = market.book
    trigger = book.extras[book.orders[row + EXTRA] + TRIGGER]
    level = book.level_at(queue_family(book.orders[row + TERMS]), trigger)
    book.join(row, level, 0)


def look(market: Market, source: i64, price: i64) -> None:
    """Look at a price: move trailing stops, then let everything that it sets off join the fired."""
    if price == 0:
        return
    _trail(market, source, price)
    rising = WAITING + 2 * (source - 1)
    _fire(market, rising, price)
    _fire(market, rising + 1, price)


def look_at_all(market: Market) -> None:
    """Look at every source, as a market does on becoming active."""
    look(market, LAST_PRICE, market.last_price)
    look(market, MARK_PRICE, market.mark_price)
    look(market, INDEX_PRICE, market.index_price)


def _trail(market: Market, source: i64, price: i64) -> None:
    book = market.book
    extra = book.trailing[source]
    while extra != 0:
        extras = book.extras
        row = extras[extra + OWNER]
        terms = book.orders[row + TERMS]
        mark = extras[extra + MARK]
        if (price < mark) if terms & SIDE_MASK == 1 else (price > mark):
            extras[extra + MARK] = price
            trigger = trailing_trigger(terms, price, extras[extra + TRAIL])
            if trigger != extras[extra + TRIGGER]:
                book.leave(row, 0)
                extras[extra + TRIGGER] = trigger
                arm(market, row)
        extra = extras[extra + TRAIL_NEXT]


def _fire(market: Market, family: i64, price: i64) -> None:
    book = market.book
    ladder = book.waiting[family - WAITING]
    rising = ladder.sign < 0
    while ladder.best != 0:
        level = ladder.best
        trigger = book.levels[level + LEVEL_PRICE]
        if (trigger > price) if rising else (trigger < price):
            return
        row = book.levels[level + HEAD]
        extra = book.orders[row + EXTRA]
        if book.extras[extra + TRAIL] != 0:
            book.stop_trailing(extra)
        book.leave(row, 0)
        book.join(row, FIRED_LEVEL, 0)
        book.extras[extra + OBSERVED] = price


def end_step(market: Market) -> None:
    """The end of a step: upkeep of reduce-only orders, then a look at the prices that it traded at."""
    if market.touched_count != 0:
        upkeep(market)
    first = market.first_trade_price
    if first != 0:
        market.first_trade_price = 0
        if market.state == ACTIVE:
            last = market.last_price
            look(market, LAST_PRICE, first)
            if last != first:
                look(market, LAST_PRICE, last)


def work_off(market: Market) -> None:
    """End the step at hand, then give every fired order its turn, each a step of its own."""
    end_step(market)
    book = market.book
    row = book.levels[FIRED_LEVEL + HEAD]
    while row != 0:
        _enter_market(market, row)
        end_step(market)
        row = book.levels[FIRED_LEVEL + HEAD]


def _enter_market(market: Market, row: i64) -> None:
    book = market.book
    orders = book.orders
    extras = book.extras
    extra = orders[row + EXTRA]
    terms = orders[row + TERMS]
    account = terms >> ACCOUNT_SHIFT
    market.out.event(
        TRIGGERED | (terms & SIDE_MASK) << EVENT_SIDE_SHIFT | extras[extra + SOURCE] << EVENT_SMALL_SHIFT,
        orders[row + ID],
        book.accounts[account + ID],
        extras[extra + TRIGGER],
        extras[extra + OBSERVED],
        0, 0, 0, 0, 0,
    )  # fmt: skip
    cancel_sibling(market, row)
    book.leave(row, 0)
    extras[extra + TRIGGER] = 0
    extras[extra + SOURCE] = 0
    extras[extra + MARK] = 0
    limited = has_limit(terms >> TYPE_SHIFT & TYPE_MASK)
    kept = ~(TYPE_MASK << TYPE_SHIFT | SOURCE_MASK << SOURCE_SHIFT | TRAIL_BASIS_POINTS)
    terms = terms & kept | (LIMIT_TYPE if limited else MARKET_TYPE) << TYPE_SHIFT
    orders[row + TERMS] = terms
    price = extras[extra + LIMIT]
    if terms & REDUCE_ONLY and reducible(book.accounts[account + POSITION], terms) == 0:
        cancel(market, row, REDUCE_ONLY_ENDED)
    elif limited and band.outside(market, price):
        expire(market, row, PRICE_OUTSIDE_BAND)
    elif terms & POST_ONLY and would_take(market, terms & SIDE_MASK, price):
        expire(market, row, POST_ONLY_WOULD_TAKE)
    else:
        become_taker(market, row, price)
        run_taker(market)


def become_taker(market: Market, row: i64, price: i64) -> None:
    """Make an order that has a row, and is in no queue, the taker."""
    book = market.book
    orders = book.orders
    word = orders[row + TERMS]
    terms = word & (1 << ACCOUNT_SHIFT) - 1
    extra = orders[row + EXTRA]
    market.taker_row = row
    market.taker_id = orders[row + ID]
    market.taker_account = word >> ACCOUNT_SHIFT
    market.taker_terms = terms
    market.taker_open = orders[row + OPEN]
    market.taker_done = orders[row + DONE]
    market.taker_price = price
    market.taker_limit = price
    if not has_limit(terms >> TYPE_SHIFT & TYPE_MASK):
        market.taker_limit = band.worst_price(market, terms & SIDE_MASK == 1, price)
    market.taker_budget = NO_BUDGET
    market.taker_group = book.extras[extra + GROUP] if extra != 0 else 0


def run_taker(market: Market) -> None:
    """Let the taker take, fill-or-kill tried dry first, and end or rest."""
    if market.taker_terms >> TIF_SHIFT & TIF_MASK == FOK and not can_fill(market):
        end_taker(market, FOK_UNFILLED, False)
    else:
        finish(market, take(market))
