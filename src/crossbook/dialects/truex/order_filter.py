"""The filter language of `orders/list`: JSON text to conditions, or a refusal that names what is wrong.

    {"columns": [{"name": "status", "filter": [{"$in": ["REJECTED", "CANCELED"]}]},
                 {"name": "price", "filter": [{"$gte": "66000"}, {"$lt": "67000"}]}]}

All conditions must hold. Columns and operators are those of the tables below and no others; how many of each there
may be is limited, and so are values, before anything of them is looked at.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import msgspec

from crossbook.application.order_filters import (
    CODES,
    OF_LISTS,
    OF_ORDER,
    TEXTS,
    WHOLE,
    Column,
    Condition,
    Operator,
    OrderStage,
    Value,
)
from crossbook.dialects.body import check_depth
from crossbook.dialects.refusals import Fault
from crossbook.dialects.truex.errors import invalid
from crossbook.domain.orders import OrderType, Side, TimeInForce

FIELD: Final = "query"
MAX_LENGTH: Final = 4_096
MAX_DEPTH: Final = 6
MAX_COLUMNS: Final = 16
MAX_CONDITIONS: Final = 32
MAX_VALUES: Final = 100
MAX_TEXT: Final = 64
MAX_WHOLE: Final = 2**63 - 1

COLUMNS: Final[Mapping[str, Column]] = MappingProxyType(
    {
        "id": Column.ID,
        "client_id": Column.CLIENT_ID,
        "instrument_id": Column.INSTRUMENT_ID,
        "status": Column.STAGE,
        "side": Column.SIDE,
        "type": Column.TYPE,
        "tif": Column.TIME_IN_FORCE,
        "external_id": Column.EXTERNAL_ID,
        "ref_external_id": Column.REF_EXTERNAL_ID,
        "price": Column.PRICE,
        "qty": Column.QUANTITY,
        "leaves_qty": Column.LEAVES_QUANTITY,
        "executed_qty": Column.EXECUTED_QUANTITY,
        "timestamp": Column.CREATED_AT_NS,
    }
)
WORDS: Final[Mapping[Column, Mapping[str, int]]] = MappingProxyType(
    {
        Column.STAGE: {"INITIALIZED": 0} | {stage.name: stage.value for stage in OrderStage},
        Column.SIDE: {side.name: side.value for side in Side},
        Column.TYPE: {kind.name: kind.value for kind in OrderType},
        Column.TIME_IN_FORCE: {tif.name: tif.value for tif in TimeInForce},
    }
)
"""The words of columns that know only some. Nothing stays INITIALIZED here: an order is stored as it is sent."""

_OPERATORS: Final = {operator.value: operator for operator in Operator}
_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,18})?")
_DIGITS: Final = re.compile(r"[0-9]{1,19}")
_decode: Final = msgspec.json.Decoder(float_hook=str).decode


def parse(text: str | None) -> list[Condition]:
    """The conditions of a filter; none for None or an empty text. Raises Problem."""
    if not text:
        return []
    if len(text) > MAX_LENGTH:
        raise invalid(FIELD, f"must not be longer than {MAX_LENGTH} characters")
    raw = text.encode("utf-8", "surrogatepass")
    try:
        check_depth(raw, MAX_DEPTH)
        document = _decode(raw)
    except (Fault, msgspec.DecodeError, UnicodeDecodeError):
        raise invalid(FIELD, f"must be JSON, nested {MAX_DEPTH} deep at most") from None
    columns = _list_of(_only(document, "columns", FIELD), f"{FIELD}.columns", MAX_COLUMNS)
    conditions = [condition for place, each in enumerate(columns) for condition in _of_column(each, place)]
    if len(conditions) > MAX_CONDITIONS:
        raise invalid(FIELD, f"must not have more than {MAX_CONDITIONS} conditions")
    return conditions


def _of_column(each: Any, place: int) -> Iterator[Condition]:
    path = f"{FIELD}.columns[{place}]"
    if not isinstance(each, dict) or set(each) != {"name", "filter"}:
        raise invalid(path, "must be an object with name and filter")
    name = each["name"]
    if not isinstance(name, str) or name not in COLUMNS:
        raise invalid(f"{path}.name", f"must be one of {', '.join(COLUMNS)}, not {_shown(name)}")
    for number, comparison in enumerate(_list_of(each["filter"], f"{path}.filter", MAX_CONDITIONS)):
        where = f"{path}.filter[{number}]"
        if not isinstance(comparison, dict) or not comparison:
            raise invalid(where, "must be an object with an operator")
        for word, given in comparison.items():
            yield _condition(COLUMNS[name], name, word, given, where)


def _condition(column: Column, name: str, word: str, given: Any, where: str) -> Condition:
    operator = _OPERATORS.get(word)
    if operator is None:
        raise invalid(where, f"must use one of {', '.join(_OPERATORS)}, not {_shown(word)}")
    if operator in OF_ORDER and column in CODES:
        raise invalid(where, f"must not use {word} on {name}: it has no order")
    path = f"{where}.{word}"
    values = _list_of(given, path, MAX_VALUES) if operator in OF_LISTS else [given]
    return Condition(column, operator, tuple(_value(column, value, path) for value in values))


def _value(column: Column, given: Any, path: str) -> Value:
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise invalid(path, "must be a text or a number")
    text = str(given)
    if column in CODES:
        return _code(column, text, path)
    if column in TEXTS:
        if len(text) > MAX_TEXT or not text.isascii() or "\0" in text:
            raise invalid(path, f"must be plain text of at most {MAX_TEXT} characters")
        return text
    if column in WHOLE:
        if not _DIGITS.fullmatch(text) or int(text) > MAX_WHOLE:
            raise invalid(path, f"must be a whole number from 0 to {MAX_WHOLE}")
        return int(text)
    if not _DECIMAL.fullmatch(text):
        raise invalid(path, "must be a decimal number of at most 20 digits and 18 decimals")
    return Decimal(text)


def _code(column: Column, text: str, path: str) -> int:
    code = WORDS[column].get(text)
    if code is None:
        raise invalid(path, f"must be one of {', '.join(WORDS[column])}")
    return code


def _only(document: Any, key: str, path: str) -> Any:
    if not isinstance(document, dict) or set(document) != {key}:
        raise invalid(path, f"must be an object with {key} and nothing else")
    return document[key]


def _list_of(given: Any, path: str, most: int) -> list[Any]:
    if not isinstance(given, list) or not 1 <= len(given) <= most:
        raise invalid(path, f"must be a list of 1 to {most}")
    return given


def _shown(given: Any) -> str:
    """A word of the client's, short enough to be repeated to him."""
    return ascii(str(given)[:MAX_TEXT])
