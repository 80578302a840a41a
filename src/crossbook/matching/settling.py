"""Commands about positions, not orders: funding, forced trades, final settlement. docs/matching.md, section 5."""

from typing import Final

from crossbook.domain.orders import MAX_PRICE_TICKS, MAX_QUANTITY_LOTS
from crossbook.matching.book import ACCOUNT_WORDS, POSITION, REDUCERS
from crossbook.matching.columns import i64, vec
from crossbook.matching.entry import INVALID_PRICE, INVALID_QUANTITY
from crossbook.matching.layout import (
    ACCOUNT_ID,
    FORCE_TRADE,
    FORCED_TRADE,
    FUNDING_APPLIED,
    INDEX_PRICE,
    PERIOD_START_MS,
    POSITION_SET,
    POSITIONS_SETTLED,
    PRICE,
    QUANTITY,
    RATE_PPB,
    SELLER_ACCOUNT_ID,
    SETTLE_POSITIONS,
)
from crossbook.matching.layout import POSITION as POSITION_WORD
from crossbook.matching.market import SETTLEMENT_ONLY, Market
from crossbook.matching.triggers import work_off

NOTHING_TO_REDUCE: Final = 340
MARKET_NOT_SETTLING: Final = 341


def set_position(market: Market, words: vec[i64], at: i64) -> None:
    """SetPosition."""
    book = market.book
    account_id = words[at + ACCOUNT_ID]
    position = words[at + POSITION_WORD]
    account = book.account(account_id)
    changed = book.accounts[account + POSITION] != position
    book.accounts[account + POSITION] = position
    market.out.event(POSITION_SET, account_id, position, 0, 0, 0, 0, 0, 0, 0)
    if changed and book.accounts[account + REDUCERS] != 0:
        market.touch(account)
    work_off(market)


def apply_funding(market: Market, words: vec[i64], at: i64) -> None:
    """ApplyFunding: the event is all; who holds what at this place of the log is for settlement to pay."""
    period = words[at + PERIOD_START_MS]
    market.out.event(FUNDING_APPLIED, period, words[at + RATE_PPB], words[at + INDEX_PRICE], 0, 0, 0, 0, 0, 0)


def force_trade(market: Market, words: vec[i64], at: i64) -> None:
    """ForceTrade."""
    price = words[at + PRICE]
    quantity = words[at + QUANTITY]
    if price < 1 or price > MAX_PRICE_TICKS:
        market.out.rejected(FORCE_TRADE, 0, 0, INVALID_PRICE)
        return
    if quantity < 1 or quantity > MAX_QUANTITY_LOTS:
        market.out.rejected(FORCE_TRADE, 0, 0, INVALID_QUANTITY)
        return
    book = market.book
    accounts = book.accounts
    buyer = book.account_ids.find(accounts, words[at + ACCOUNT_ID])
    seller = book.account_ids.find(accounts, words[at + SELLER_ACCOUNT_ID])
    short = -accounts[buyer + POSITION] if buyer != 0 else 0
    long = accounts[seller + POSITION] if seller != 0 else 0
    if short < quantity:
        quantity = short
    if long < quantity:
        quantity = long
    if quantity <= 0:
        market.out.rejected(FORCE_TRADE, 0, 0, NOTHING_TO_REDUCE)
        return
    accounts[buyer + POSITION] = quantity - short
    accounts[seller + POSITION] = long - quantity
    market.trades += 1
    market.out.event(
        FORCED_TRADE,
        market.trades,
        words[at + ACCOUNT_ID],
        words[at + SELLER_ACCOUNT_ID],
        price,
        quantity,
        0, 0, 0, 0,
    )  # fmt: skip
    if accounts[seller + REDUCERS] != 0:
        market.touch(seller)
    if accounts[buyer + REDUCERS] != 0:
        market.touch(buyer)
    work_off(market)


def settle_positions(market: Market, words: vec[i64], at: i64) -> None:
    """SettlePositions. No order is live in SETTLEMENT_ONLY, so there is nothing to cancel."""
    price = words[at + PRICE]
    if price < 1 or price > MAX_PRICE_TICKS:
        market.out.rejected(SETTLE_POSITIONS, 0, 0, INVALID_PRICE)
        return
    if market.state != SETTLEMENT_ONLY:
        market.out.rejected(SETTLE_POSITIONS, 0, 0, MARKET_NOT_SETTLING)
        return
    accounts = market.book.accounts
    closed: i64 = 0
    row: i64 = ACCOUNT_WORDS
    size: i64 = len(accounts)
    while row < size:
        if accounts[row + POSITION] != 0:
            accounts[row + POSITION] = 0
            closed += 1
        row += ACCOUNT_WORDS
    market.out.event(POSITIONS_SETTLED, price, closed, 0, 0, 0, 0, 0, 0, 0)
