"""Finds the row of an id: linear hashing over chains that run through the table itself.

A table is one column of fixed-length rows; word 0 of a row is its id, word 1 the next row of its
chain. The index grows by splitting one bucket at an insert, so no insert ever pays for rehashing the
whole table.
"""

from typing import final

from crossbook.matching.columns import append, i64, vec

FIRST_BUCKETS = 1024


@final
class RowIndex:
    """id → row of a table, 0 for none. Ids are positive and unique."""

    def __init__(self) -> None:
        self.heads: vec[i64] = vec[i64]([0] * FIRST_BUCKETS)
        self.buckets: i64 = FIRST_BUCKETS
        self.low: i64 = FIRST_BUCKETS  # the power of two at or below the number of buckets
        self.count: i64 = 0

    def bucket(self, ident: i64) -> i64:
        """The bucket of an id. Neighbouring ids share cache lines."""
        mixed = ident ^ (ident >> 17)
        place = mixed & (self.low + self.low - 1)
        if place >= self.buckets:
            place = mixed & (self.low - 1)
        return place

    def reserve(self, count: i64) -> None:
        """Make room for `count` rows in an index that is still empty, so that adding them splits nothing."""
        while self.low + self.low <= count:
            self.low += self.low
        if count > self.buckets:
            self.buckets = count
            self.heads = vec[i64]([0] * count)

    def find(self, table: vec[i64], ident: i64) -> i64:
        """The row of `ident` in `table`, or 0."""
        mixed = ident ^ (ident >> 17)
        place = mixed & (self.low + self.low - 1)  # as in `bucket`, without the call
        if place >= self.buckets:
            place = mixed & (self.low - 1)
        row = self.heads[place]
        while row != 0 and table[row] != ident:
            row = table[row + 1]
        return row

    def add(self, table: vec[i64], row: i64, ident: i64) -> None:
        """Enter `row`, whose id is `ident` and not yet known."""
        self.count += 1
        if self.count > self.buckets:
            self._split(table)
        heads = self.heads
        place = self.bucket(ident)
        table[row + 1] = heads[place]
        heads[place] = row

    def remove(self, table: vec[i64], row: i64, ident: i64) -> None:
        """Take out `row`, whose id is `ident` and known."""
        self.count -= 1
        heads = self.heads
        place = self.bucket(ident)
        at = heads[place]
        if at == row:
            heads[place] = table[row + 1]
            return
        while table[at + 1] != row:
            at = table[at + 1]
        table[at + 1] = table[row + 1]

    def _split(self, table: vec[i64]) -> None:
        """Add one bucket and move to it what belongs there from the bucket it is split from."""
        source = self.buckets - self.low
        self.heads = append(self.heads, 0)
        self.buckets += 1
        if self.buckets == self.low + self.low:
            self.low = self.buckets
        heads = self.heads
        row = heads[source]
        heads[source] = 0
        while row != 0:
            following = table[row + 1]
            place = self.bucket(table[row])
            table[row + 1] = heads[place]
            heads[place] = row
            row = following
