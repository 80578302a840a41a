"""One order takes from the book: the matching loop. docs/matching.md, section 3.

The taker stands in the `taker_*` fields of the market. `take` trades and says why it stopped;
`finish` lets the remainder rest or ends it.
"""

from typing import Final

from crossbook.matching.book import (
    ACCOUNT_SHIFT,
    ASKS,
    BIDS,
    DISPLAY,
    DONE,
    EXTRA,
    GROUP,
    HEAD,
    ID,
    LEVEL,
    LEVEL_PRICE,
    OPEN,
    POSITION,
    REDUCERS,
    TERMS,
    TOTAL,
    VISIBLE,
)
from crossbook.matching.columns import i64
from crossbook.matching.ending import (
    BUDGET_SPENT,
    IOC_UNFILLED,
    MARKET_LIQUIDITY_EXHAUSTED,
    OCO_SIBLING,
    PROTECTION_PRICE,
    REDUCE_ONLY_ENDED,
    SELF_TRADE_PREVENTION,
    cancel,
    cancel_sibling,
    expire,
    sibling_of,
)
from crossbook.matching.layout import (
    EVENT_SIDE_SHIFT,
    EVENT_SMALL_SHIFT,
    PREVENTED,
    REDUCE_ONLY,
    RESTED,
    SIDE_MASK,
    STP_MASK,
    STP_SHIFT,
    TIF_MASK,
    TIF_SHIFT,
    TRADE,
    TYPE_MASK,
    TYPE_SHIFT,
)
from crossbook.matching.market import Market
from crossbook.matching.reducing import reducible

# Why a taker stopped.
DONE_TAKING: Final = 0  # nothing is open
NO_LIQUIDITY: Final = 1
BEYOND_LIMIT: Final = 2
SELF_TRADE: Final = 3
NOT_REDUCING: Final = 4
BUDGET_STOP: Final = 5
DECREMENTED: Final = 6  # nothing is open, the last of it taken by self-trade prevention

# Self-trade prevention modes, as numbered in domain.orders.SelfTradePrevention.
STP_NONE: Final = 1
EXPIRE_TAKER: Final = 2
EXPIRE_MAKER: Final = 3
EXPIRE_BOTH: Final = 4
DECREMENT: Final = 5

LIMIT_TYPE: Final = 1
IOC: Final = 2


def take(market: Market) -> i64:
    """Trade the taker against the book as far as it goes; gives why it stopped."""
    book = market.book
    orders = book.orders
    levels = book.levels
    accounts = book.accounts
    extras = book.extras
    terms = market.taker_terms
    account = market.taker_account
    limit = market.taker_limit
    side = terms & SIDE_MASK
    buying = side == 1
    ladder = book.asks if buying else book.bids
    mode = terms >> STP_SHIFT & STP_MASK
    while market.taker_open > 0:
        level = ladder.best
        if market.taker_budget == 0:
            return BUDGET_STOP
        if level == 0:
            return NO_LIQUIDITY
        price = levels[level + LEVEL_PRICE]
        if (price > limit) if buying else (price < limit):
            return BEYOND_LIMIT
        maker = levels[level + HEAD]
        extra = orders[maker + EXTRA]
        iceberg = extra != 0 and extras[extra + DISPLAY] != 0
        quantity = extras[extra + VISIBLE] if iceberg else orders[maker + OPEN]
        if market.taker_open < quantity:
            quantity = market.taker_open
        if market.taker_budget >= 0:
            affordable = market.taker_budget // price
            if affordable == 0:
                return BUDGET_STOP
            if affordable < quantity:
                quantity = affordable

        taker_may: i64 = quantity
        if terms & REDUCE_ONLY:
            taker_may = reducible(accounts[account + POSITION], terms)
            if taker_may == 0:
                return NOT_REDUCING
        maker_terms = orders[maker + TERMS]
        maker_account = maker_terms >> ACCOUNT_SHIFT
        if mode != STP_NONE and (maker_account == account or _same_group(market, extra)):
            stop = _keep_apart(market, maker, price, quantity, mode)
            if stop >= 0:
                return stop
            continue
        if taker_may < quantity:
            quantity = taker_may
        if maker_terms & REDUCE_ONLY:
            maker_may = reducible(accounts[maker_account + POSITION], maker_terms)
            if maker_may == 0:
                cancel(market, maker, REDUCE_ONLY_ENDED)
                continue
            if maker_may < quantity:
                quantity = maker_may

        left = orders[maker + OPEN] - quantity
        orders[maker + OPEN] = left
        orders[maker + DONE] = orders[maker + DONE] + quantity
        levels[level + TOTAL] = levels[level + TOTAL] - quantity
        taker_shows: i64 = -1
        if market.taker_budget >= 0:
            market.taker_budget -= quantity * price
        else:
            market.taker_open -= quantity
            taker_shows = market.taker_open
        market.taker_done += quantity
        if buying:
            book.sell_lots -= quantity
            accounts[maker_account + POSITION] = accounts[maker_account + POSITION] - quantity
            accounts[account + POSITION] = accounts[account + POSITION] + quantity
        else:
            book.buy_lots -= quantity
            accounts[maker_account + POSITION] = accounts[maker_account + POSITION] + quantity
            accounts[account + POSITION] = accounts[account + POSITION] - quantity
        if accounts[maker_account + REDUCERS] != 0:
            market.touch(maker_account)
        if accounts[account + REDUCERS] != 0:
            market.touch(account)
        if market.first_trade_price == 0:
            market.first_trade_price = price
        market.last_price = price
        market.trades += 1
        market.out.event(
            TRADE | side << EVENT_SIDE_SHIFT,
            market.trades,
            price,
            quantity,
            orders[maker + ID],
            accounts[maker_account + ID],
            left,
            market.taker_id,
            accounts[account + ID],
            taker_shows,
        )
        if extra != 0:
            if iceberg:
                extras[extra + VISIBLE] = extras[extra + VISIBLE] - quantity
            cancel_sibling(market, maker)
        if market.taker_row != 0:
            cancel_sibling(market, market.taker_row)
        if left == 0:
            book.forget(maker)
        elif iceberg and extras[extra + VISIBLE] == 0:
            replenish(market, maker)
    return DONE_TAKING


def replenish(market: Market, row: i64) -> None:
    """Show the next part of an iceberg, at the end of its level."""
    book = market.book
    orders = book.orders
    left = orders[row + OPEN]
    display = book.extras[orders[row + EXTRA] + DISPLAY]
    shown = display if display < left else left
    book.requeue(row, shown)
    terms = orders[row + TERMS]
    account = book.accounts[(terms >> ACCOUNT_SHIFT) + ID]
    market.out.replenished(orders[row + ID], account, terms & SIDE_MASK, book.price(row), left, shown)


def _same_group(market: Market, extra: i64) -> bool:
    group = market.taker_group
    return group != 0 and extra != 0 and market.book.extras[extra + GROUP] == group


def _keep_apart(market: Market, maker: i64, price: i64, quantity: i64, mode: i64) -> i64:
    """Self-trade prevention between taker and maker; gives why the taker stops, -1 to go on.

    `quantity` is what the two could have traded: what DECREMENT takes off both.
    """
    book = market.book
    orders = book.orders
    extra = orders[maker + EXTRA]
    iceberg = extra != 0 and book.extras[extra + DISPLAY] != 0
    taken = quantity if mode == DECREMENT else 0
    if taken != 0:
        orders[maker + OPEN] = orders[maker + OPEN] - taken
        orders[maker + DONE] = orders[maker + DONE] + taken
        level = orders[maker + LEVEL]
        book.levels[level + TOTAL] = book.levels[level + TOTAL] - taken
        book.count_open(orders[maker + TERMS], -taken)
        if iceberg:
            book.extras[extra + VISIBLE] = book.extras[extra + VISIBLE] - taken
        if market.taker_budget >= 0:
            market.taker_budget -= taken * price
        else:
            market.taker_open -= taken
        market.taker_done += taken
    side = market.taker_terms & SIDE_MASK
    market.out.event(
        PREVENTED | side << EVENT_SIDE_SHIFT | mode << EVENT_SMALL_SHIFT,
        price,
        taken,
        orders[maker + ID],
        book.accounts[(orders[maker + TERMS] >> ACCOUNT_SHIFT) + ID],
        orders[maker + OPEN],
        market.taker_id,
        book.accounts[market.taker_account + ID],
        -1 if market.taker_budget >= 0 else market.taker_open,
        0,
    )
    if mode == EXPIRE_TAKER:
        return SELF_TRADE
    if mode == DECREMENT:
        if orders[maker + OPEN] == 0:
            expire(market, maker, SELF_TRADE_PREVENTION)
        elif iceberg and book.extras[extra + VISIBLE] == 0:
            replenish(market, maker)
        return DECREMENTED if market.taker_open == 0 else -1
    expire(market, maker, SELF_TRADE_PREVENTION)
    return SELF_TRADE if mode == EXPIRE_BOTH else -1


def finish(market: Market, stop: i64) -> None:
    """End the taker, or let what is left of it rest, by why it stopped."""
    terms = market.taker_terms
    if stop == DONE_TAKING:
        row = market.taker_row
        if row != 0:
            _store(market)
            market.book.forget(row)
    elif stop == SELF_TRADE or stop == DECREMENTED:
        end_taker(market, SELF_TRADE_PREVENTION, False)
    elif stop == NOT_REDUCING:
        end_taker(market, REDUCE_ONLY_ENDED, True)
    elif stop == BUDGET_STOP:
        end_taker(market, BUDGET_SPENT, False)
    elif terms >> TYPE_SHIFT & TYPE_MASK != LIMIT_TYPE:
        end_taker(market, PROTECTION_PRICE if stop == BEYOND_LIMIT else MARKET_LIQUIDITY_EXHAUSTED, False)
    elif terms >> TIF_SHIFT & TIF_MASK == IOC:
        end_taker(market, IOC_UNFILLED, False)
    else:
        rest(market)


def end_taker(market: Market, reason: i64, cancelled: bool) -> None:
    """End the taker with what is open: OrderCancelled or OrderExpired, then its sibling."""
    out = market.out
    account = market.book.accounts[market.taker_account + ID]
    side = market.taker_terms & SIDE_MASK
    by_amount = market.taker_budget >= 0
    left = 0 if by_amount else market.taker_open
    if cancelled:
        out.cancelled(market.taker_id, account, side, market.taker_price, left, reason)
    else:
        unspent = market.taker_budget if by_amount else 0
        out.expired(market.taker_id, account, side, market.taker_price, left, reason, unspent)
    row = market.taker_row
    if row != 0:
        _store(market)
        sibling = sibling_of(market, row)
        market.book.forget(row)
        if sibling != 0:
            cancel(market, sibling, OCO_SIBLING)


def rest(market: Market) -> None:
    """Put what is left of the taker at the end of the queue at its limit price."""
    book = market.book
    terms = market.taker_terms
    row = market.taker_row
    if row == 0:
        row = book.enter(market.taker_id, market.taker_account, terms, market.taker_open)
        book.orders[row + DONE] = market.taker_done
    else:
        _store(market)
    side = terms & SIDE_MASK
    shown = market.taker_open
    extra = book.orders[row + EXTRA]
    if extra != 0:
        display = book.extras[extra + DISPLAY]
        if display != 0:
            if display < shown:
                shown = display
            book.extras[extra + VISIBLE] = shown
    price = market.taker_price
    level = book.level_at(BIDS if side == 1 else ASKS, price)
    book.join(row, level, shown)
    account_id = book.accounts[market.taker_account + ID]
    rested = RESTED | side << EVENT_SIDE_SHIFT
    market.out.event(rested, market.taker_id, account_id, price, market.taker_open, shown, 0, 0, 0, 0)
    if terms & REDUCE_ONLY:
        market.touch(market.taker_account)


def _store(market: Market) -> None:
    """Write what the taker has open and done back to its row."""
    book = market.book
    orders = book.orders
    row = market.taker_row
    book.count_open(orders[row + TERMS], market.taker_open - orders[row + OPEN])
    orders[row + OPEN] = market.taker_open
    orders[row + DONE] = market.taker_done


def would_take(market: Market, side: i64, price: i64) -> bool:
    """Whether an order of `side` at `price` crosses the best opposite price."""
    book = market.book
    if side == 1:
        level = book.asks.best
        return level != 0 and book.levels[level + LEVEL_PRICE] <= price
    level = book.bids.best
    return level != 0 and book.levels[level + LEVEL_PRICE] >= price
