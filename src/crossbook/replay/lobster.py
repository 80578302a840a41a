"""Turns a LOBSTER message file into the rows of a tape.

A LOBSTER file says what happened to the resting orders; a tape says what was sent. The way back:

| type | is | becomes |
|---|---|---|
| 1 | a new limit order | N, GTC |
| 2 | a part of an order cancelled | R |
| 3 | an order deleted | X |
| 4 | a visible order executed | an incoming IOC order of the other side |
| 5 | a hidden order executed | nothing |
| 6 | a trade of a cross | nothing |
| 7 | a trading halt | nothing |

What is approximate:

- Executions that follow one another at the same time against the same side count as one incoming order
  (hidden executions between them do not part it): its quantity is their sum, its limit the last price.
  Two orders of the same instant are taken for one, and the true limit, which the file does not tell,
  may have been better. What was left of a marketable order comes in the file as a new order, type 1.
- Orders that stood in the book before the file began are not known. What is cancelled of them or
  executed against them is left out, and counted.
- Rows are numbered from 1 in the order in which they are made; incoming orders get ids of their own,
  from `FIRST_TAKER_ID`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from crossbook.domain.orders import MAX_PRICE_TICKS, MAX_QUANTITY_LOTS, MAX_TIME_MS, Side
from crossbook.replay.tables import (
    BadFieldError,
    TableFile,
    TapeError,
    is_digits,
    read_rows,
    seconds_as_ms,
    whole_number,
)
from crossbook.replay.tape import Op, TapeRow, TapeTif

COLUMNS: Final = ("time", "type", "order id", "size", "price", "direction")
_TIME, _TYPE, _ID, _SIZE, _PRICE, _DIRECTION = range(len(COLUMNS))
FIRST_TAKER_ID: Final = 10**18
"""Id of the first incoming order that is made from executions; ids in the file are smaller."""

_NEW, _REDUCE, _DELETE, _EXECUTE, _HIDDEN, _CROSS, _HALT = range(1, 8)
_NOT_REPLAYED: Final = {
    _HIDDEN: "hidden executions",
    _CROSS: "trades of a cross",
    _HALT: "halts",
}
UNKNOWN_ORDERS: Final = "of orders from before the file"
_SIDES: Final = {"1": Side.BUY, "-1": Side.SELL}
_OPPOSITE: Final = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class Message(NamedTuple):
    """One line. `instant` is the time as written: two lines belong together only when it is the same."""

    instant: str
    time_ms: int
    type: int
    order_id: int
    size_lots: int
    price_ticks: int
    side: Side


@dataclass
class _Taker:
    """The incoming order that a run of executions is put together to."""

    instant: str
    time_ms: int
    side: Side
    price_ticks: int
    quantity_lots: int


@dataclass
class LobsterConverter:
    """Makes tape rows from the messages of one file; `skipped` counts what was left out, by kind."""

    skipped: dict[str, int] = field(default_factory=dict)
    _open_lots: dict[int, int] = field(default_factory=dict)
    _taker: _Taker | None = None
    _seq: int = 0
    _takers: int = 0

    def convert(self, table: TableFile) -> Iterator[TapeRow]:
        """The rows of a whole file. Raises `TapeError` at the first bad line."""
        for number, message in read_rows(table.path, table.lines(), COLUMNS, _parse):
            if message.type == _EXECUTE and message.size_lots > self._room_lots(message):
                expected = f"at most {MAX_QUANTITY_LOTS} in one run of executions"
                got = str(message.size_lots)
                raise TapeError(table.path, number, COLUMNS[_SIZE], _SIZE + 1, expected, got)
            yield from self._rows_of(message)
        yield from self._finish_taker()

    def _room_lots(self, message: Message) -> int:
        taker = self._taker
        if taker is None or not _belongs(taker, message):
            return MAX_QUANTITY_LOTS
        return MAX_QUANTITY_LOTS - taker.quantity_lots

    def _rows_of(self, message: Message) -> Iterator[TapeRow]:
        if message.type in _NOT_REPLAYED:
            self._skip(_NOT_REPLAYED[message.type])
        elif message.type == _EXECUTE:
            yield from self._execute(message)
        else:
            yield from self._finish_taker()
            yield from self._change_book(message)

    def _change_book(self, message: Message) -> Iterator[TapeRow]:
        if message.type == _NEW:
            self._open_lots[message.order_id] = message.size_lots
            yield self._row(message, Op.NEW, TapeTif.GTC)
        elif message.order_id not in self._open_lots:
            self._skip(UNKNOWN_ORDERS)
        elif message.type == _REDUCE:
            self._take_off(message)
            yield self._row(message, Op.REDUCE, None)
        else:
            del self._open_lots[message.order_id]
            yield self._row(message, Op.CANCEL, None)

    def _execute(self, message: Message) -> Iterator[TapeRow]:
        if self._taker is not None and not _belongs(self._taker, message):
            yield from self._finish_taker()
        if message.order_id not in self._open_lots:
            self._skip(UNKNOWN_ORDERS)
            return
        self._take_off(message)
        if self._taker is None:
            side = _OPPOSITE[message.side]
            self._taker = _Taker(message.instant, message.time_ms, side, 0, 0)
        self._taker.price_ticks = message.price_ticks
        self._taker.quantity_lots += message.size_lots

    def _finish_taker(self) -> Iterator[TapeRow]:
        taker, self._taker = self._taker, None
        if taker is None:
            return
        order_id = FIRST_TAKER_ID + self._takers
        self._takers += 1
        self._seq += 1
        yield TapeRow(
            self._seq,
            taker.time_ms,
            Op.NEW,
            order_id,
            taker.side,
            taker.price_ticks,
            taker.quantity_lots,
            TapeTif.IOC,
        )

    def _row(self, message: Message, op: Op, tif: TapeTif | None) -> TapeRow:
        self._seq += 1
        return TapeRow(
            self._seq,
            message.time_ms,
            op,
            message.order_id,
            message.side,
            message.price_ticks,
            message.size_lots,
            tif,
        )

    def _take_off(self, message: Message) -> None:
        left = self._open_lots[message.order_id] - message.size_lots
        if left > 0:
            self._open_lots[message.order_id] = left
        else:
            del self._open_lots[message.order_id]

    def _skip(self, kind: str) -> None:
        self.skipped[kind] = self.skipped.get(kind, 0) + 1


def _belongs(taker: _Taker, message: Message) -> bool:
    return taker.instant == message.instant and taker.side is _OPPOSITE[message.side]


def _parse(fields: Sequence[str]) -> Message:
    kind = whole_number(fields, _TYPE, _NEW, _HALT)
    side = _SIDES.get(fields[_DIRECTION])
    if side is None:
        raise BadFieldError(_DIRECTION, "1 for a buy order or -1 for a sell order")
    time_ms = seconds_as_ms(fields, _TIME, MAX_TIME_MS)
    if kind in _NOT_REPLAYED:
        _check_numbers(fields)
        return Message(fields[_TIME], time_ms, kind, 0, 0, 0, side)
    return Message(
        fields[_TIME],
        time_ms,
        kind,
        whole_number(fields, _ID, 1, FIRST_TAKER_ID - 1),
        whole_number(fields, _SIZE, 1, MAX_QUANTITY_LOTS),
        whole_number(fields, _PRICE, 1, MAX_PRICE_TICKS),
        side,
    )


def _check_numbers(fields: Sequence[str]) -> None:
    """Lines without a replayed order carry signs and zeros there (a halt has the price -1)."""
    for column in (_ID, _SIZE, _PRICE):
        if not is_digits(fields[column].removeprefix("-")):
            raise BadFieldError(column, "a whole number")
