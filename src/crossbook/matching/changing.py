"""Cancel, cancel-all, reduce and amend. docs/matching.md, section 4."""

from typing import Final

from crossbook.domain.orders import (
    MAX_ID,
    MAX_POSITION_LOTS,
    MAX_PRICE_TICKS,
    MAX_QUANTITY_LOTS,
    MAX_SIDE_LOTS,
    MAX_TIME_MS,
)
from crossbook.matching import band
from crossbook.matching.book import (
    ACCOUNT_NEXT,
    ACCOUNT_SHIFT,
    ACCOUNT_WORDS,
    ASKS,
    DISPLAY,
    DONE,
    EXTRA,
    FIRST,
    ID,
    LADDER,
    LEVEL,
    LIMIT,
    OPEN,
    POSITION,
    SOURCE,
    TERMS,
    TOTAL,
    TRAIL,
    TRIGGER,
    VISIBLE,
)
from crossbook.matching.columns import i64, vec
from crossbook.matching.ending import AMENDED_BELOW_FILLED, OPERATOR_REQUEST, USER_REQUEST, cancel
from crossbook.matching.entry import (
    BOOK_FULL,
    INVALID_PRICE,
    INVALID_QUANTITY,
    INVALID_TRIGGER,
    MALFORMED_COMMAND,
    MARKET_POST_ONLY,
    POSITION_LIMIT,
    TOO_MANY_ICEBERG_PARTS,
    refused_by_closed_state,
)
from crossbook.matching.layout import (
    ACCOUNT_ID,
    AMEND,
    CANCEL,
    CANCEL_ALL,
    ORDER_ID,
    ORDERS_CANCELLED,
    POST_ONLY,
    PRICE,
    QUANTITY,
    REDUCE,
    SIDE_MASK,
    TERMS_SHIFT,
    TIME_MS,
    TRIGGER_PRICE,
)
from crossbook.matching.market import ACTIVE, POST_ONLY_STATE, Market
from crossbook.matching.reducing import take_off
from crossbook.matching.taking import finish, rest, take, would_take
from crossbook.matching.triggers import POST_ONLY_WOULD_TAKE, PRICE_OUTSIDE_BAND, arm, become_taker, look

ORDER_NOT_FOUND: Final = 301
USER_MISMATCH: Final = 302


def cancel_order(market: Market, words: vec[i64], at: i64) -> None:
    """CancelOrder."""
    row = _owned(market, words, at, CANCEL, 0)
    if row != 0:
        by_operator = words[at + ACCOUNT_ID] == 0
        cancel(market, row, OPERATOR_REQUEST if by_operator else USER_REQUEST)


def reduce_order(market: Market, words: vec[i64], at: i64) -> None:
    """ReduceOrder."""
    row = _owned(market, words, at, REDUCE, 0)
    if row == 0:
        return
    account = words[at + ACCOUNT_ID]
    quantity = words[at + QUANTITY]
    reason: i64 = OPERATOR_REQUEST if account == 0 else USER_REQUEST
    if quantity < 1 or quantity > MAX_QUANTITY_LOTS:
        market.out.rejected(REDUCE, market.book.orders[row + ID], account, INVALID_QUANTITY)
    elif quantity >= market.book.orders[row + OPEN]:
        cancel(market, row, reason)
    else:
        take_off(market, row, quantity, reason)


def _owned(market: Market, words: vec[i64], at: i64, command: i64, least_account: i64) -> i64:
    """The row of the live order that a command names and may touch; 0, and a rejection, if there is none."""
    book = market.book
    order = words[at + ORDER_ID]
    account = words[at + ACCOUNT_ID]
    time_ms = words[at + TIME_MS]
    if (
        order < 1
        or order > MAX_ID
        or account < least_account
        or account > MAX_ID
        or time_ms < 0
        or time_ms > MAX_TIME_MS
    ):
        market.out.rejected(command, order, account, MALFORMED_COMMAND)
        return 0
    market.advance(time_ms)
    row = book.order_ids.find(book.orders, order)
    if row == 0:
        market.out.rejected(command, order, account, ORDER_NOT_FOUND)
        return 0
    if account != 0 and book.accounts[(book.orders[row + TERMS] >> ACCOUNT_SHIFT) + ID] != account:
        market.out.rejected(command, order, account, USER_MISMATCH)
        return 0
    return row


def cancel_all(market: Market, words: vec[i64], at: i64, head: i64) -> None:
    """CancelAll; side 0 in the head means both."""
    side = head >> TERMS_SHIFT & SIDE_MASK
    ident = words[at + ACCOUNT_ID]
    time_ms = words[at + TIME_MS]
    if side == 3 or ident < 0 or ident > MAX_ID or time_ms < 0 or time_ms > MAX_TIME_MS:
        market.out.rejected(CANCEL_ALL, 0, ident, MALFORMED_COMMAND)
        return
    market.advance(time_ms)
    book = market.book
    ended: i64 = 0
    if ident == 0:
        ended = cancel_everything(market, side, OPERATOR_REQUEST)
    else:
        account = book.account_ids.find(book.accounts, ident)
        if account != 0:
            ended = _cancel_account(market, account, side, USER_REQUEST)
    market.out.event(ORDERS_CANCELLED, ident, ended, 0, 0, 0, 0, 0, 0, 0)


def cancel_everything(market: Market, side: i64, reason: i64) -> i64:
    """Cancel the orders of all accounts, in the order in which the market first saw them; gives how many ended."""
    ended: i64 = 0
    account: i64 = ACCOUNT_WORDS
    while account < len(market.book.accounts):
        ended += _cancel_account(market, account, side, reason)
        account += ACCOUNT_WORDS
    return ended


def _cancel_account(market: Market, account: i64, side: i64, reason: i64) -> i64:
    """Cancel an account's orders of a side (0 for both), in order of acceptance."""
    book = market.book
    ended: i64 = 0
    row = book.accounts[account + FIRST]
    while row != 0:
        following = book.orders[row + ACCOUNT_NEXT]
        if side == 0 or book.orders[row + TERMS] & SIDE_MASK == side:
            ended += cancel(market, row, reason)
            if following != 0 and book.orders[following + ID] == 0:
                following = book.accounts[account + FIRST]  # it went too, as a sibling: look again
        row = following
    return ended


def amend(market: Market, words: vec[i64], at: i64) -> None:
    """AmendOrder."""
    row = _owned(market, words, at, AMEND, 1)
    if row == 0:
        return
    book = market.book
    quantity = words[at + QUANTITY]
    price = words[at + PRICE]
    trigger = words[at + TRIGGER_PRICE]
    reason = _amend_refusal(market, row, quantity, price, trigger)
    if reason == 0 and quantity != 0 and quantity <= book.orders[row + DONE]:
        cancel(market, row, AMENDED_BELOW_FILLED)
        return
    left = quantity - book.orders[row + DONE] if quantity != 0 else book.orders[row + OPEN]
    if reason == 0:
        reason = _larger_refusal(market, row, left)
    waiting = _waiting(market, row)
    new_price = price if price != 0 else book.price(row)
    keeps = not waiting and new_price == book.price(row) and left <= book.orders[row + OPEN]
    if reason == 0 and not waiting and not keeps:
        reason = _reentry_refusal(market, row, new_price)
    if reason != 0:
        market.out.rejected(AMEND, book.orders[row + ID], words[at + ACCOUNT_ID], reason)
    elif waiting:
        _amend_waiting(market, row, left, new_price, trigger)
    elif keeps:
        _amend_in_place(market, row, left)
    else:
        _amend_anew(market, row, left, new_price)


def _waiting(market: Market, row: i64) -> bool:
    book = market.book
    return book.levels[book.orders[row + LEVEL] + LADDER] > ASKS


def _amend_refusal(market: Market, row: i64, quantity: i64, price: i64, trigger: i64) -> i64:
    """Why an amendment is refused for what it says itself, or for the market's state."""
    book = market.book
    if quantity < 0 or quantity > MAX_QUANTITY_LOTS:
        return INVALID_QUANTITY
    if price < 0 or price > MAX_PRICE_TICKS:
        return INVALID_PRICE
    if trigger != 0:
        if trigger < 0 or trigger > MAX_PRICE_TICKS or not _waiting(market, row):
            return INVALID_TRIGGER
        if book.extras[book.orders[row + EXTRA] + TRAIL] != 0:
            return INVALID_TRIGGER
    return refused_by_closed_state(market.state)


def _larger_refusal(market: Market, row: i64, left: i64) -> i64:
    """Why an order may not grow to `left` open lots."""
    book = market.book
    growth = left - book.orders[row + OPEN]
    if growth <= 0:
        return 0
    extra = book.orders[row + EXTRA]
    display = book.extras[extra + DISPLAY]  # row 0, nobody, shows 0
    if display != 0 and (left + display - 1) // display > market.max_iceberg_parts:
        return TOO_MANY_ICEBERG_PARTS
    terms = book.orders[row + TERMS]
    position = book.accounts[(terms >> ACCOUNT_SHIFT) + POSITION]
    if position > MAX_POSITION_LOTS or position < -MAX_POSITION_LOTS:
        return POSITION_LIMIT
    side_lots = book.buy_lots if terms & SIDE_MASK == 1 else book.sell_lots
    return BOOK_FULL if side_lots + growth > MAX_SIDE_LOTS else 0


def _reentry_refusal(market: Market, row: i64, price: i64) -> i64:
    """Why a resting order may not enter anew at `price`."""
    book = market.book
    terms = book.orders[row + TERMS]
    if price != book.price(row) and band.outside(market, price):
        return PRICE_OUTSIDE_BAND
    if market.state != ACTIVE and market.state != POST_ONLY_STATE:
        return 0
    if not would_take(market, terms & SIDE_MASK, price):
        return 0
    if terms & POST_ONLY:
        return POST_ONLY_WOULD_TAKE
    return MARKET_POST_ONLY if market.state == POST_ONLY_STATE else 0


def _set_open(market: Market, row: i64, left: i64) -> None:
    book = market.book
    book.count_open(book.orders[row + TERMS], left - book.orders[row + OPEN])
    book.orders[row + OPEN] = left


def _amend_waiting(market: Market, row: i64, left: i64, price: i64, trigger: i64) -> None:
    book = market.book
    extra = book.orders[row + EXTRA]
    _set_open(market, row, left)
    book.extras[extra + LIMIT] = price
    display = book.extras[extra + DISPLAY]
    if display != 0:
        book.extras[extra + VISIBLE] = display if display < left else left
    moves = trigger != 0 and trigger != book.extras[extra + TRIGGER]
    if moves:
        book.leave(row, 0)
        book.extras[extra + TRIGGER] = trigger
        arm(market, row)
    _say_amended(market, row, price, 0 if moves else 1)
    source = book.extras[extra + SOURCE]
    if moves and market.state == ACTIVE:
        look(market, source, market.source_price(source))


def _amend_in_place(market: Market, row: i64, left: i64) -> None:
    book = market.book
    shown = book.visible(row)
    remains = shown if shown < left else left
    level = book.orders[row + LEVEL]
    book.levels[level + TOTAL] = book.levels[level + TOTAL] - (shown - remains)
    extra = book.orders[row + EXTRA]
    if extra != 0 and book.extras[extra + DISPLAY] != 0:
        book.extras[extra + VISIBLE] = remains
    _set_open(market, row, left)
    _say_amended(market, row, book.price(row), 1)


def _amend_anew(market: Market, row: i64, left: i64, price: i64) -> None:
    """Take a resting order out of the book and let it enter again, row and all."""
    book = market.book
    book.leave(row, book.visible(row))
    _set_open(market, row, left)
    extra = book.orders[row + EXTRA]
    if extra != 0:
        book.extras[extra + LIMIT] = price
        display = book.extras[extra + DISPLAY]
        if display != 0:
            book.extras[extra + VISIBLE] = display if display < left else left
    _say_amended(market, row, price, 0)
    become_taker(market, row, price)
    if market.state == ACTIVE and would_take(market, market.taker_terms & SIDE_MASK, price):
        finish(market, take(market))
    else:
        rest(market)


def _say_amended(market: Market, row: i64, price: i64, kept: i64) -> None:
    book = market.book
    orders = book.orders
    terms = orders[row + TERMS]
    extra = orders[row + EXTRA]
    market.out.amended(
        orders[row + ID],
        book.accounts[(terms >> ACCOUNT_SHIFT) + ID],
        terms & SIDE_MASK,
        price,
        orders[row + OPEN],
        book.visible(row),
        book.extras[extra + TRIGGER],  # row 0, nobody, has none
        kept,
    )
