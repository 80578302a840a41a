"""Arrays of numbers as text, for statements that take them by `unnest($1::bigint[], ...)` or `ANY ($1::bigint[])`.

The driver looks at every element of a list for one that is a list itself, which for the statements of admission and
settlement costs more than all else it does. So a list for an array of numbers goes to the server as the text of an
array, which it reads as fast. The text is made by the JSON encoder: of numbers, booleans and null the two writings
agree, and whatever else comes is quoted, so that the server refuses it.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

_ARRAY: Final = re.compile(r"\$(\d+)::(bigint|integer|smallint|numeric|boolean)\[\]")
_STATEMENTS: Final = 1_000
_encode: Final = msgspec.json.Encoder().encode


@lru_cache(maxsize=_STATEMENTS)
def _taking_text(statement: str) -> tuple[str, tuple[int, ...]]:
    """The statement with text in place of arrays of numbers, and the places of these values, from 0."""
    places = sorted({int(number) - 1 for number, _ in _ARRAY.findall(statement)})
    return _ARRAY.sub(r"$\1::text::\2[]", statement), tuple(places)


def array_text(values: Sequence[Any]) -> str:
    """Numbers, booleans or None as the text of an array."""
    return "{" + _encode(values)[1:-1].decode("ascii") + "}"


def with_text(statement: str, values: Sequence[object]) -> tuple[str, Sequence[object]]:
    """The statement and its values, lists of numbers as text."""
    statement, places = _taking_text(statement)
    if not places:
        return statement, values
    texts = list(values)
    for place in places:
        value = texts[place]
        if value is not None:
            texts[place] = array_text(value)  # type: ignore[arg-type]
    return statement, texts
