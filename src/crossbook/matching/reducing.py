"""Reduce-only orders: what they may trade, and their upkeep when positions change. docs/matching.md, section 3."""

from crossbook.matching.book import (
    ACCOUNT_NEXT,
    ACCOUNT_SHIFT,
    ASKS,
    DISPLAY,
    EXTRA,
    FIRST,
    ID,
    LADDER,
    LEVEL,
    OPEN,
    POSITION,
    REDUCERS,
    TERMS,
    TOTAL,
    TOUCHED,
    VISIBLE,
    zeros,
)
from crossbook.matching.columns import append, i64, vec
from crossbook.matching.ending import REDUCE_ONLY_ENDED, cancel
from crossbook.matching.layout import REDUCE_ONLY, SIDE_MASK
from crossbook.matching.market import Market


def reducible(position: i64, terms: i64) -> i64:
    """The lots by which an order with these terms can reduce the position: 0 when it would not."""
    if terms & SIDE_MASK == 1:
        return -position if position < 0 else 0
    return position if position > 0 else 0


def take_off(market: Market, row: i64, quantity: i64, reason: i64) -> None:
    """Take `quantity`, less than what is open, off an order; it keeps its place. Hidden part first."""
    book = market.book
    orders = book.orders
    left = orders[row + OPEN] - quantity
    level = orders[row + LEVEL]
    extra = orders[row + EXTRA]
    shown = book.visible(row)
    remains = shown if shown < left else left
    terms = orders[row + TERMS]
    if book.levels[level + LADDER] <= ASKS:
        book.levels[level + TOTAL] = book.levels[level + TOTAL] - (shown - remains)
    if extra != 0 and book.extras[extra + DISPLAY] != 0:
        book.extras[extra + VISIBLE] = remains
    orders[row + OPEN] = left
    book.count_open(terms, -quantity)
    account = book.accounts[(terms >> ACCOUNT_SHIFT) + ID]
    market.out.reduced(orders[row + ID], account, terms & SIDE_MASK, book.price(row), quantity, left, remains, reason)


def upkeep(market: Market) -> None:
    """Bring the reduce-only orders of every noted account in line with its position."""
    accounts = market.book.accounts
    at: i64 = 0
    while at < market.touched_count:
        account = market.touched[at]
        accounts[account + TOUCHED] = 0
        if accounts[account + REDUCERS] != 0:
            _cancel_stale(market, account)
            _cap_resting(market, account)
        at += 1
    market.touched_count = 0


def _cancel_stale(market: Market, account: i64) -> None:
    """Cancel the account's reduce-only orders, resting or waiting, that could not reduce."""
    book = market.book
    position = book.accounts[account + POSITION]
    row = book.accounts[account + FIRST]
    while row != 0:
        terms = book.orders[row + TERMS]
        if terms & REDUCE_ONLY and reducible(position, terms) == 0:
            following = book.orders[row + ACCOUNT_NEXT]
            cancel(market, row, REDUCE_ONLY_ENDED)
            if following != 0 and book.orders[following + ID] == 0:
                following = book.accounts[account + FIRST]  # it went too, as a sibling: look again
            row = following
        else:
            row = book.orders[row + ACCOUNT_NEXT]


def _cap_resting(market: Market, account: i64) -> None:
    """Trim the account's resting reduce-only orders to its position, best price first."""
    book = market.book
    orders = book.orders
    position = book.accounts[account + POSITION]
    left = position if position >= 0 else -position
    ranked = _resting_reducers(market, account)
    for row in ranked:
        if orders[row + ID] == 0:  # ended meanwhile, as the sibling of one before it
            continue
        if left == 0:
            cancel(market, row, REDUCE_ONLY_ENDED)
        elif orders[row + OPEN] > left:
            take_off(market, row, orders[row + OPEN] - left, REDUCE_ONLY_ENDED)
            left = 0
        else:
            left -= orders[row + OPEN]


def _resting_reducers(market: Market, account: i64) -> vec[i64]:
    """Rows of the account's resting reduce-only orders, best price first, then in order of acceptance."""
    book = market.book
    orders = book.orders
    ranked = zeros(0)
    row = book.accounts[account + FIRST]
    while row != 0:
        terms = orders[row + TERMS]
        level = orders[row + LEVEL]
        if terms & REDUCE_ONLY and level != 0 and book.levels[level + LADDER] <= ASKS:
            ranked = append(ranked, row)
            buying = terms & SIDE_MASK == 1
            at: i64 = i64(len(ranked)) - 1
            price = book.price(row)
            while at > 0:
                before = book.price(ranked[at - 1])
                if (before >= price) if buying else (before <= price):
                    break
                ranked[at] = ranked[at - 1]
                at -= 1
            ranked[at] = row
        row = orders[row + ACCOUNT_NEXT]
    return ranked
