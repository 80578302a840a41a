"""Expected trades: both shapes of file, and the comparison."""

import gzip
from pathlib import Path

import pytest

from crossbook.replay.tables import TableFile, TapeError
from crossbook.replay.trades import Comparison, Difference, TapeTrade, is_same, read_trades, write_trades


def made(seq: int, maker: int, price: int = 100, quantity: int = 5) -> TapeTrade:
    """A trade as an engine makes it: a buyer takes from `maker`."""
    return TapeTrade(seq, 99, maker, maker, price, quantity)


def wanted(seq: int, maker: int, price: int = 100, quantity: int = 5) -> TapeTrade:
    """A trade as a file of the short shape expects it."""
    return TapeTrade(seq, 0, 0, maker, price, quantity)


def read(path: Path) -> list[TapeTrade]:
    with TableFile(path) as table:
        return list(read_trades(table))


def test_the_short_shape(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("seq,maker,price,qty\n3,7,100,5\n3,8,101,2\n")
    assert read(path) == [TapeTrade(3, 0, 0, 7, 100, 5), TapeTrade(3, 0, 0, 8, 101, 2)]


def test_the_auction_shape_with_and_without_a_maker(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("seq,buy_id,sell_id,maker,price,qty\n3,7,8,,100,5\n4,7,8,8,101,2\n")
    assert read(path) == [TapeTrade(3, 7, 8, 0, 100, 5), TapeTrade(4, 7, 8, 8, 101, 2)]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("", 1, ""),
        ("seq,maker,price\n", 1, "qty"),
        ("3,7,100,5\n", 1, "seq"),
        ("seq,maker,price,qty\n3,7,100,0\n", 2, "qty"),
        ("seq,maker,price,qty\n3,7,100\n", 2, "qty"),
        ("seq,maker,price,qty\n3,,100,5\n", 2, "maker"),
        ("seq,buy_id,sell_id,maker,price\n", 1, "qty"),
        ("seq,buy_id,sell_id,maker,price,qty\n3,7,,8,100,5\n", 2, "sell_id"),
    ],
)
def test_a_bad_file_is_named_by_line_and_column(tmp_path: Path, text: str, line: int, column: str) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(text)
    with pytest.raises(TapeError) as caught:
        read(path)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_equal_trades_have_no_difference() -> None:
    comparison = Comparison(iter([wanted(1, 7), wanted(1, 8), wanted(4, 9)]))
    comparison.check([made(1, 7), made(1, 8)])
    comparison.check([])
    comparison.check([made(4, 9)])
    assert comparison.finish() is None
    assert comparison.equal == 3


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        ([wanted(1, 7)], [made(1, 8)], Difference(1, wanted(1, 7), made(1, 8))),
        ([wanted(1, 7)], [made(1, 7, price=101)], Difference(1, wanted(1, 7), made(1, 7, price=101))),
        ([wanted(1, 7)], [made(1, 7, quantity=4)], Difference(1, wanted(1, 7), made(1, 7, quantity=4))),
        ([wanted(1, 7), wanted(2, 8)], [made(1, 7)], Difference(2, wanted(2, 8), None)),
        ([wanted(1, 7), wanted(2, 8)], [made(2, 8)], Difference(1, wanted(1, 7), None)),
        ([wanted(1, 7)], [made(1, 7), made(2, 8)], Difference(2, None, made(2, 8))),
        ([wanted(2, 8)], [made(1, 7), made(2, 8)], Difference(1, None, made(1, 7))),
        ([], [made(1, 7)], Difference(1, None, made(1, 7))),
    ],
    ids=["maker", "price", "quantity", "missing at the end", "missing", "extra at the end", "extra", "none expected"],
)
def test_the_first_difference(expected: list[TapeTrade], got: list[TapeTrade], difference: Difference) -> None:
    comparison = Comparison(iter(expected))
    comparison.check(got)
    assert comparison.finish() == difference


def test_later_trades_do_not_move_the_first_difference() -> None:
    comparison = Comparison(iter([wanted(1, 7), wanted(2, 8)]))
    comparison.check([made(1, 9)])
    comparison.check([made(2, 7)])
    assert comparison.finish() == Difference(1, wanted(1, 7), made(1, 9))
    assert str(comparison.difference) == "seq 1: expected 5 at 100 (maker 7), got 5 at 100 (maker 9, buy 99, sell 9)"


def test_a_missing_trade_in_words() -> None:
    assert str(Difference(1, wanted(1, 7), None)) == "seq 1: expected 5 at 100 (maker 7), got no trade"


AUCTION = TapeTrade(3, 7, 8, 8, 100, 5, auction=True)


@pytest.mark.parametrize(
    ("expected", "same"),
    [
        (TapeTrade(3, 7, 8, 0, 100, 5), True),
        (TapeTrade(3, 7, 8, 7, 100, 5), True),
        (TapeTrade(3, 8, 7, 0, 100, 5), False),
        (TapeTrade(3, 7, 9, 0, 100, 5), False),
        (TapeTrade(3, 7, 8, 0, 101, 5), False),
        (TapeTrade(3, 0, 0, 7, 100, 5), True),
        (TapeTrade(3, 0, 0, 8, 100, 5), True),
        (TapeTrade(3, 0, 0, 9, 100, 5), False),
    ],
)
def test_auction_trades_are_told_by_their_two_orders(expected: TapeTrade, same: bool) -> None:
    assert is_same(expected, AUCTION) is same


@pytest.mark.parametrize(
    ("expected", "same"),
    [
        (TapeTrade(3, 7, 8, 8, 100, 5), True),
        (TapeTrade(3, 7, 8, 0, 100, 5), True),
        (TapeTrade(3, 7, 8, 7, 100, 5), False),
    ],
)
def test_outside_auctions_the_maker_counts_in_both_shapes(expected: TapeTrade, same: bool) -> None:
    assert is_same(expected, AUCTION._replace(auction=False)) is same


def test_written_trades_read_back_as_what_they_expect(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    write_trades(path, [made(1, 7), made(2, 8)])
    assert path.read_text() == "seq,maker,price,qty\n1,7,100,5\n2,8,100,5\n"
    assert read(path) == [wanted(1, 7), wanted(2, 8)]


def test_trades_of_an_auction_are_written_with_both_orders(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    write_trades(path, [AUCTION, made(4, 8)])
    assert path.read_text() == "seq,buy_id,sell_id,maker,price,qty\n3,7,8,,100,5\n4,99,8,8,100,5\n"


def test_a_name_that_ends_in_gz_is_packed_always_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"
    write_trades(first, [made(1, 7)])
    write_trades(second, [made(1, 7)])
    assert gzip.decompress(first.read_bytes()) == b"seq,maker,price,qty\n1,7,100,5\n"
    assert first.read_bytes() == second.read_bytes()
