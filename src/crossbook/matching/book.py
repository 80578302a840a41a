"""The columns of one market: orders, levels, accounts and extras, and the queues they form.

A row is the offset of its first word in its table; row 0 is nobody. Rows are recycled through free
lists, so a long-lived market does not grow with its history. Nothing here knows a rule of the
exchange or writes an event.
"""

from typing import Final, final

from crossbook.matching.columns import extend, i64, vec
from crossbook.matching.index import RowIndex
from crossbook.matching.ladder import Ladder
from crossbook.matching.layout import REDUCE_ONLY, SIDE_MASK

# An order: 88 bytes. Words 0 and 1 belong to the index.
ORDER_WORDS: Final = 11
ID: Final = 0
CHAIN: Final = 1  # next row of the index chain; of a free row: the next free row
OPEN: Final = 2  # lots still open, hidden part included
DONE: Final = 3  # lots executed or prevented
TERMS: Final = 4  # terms in the low bits, the account's row above them
LEVEL: Final = 5  # the level it queues in; 0 while it takes
PREV: Final = 6
NEXT: Final = 7
ACCOUNT_PREV: Final = 8  # the account's live orders, in order of acceptance
ACCOUNT_NEXT: Final = 9
EXTRA: Final = 10  # row of its extras, 0 for a plain order
ACCOUNT_SHIFT: Final = 20

# A level: one queue of orders.
LEVEL_WORDS: Final = 6
LEVEL_PRICE: Final = 0
TOTAL: Final = 1  # visible lots
COUNT: Final = 2  # orders
HEAD: Final = 3
TAIL: Final = 4
LADDER: Final = 5  # the queue family: BIDS, ASKS, a waiting ladder, FIRED; of a free row: the next one
BIDS: Final = 0
ASKS: Final = 1
WAITING: Final = 2  # 2 to 7: LAST, MARK, INDEX, each rising then falling
FIRED: Final = 8
FIRED_LEVEL: Final = 6  # the row of the queue of triggered orders whose turn has not come

# An account, as this market knows it.
ACCOUNT_WORDS: Final = 9
POSITION: Final = 2
ORDERS: Final = 3  # live orders
REDUCERS: Final = 4  # live reduce-only orders
FIRST: Final = 5
LAST: Final = 6
TOUCHED: Final = 7  # 1 while noted for reduce-only upkeep
DRY_CHANGE: Final = 8  # change of position in a dry run

# What only some orders have.
EXTRA_WORDS: Final = 19
OWNER: Final = 0  # the order's row; of a free row: the next free row
VISIBLE: Final = 1  # the shown part of an iceberg
DISPLAY: Final = 2
GROUP: Final = 3
EXPIRE: Final = 4
TRIGGER: Final = 5
TRAIL: Final = 6
MARK: Final = 7  # the best price a trailing stop has seen
SIBLING: Final = 8  # the order's row
LIMIT: Final = 9  # limit or protection price while it waits
EXPIRY_LEVEL: Final = 10
EXPIRY_PREV: Final = 11  # extras, by expiry
EXPIRY_NEXT: Final = 12
TRAIL_PREV: Final = 13  # extras of trailing stops, in order of acceptance
TRAIL_NEXT: Final = 14
SKIPPED: Final = 15  # 1 for an order that a dry run has cancelled
OBSERVED: Final = 16  # the price that fired it
SOURCE: Final = 17  # the source of a waiting order, 0 else
DRY_TAKEN: Final = 18  # lots that a dry run has taken from it

CACHE: Final = 2048  # prices remembered per side


def zeros(count: i64) -> vec[i64]:
    """A column of `count` zeros."""
    return vec[i64]([0] * count)


def lengthen(column: vec[i64], words: i64) -> vec[i64]:
    """The column with `words` zeros more."""
    return extend(column, zeros(words))


@final
class Book:
    """The tables of one market and the operations that keep them consistent."""

    def __init__(self) -> None:
        self.orders: vec[i64] = zeros(ORDER_WORDS)
        self.levels: vec[i64] = zeros(LEVEL_WORDS + LEVEL_WORDS)
        self.accounts: vec[i64] = zeros(ACCOUNT_WORDS)
        self.extras: vec[i64] = zeros(EXTRA_WORDS)
        self.free_order: i64 = 0
        self.free_level: i64 = 0
        self.free_extra: i64 = 0
        self.order_ids = RowIndex()
        self.account_ids = RowIndex()
        self.highest_id: i64 = 0  # no live order has a higher id
        self.bids = Ladder(1)
        self.asks = Ladder(-1)
        self.waiting: list[Ladder] = [Ladder(-1), Ladder(1), Ladder(-1), Ladder(1), Ladder(-1), Ladder(1)]
        self.expiries = Ladder(-1)
        self.trailing: vec[i64] = zeros(8)  # by source: first extra, by 4 + source: last extra
        self.trailing_count: i64 = 0
        self.live: i64 = 0
        self.buy_lots: i64 = 0  # open lots of all live orders of a side
        self.sell_lots: i64 = 0
        self.cache: vec[i64] = zeros(CACHE + CACHE)  # level rows by the low bits of their price
        self.levels[FIRED_LEVEL + LADDER] = FIRED

    # Accounts ---------------------------------------------------------------------------------------

    def account(self, ident: i64) -> i64:
        """The row of an account, made when the market first sees it."""
        row = self.account_ids.find(self.accounts, ident)
        if row == 0:
            row = i64(len(self.accounts))
            self.accounts = lengthen(self.accounts, ACCOUNT_WORDS)
            self.accounts[row] = ident
            self.account_ids.add(self.accounts, row, ident)
        return row

    # Orders -----------------------------------------------------------------------------------------

    def is_live(self, ident: i64) -> bool:
        """Whether an order of this id is live. Ids mostly rise, so this seldom has to look."""
        return ident <= self.highest_id and self.order_ids.find(self.orders, ident) != 0

    def enter(self, ident: i64, account: i64, terms: i64, quantity: i64) -> i64:
        """A new live order of the account at row `account`: known by id, counted, in no queue yet."""
        row = self.make_order(ident, account, terms, quantity)
        self.link(row, account)
        return row

    def make_order(self, ident: i64, account: i64, terms: i64, quantity: i64) -> i64:
        """A live order that is known by id and counted, but not yet among its account's orders."""
        row = self.free_order
        if row == 0:
            row = i64(len(self.orders))
            self.orders = lengthen(self.orders, ORDER_WORDS)
        else:
            self.free_order = self.orders[row + CHAIN]
        orders = self.orders
        orders[row + ID] = ident
        orders[row + OPEN] = quantity
        orders[row + DONE] = 0
        orders[row + TERMS] = terms | account << ACCOUNT_SHIFT
        orders[row + LEVEL] = 0
        orders[row + EXTRA] = 0
        accounts = self.accounts
        accounts[account + ORDERS] = accounts[account + ORDERS] + 1
        if terms & REDUCE_ONLY:
            accounts[account + REDUCERS] = accounts[account + REDUCERS] + 1
        self.order_ids.add(orders, row, ident)
        if ident > self.highest_id:
            self.highest_id = ident
        self.live += 1
        if terms & SIDE_MASK == 1:
            self.buy_lots += quantity
        else:
            self.sell_lots += quantity
        return row

    def link(self, row: i64, account: i64) -> None:
        """Put an order at the end of its account's orders."""
        orders = self.orders
        accounts = self.accounts
        last = accounts[account + LAST]
        orders[row + ACCOUNT_PREV] = last
        orders[row + ACCOUNT_NEXT] = 0
        if last == 0:
            accounts[account + FIRST] = row
        else:
            orders[last + ACCOUNT_NEXT] = row
        accounts[account + LAST] = row

    def forget(self, row: i64) -> None:
        """The end of a live order: out of its queue, its account and every list; the row is free."""
        orders = self.orders
        terms = orders[row + TERMS]
        self.count_open(terms, -orders[row + OPEN])
        extra = orders[row + EXTRA]
        if extra != 0:
            self._drop_extra(row, extra)
        elif orders[row + LEVEL] != 0:
            self.leave(row, orders[row + OPEN])
        account = terms >> ACCOUNT_SHIFT
        accounts = self.accounts
        before = orders[row + ACCOUNT_PREV]
        after = orders[row + ACCOUNT_NEXT]
        if before == 0:
            accounts[account + FIRST] = after
        else:
            orders[before + ACCOUNT_NEXT] = after
        if after == 0:
            accounts[account + LAST] = before
        else:
            orders[after + ACCOUNT_PREV] = before
        accounts[account + ORDERS] = accounts[account + ORDERS] - 1
        if terms & REDUCE_ONLY:
            accounts[account + REDUCERS] = accounts[account + REDUCERS] - 1
        self.order_ids.remove(orders, row, orders[row + ID])
        self.live -= 1
        orders[row + ID] = 0
        orders[row + CHAIN] = self.free_order
        self.free_order = row

    def count_open(self, terms: i64, change: i64) -> None:
        """Note a change of a live order's open lots in its side's total."""
        if terms & SIDE_MASK == 1:
            self.buy_lots += change
        else:
            self.sell_lots += change

    def visible(self, row: i64) -> i64:
        """The lots that the public book shows of a resting order."""
        extra = self.orders[row + EXTRA]
        if extra != 0 and self.extras[extra + DISPLAY] != 0:
            return self.extras[extra + VISIBLE]
        return self.orders[row + OPEN]

    def price(self, row: i64) -> i64:
        """Limit price of a resting order, limit or protection price of one that waits or takes."""
        level = self.orders[row + LEVEL]
        if level != 0 and self.levels[level + LADDER] <= ASKS:
            return self.levels[level + LEVEL_PRICE]
        return self.extras[self.orders[row + EXTRA] + LIMIT]

    # Queues -----------------------------------------------------------------------------------------

    def ladder(self, family: i64) -> Ladder:
        """The ladder of a queue family."""
        if family == BIDS:
            return self.bids
        if family == ASKS:
            return self.asks
        return self.waiting[family - WAITING]

    def level_at(self, family: i64, price: i64) -> i64:
        """The level of `price` in a family, made when it is not there."""
        levels = self.levels
        if family <= ASKS:
            slot = (price & (CACHE - 1)) + family * CACHE
            row = self.cache[slot]
            if row != 0 and levels[row + LEVEL_PRICE] == price and levels[row + COUNT] > 0:
                if levels[row + LADDER] == family:
                    return row
            ladder = self.bids if family == BIDS else self.asks
            row = ladder.find(price)
            if row == 0:
                row = self._new_level(family, price)
                ladder.insert(price, row)
            self.cache[slot] = row
            return row
        ladder = self.waiting[family - WAITING]
        row = ladder.find(price)
        if row == 0:
            row = self._new_level(family, price)
            ladder.insert(price, row)
        return row

    def join(self, row: i64, level: i64, visible: i64) -> None:
        """Put an order at the end of a level, showing `visible` lots."""
        orders = self.orders
        levels = self.levels
        tail = levels[level + TAIL]
        orders[row + LEVEL] = level
        orders[row + PREV] = tail
        orders[row + NEXT] = 0
        if tail == 0:
            levels[level + HEAD] = row
        else:
            orders[tail + NEXT] = row
        levels[level + TAIL] = row
        levels[level + TOTAL] = levels[level + TOTAL] + visible
        levels[level + COUNT] = levels[level + COUNT] + 1

    def leave(self, row: i64, visible: i64) -> None:
        """Take an order, of which `visible` lots show, out of its level; an emptied level goes."""
        orders = self.orders
        levels = self.levels
        level = orders[row + LEVEL]
        before = orders[row + PREV]
        after = orders[row + NEXT]
        if before == 0:
            levels[level + HEAD] = after
        else:
            orders[before + NEXT] = after
        if after == 0:
            levels[level + TAIL] = before
        else:
            orders[after + PREV] = before
        orders[row + LEVEL] = 0
        levels[level + TOTAL] = levels[level + TOTAL] - visible
        left = levels[level + COUNT] - 1
        levels[level + COUNT] = left
        if left == 0 and levels[level + LADDER] != FIRED:
            self.ladder(levels[level + LADDER]).remove(levels[level + LEVEL_PRICE])
            self._free_level_row(level)

    def requeue(self, row: i64, visible: i64) -> None:
        """Move an iceberg whose shown part is used up to the end of its level, showing `visible` lots."""
        orders = self.orders
        levels = self.levels
        level = orders[row + LEVEL]
        levels[level + TOTAL] = levels[level + TOTAL] + visible
        self.extras[orders[row + EXTRA] + VISIBLE] = visible
        after = orders[row + NEXT]
        if after == 0:
            return
        before = orders[row + PREV]
        orders[after + PREV] = before
        if before == 0:
            levels[level + HEAD] = after
        else:
            orders[before + NEXT] = after
        tail = levels[level + TAIL]
        orders[tail + NEXT] = row
        orders[row + PREV] = tail
        orders[row + NEXT] = 0
        levels[level + TAIL] = row

    def _new_level(self, family: i64, price: i64) -> i64:
        row = self.free_level
        if row == 0:
            row = i64(len(self.levels))
            self.levels = lengthen(self.levels, LEVEL_WORDS)
        else:
            self.free_level = self.levels[row + LADDER]
        levels = self.levels
        levels[row + LEVEL_PRICE] = price
        levels[row + TOTAL] = 0
        levels[row + COUNT] = 0
        levels[row + HEAD] = 0
        levels[row + TAIL] = 0
        levels[row + LADDER] = family
        return row

    def _free_level_row(self, level: i64) -> None:
        self.levels[level + LEVEL_PRICE] = 0
        self.levels[level + LADDER] = self.free_level
        self.free_level = level

    # Extras -----------------------------------------------------------------------------------------

    def extra(self, row: i64) -> i64:
        """The extras of an order, made when it has none."""
        extra = self.orders[row + EXTRA]
        if extra != 0:
            return extra
        extra = self.free_extra
        if extra == 0:
            extra = i64(len(self.extras))
            self.extras = lengthen(self.extras, EXTRA_WORDS)
        else:
            self.free_extra = self.extras[extra + OWNER]
            for word in range(i64(EXTRA_WORDS)):
                self.extras[extra + word] = 0
        self.extras[extra + OWNER] = row
        self.orders[row + EXTRA] = extra
        return extra

    def _drop_extra(self, row: i64, extra: i64) -> None:
        extras = self.extras
        level = self.orders[row + LEVEL]
        if level != 0:
            self.leave(row, self.visible(row) if self.levels[level + LADDER] <= ASKS else 0)
        if extras[extra + TRAIL] != 0:
            self.stop_trailing(extra)
        if extras[extra + EXPIRY_LEVEL] != 0:
            self._stop_expiry(extra)
        sibling = extras[extra + SIBLING]
        if sibling != 0:
            extras[self.orders[sibling + EXTRA] + SIBLING] = 0
        extras[extra + OWNER] = self.free_extra
        self.free_extra = extra

    def start_trailing(self, extra: i64) -> None:
        """Note a trailing stop, the last in order of acceptance of its source."""
        extras = self.extras
        source = extras[extra + SOURCE]
        last = self.trailing[4 + source]
        extras[extra + TRAIL_PREV] = last
        extras[extra + TRAIL_NEXT] = 0
        if last == 0:
            self.trailing[source] = extra
        else:
            extras[last + TRAIL_NEXT] = extra
        self.trailing[4 + source] = extra
        self.trailing_count += 1

    def stop_trailing(self, extra: i64) -> None:
        """Take a trailing stop out of its source's list."""
        extras = self.extras
        source = extras[extra + SOURCE]
        before = extras[extra + TRAIL_PREV]
        after = extras[extra + TRAIL_NEXT]
        if before == 0:
            self.trailing[source] = after
        else:
            extras[before + TRAIL_NEXT] = after
        if after == 0:
            self.trailing[4 + source] = before
        else:
            extras[after + TRAIL_PREV] = before
        extras[extra + TRAIL] = 0
        self.trailing_count -= 1

    def start_expiry(self, extra: i64) -> None:
        """Queue an order by its expiry time, after those of the same time."""
        time_ms = self.extras[extra + EXPIRE]
        level = self.expiries.find(time_ms)
        if level == 0:
            level = self._new_level(0, time_ms)
            self.expiries.insert(time_ms, level)
        extras = self.extras
        levels = self.levels
        tail = levels[level + TAIL]
        extras[extra + EXPIRY_LEVEL] = level
        extras[extra + EXPIRY_PREV] = tail
        extras[extra + EXPIRY_NEXT] = 0
        if tail == 0:
            levels[level + HEAD] = extra
        else:
            extras[tail + EXPIRY_NEXT] = extra
        levels[level + TAIL] = extra

    def _stop_expiry(self, extra: i64) -> None:
        extras = self.extras
        levels = self.levels
        level = extras[extra + EXPIRY_LEVEL]
        before = extras[extra + EXPIRY_PREV]
        after = extras[extra + EXPIRY_NEXT]
        if before == 0:
            levels[level + HEAD] = after
        else:
            extras[before + EXPIRY_NEXT] = after
        if after == 0:
            levels[level + TAIL] = before
        else:
            extras[after + EXPIRY_PREV] = before
        extras[extra + EXPIRY_LEVEL] = 0
        if levels[level + HEAD] == 0:
            self.expiries.remove(extras[extra + EXPIRE])
            self._free_level_row(level)
