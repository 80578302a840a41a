"""Reads text tables, plain or gzip, one line at a time, and says exactly where one is wrong.

Tapes come from outside and may be large: nothing is read ahead beyond one line, lines have a longest
length, and every fault names the file, the line and the column.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import Final, NoReturn, Self, TypeVar

from crossbook.domain.errors import CrossbookError

MAX_LINE_BYTES: Final = 1_000
GZIP_MAGIC: Final = b"\x1f\x8b"
_MAX_SHOWN_CHARACTERS: Final = 60
_LONGEST_NUMBER: Final = 20

Row = TypeVar("Row")


class TapeError(CrossbookError, ValueError):
    """A tape, or a file of expected trades, that can not be read.

    `line` counts from 1 in the text (of a gzip file: in what it holds). `column` is the column's name and
    `column_number` its place from 1; they are "" and 0 when the whole line or the file is at fault.
    """

    def __init__(self, file: Path, line: int, column: str, column_number: int, expected: str, got: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.column_number = column_number
        self.expected = expected
        self.got = got
        place = f", column {column_number} ({column})" if column_number else ""
        super().__init__(f"{file}, line {line}{place}: expected {expected}, got {got}")


class BadFieldError(Exception):
    """A field that is not what it should be; `read_rows` adds the file and the line."""

    def __init__(self, column: int, expected: str) -> None:
        super().__init__(expected)
        self.column = column
        self.expected = expected


class TableFile:
    """An open text file, plain or gzip; which of the two is told by its first bytes, not by its name."""

    def __init__(self, path: Path) -> None:
        """Open `path`. Raises OSError when that is not possible."""
        self.path = path
        self._raw = path.open("rb")
        self.size_bytes = path.stat().st_size
        packed = self._raw.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC)
        self._text: BufferedIOBase = gzip.GzipFile(fileobj=self._raw) if packed else self._raw

    @property
    def position_bytes(self) -> int:
        """How much of the file has been read so far, packed bytes of a gzip file; 0 for a pipe."""
        return self._raw.tell() if self._raw.seekable() else 0

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number, from 1, and text of each line, without its end. Raises `TapeError`."""
        number = 0
        while True:
            number += 1
            line = self._next_line(number)
            if not line:
                return
            yield number, self._decode(number, line)

    def _next_line(self, number: int) -> bytes:
        try:
            line = self._text.readline(MAX_LINE_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TapeError(self.path, number, "", 0, "a whole gzip file", str(error)) from error
        if len(line) > MAX_LINE_BYTES:
            raise TapeError(self.path, number, "", 0, f"at most {MAX_LINE_BYTES} bytes in a line", "more")
        return line

    def _decode(self, number: int, line: bytes) -> str:
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise TapeError(self.path, number, "", 0, "text in UTF-8", f"byte {line[error.start]:#04x}") from error

    def close(self) -> None:
        """Close the file."""
        self._text.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_header(file: Path, lines: Iterator[tuple[int, str]]) -> tuple[str, ...]:
    """The column names in the first line of `lines`. Raises `TapeError` when there is no line."""
    number, text = next(lines, (1, ""))
    if not text:
        raise TapeError(file, number, "", 0, "a header line", "nothing")
    return tuple(text.split(","))


def expect_header(file: Path, header: tuple[str, ...], columns: tuple[str, ...]) -> None:
    """Check that `header` names `columns`, in this order. Raises `TapeError` at the first difference."""
    for place, name in enumerate(columns):
        got = header[place] if place < len(header) else None
        if got != name:
            raise TapeError(file, 1, name, place + 1, f"the header {','.join(columns)}", shown(got))
    if len(header) > len(columns):
        extra = header[len(columns)]
        raise TapeError(file, 1, extra, len(columns) + 1, f"the header {','.join(columns)}", shown(extra))


def read_rows(
    file: Path,
    lines: Iterator[tuple[int, str]],
    columns: tuple[str, ...],
    parse: Callable[[Sequence[str]], Row],
) -> Iterator[tuple[int, Row]]:
    """Line number and parsed row of each of `lines`. Raises `TapeError` at the first bad one."""
    width = len(columns)
    for number, text in lines:
        fields = text.split(",")
        if len(fields) != width:
            _refuse_width(file, number, columns, fields)
        try:
            yield number, parse(fields)
        except BadFieldError as bad:
            place = bad.column
            raise TapeError(file, number, columns[place], place + 1, bad.expected, shown(fields[place])) from bad


def _refuse_width(file: Path, number: int, columns: tuple[str, ...], fields: Sequence[str]) -> NoReturn:
    width = len(columns)
    if fields == [""]:
        raise TapeError(file, number, "", 0, f"{width} columns", "an empty line")
    place = min(len(fields), width)
    column = columns[place] if place < width else "one too many"
    raise TapeError(file, number, column, place + 1, f"{width} columns", str(len(fields)))


def shown(field: str | None) -> str:
    """A field as an error message quotes it."""
    if field is None:
        return "nothing"
    if len(field) > _MAX_SHOWN_CHARACTERS:
        field = field[:_MAX_SHOWN_CHARACTERS] + "…"
    return repr(field)


def whole_number(fields: Sequence[str], column: int, lowest: int, highest: int) -> int:
    """The whole number in a column. Raises `BadFieldError` when it is none or out of range."""
    text = fields[column]
    if is_digits(text):
        value = int(text)
        if lowest <= value <= highest:
            return value
    raise BadFieldError(column, f"a whole number from {lowest} to {highest}")


def optional_number(fields: Sequence[str], column: int, highest: int) -> int:
    """The whole number in a column, 0 when the column is empty. Raises `BadFieldError`."""
    return whole_number(fields, column, 0, highest) if fields[column] else 0


def seconds_as_ms(fields: Sequence[str], column: int, highest_ms: int) -> int:
    """A time in decimal seconds as whole milliseconds, finer digits cut off. Raises `BadFieldError`.

    Worked out on the digits: a float would already be wrong in the last place of many recorded times.
    """
    whole, point, fraction = fields[column].partition(".")
    if is_digits(whole) and (not point or (fraction.isascii() and fraction.isdigit())):
        time_ms = int(whole) * 1000 + int((fraction + "000")[:3])
        if time_ms <= highest_ms:
            return time_ms
    raise BadFieldError(column, f"a time in seconds like 34200.004241176, up to {highest_ms // 1000} seconds")


def is_digits(text: str) -> bool:
    """Whether `text` is made of plain digits only, and few enough to be one of our numbers."""
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
