"""The trades that a replay makes, and the comparison with those that the tape is known to make.

Two shapes of file: `seq,maker,price,qty`, and for tapes with an auction `seq,buy_id,sell_id,maker,price,qty`.
`seq` is the number of the tape's row that made the trade.
"""

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from crossbook.domain.orders import MAX_ID, MAX_PRICE_TICKS, MAX_QUANTITY_LOTS
from crossbook.replay.tables import (
    TableFile,
    expect_header,
    optional_number,
    read_header,
    read_rows,
    whole_number,
)

COLUMNS: Final = ("seq", "maker", "price", "qty")
AUCTION_COLUMNS: Final = ("seq", "buy_id", "sell_id", "maker", "price", "qty")


class TapeTrade(NamedTuple):
    """One trade, made or expected.

    An expected trade of the short shape has no `buy_id` and `sell_id` (0). Nobody makes in an auction:
    there `auction` is set and the two ids say who traded.
    """

    seq: int
    buy_id: int
    sell_id: int
    maker_id: int
    price_ticks: int
    quantity_lots: int
    auction: bool = False

    def __str__(self) -> str:
        who = [
            f"{name} {order_id}"
            for name, order_id in (
                ("maker", 0 if self.auction else self.maker_id),
                ("buy", self.buy_id),
                ("sell", self.sell_id),
            )
            if order_id
        ]
        return f"{self.quantity_lots} at {self.price_ticks} ({', '.join(who)})"


class Difference(NamedTuple):
    """The first place where the trades part; None stands for no trade."""

    seq: int
    expected: TapeTrade | None
    got: TapeTrade | None

    def __str__(self) -> str:
        return f"seq {self.seq}: expected {self.expected or 'no trade'}, got {self.got or 'no trade'}"


class Comparison:
    """Compares trades as they are made with the expected ones, up to the first difference."""

    def __init__(self, expected: Iterator[TapeTrade]) -> None:
        self._expected = expected
        self.difference: Difference | None = None
        self.equal = 0

    def check(self, trades: Sequence[TapeTrade]) -> None:
        """Compare the next trades made. Raises `TapeError` when the file of expected trades is bad."""
        for got in trades:
            if self.difference is not None:
                return
            expected = next(self._expected, None)
            if expected is not None and is_same(expected, got):
                self.equal += 1
            else:
                self.difference = _difference(expected, got)

    def finish(self) -> Difference | None:
        """The first difference of the whole run, or None. To be called after the last `check`."""
        if self.difference is None:
            missing = next(self._expected, None)
            if missing is not None:
                self.difference = Difference(missing.seq, missing, None)
        return self.difference


def _difference(expected: TapeTrade | None, got: TapeTrade) -> Difference:
    if expected is None or expected.seq > got.seq:
        return Difference(got.seq, None, got)
    if expected.seq < got.seq:
        return Difference(expected.seq, expected, None)
    return Difference(got.seq, expected, got)


def is_same(expected: TapeTrade, got: TapeTrade) -> bool:
    """Whether `got` is what was expected, in every column that the expectation gives.

    In an auction the maker's column says nothing that the two ids do not: with both given it is not
    compared, in the short shape it may name either of them.
    """
    if (expected.seq, expected.price_ticks, expected.quantity_lots) != (
        got.seq,
        got.price_ticks,
        got.quantity_lots,
    ):
        return False
    names_both = expected.buy_id != 0
    if names_both and (expected.buy_id, expected.sell_id) != (got.buy_id, got.sell_id):
        return False
    if got.auction:
        return names_both or expected.maker_id in (got.buy_id, got.sell_id)
    return expected.maker_id in (got.maker_id, 0) if names_both else expected.maker_id == got.maker_id


def read_trades(table: TableFile) -> Iterator[TapeTrade]:
    """The expected trades of a file of either shape, one at a time. Raises `TapeError`."""
    lines = table.lines()
    header = read_header(table.path, lines)
    is_auction_shape = len(header) > 1 and header[1] == AUCTION_COLUMNS[1]
    columns = AUCTION_COLUMNS if is_auction_shape else COLUMNS
    expect_header(table.path, header, columns)
    parse = _parse_auction_shape if is_auction_shape else _parse
    for _, trade in read_rows(table.path, lines, columns, parse):
        yield trade


def _parse(fields: Sequence[str]) -> TapeTrade:
    return TapeTrade(
        whole_number(fields, 0, 1, MAX_ID),
        0,
        0,
        whole_number(fields, 1, 1, MAX_ID),
        whole_number(fields, 2, 1, MAX_PRICE_TICKS),
        whole_number(fields, 3, 1, MAX_QUANTITY_LOTS),
    )


def _parse_auction_shape(fields: Sequence[str]) -> TapeTrade:
    return TapeTrade(
        whole_number(fields, 0, 1, MAX_ID),
        whole_number(fields, 1, 1, MAX_ID),
        whole_number(fields, 2, 1, MAX_ID),
        optional_number(fields, 3, MAX_ID),
        whole_number(fields, 4, 1, MAX_PRICE_TICKS),
        whole_number(fields, 5, 1, MAX_QUANTITY_LOTS),
    )


def write_trades(path: Path, trades: Sequence[TapeTrade]) -> None:
    """Write `trades` as a table, packed when the name ends in .gz. Raises OSError.

    The long shape is used when one of them is of an auction; its maker's column stays empty there.
    """
    with_both = any(trade.auction for trade in trades)
    lines = [",".join(AUCTION_COLUMNS if with_both else COLUMNS)]
    lines += [_auction_line(trade) if with_both else _line(trade) for trade in trades]
    data = ("\n".join(lines) + "\n").encode()
    # No time and no name in the gzip header: the same trades give the same file.
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _line(trade: TapeTrade) -> str:
    return f"{trade.seq},{trade.maker_id},{trade.price_ticks},{trade.quantity_lots}"


def _auction_line(trade: TapeTrade) -> str:
    maker = "" if trade.auction else trade.maker_id
    return f"{trade.seq},{trade.buy_id},{trade.sell_id},{maker},{trade.price_ticks},{trade.quantity_lots}"
