"""The state of one market: its book, its prices and limits, and the order that is taking right now."""

from typing import Final, final

from crossbook.matching.book import TOUCHED, Book, zeros
from crossbook.matching.columns import append, i64, vec
from crossbook.matching.writer import EventWriter

# Market states, as numbered in domain.orders.MarketState.
ACTIVE: Final = 1
AUCTION: Final = 2
CANCEL_ONLY: Final = 3
POST_ONLY_STATE: Final = 4
PAUSED: Final = 5
SETTLEMENT_ONLY: Final = 6

# Price sources, as numbered in domain.orders.PriceSource.
LAST_PRICE: Final = 1
MARK_PRICE: Final = 2
INDEX_PRICE: Final = 3

NO_BUDGET: Final = -1
NO_LIMIT: Final = 1 << 41  # above every price


@final
class Market:
    """Everything that a snapshot holds, the event writer, and scratch space of the command at hand."""

    def __init__(self) -> None:
        self.book = Book()
        self.out = EventWriter()
        self.state: i64 = ACTIVE
        self.sequence: i64 = 0
        self.event_count: i64 = 0  # events so far under that sequence
        self.now_ms: i64 = 0
        self.last_price: i64 = 0
        self.mark_price: i64 = 0
        self.index_price: i64 = 0
        self.reference_price: i64 = 0
        self.band_basis_points: i64 = 0
        self.band_reference: i64 = 1
        self.max_open_orders: i64 = 0
        self.max_iceberg_parts: i64 = 100
        self.max_trailing_orders: i64 = 1000
        self.trades: i64 = 0

        # The taker: a new order, an amended one or a triggered one.
        self.taker_row: i64 = 0  # 0 while a plain new order has no row yet
        self.taker_id: i64 = 0
        self.taker_account: i64 = 0  # row
        self.taker_terms: i64 = 0
        self.taker_open: i64 = 0
        self.taker_done: i64 = 0
        self.taker_price: i64 = 0  # its limit or protection price
        self.taker_limit: i64 = 0  # the worst price at which it may trade
        self.taker_budget: i64 = NO_BUDGET
        self.taker_group: i64 = 0

        # The step: what happened that upkeep and triggers must look at.
        self.first_trade_price: i64 = 0  # 0 when the step has not traded
        self.touched: vec[i64] = zeros(16)  # account rows to look after
        self.touched_count: i64 = 0
        self.dry_accounts: vec[i64] = zeros(0)  # account rows and extras that a dry run has marked
        self.dry_extras: vec[i64] = zeros(0)

    def source_price(self, source: i64) -> i64:
        """The price of a source, 0 while unknown."""
        if source == LAST_PRICE:
            return self.last_price
        if source == MARK_PRICE:
            return self.mark_price
        return self.index_price

    def touch(self, account: i64) -> None:
        """Note an account row, once, for the upkeep of its reduce-only orders."""
        accounts = self.book.accounts
        if accounts[account + TOUCHED] != 0:
            return
        accounts[account + TOUCHED] = 1
        if self.touched_count == len(self.touched):
            self.touched = append(self.touched, 0)
        self.touched[self.touched_count] = account
        self.touched_count += 1

    def advance(self, time_ms: i64) -> None:
        """Move the market's time, which never goes back."""
        if time_ms > self.now_ms:
            self.now_ms = time_ms
