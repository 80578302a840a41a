"""The price ladder and the id index against a plain dictionary, in every size at which they change shape."""

import random

import pytest

from crossbook.matching.book import Book, zeros
from crossbook.matching.index import FIRST_BUCKETS, RowIndex
from crossbook.matching.ladder import BLOCK, Ladder


def best_first(ladder: Ladder) -> list[int]:
    """The rows of a ladder as its users walk it: last block first, last slot first."""
    rows = []
    for place in range(ladder.count - 1, -1, -1):
        block = ladder.blocks[place]
        start = block * BLOCK
        rows += [ladder.rows[slot] for slot in range(start + ladder.used[block] - 1, start - 1, -1)]
    return rows


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("order", ["rising", "falling", "random"])
@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 5 * BLOCK + 3])
def test_a_ladder_keeps_its_prices_best_first_while_they_come_and_go(sign: int, order: str, count: int) -> None:
    prices = {"rising": list(range(1, count + 1)), "falling": list(range(count, 0, -1))}.get(order)
    if prices is None:
        prices = random.Random(count).sample(range(1, 10 * count + 1), count)
    ladder = Ladder(sign)
    held: dict[int, int] = {}
    for price in prices:
        assert ladder.find(price) == 0
        ladder.insert(price, price * 7)
        held[price] = price * 7
        assert ladder.best == held[max(held) if sign > 0 else min(held)]
    assert best_first(ladder) == [held[price] for price in sorted(held, reverse=sign > 0)]
    for price in random.Random(1).sample(prices, count):
        assert ladder.find(price) == held.pop(price)
        ladder.remove(price)
        assert ladder.find(price) == 0
        assert ladder.best == (held[max(held) if sign > 0 else min(held)] if held else 0)
    assert ladder.count == 0


def test_a_ladder_agrees_with_a_dictionary_through_a_long_random_life() -> None:
    draw = random.Random(20)
    ladder = Ladder(-1)
    held: dict[int, int] = {}
    for step in range(1, 20_001):
        price = draw.randrange(1, 3000)
        if price in held and draw.random() < 0.6:
            del held[price]
            ladder.remove(price)
        elif price not in held:
            held[price] = step
            ladder.insert(price, step)
        assert ladder.find(price) == held.get(price, 0)
        assert ladder.best == (held[min(held)] if held else 0)
    assert best_first(ladder) == [held[price] for price in sorted(held)]


def test_emptied_blocks_are_used_again() -> None:
    ladder = Ladder(1)
    for price in range(1, 20 * BLOCK):
        ladder.insert(price, price)
    blocks = len(ladder.used)
    for _ in range(5):
        for price in range(1, 20 * BLOCK):
            ladder.remove(price)
        for price in range(1, 20 * BLOCK):
            ladder.insert(price, price)
    assert len(ladder.used) == blocks


@pytest.mark.parametrize("stride", [1, 2, 1024, 1 << 17, (1 << 17) + 1, 1 << 40])
@pytest.mark.parametrize("reserved", [False, True])
def test_the_index_finds_what_was_added_and_not_removed(stride: int, reserved: bool) -> None:
    count = 3 * FIRST_BUCKETS + 5
    table = zeros(2 * (count + 1))
    index = RowIndex()
    if reserved:
        index.reserve(count)
    idents = [1 + number * stride for number in range(count)]
    rows = {ident: 2 * (number + 1) for number, ident in enumerate(idents)}
    for ident, row in rows.items():
        assert index.find(table, ident) == 0
        table[row] = ident
        index.add(table, row, ident)
    assert all(index.find(table, ident) == row for ident, row in rows.items())
    random.Random(stride).shuffle(idents)
    for ident in idents[: count // 2]:
        index.remove(table, rows[ident], ident)
    gone = {*idents[: count // 2]}
    for ident, row in rows.items():
        assert index.find(table, ident) == (0 if ident in gone else row)


def test_rows_of_a_book_are_recycled() -> None:
    book = Book()
    account = book.account(1)
    for ident in range(1, 1001):
        book.enter(ident, account, 1, 5)
    size = len(book.orders)
    for ident in range(1001, 20_001):
        book.forget(book.order_ids.find(book.orders, ident - 1000))
        book.enter(ident, account, 1, 5)
    assert len(book.orders) == size
    assert (book.live, book.buy_lots) == (1000, 5000)
