"""Decoding bodies and query strings by schema, and saying what is wrong with them.

msgspec decides whether a value fits; only when it does not, the reason is worked out a second time, slowly:
the field's path, the rule that the schema states, and what was got.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect

from crossbook.dialects.refusals import Fault, FaultKind

T = TypeVar("T")

MAX_QUERY_FIELDS: Final = 32
SHOWN_CHARACTERS: Final = 48
SECRET_FIELDS: Final = frozenset({"password", "secret", "token", "signature", "authorization"})

MESSAGE: Final = re.compile(r"^(?P<text>.*?)(?: - at `(?:key in )?(?P<path>\$[^`]*)`)?$", re.DOTALL)
NAMED_FIELD: Final = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<name>.*)`$", re.DOTALL)
STEP: Final = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

Step = str | int


class Missing:
    """Stands for a value that is not there."""


MISSING: Final = Missing()


def steps_of(path: str) -> list[Step]:
    """The steps of a path such as `$.orders[0].price`."""
    return [name or int(index) for name, index in STEP.findall(path)]


def name_of(steps: list[Step]) -> str:
    """The path as shown to a client: `orders[0].price`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


def value_at(document: object, steps: list[Step]) -> object:
    """The value that the steps lead to, or `MISSING`."""
    for step in steps:
        try:
            document = document[step]  # type: ignore[index]
        except (TypeError, LookupError):
            return MISSING
    return document


def shown(value: object, steps: list[Step]) -> str:
    """What was got, short, in one line, and never a secret."""
    if isinstance(value, Missing):
        return "nothing"
    if any(isinstance(step, str) and step.lower() in SECRET_FIELDS for step in steps):
        return "a value that is not shown"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = msgspec.json.encode(value).decode()
    short = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"the number {short}" if number else short


# -- What the schema says ----------------------------------------------------------------------------
def alternatives(kind: inspect.Type) -> Iterator[tuple[inspect.Type, str]]:
    """The types that `kind` allows, null left out, each with its description."""
    if isinstance(kind, inspect.Metadata):
        description = str((kind.extra_json_schema or {}).get("description", ""))
        yield from ((inner, text or description) for inner, text in alternatives(kind.type))
    elif isinstance(kind, inspect.UnionType):
        for item in kind.types:
            yield from alternatives(item)
    elif not isinstance(kind, inspect.NoneType):
        yield kind, ""


def step_into(kind: inspect.Type, step: Step) -> inspect.Type | None:
    """The type one step further in."""
    for inner, _ in alternatives(kind):
        if isinstance(inner, inspect.StructType):
            for field in inner.fields:
                if field.encode_name == step:
                    return field.type
        elif isinstance(inner, inspect.ListType | inspect.VarTupleType):
            return inner.item_type
    return None


def type_at(kind: inspect.Type | None, steps: list[Step]) -> inspect.Type | None:
    """The type that the steps lead to."""
    for step in steps:
        if kind is None:
            return None
        kind = step_into(kind, step)
    return kind


def stated_rule(kind: inspect.Type | None) -> str:
    """The schema's own words: the description, or the allowed values; "" when it has none."""
    for inner, description in alternatives(kind) if kind is not None else ():
        if isinstance(inner, inspect.LiteralType):
            return "must be one of " + ", ".join(str(value) for value in inner.values)
        if isinstance(inner, inspect.EnumType):
            return "must be one of " + ", ".join(str(member.value) for member in inner.cls)
        if description:
            return f"must be {description}"
    return ""


def field_names(kind: inspect.Type | None) -> str:
    """The names of an object's fields, for the client that sent an unknown one."""
    structs = (inner for inner, _ in alternatives(kind) if isinstance(inner, inspect.StructType)) if kind else ()
    return ", ".join(field.encode_name for struct in structs for field in struct.fields)


def plain_rule(text: str) -> str:
    """The decoder's message as a rule: "Expected `int` <= 500, got `str`" becomes "must be int <= 500"."""
    rule = text.partition(", got ")[0].replace("`", "")
    return "must be " + rule.removeprefix("Expected ") if rule.startswith("Expected ") else rule


def explain(error: msgspec.ValidationError, document: object, kind: inspect.Type) -> Fault:
    """Turn the decoder's error into the field's name, the rule and what was got."""
    match = MESSAGE.match(str(error))
    text, path = (match["text"], match["path"] or "$") if match else (str(error), "$")
    steps = steps_of(path)
    if (named := NAMED_FIELD.match(text)) is not None:
        return _explain_named(named, steps, kind)
    field = name_of(steps)
    rule = stated_rule(type_at(kind, steps)) or plain_rule(text)
    got = shown(value_at(document, steps), steps)
    return Fault(FaultKind.INVALID, f"{field or 'the body'} {rule}; got {got}", field=field, rule=rule, got=got)


def _explain_named(named: re.Match[str], steps: list[Step], kind: inspect.Type) -> Fault:
    """A field that is missing, or one that is not known."""
    name = CONTROL.sub("?", named["name"])[:SHOWN_CHARACTERS]
    field = name_of([*steps, name])
    if named["what"] == "missing required":
        stated = stated_rule(type_at(kind, [*steps, name]))
        rule = f"is required and {stated}" if stated else "is required"
        return Fault(FaultKind.INVALID, f"{field} {rule}; got nothing", field=field, rule=rule, got="nothing")
    rule = f"is not a known field; the fields are {field_names(type_at(kind, steps))}"
    return Fault(FaultKind.INVALID, f"{field} {rule}", field=field, rule=rule, got="an unknown field")


# -- The decoders ------------------------------------------------------------------------------------
class BodyDecoder(Generic[T]):
    """Decodes a JSON body, strictly: a number is no string, a string no number."""

    def __init__(self, schema: type[T]) -> None:
        self._decoder = msgspec.json.Decoder(schema)
        self._schema = schema

    def decode(self, body: bytes) -> T:
        """The decoded body. Raises `Fault`, MALFORMED or INVALID."""
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._explained(error, body) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error, body) from None

    def _explained(self, error: msgspec.ValidationError, body: bytes) -> Fault:
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as worse:
            return _malformed(worse, body)
        return explain(error, document, inspect.type_info(self._schema))


def _malformed(error: Exception, body: bytes) -> Fault:
    if not body:
        return Fault(FaultKind.MALFORMED, "a JSON body is required; got nothing", rule="a JSON body", got="nothing")
    text = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return Fault(FaultKind.MALFORMED, f"the body must be valid JSON: {text}", rule="valid JSON")


class QueryDecoder(Generic[T]):
    """Decodes a query string. Numbers are read from their digits; a name may come twice only for a list."""

    def __init__(self, schema: type[T]) -> None:
        self._schema = schema
        self._info = inspect.type_info(schema)
        fields = self._info.fields if isinstance(self._info, inspect.StructType) else ()
        self._lists = frozenset(
            field.encode_name
            for field in fields
            if any(isinstance(kind, inspect.ListType) for kind, _ in alternatives(field.type))
        )
        # The decoder would read the text null as "not given"; a filter must not vanish because of its value.
        self._not_text = {
            field.encode_name: field.type
            for field in fields
            if not any(isinstance(kind, inspect.StrType) for kind, _ in alternatives(field.type))
        }
        self._empty = self._decode_empty()

    def _decode_empty(self) -> T | None:
        try:
            return msgspec.convert({}, self._schema)
        except msgspec.ValidationError:
            return None

    def decode(self, query: bytes) -> T:
        """The decoded query. Raises `Fault` INVALID."""
        if not query and self._empty is not None:
            return self._empty
        values = self._values(query)
        try:
            return msgspec.convert(values, self._schema, strict=False)
        except msgspec.ValidationError as error:
            raise explain(error, values, self._info) from None

    def _values(self, query: bytes) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        for name, value in _pairs(query):
            if name in self._lists:
                values.setdefault(name, []).append(value)
            elif name in values:
                raise Fault(FaultKind.INVALID, f"{name[:SHOWN_CHARACTERS]} must be given once", field=name)
            elif value.lower() == "null" and name in self._not_text:
                rule = stated_rule(self._not_text[name]) or "must not be null"
                raise Fault(FaultKind.INVALID, f"{name} {rule}; got {value}", field=name, rule=rule, got=value)
            else:
                values[name] = value
        return values


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except ValueError:
        raise Fault(FaultKind.INVALID, f"the query must be UTF-8 and at most {MAX_QUERY_FIELDS} fields") from None
    if any(CONTROL.search(part) for pair in pairs for part in pair):
        raise Fault(FaultKind.INVALID, "the query must not hold control characters")
    return pairs
