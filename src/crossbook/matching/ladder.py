"""A blocked price ladder: sorted keys with their level rows, best last.

A flat sorted array lets a stranger who enters many distinct prices make every insert shift all of
them. Here keys live in blocks of bounded size under a short sorted directory, so an insert or a
removal moves a bounded number of keys, and the busy end, the best price, is the cheap end.

Each side is stored so that a larger key is a better one: sign +1 keeps prices as they are (bids,
falling triggers), sign -1 negates them (asks, rising triggers, expiry times).
"""

from typing import Final, final

from crossbook.matching.columns import append, i64, vec

BLOCK: Final = 128  # keys in a block; a full block splits into two halves
HALF: Final = 64


@final
class Ladder:
    """Sorted map from price to level row. `best` is the row of the best price, 0 when empty."""

    def __init__(self, sign: i64) -> None:
        self.sign: i64 = sign
        self.best: i64 = 0
        self.count: i64 = 0  # blocks in use
        self.firsts: vec[i64] = vec[i64]([0] * 8)  # directory: smallest key of each block, ascending
        self.blocks: vec[i64] = vec[i64]([0] * 8)  # directory: the block's number
        self.used: vec[i64] = vec[i64]()  # by block number: keys in it
        self.keys: vec[i64] = vec[i64]()  # by block number * BLOCK: the keys, ascending
        self.rows: vec[i64] = vec[i64]()  # likewise: their level rows
        self.spare: vec[i64] = vec[i64]()  # numbers of emptied blocks
        self.spares: i64 = 0

    def find(self, price: i64) -> i64:
        """The level row of `price`, or 0."""
        if self.count == 0:
            return 0
        key = price * self.sign
        place = self._block_of(key)
        keys = self.keys
        base = self.blocks[place] * BLOCK
        at = self._slot(base, self.used[self.blocks[place]], key)
        if at > base and keys[at - 1] == key:
            return self.rows[at - 1]
        return 0

    def insert(self, price: i64, row: i64) -> None:
        """Enter a price that is not in the ladder."""
        key = price * self.sign
        if self.count == 0:
            block = self._new_block()
            self.blocks[0] = block
            self.firsts[0] = key
            self.count = 1
            self.keys[block * BLOCK] = key
            self.rows[block * BLOCK] = row
            self.used[block] = 1
            self.best = row
            return
        place = self._block_of(key)
        block = self.blocks[place]
        if self.used[block] == BLOCK:
            self._split(place)
            if key >= self.firsts[place + 1]:
                place += 1
            block = self.blocks[place]
        keys = self.keys
        rows = self.rows
        base = block * BLOCK
        end = base + self.used[block]
        at = self._slot(base, self.used[block], key)
        move = end
        while move > at:
            keys[move] = keys[move - 1]
            rows[move] = rows[move - 1]
            move -= 1
        keys[at] = key
        rows[at] = row
        self.used[block] = self.used[block] + 1
        if at == base:
            self.firsts[place] = key
        if at == end and place == self.count - 1:
            self.best = row

    def remove(self, price: i64) -> None:
        """Take out a price that is in the ladder."""
        key = price * self.sign
        place = self._block_of(key)
        block = self.blocks[place]
        keys = self.keys
        rows = self.rows
        base = block * BLOCK
        left = self.used[block] - 1
        at = self._slot(base, left + 1, key) - 1
        self.used[block] = left
        end = base + left
        while at < end:
            keys[at] = keys[at + 1]
            rows[at] = rows[at + 1]
            at += 1
        if left == 0:
            self._drop(place)
        else:
            self.firsts[place] = keys[base]
        self._find_best()

    def _find_best(self) -> None:
        if self.count == 0:
            self.best = 0
            return
        block = self.blocks[self.count - 1]
        self.best = self.rows[block * BLOCK + self.used[block] - 1]

    def _block_of(self, key: i64) -> i64:
        """Place in the directory of the last block that starts at or below `key`, else 0."""
        firsts = self.firsts
        last = self.count - 1
        if key >= firsts[last]:
            return last
        low: i64 = 0
        high = last
        while low < high:
            middle = (low + high) >> 1
            if firsts[middle] <= key:
                low = middle + 1
            else:
                high = middle
        return low - 1 if low > 0 else 0

    def _slot(self, base: i64, used: i64, key: i64) -> i64:
        """Index of the first key above `key` in the block that starts at `base`."""
        keys = self.keys
        low = base
        high = base + used
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] <= key:
                low = middle + 1
            else:
                high = middle
        return low

    def _new_block(self) -> i64:
        if self.spares > 0:
            self.spares -= 1
            return self.spare[self.spares]
        number: i64 = i64(len(self.used))
        self.used = append(self.used, 0)
        keys = self.keys
        self.keys = vec[i64]()
        rows = self.rows
        self.rows = vec[i64]()
        for _ in range(BLOCK):
            keys = append(keys, 0)
            rows = append(rows, 0)
        self.keys = keys
        self.rows = rows
        return number

    def _split(self, place: i64) -> None:
        """Move the upper half of a full block into a new block right after it."""
        upper = self._new_block()
        lower = self.blocks[place]
        keys = self.keys
        rows = self.rows
        source = lower * BLOCK + HALF
        target = upper * BLOCK
        for offset in range(i64(HALF)):
            keys[target + offset] = keys[source + offset]
            rows[target + offset] = rows[source + offset]
        self.used[lower] = HALF
        self.used[upper] = HALF
        if self.count == len(self.blocks):
            self.blocks = append(self.blocks, 0)
            self.firsts = append(self.firsts, 0)
        blocks = self.blocks
        firsts = self.firsts
        move = self.count
        while move > place + 1:
            blocks[move] = blocks[move - 1]
            firsts[move] = firsts[move - 1]
            move -= 1
        blocks[place + 1] = upper
        firsts[place + 1] = keys[target]
        self.count += 1

    def _drop(self, place: i64) -> None:
        """Take an emptied block out of the directory and keep it for later."""
        blocks = self.blocks
        firsts = self.firsts
        if self.spares == len(self.spare):
            self.spare = append(self.spare, 0)
        self.spare[self.spares] = blocks[place]
        self.spares += 1
        self.count -= 1
        move = place
        while move < self.count:
            blocks[move] = blocks[move + 1]
            firsts[move] = firsts[move + 1]
            move += 1
