"""The tape format: every column of every operation, and what is said about a bad row."""

from pathlib import Path

import pytest

from crossbook.domain.errors import CrossbookError
from crossbook.domain.orders import MAX_PRICE_TICKS, Side
from crossbook.replay.tables import TableFile, TapeError
from crossbook.replay.tape import Op, TapeRow, TapeTif, read_tape

HEADER = "seq,time,op,id,side,price,qty,tif"


def rows_of(folder: Path, *lines: str) -> list[TapeRow]:
    path = folder / "tape.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    with TableFile(path) as table:
        return list(read_tape(table))


def test_every_operation(tmp_path: Path) -> None:
    assert rows_of(
        tmp_path,
        HEADER,
        "1,0.5,N,7,B,100,5,GTC",
        "2,0.6,N,8,S,101,4,IOC",
        "4,0.7,R,7,,,2,",
        "5,0.7,M,7,B,99,3,",
        "6,0.8,X,7,B,99,3,",
        "7,0.8,X,8,,,,",
        "8,0.9,N,9,B,100,5,AUCTION",
        "9,1,U,,,98,,",
        "10,1,U,,,,,",
    ) == [
        TapeRow(1, 500, Op.NEW, 7, Side.BUY, 100, 5, TapeTif.GTC),
        TapeRow(2, 600, Op.NEW, 8, Side.SELL, 101, 4, TapeTif.IOC),
        TapeRow(4, 700, Op.REDUCE, 7, None, 0, 2, None),
        TapeRow(5, 700, Op.REPLACE, 7, Side.BUY, 99, 3, None),
        TapeRow(6, 800, Op.CANCEL, 7, Side.BUY, 99, 3, None),
        TapeRow(7, 800, Op.CANCEL, 8, None, 0, 0, None),
        TapeRow(8, 900, Op.NEW, 9, Side.BUY, 100, 5, TapeTif.AUCTION),
        TapeRow(9, 1000, Op.UNCROSS, 0, None, 98, 0, None),
        TapeRow(10, 1000, Op.UNCROSS, 0, None, 0, 0, None),
    ]


@pytest.mark.parametrize("tif", ["GTC", "IOC", "AUCTION", "DAY", "FOK"])
def test_every_time_in_force(tmp_path: Path, tif: str) -> None:
    assert rows_of(tmp_path, HEADER, f"1,1,N,7,B,100,5,{tif}")[0].tif is TapeTif(tif)


def test_a_tape_without_rows_is_empty(tmp_path: Path) -> None:
    assert rows_of(tmp_path, HEADER) == []


@pytest.mark.parametrize(
    ("row", "column", "number", "expected"),
    [
        ("x,1,N,7,B,100,5,GTC", "seq", 1, "a whole number from 1"),
        ("0,1,N,7,B,100,5,GTC", "seq", 1, "a whole number from 1"),
        ("2,one,N,7,B,100,5,GTC", "time", 2, "a time in seconds"),
        ("2,1,n,7,B,100,5,GTC", "op", 3, "N, X, R, M or U"),
        ("2,1,,7,B,100,5,GTC", "op", 3, "N, X, R, M or U"),
        ("2,1,N,0,B,100,5,GTC", "id", 4, "a whole number from 1"),
        ("2,1,X,,B,100,5,", "id", 4, "a whole number from 1"),
        ("2,1,N,7,,100,5,GTC", "side", 5, "B or S"),
        ("2,1,X,7,BUY,100,5,", "side", 5, "B or S"),
        ("2,1,N,7,B,,5,GTC", "price", 6, "a whole number from 1"),
        ("2,1,N,7,B,1.5,5,GTC", "price", 6, "a whole number from 1"),
        (f"2,1,N,7,B,{MAX_PRICE_TICKS + 1},5,GTC", "price", 6, f"from 1 to {MAX_PRICE_TICKS}"),
        ("2,1,M,7,B,0,5,", "price", 6, "a whole number from 1"),
        ("2,1,X,7,B,-3,5,", "price", 6, "a whole number from 0"),
        ("2,1,N,7,B,100,0,GTC", "qty", 7, "a whole number from 1"),
        ("2,1,R,7,B,100,,", "qty", 7, "a whole number from 1"),
        ("2,1,M,7,B,100,0,", "qty", 7, "a whole number from 1"),
        ("2,1,N,7,B,100,5,", "tif", 8, "GTC, IOC, AUCTION, DAY or FOK"),
        ("2,1,N,7,B,100,5,gtc", "tif", 8, "GTC, IOC, AUCTION, DAY or FOK"),
        ("2,1,X,7,B,100,5,SOON", "tif", 8, "GTC, IOC, AUCTION, DAY or FOK"),
        ("1,1,N,7,B,100,5,GTC", "seq", 1, "more than 1, the number of the row before"),
        ("2,1,N,7,B,100,5", "tif", 8, "8 columns"),
        ("2,1,N,7,B,100,5,GTC,", "one too many", 9, "8 columns"),
        ("", "", 0, "8 columns"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(
    tmp_path: Path, row: str, column: str, number: int, expected: str
) -> None:
    with pytest.raises(TapeError) as caught:
        rows_of(tmp_path, HEADER, "1,1,N,6,B,99,5,GTC", row, "3,1,X,6,,,,")
    error = caught.value
    assert (error.file, error.line, error.column, error.column_number) == (tmp_path / "tape.csv", 3, column, number)
    assert expected in error.expected
    assert str(error).startswith(f"{tmp_path / 'tape.csv'}, line 3")


def test_the_message_in_full(tmp_path: Path) -> None:
    with pytest.raises(CrossbookError) as caught:
        rows_of(tmp_path, HEADER, "1,1,N,6,B,ninety,5,GTC")
    assert str(caught.value) == (
        f"{tmp_path / 'tape.csv'}, line 2, column 6 (price): "
        f"expected a whole number from 1 to {MAX_PRICE_TICKS}, got 'ninety'"
    )


@pytest.mark.parametrize(
    ("lines", "column", "number"),
    [
        ((), "", 0),
        (("1,1,N,6,B,99,5,GTC",), "seq", 1),
        (("seq,time,op,id,side,price,quantity,tif",), "qty", 7),
        (("seq,time,op,id,side,price,qty",), "tif", 8),
        ((HEADER + ",note",), "note", 9),
    ],
)
def test_the_header_is_required(tmp_path: Path, lines: tuple[str, ...], column: str, number: int) -> None:
    with pytest.raises(TapeError) as caught:
        rows_of(tmp_path, *lines)
    assert (caught.value.line, caught.value.column, caught.value.column_number) == (1, column, number)


def test_rows_before_a_bad_one_are_given(tmp_path: Path) -> None:
    path = tmp_path / "tape.csv"
    path.write_text(f"{HEADER}\n1,1,N,6,B,99,5,GTC\nbad\n")
    with TableFile(path) as table:
        rows = read_tape(table)
        assert next(rows).seq == 1
        with pytest.raises(TapeError):
            next(rows)
