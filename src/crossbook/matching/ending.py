"""How a live order ends other than by its last trade, and how its sibling ends with it."""

from typing import Final

from crossbook.matching.book import ACCOUNT_SHIFT, EXTRA, ID, OPEN, SIBLING, TERMS
from crossbook.matching.columns import i64
from crossbook.matching.layout import SIDE_MASK
from crossbook.matching.market import Market

# Reasons, as numbered in domain.errors.Reason.
USER_REQUEST: Final = 400
OPERATOR_REQUEST: Final = 401
AMENDED_BELOW_FILLED: Final = 402
OCO_SIBLING: Final = 403
REDUCE_ONLY_ENDED: Final = 404
MARKET_SETTLEMENT: Final = 405
SELF_TRADE_PREVENTION: Final = 410
IOC_UNFILLED: Final = 411
FOK_UNFILLED: Final = 412
MARKET_LIQUIDITY_EXHAUSTED: Final = 413
PROTECTION_PRICE: Final = 414
BUDGET_SPENT: Final = 415
TIME_EXPIRED: Final = 416


def sibling_of(market: Market, row: i64) -> i64:
    """The row of the order that `row` forms an OCO pair with, or 0."""
    extra = market.book.orders[row + EXTRA]
    if extra == 0:
        return 0
    return market.book.extras[extra + SIBLING]


def cancel_sibling(market: Market, row: i64) -> None:
    """Cancel the other order of an OCO pair, if there is one, because `row` traded or was triggered."""
    sibling = sibling_of(market, row)
    if sibling != 0:
        book = market.book
        book.extras[book.orders[row + EXTRA] + SIBLING] = 0
        book.extras[book.orders[sibling + EXTRA] + SIBLING] = 0
        cancel(market, sibling, OCO_SIBLING)


def cancel(market: Market, row: i64, reason: i64) -> i64:
    """End an order with OrderCancelled, and its sibling after it; gives how many orders ended."""
    book = market.book
    orders = book.orders
    terms = orders[row + TERMS]
    sibling = sibling_of(market, row)
    account = book.accounts[(terms >> ACCOUNT_SHIFT) + ID]
    market.out.cancelled(orders[row + ID], account, terms & SIDE_MASK, book.price(row), orders[row + OPEN], reason)
    book.forget(row)
    if sibling == 0:
        return 1
    return 1 + cancel(market, sibling, OCO_SIBLING)


def expire(market: Market, row: i64, reason: i64) -> None:
    """End an order with OrderExpired, and its sibling after it."""
    book = market.book
    orders = book.orders
    terms = orders[row + TERMS]
    sibling = sibling_of(market, row)
    account = book.accounts[(terms >> ACCOUNT_SHIFT) + ID]
    market.out.expired(orders[row + ID], account, terms & SIDE_MASK, book.price(row), orders[row + OPEN], reason, 0)
    book.forget(row)
    if sibling != 0:
        cancel(market, sibling, OCO_SIBLING)
