"""What `crossbook.matching.columns` stands on when the engine runs from source.

Same names and results as the compiled primitives of `librt`, in plain Python.
"""

from struct import Struct
from typing import Any

_WORD = Struct("<q")

i64 = int
vec = list


def append(column: list[int], value: int) -> list[int]:
    """Add `value` at the end of `column` and give the column back."""
    column.append(value)
    return column


class BytesWriter:
    """Collects bytes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Add `data`."""
        self._data += data

    def getvalue(self) -> bytes:
        """Everything written so far."""
        return bytes(self._data)

    def __len__(self) -> int:
        return len(self._data)


def write_i64_le(writer: Any, value: int) -> None:
    """Add `value` as eight bytes, little endian, signed."""
    writer.write(_WORD.pack(value))


def read_i64_le(data: bytes, offset: int) -> int:
    """The signed little-endian 64-bit number at byte `offset` of `data`."""
    value: int = _WORD.unpack_from(data, offset)[0]
    return value
