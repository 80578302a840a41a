"""A book that starts from a snapshot is the book that was there from the beginning."""

import random

import pytest

from crossbook.domain.commands import SubmitOrder
from crossbook.domain.errors import SnapshotError
from crossbook.domain.orders import OrderType, Side
from crossbook.matching import Engine
from crossbook.matching.depth import DepthBook

from .flows import Flow

BUY, SELL = Side.BUY, Side.SELL
ALL = 10_000


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_engines_book_and_stays_so(seed: int) -> None:
    flow, engine, books = Flow(random.Random(seed).randrange), Engine(), [DepthBook()]
    for number in range(600):
        if number % 100 == 50:
            books.append(DepthBook.of_snapshot(engine.snapshot()))
        for event in engine.apply(flow.next()):
            assert len({str(book.apply(event)) for book in books}) == 1
        for side in Side:
            levels = engine.depth(side, ALL)
            assert all(book.levels(side, ALL) == levels for book in books)
            assert all(book.levels(side, 2) == levels[:2] for book in books)


def test_an_iceberg_shows_its_part_and_a_waiting_order_nothing() -> None:
    engine = Engine()
    engine.apply(SubmitOrder(1, 0, 1, 1, SELL, OrderType.LIMIT, 50, 101, display_quantity_lots=7))
    engine.apply(SubmitOrder(2, 0, 2, 1, SELL, OrderType.LIMIT, 5, 101, trade_group=3))
    engine.apply(SubmitOrder(3, 0, 3, 1, BUY, OrderType.LIMIT, 4, 99))
    engine.apply(SubmitOrder(4, 0, 4, 1, BUY, OrderType.STOP_LIMIT, 6, 98, trigger_price_ticks=105))
    book = DepthBook.of_snapshot(engine.snapshot())
    assert book.levels(SELL, ALL) == [(101, 12, 2)]
    assert book.levels(BUY, ALL) == [(99, 4, 1)]


def test_the_snapshot_of_a_new_engine_is_an_empty_book() -> None:
    book = DepthBook.of_snapshot(Engine().snapshot())
    assert (book.best(BUY), book.best(SELL)) == (None, None)


def test_bytes_that_are_no_whole_snapshot_are_refused() -> None:
    engine = Engine()
    engine.apply(SubmitOrder(1, 0, 1, 1, SELL, OrderType.LIMIT, 50, 101))
    good = engine.snapshot()
    altered = bytearray(good)
    altered[40] ^= 1
    for data in (b"", b"CROSSBK1", good[:-1], good + b"\0" * 8, b"CROSSBK2" + good[8:], bytes(altered)):
        with pytest.raises(SnapshotError):
            DepthBook.of_snapshot(data)
