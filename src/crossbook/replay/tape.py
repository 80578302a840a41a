"""The tape: one command of a recorded market in each row.

`seq,time,op,id,side,price,qty,tif`, with a header. Prices and quantities are whole numbers, the time is
in decimal seconds. Columns that an operation does not need may be empty; what stands there must still
be of the right kind.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from crossbook.domain.orders import MAX_ID, MAX_PRICE_TICKS, MAX_QUANTITY_LOTS, MAX_TIME_MS, Side
from crossbook.replay.tables import (
    BadFieldError,
    TableFile,
    TapeError,
    expect_header,
    optional_number,
    read_header,
    read_rows,
    seconds_as_ms,
    whole_number,
)

COLUMNS: Final = ("seq", "time", "op", "id", "side", "price", "qty", "tif")
_SEQ, _TIME, _OP, _ID, _SIDE, _PRICE, _QTY, _TIF = range(len(COLUMNS))


class Op(Enum):
    """What a row does.

    NEW enters a limit order. CANCEL takes one out. REDUCE takes `qty` off what is open, keeping the
    place. REPLACE gives an order a price and an open quantity; at the same price and not larger it keeps
    its place. UNCROSS ends the call auction; the row's price, when it has one, is the reference.
    """

    NEW = "N"
    CANCEL = "X"
    REDUCE = "R"
    REPLACE = "M"
    UNCROSS = "U"


class TapeTif(Enum):
    """How long a new order stays. AUCTION rests without matching until the next UNCROSS."""

    GTC = "GTC"
    IOC = "IOC"
    AUCTION = "AUCTION"
    DAY = "DAY"
    FOK = "FOK"


class TapeRow(NamedTuple):
    """One row. Numbers that the row does not give are 0; `side` and `tif` are None then."""

    seq: int
    time_ms: int
    op: Op
    order_id: int
    side: Side | None
    price_ticks: int
    quantity_lots: int
    tif: TapeTif | None


_OPS: Final = {op.value: op for op in Op}
_TIFS: Final = {tif.value: tif for tif in TapeTif}
_SIDES: Final = {"B": Side.BUY, "S": Side.SELL}
_NEEDS_PRICE: Final = (Op.NEW, Op.REPLACE)
_NEEDS_QUANTITY: Final = (Op.NEW, Op.REDUCE, Op.REPLACE)


def read_tape(table: TableFile) -> Iterator[TapeRow]:
    """The rows of a tape, one at a time, their `seq` rising. Raises `TapeError` at the first bad one."""
    lines = table.lines()
    expect_header(table.path, read_header(table.path, lines), COLUMNS)
    last_seq = 0
    for number, row in read_rows(table.path, lines, COLUMNS, _parse):
        if row.seq <= last_seq:
            expected = f"more than {last_seq}, the number of the row before"
            raise TapeError(table.path, number, COLUMNS[_SEQ], _SEQ + 1, expected, str(row.seq))
        last_seq = row.seq
        yield row


def _parse(fields: Sequence[str]) -> TapeRow:
    op = _OPS.get(fields[_OP])
    if op is None:
        raise BadFieldError(_OP, "N, X, R, M or U")
    is_new = op is Op.NEW
    return TapeRow(
        whole_number(fields, _SEQ, 1, MAX_ID),
        seconds_as_ms(fields, _TIME, MAX_TIME_MS),
        op,
        optional_number(fields, _ID, MAX_ID) if op is Op.UNCROSS else whole_number(fields, _ID, 1, MAX_ID),
        _side(fields, is_new),
        _amount(fields, _PRICE, op in _NEEDS_PRICE, MAX_PRICE_TICKS),
        _amount(fields, _QTY, op in _NEEDS_QUANTITY, MAX_QUANTITY_LOTS),
        _tif(fields, is_new),
    )


def _amount(fields: Sequence[str], column: int, needed: bool, highest: int) -> int:
    if needed:
        return whole_number(fields, column, 1, highest)
    return optional_number(fields, column, highest)


def _side(fields: Sequence[str], needed: bool) -> Side | None:
    side = _SIDES.get(fields[_SIDE])
    if side is None and (needed or fields[_SIDE]):
        raise BadFieldError(_SIDE, "B or S")
    return side


def _tif(fields: Sequence[str], needed: bool) -> TapeTif | None:
    tif = _TIFS.get(fields[_TIF])
    if tif is None and (needed or fields[_TIF]):
        raise BadFieldError(_TIF, "GTC, IOC, AUCTION, DAY or FOK")
    return tif
