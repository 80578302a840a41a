"""What `crossbook.matching.columns` stands on when the engine runs from source.

Same names and results as the compiled primitives, in plain Python.
"""

from collections.abc import Iterable

i64 = int
vec = list


def append(column: list[int], value: int) -> list[int]:
    """Add `value` at the end of `column` and give the column back."""
    column.append(value)
    return column


def extend(column: list[int], values: Iterable[int]) -> list[int]:
    """Add `values` at the end of `column` and give the column back."""
    column.extend(values)
    return column
