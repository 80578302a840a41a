"""Fill-or-kill is tried dry first: could the whole quantity trade? docs/matching.md, section 3.

The walk follows the rules of `taking.take` without changing anything a reader could see. What it must
remember (positions moved, siblings gone, parts of icebergs used up) lives in scratch words that it
clears behind itself.
"""

from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    DISPLAY,
    DRY_CHANGE,
    DRY_TAKEN,
    EXTRA,
    GROUP,
    HEAD,
    LEVEL_PRICE,
    NEXT,
    OPEN,
    POSITION,
    SIBLING,
    SKIPPED,
    TERMS,
    zeros,
)
from crossbook.matching.columns import append, i64
from crossbook.matching.ladder import BLOCK
from crossbook.matching.layout import REDUCE_ONLY, SIDE_MASK, STP_MASK, STP_SHIFT
from crossbook.matching.market import Market
from crossbook.matching.reducing import reducible
from crossbook.matching.taking import EXPIRE_MAKER, STP_NONE


def can_fill(market: Market) -> bool:
    """Whether the taker's whole quantity would trade now."""
    book = market.book
    ladder = book.asks if market.taker_terms & SIDE_MASK == 1 else book.bids
    needed = market.taker_open
    place = ladder.count - 1
    while place >= 0 and needed > 0:
        block = ladder.blocks[place]
        slot = block * BLOCK + ladder.used[block] - 1
        while slot >= block * BLOCK and needed > 0:
            needed = _level(market, ladder.rows[slot], needed)
            slot -= 1
        place -= 1
    _clear(market)
    return needed == 0


def _level(market: Market, level: i64, needed: i64) -> i64:
    """What is still needed after trading dry through one level; -1 when the taker stops there."""
    book = market.book
    price = book.levels[level + LEVEL_PRICE]
    if market.taker_terms & SIDE_MASK == 1:
        if price > market.taker_limit:
            return -1
    elif price < market.taker_limit:
        return -1
    first_round = True
    again = True
    while again and needed > 0:  # icebergs come round again, each time in the order of the time before
        again = False
        row = book.levels[level + HEAD]
        while row != 0 and needed > 0:
            extra = book.orders[row + EXTRA]
            iceberg = extra != 0 and book.extras[extra + DISPLAY] != 0
            if first_round or iceberg:
                needed = _maker(market, row, needed)
                if needed > 0 and iceberg and _left(market, row) > 0:
                    again = True
            row = book.orders[row + NEXT]
        first_round = False
    return needed


def _left(market: Market, row: i64) -> i64:
    """The lots that the dry run has left of an order; 0 when it has cancelled it."""
    book = market.book
    extra = book.orders[row + EXTRA]
    if extra == 0:
        return book.orders[row + OPEN]
    if book.extras[extra + SKIPPED] != 0:
        return 0
    return book.orders[row + OPEN] - book.extras[extra + DRY_TAKEN]


def _shown(market: Market, row: i64) -> i64:
    """The lots of an order that the taker meets at one visit."""
    book = market.book
    left = _left(market, row)
    extra = book.orders[row + EXTRA]
    if extra == 0 or book.extras[extra + DISPLAY] == 0:
        return left
    shown = book.extras[extra + DISPLAY] if book.extras[extra + DRY_TAKEN] != 0 else book.visible(row)
    return shown if shown < left else left


def _maker(market: Market, row: i64, needed: i64) -> i64:
    """What is still needed after meeting one resting order; -1 when the taker stops at it."""
    book = market.book
    taker_terms = market.taker_terms
    terms = book.orders[row + TERMS]
    extra = book.orders[row + EXTRA]
    shown = _shown(market, row)
    while shown > 0 and needed > 0:
        quantity = shown if shown < needed else needed
        if taker_terms & REDUCE_ONLY:
            taker_may = reducible(_position(market, market.taker_account), taker_terms)
            if taker_may == 0:
                return -1
            if taker_may < quantity:
                quantity = taker_may
        if _is_self_trade(market, terms, extra):
            if taker_terms >> STP_SHIFT & STP_MASK != EXPIRE_MAKER:
                return -1
            _gone(market, row)
            return needed
        if terms & REDUCE_ONLY:
            maker_may = reducible(_position(market, terms >> ACCOUNT_SHIFT), terms)
            if maker_may == 0:
                _gone(market, row)
                return needed
            if maker_may < quantity:
                quantity = maker_may
        _trade(market, row, quantity)
        shown -= quantity
        needed -= quantity
    return needed


def _is_self_trade(market: Market, maker_terms: i64, extra: i64) -> bool:
    """Whether self-trade prevention stands between the taker and a maker."""
    if market.taker_terms >> STP_SHIFT & STP_MASK == STP_NONE:
        return False
    group = market.taker_group
    if group != 0 and extra != 0 and market.book.extras[extra + GROUP] == group:
        return True
    return maker_terms >> ACCOUNT_SHIFT == market.taker_account


def _trade(market: Market, row: i64, quantity: i64) -> None:
    """Note a dry trade: positions, what is taken, siblings gone."""
    book = market.book
    terms = book.orders[row + TERMS]
    signed = quantity if market.taker_terms & SIDE_MASK == 1 else -quantity
    _move(market, market.taker_account, signed)
    _move(market, terms >> ACCOUNT_SHIFT, -signed)
    extra = book.orders[row + EXTRA]
    if extra != 0:
        market.dry_extras = append(market.dry_extras, extra)
        book.extras[extra + DRY_TAKEN] = book.extras[extra + DRY_TAKEN] + quantity
        _skip_sibling(market, extra)


def _gone(market: Market, row: i64) -> None:
    """Note that an order would be cancelled on the way, and its sibling with it."""
    extra = market.book.orders[row + EXTRA]
    if extra != 0:
        market.dry_extras = append(market.dry_extras, extra)
        market.book.extras[extra + SKIPPED] = 1
        _skip_sibling(market, extra)


def _skip_sibling(market: Market, extra: i64) -> None:
    book = market.book
    sibling = book.extras[extra + SIBLING]
    if sibling != 0:
        other = book.orders[sibling + EXTRA]
        market.dry_extras = append(market.dry_extras, other)
        book.extras[other + SKIPPED] = 1


def _position(market: Market, account: i64) -> i64:
    accounts = market.book.accounts
    return accounts[account + POSITION] + accounts[account + DRY_CHANGE]


def _move(market: Market, account: i64, change: i64) -> None:
    market.dry_accounts = append(market.dry_accounts, account)
    accounts = market.book.accounts
    accounts[account + DRY_CHANGE] = accounts[account + DRY_CHANGE] + change


def _clear(market: Market) -> None:
    book = market.book
    for account in market.dry_accounts:
        book.accounts[account + DRY_CHANGE] = 0
    for extra in market.dry_extras:
        book.extras[extra + SKIPPED] = 0
        book.extras[extra + DRY_TAKEN] = 0
    market.dry_accounts = zeros(0)
    market.dry_extras = zeros(0)
