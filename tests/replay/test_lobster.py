"""LOBSTER message files become tape rows."""

from pathlib import Path

import pytest

from crossbook.domain.orders import Side
from crossbook.replay.lobster import FIRST_TAKER_ID, LobsterConverter
from crossbook.replay.tables import TableFile, TapeError
from crossbook.replay.tape import Op, TapeRow, TapeTif

TAKER = FIRST_TAKER_ID


def convert(folder: Path, *lines: str) -> tuple[list[TapeRow], dict[str, int]]:
    path = folder / "message.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    converter = LobsterConverter()
    with TableFile(path) as table:
        return list(converter.convert(table)), converter.skipped


def test_new_reduced_and_deleted_orders(tmp_path: Path) -> None:
    rows, skipped = convert(
        tmp_path,
        "34200.017459617,1,11,100,5853300,1",
        "34200.2,1,12,50,5860000,-1",
        "34200.3,2,11,30,5853300,1",
        "34200.4,3,11,70,5853300,1",
    )
    assert rows == [
        TapeRow(1, 34_200_017, Op.NEW, 11, Side.BUY, 5853300, 100, TapeTif.GTC),
        TapeRow(2, 34_200_200, Op.NEW, 12, Side.SELL, 5860000, 50, TapeTif.GTC),
        TapeRow(3, 34_200_300, Op.REDUCE, 11, Side.BUY, 5853300, 30, None),
        TapeRow(4, 34_200_400, Op.CANCEL, 11, Side.BUY, 5853300, 70, None),
    ]
    assert skipped == {}


def test_a_run_of_executions_is_one_incoming_order_up_to_the_last_price(tmp_path: Path) -> None:
    rows, _ = convert(
        tmp_path,
        "1,1,11,10,500,-1",
        "1,1,12,10,501,-1",
        "2.000000001,4,11,10,500,-1",
        "2.000000001,5,0,3,500,-1",  # a hidden order in between does not part them
        "2.000000001,4,12,4,501,-1",
        "2.000000001,1,13,5,502,1",
    )
    assert rows[2:] == [
        TapeRow(3, 2000, Op.NEW, TAKER, Side.BUY, 501, 14, TapeTif.IOC),
        TapeRow(4, 2000, Op.NEW, 13, Side.BUY, 502, 5, TapeTif.GTC),
    ]


@pytest.mark.parametrize(
    ("second", "side"),
    [("2.000000002,4,12,4,500,-1", Side.BUY), ("2.000000001,4,13,4,499,1", Side.SELL)],
)
def test_another_instant_or_direction_is_another_order(tmp_path: Path, second: str, side: Side) -> None:
    rows, _ = convert(
        tmp_path,
        "1,1,11,10,500,-1",
        "1,1,12,10,500,-1",
        "1,1,13,10,499,1",
        "2.000000001,4,11,10,500,-1",
        second,
    )
    assert [(row.order_id, row.side, row.quantity_lots) for row in rows[3:]] == [
        (TAKER, Side.BUY, 10),
        (TAKER + 1, side, 4),
    ]


def test_orders_from_before_the_file_are_left_out_and_counted(tmp_path: Path) -> None:
    rows, skipped = convert(
        tmp_path,
        "1,2,90,10,500,-1",
        "1,3,91,10,500,-1",
        "1,1,11,10,500,-1",
        "2,4,92,10,499,-1",
        "2,4,11,4,500,-1",
        "2,4,93,10,501,-1",
    )
    assert [(row.op, row.order_id, row.price_ticks, row.quantity_lots) for row in rows] == [
        (Op.NEW, 11, 500, 10),
        (Op.NEW, TAKER, 500, 4),
    ]
    assert skipped == {"of orders from before the file": 4}


def test_an_order_that_is_gone_is_not_known_any_more(tmp_path: Path) -> None:
    rows, skipped = convert(
        tmp_path, "1,1,11,10,500,-1", "2,4,11,10,500,-1", "3,3,11,10,500,-1", "4,1,12,5,500,1", "5,2,12,5,500,1",
        "6,3,12,5,500,1",
    )  # fmt: skip
    assert [row.op for row in rows] == [Op.NEW, Op.NEW, Op.NEW, Op.REDUCE]
    assert skipped == {"of orders from before the file": 2}


def test_hidden_executions_crosses_and_halts_are_left_out_and_counted(tmp_path: Path) -> None:
    rows, skipped = convert(tmp_path, "1,5,0,10,500,-1", "1,5,0,10,500,1", "2,6,0,10,500,1", "3,7,0,0,-1,-1")
    assert rows == []
    assert skipped == {"hidden executions": 2, "trades of a cross": 1, "halts": 1}


@pytest.mark.parametrize(
    ("line", "column", "number"),
    [
        ("x,1,11,10,500,1", "time", 1),
        ("1,8,11,10,500,1", "type", 2),
        ("1,0,11,10,500,1", "type", 2),
        ("1,1,0,10,500,1", "order id", 3),
        (f"1,1,{TAKER},10,500,1", "order id", 3),
        ("1,1,11,0,500,1", "size", 4),
        ("1,3,11,10,-1,1", "price", 5),
        ("1,7,0,0,halt,-1", "price", 5),
        ("1,1,11,10,500,0", "direction", 6),
        ("1,1,11,10,500,B", "direction", 6),
        ("1,1,11,10,500", "direction", 6),
        ("1,1,11,10,500,1,7", "one too many", 7),
    ],
)
def test_a_bad_line_is_named_by_file_line_and_column(tmp_path: Path, line: str, column: str, number: int) -> None:
    with pytest.raises(TapeError) as caught:
        convert(tmp_path, "1,1,10,10,500,1", line)
    assert (caught.value.line, caught.value.column, caught.value.column_number) == (2, column, number)


def test_a_run_of_executions_too_large_for_one_order_is_refused(tmp_path: Path) -> None:
    most = (1 << 40) - 1
    with pytest.raises(TapeError, match="line 4, column 4 \\(size\\): expected at most"):
        convert(tmp_path, f"1,1,11,{most},500,-1", "1,1,12,1,500,-1", f"2,4,11,{most},500,-1", "2,4,12,1,500,-1")
