"""New orders: the checks of entry and the way in. docs/matching.md, section 2."""

from typing import Final

from crossbook.domain.orders import (
    DAY_MS,
    MAX_BUDGET,
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_SIDE_LOTS,
    MAX_TIME_MS,
)
from crossbook.matching import band
from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    DONE,
    EXPIRE,
    EXTRA,
    GROUP,
    LIMIT,
    MARK,
    ORDERS,
    POSITION,
    SIBLING,
    SOURCE,
    TERMS,
    TRIGGER,
    VISIBLE,
)
from crossbook.matching.book import (
    DISPLAY as X_DISPLAY,
)
from crossbook.matching.book import (
    TRAIL as X_TRAIL,
)
from crossbook.matching.columns import i64, vec
from crossbook.matching.ending import OCO_SIBLING, cancel
from crossbook.matching.layout import (
    ACCEPTED,
    ACCOUNT_ID,
    BUDGET,
    DISPLAY,
    EVENT_SIDE_SHIFT,
    EVENT_SMALL_SHIFT,
    EXPIRE_MS,
    EXTENDED,
    OCO_ORDER_ID,
    ORDER_ID,
    POST_ONLY,
    PRICE,
    QUANTITY,
    REDUCE_ONLY,
    SIDE_MASK,
    SOURCE_MASK,
    SOURCE_SHIFT,
    STP_MASK,
    STP_SHIFT,
    SUBMIT,
    TERMS_MASK,
    TERMS_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TIME_MS,
    TRADE_GROUP,
    TRAIL,
    TRAIL_BASIS_POINTS,
    TRIGGER_PRICE,
    TYPE_MASK,
    TYPE_SHIFT,
)
from crossbook.matching.market import (
    ACTIVE,
    AUCTION,
    CANCEL_ONLY,
    NO_BUDGET,
    PAUSED,
    POST_ONLY_STATE,
    SETTLEMENT_ONLY,
    Market,
)
from crossbook.matching.reducing import reducible
from crossbook.matching.taking import IOC, LIMIT_TYPE, finish, rest, take, would_take
from crossbook.matching.triggers import (
    FOK,
    MARKET_TYPE,
    POST_ONLY_WOULD_TAKE,
    PRICE_OUTSIDE_BAND,
    TRAILING_TYPE,
    arm,
    become_taker,
    has_limit,
    look,
    run_taker,
    trailing_trigger,
    waits,
)

GTC: Final = 1
GTD: Final = 4
DAY: Final = 5
BY_AMOUNT_LOTS: Final = 1 << 60  # what a taker by amount counts as open: more than any book holds

LOOK_CLOSELY: Final = -1
QUICK_MASK: Final = TYPE_MASK << TYPE_SHIFT | REDUCE_ONLY | SOURCE_MASK << SOURCE_SHIFT | TRAIL_BASIS_POINTS
QUICK_TERMS: Final = 1 << TYPE_SHIFT | 1 << SOURCE_SHIFT  # a limit order, nothing special asked for

# Reasons, as numbered in domain.errors.Reason.
MALFORMED_COMMAND: Final = 300
DUPLICATE_ORDER_ID: Final = 303
INVALID_QUANTITY: Final = 304
INVALID_BUDGET: Final = 305
LIMIT_ORDER_MISSING_PRICE: Final = 306
INVALID_PRICE: Final = 307
INVALID_TIME_IN_FORCE: Final = 308
INVALID_EXPIRY: Final = 309
POST_ONLY_REQUIRES_LIMIT_ORDER: Final = 310
POST_ONLY_REQUIRES_GTC: Final = 311
INVALID_DISPLAY_QUANTITY: Final = 312
TOO_MANY_ICEBERG_PARTS: Final = 313
INVALID_TRIGGER: Final = 314
NO_TRIGGER_PRICE: Final = 315
INVALID_OCO: Final = 316
MARKET_PAUSED: Final = 320
MARKET_SETTLEMENT_ONLY: Final = 321
MARKET_CANCEL_ONLY: Final = 322
MARKET_IN_AUCTION: Final = 323
MARKET_POST_ONLY: Final = 324
REDUCE_ONLY_WOULD_INCREASE: Final = 331
OPEN_ORDER_LIMIT: Final = 332
TRAILING_ORDER_LIMIT: Final = 333
POSITION_LIMIT: Final = 334
BOOK_FULL: Final = 335


def submit(market: Market, words: vec[i64], at: i64, head: i64) -> None:
    """Enter the order whose record starts at word `at`, or refuse it."""
    terms = head >> TERMS_SHIFT & TERMS_MASK
    order = words[at + ORDER_ID]
    account_id = words[at + ACCOUNT_ID]
    quantity = words[at + QUANTITY]
    price = words[at + PRICE]
    account = LOOK_CLOSELY
    if terms & QUICK_MASK == QUICK_TERMS and head & EXTENDED == 0:
        account = _quick_account(market, terms, words[at + TIME_MS], order, account_id, quantity, price)
    if account == LOOK_CLOSELY:
        if head & EXTENDED == 0:
            _clear_extension(words, at)
        if _is_malformed(words, at, terms):
            market.out.rejected(SUBMIT, order, account_id, MALFORMED_COMMAND)
            return
        market.advance(words[at + TIME_MS])
        reason = _refusal(market, words, at, terms)
        if reason != 0:
            _refuse(market, words, at, order, account_id, reason)
            return
        account = 0
    if account == 0:
        account = market.book.account(account_id)
    side = terms & SIDE_MASK
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    accepted = ACCEPTED | side << EVENT_SIDE_SHIFT | kind << EVENT_SMALL_SHIFT
    market.out.event(accepted, order, account_id, quantity, price, 0, 0, 0, 0, 0)
    if head & EXTENDED != 0 or kind != LIMIT_TYPE or tif == DAY or terms & REDUCE_ONLY:
        _enter_with_row(market, words, at, terms, account)
        return
    market.taker_row = 0
    market.taker_id = order
    market.taker_account = account
    market.taker_terms = terms & ~(SOURCE_MASK << SOURCE_SHIFT | TRAIL_BASIS_POINTS)
    market.taker_open = quantity
    market.taker_done = 0
    market.taker_price = price
    market.taker_limit = price
    market.taker_budget = NO_BUDGET
    market.taker_group = 0
    if market.state != ACTIVE:
        rest(market)
    elif tif == FOK:
        run_taker(market)
    elif tif == IOC or would_take(market, side, price):
        finish(market, take(market))
    else:
        rest(market)


def _quick_account(
    market: Market, terms: i64, time_ms: i64, order: i64, account_id: i64, quantity: i64, price: i64
) -> i64:
    """The account's row (0 if the market has not seen it) when a plain limit order passes every check of entry.

    LOOK_CLOSELY otherwise. The common order in the common market: these checks are all that can apply to it.
    """
    book = market.book
    side = terms & SIDE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    if market.state != ACTIVE or side == 0 or side == 3 or (tif != GTC and tif != IOC):
        return LOOK_CLOSELY
    if terms & POST_ONLY and (tif == IOC or would_take(market, side, price)):
        return LOOK_CLOSELY
    mode = terms >> STP_SHIFT & STP_MASK
    if mode == 0 or mode > 5 or (market.band_basis_points != 0 and band.outside(market, price)):
        return LOOK_CLOSELY
    if order < 1 or order > MAX_ID or account_id < 1 or account_id > MAX_ID:
        return LOOK_CLOSELY
    if quantity < 1 or quantity > MAX_QUANTITY_LOTS or price < 1 or price > MAX_PRICE_TICKS:
        return LOOK_CLOSELY
    if time_ms < 0 or time_ms > MAX_TIME_MS or (order <= book.highest_id and book.is_live(order)):
        return LOOK_CLOSELY
    if (book.buy_lots if side == 1 else book.sell_lots) > MAX_SIDE_LOTS - MAX_QUANTITY_LOTS:
        return LOOK_CLOSELY
    accounts = book.accounts
    account = book.account_ids.find(accounts, account_id)
    position = accounts[account + POSITION]
    if position > MAX_POSITION_LOTS or position < -MAX_POSITION_LOTS:
        return LOOK_CLOSELY
    if market.max_open_orders != 0 and accounts[account + ORDERS] >= market.max_open_orders:
        return LOOK_CLOSELY
    if time_ms > market.now_ms:
        market.now_ms = time_ms
    return account


def _clear_extension(words: vec[i64], at: i64) -> None:
    """Blank the words that the record's head says are not in use."""
    word: i64 = TRIGGER_PRICE
    while word <= TRAIL:
        words[at + word] = 0
        word += 1


def _is_malformed(words: vec[i64], at: i64, terms: i64) -> bool:
    """Whether a field lies outside its range (check 1)."""
    side = terms & SIDE_MASK
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    mode = terms >> STP_SHIFT & STP_MASK
    if side == 0 or side == 3 or kind == 0 or kind > TRAILING_TYPE or tif == 0 or tif > DAY:
        return True
    if mode == 0 or mode > 5 or terms >> SOURCE_SHIFT & SOURCE_MASK == 0:
        return True
    order = words[at + ORDER_ID]
    account = words[at + ACCOUNT_ID]
    time_ms = words[at + TIME_MS]
    if order < 1 or order > MAX_ID or account < 1 or account > MAX_ID or time_ms < 0 or time_ms > MAX_TIME_MS:
        return True
    group = words[at + TRADE_GROUP]
    sibling = words[at + OCO_ORDER_ID]
    expiry = words[at + EXPIRE_MS]
    if group < 0 or group > MAX_ID or sibling < 0 or sibling > MAX_ID:
        return True
    return expiry < 0 or expiry > MAX_TIME_MS


def _refusal(market: Market, words: vec[i64], at: i64, terms: i64) -> i64:
    """The first check from 2 to 17 that fails, 0 when the order may enter."""
    reason = _refused_by_itself(market, words, at, terms)
    if reason == 0:
        reason = _refused_by_trigger(market, words, at, terms)
    if reason == 0:
        reason = _refused_as_sibling(market, words, at, terms)
    if reason == 0:
        reason = _refused_by_state(market, terms)
    if reason == 0:
        reason = _refused_by_market(market, words, at, terms)
    return reason


def _refused_by_itself(market: Market, words: vec[i64], at: i64, terms: i64) -> i64:
    """Checks 2 to 8: what the order says of itself."""
    book = market.book
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    quantity = words[at + QUANTITY]
    price = words[at + PRICE]
    budget = words[at + BUDGET]
    display = words[at + DISPLAY]
    expiry = words[at + EXPIRE_MS]
    limited = has_limit(kind)
    if book.is_live(words[at + ORDER_ID]):
        return DUPLICATE_ORDER_ID
    if budget != 0:
        if kind != MARKET_TYPE or budget < 0 or budget > MAX_BUDGET:
            return INVALID_BUDGET
        if quantity != 0:
            return INVALID_QUANTITY
    elif quantity < 1 or quantity > MAX_QUANTITY_LOTS:
        return INVALID_QUANTITY
    if limited and price == 0:
        return LIMIT_ORDER_MISSING_PRICE
    if price < 0 or price > MAX_PRICE_TICKS:
        return INVALID_PRICE
    if kind == MARKET_TYPE and ((tif != IOC and tif != FOK) or (budget != 0 and tif == FOK)):
        return INVALID_TIME_IN_FORCE
    if (expiry <= market.now_ms) if tif == GTD else (expiry != 0):
        return INVALID_EXPIRY
    passing = tif == IOC or tif == FOK
    if terms & POST_ONLY:
        if not limited:
            return POST_ONLY_REQUIRES_LIMIT_ORDER
        if passing:
            return POST_ONLY_REQUIRES_GTC
    if display != 0:
        if not limited or passing or display < 0 or display > quantity:
            return INVALID_DISPLAY_QUANTITY
        if (quantity + display - 1) // display > market.max_iceberg_parts:
            return TOO_MANY_ICEBERG_PARTS
    return 0


def _refused_by_trigger(market: Market, words: vec[i64], at: i64, terms: i64) -> i64:
    """Check 9."""
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    trigger = words[at + TRIGGER_PRICE]
    trail = words[at + TRAIL]
    if kind == TRAILING_TYPE:
        most: i64 = 9_999 if terms & TRAIL_BASIS_POINTS else MAX_PRICE_TICKS
        if trigger != 0 or trail < 1 or trail > most:
            return INVALID_TRIGGER
        if market.source_price(terms >> SOURCE_SHIFT & SOURCE_MASK) == 0:
            return NO_TRIGGER_PRICE
        return 0
    if trail != 0:
        return INVALID_TRIGGER
    if waits(kind):
        return INVALID_TRIGGER if trigger < 1 or trigger > MAX_PRICE_TICKS else 0
    return INVALID_TRIGGER if trigger != 0 else 0


def _refused_as_sibling(market: Market, words: vec[i64], at: i64, terms: i64) -> i64:
    """Check 10."""
    sibling_id = words[at + OCO_ORDER_ID]
    if sibling_id == 0:
        return 0
    tif = terms >> TIF_SHIFT & TIF_MASK
    if terms >> TYPE_SHIFT & TYPE_MASK == MARKET_TYPE or tif == IOC or tif == FOK:
        return INVALID_OCO
    book = market.book
    row = _free_sibling(market, words, at)
    if row == 0 or book.orders[row + DONE] != 0:
        return INVALID_OCO
    return 0 if (book.orders[row + TERMS] ^ terms) & SIDE_MASK == 0 else INVALID_OCO


def _free_sibling(market: Market, words: vec[i64], at: i64) -> i64:
    """The row of the order that the command names, if it is live, its account's and has no sibling yet; else 0."""
    book = market.book
    ident = words[at + OCO_ORDER_ID]
    if ident == 0:
        return 0
    row = book.order_ids.find(book.orders, ident)
    if row == 0:
        return 0
    account = book.account_ids.find(book.accounts, words[at + ACCOUNT_ID])
    if book.orders[row + TERMS] >> ACCOUNT_SHIFT != account:
        return 0
    extra = book.orders[row + EXTRA]
    return 0 if extra != 0 and book.extras[extra + SIBLING] != 0 else row


def _refused_by_state(market: Market, terms: i64) -> i64:
    """Check 11."""
    state = market.state
    if state == ACTIVE:
        return 0
    closed = refused_by_closed_state(state)
    if closed != 0:
        return closed
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    if state == AUCTION:
        stays = kind == LIMIT_TYPE and tif != IOC and tif != FOK
        return 0 if stays or waits(kind) else MARKET_IN_AUCTION
    return 0 if kind == LIMIT_TYPE and terms & POST_ONLY else MARKET_POST_ONLY


def refused_by_closed_state(state: i64) -> i64:
    """The reason for which a state takes neither orders nor amendments, 0 when it does."""
    if state == PAUSED:
        return MARKET_PAUSED
    if state == SETTLEMENT_ONLY:
        return MARKET_SETTLEMENT_ONLY
    return MARKET_CANCEL_ONLY if state == CANCEL_ONLY else 0


def _refused_by_market(market: Market, words: vec[i64], at: i64, terms: i64) -> i64:
    """Checks 12 to 17: what the market and the account have to say."""
    book = market.book
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    tif = terms >> TIF_SHIFT & TIF_MASK
    side = terms & SIDE_MASK
    price = words[at + PRICE]
    account = book.account_ids.find(book.accounts, words[at + ACCOUNT_ID])
    position = book.accounts[account + POSITION]  # row 0, nobody, holds nothing
    if kind == LIMIT_TYPE and band.outside(market, price):
        return PRICE_OUTSIDE_BAND
    if terms & REDUCE_ONLY and reducible(position, terms) == 0:
        return REDUCE_ONLY_WOULD_INCREASE
    stays = waits(kind) or (kind == LIMIT_TYPE and tif != IOC and tif != FOK)
    if stays and market.max_open_orders != 0 and book.accounts[account + ORDERS] >= market.max_open_orders:
        return OPEN_ORDER_LIMIT
    if kind == TRAILING_TYPE and book.trailing_count >= market.max_trailing_orders:
        return TRAILING_ORDER_LIMIT
    if position > MAX_POSITION_LOTS or position < -MAX_POSITION_LOTS:
        return POSITION_LIMIT
    side_lots = book.buy_lots if side == 1 else book.sell_lots
    if stays and side_lots + words[at + QUANTITY] > MAX_SIDE_LOTS:
        return BOOK_FULL
    takes_none = market.state == ACTIVE or market.state == POST_ONLY_STATE
    if kind == LIMIT_TYPE and terms & POST_ONLY and takes_none and would_take(market, side, price):
        return POST_ONLY_WOULD_TAKE
    return 0


def _refuse(market: Market, words: vec[i64], at: i64, order: i64, account_id: i64, reason: i64) -> None:
    """Say why; the first order of a pair goes when its second is refused."""
    market.out.rejected(SUBMIT, order, account_id, reason)
    row = _free_sibling(market, words, at)
    if row != 0:
        cancel(market, row, OCO_SIBLING)


def _enter_with_row(market: Market, words: vec[i64], at: i64, terms: i64, account: i64) -> None:
    """Enter an order that has extras, is reduce-only or does not rest: as a row first, then as a taker."""
    book = market.book
    kind = terms >> TYPE_SHIFT & TYPE_MASK
    price = words[at + PRICE]
    budget = words[at + BUDGET]
    if not waits(kind):
        terms = terms & ~(SOURCE_MASK << SOURCE_SHIFT | TRAIL_BASIS_POINTS)
    elif kind != TRAILING_TYPE:
        terms = terms & ~TRAIL_BASIS_POINTS
    if budget != 0:
        market.taker_row = 0
        market.taker_id = words[at + ORDER_ID]
        market.taker_account = account
        market.taker_terms = terms
        market.taker_open = BY_AMOUNT_LOTS
        market.taker_done = 0
        market.taker_price = price
        market.taker_limit = band.worst_price(market, terms & SIDE_MASK == 1, price)
        market.taker_budget = budget
        market.taker_group = words[at + TRADE_GROUP]
        finish(market, take(market))
        return
    quantity = words[at + QUANTITY]
    row = book.enter(words[at + ORDER_ID], account, terms, quantity)
    extra = book.extra(row)
    extras = book.extras
    display = words[at + DISPLAY]
    if display != quantity:
        extras[extra + X_DISPLAY] = display
        extras[extra + VISIBLE] = display
    extras[extra + GROUP] = words[at + TRADE_GROUP]
    extras[extra + LIMIT] = price
    _set_expiry(market, extra, terms, words[at + EXPIRE_MS])
    _pair(market, row, words[at + OCO_ORDER_ID])
    if waits(kind):
        _wait(market, words, at, terms, row)
        return
    become_taker(market, row, price)
    if market.state == ACTIVE:
        run_taker(market)
    else:
        rest(market)


def _set_expiry(market: Market, extra: i64, terms: i64, expire_ms: i64) -> None:
    tif = terms >> TIF_SHIFT & TIF_MASK
    if tif == DAY:
        expire_ms = (market.now_ms // DAY_MS + 1) * DAY_MS
    elif tif != GTD:
        return
    market.book.extras[extra + EXPIRE] = expire_ms
    market.book.start_expiry(extra)


def _pair(market: Market, row: i64, sibling_id: i64) -> None:
    if sibling_id == 0:
        return
    book = market.book
    sibling = book.order_ids.find(book.orders, sibling_id)
    other = book.extra(sibling)
    book.extras[other + SIBLING] = row
    book.extras[book.orders[row + EXTRA] + SIBLING] = sibling


def _wait(market: Market, words: vec[i64], at: i64, terms: i64, row: i64) -> None:
    """Queue a waiting order at its trigger and look at its source at once."""
    book = market.book
    extra = book.orders[row + EXTRA]
    source = terms >> SOURCE_SHIFT & SOURCE_MASK
    price = market.source_price(source)
    book.extras[extra + SOURCE] = source
    trigger = words[at + TRIGGER_PRICE]
    trail = words[at + TRAIL]
    if trail != 0:
        trigger = trailing_trigger(terms, price, trail)
        book.extras[extra + X_TRAIL] = trail
        book.extras[extra + MARK] = price
        book.start_trailing(extra)
    book.extras[extra + TRIGGER] = trigger
    arm(market, row)
    if market.state == ACTIVE:
        look(market, source, price)
