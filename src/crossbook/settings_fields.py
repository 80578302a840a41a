"""What one setting is: its documentation, its names, and how its value is read, checked and shown."""

import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum, StrEnum, auto
from pathlib import Path
from typing import Any, Final, TypeVar

from crossbook.security.redaction import HIDDEN, hide_in_text

PREFIX: Final = "CROSSBOOK_"
_TERMS: Final = "terms"
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]+(_[0-9]+)*")
_MOST_DIGITS: Final = 20
_TYPE_WORDS: Final[Mapping[type, str]] = types.MappingProxyType(
    {bool: "true or false", int: "a whole number", str: "a text", Path: "a path", tuple: "a list of texts"}
)

T = TypeVar("T")


class Secrecy(Enum):
    """What of a value may be shown."""

    OPEN = auto()
    SECRET = auto()
    SECRET_IN_URL = auto()
    """A URL: all of it but the password."""


@dataclass(frozen=True)
class Terms:
    """What the declaration of a setting says beside its name, type and default."""

    section: str
    doc: str
    least: int | None
    most: int | None
    in_production: object
    secrecy: Secrecy
    bare_name: bool


def setting(
    default: T,
    section: str,
    doc: str,
    *,
    least: int | None = None,
    most: int | None = None,
    in_production: T | None = None,
    secrecy: Secrecy = Secrecy.OPEN,
    bare_name: bool = False,
) -> T:
    """Declares a field of a settings class.

    `least` and `most` bound a whole number. `in_production` is another default for that mode. `bare_name`
    says that the environment may give it without PREFIX too.
    """
    terms = Terms(section, doc, least, most, in_production, secrecy, bare_name)
    return field(default=default, metadata={_TERMS: terms})


@dataclass(frozen=True)
class Setting:
    """One setting of a class: `kind` is its type without "or None", which is `optional`."""

    name: str
    kind: type
    optional: bool
    default: object
    terms: Terms

    @property
    def environment_names(self) -> tuple[str, ...]:
        """The names it has in the environment, the shortest first."""
        upper = self.name.upper()
        return (upper, PREFIX + upper) if self.terms.bare_name else (PREFIX + upper,)

    @property
    def type_words(self) -> str:
        """What a value must be, as words."""
        if issubclass(self.kind, StrEnum):
            return "one of " + ", ".join(self.kind)
        return _TYPE_WORDS[self.kind] + self._bounds_words()

    def default_for(self, production: bool) -> object:
        """The value it has when nobody gives one."""
        other = self.terms.in_production
        return self.default if other is None or not production else other

    def from_text(self, text: str) -> object:
        """The value that the environment's `text` stands for. Raises ValueError, which never repeats a secret."""
        if self.kind is str:
            return text  # as it is: a space may belong to a secret
        text = text.strip()
        if issubclass(self.kind, StrEnum):
            return self._choice(text.lower())
        if self.kind is bool and text.lower() in _YES | _NO:
            return text.lower() in _YES
        if self.kind is int and _WHOLE_NUMBER.fullmatch(text) and len(text) <= _MOST_DIGITS:
            return int(text)
        if self.kind is Path:
            return Path(text).expanduser()
        if self.kind is tuple:
            return tuple(filter(None, (part.strip() for part in text.split(","))))
        raise self._wrong(text)

    def from_file(self, value: object) -> object:
        """The value that a TOML file's `value` stands for. Raises ValueError, which never repeats a secret."""
        if isinstance(value, str) and self.kind is not tuple and (self.kind in {str, Path} or self._has_choices()):
            return self.from_text(value)
        if self.kind is tuple and isinstance(value, list):
            return tuple(value)
        if type(value) is self.kind and self.kind in {bool, int}:
            return value
        raise self._wrong(value)

    def fault_of(self, value: object) -> str:
        """What is wrong with `value` by its type and bounds; "" when nothing is."""
        if value is None and self.optional:
            return ""
        fits = isinstance(value, self.kind) and not (self.kind is int and isinstance(value, bool))
        if isinstance(value, tuple):
            fits = fits and all(isinstance(part, str) for part in value)
        if isinstance(value, int) and fits:
            fits = self._is_within(value)
        return "" if fits else str(self._wrong(value))

    def shown(self, value: object) -> str:
        """`value` as text, without what is secret; "" for none."""
        if value is None or value == ():
            return ""
        if self.terms.secrecy is Secrecy.SECRET:
            return HIDDEN
        if self.terms.secrecy is Secrecy.SECRET_IN_URL:
            return _hide_in_url(str(value))
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _has_choices(self) -> bool:
        return issubclass(self.kind, StrEnum)

    def _choice(self, text: str) -> object:
        try:
            return self.kind(text)
        except ValueError:
            raise self._wrong(text) from None

    def _is_within(self, number: int) -> bool:
        least, most = self.terms.least, self.terms.most
        return (least is None or number >= least) and (most is None or number <= most)

    def _bounds_words(self) -> str:
        least, most = self.terms.least, self.terms.most
        if least is not None and most is not None:
            return f" from {least} to {most}"
        return f", at least {least}" if least is not None else ""

    def _wrong(self, value: object) -> ValueError:
        given = "" if self.terms.secrecy is not Secrecy.OPEN else f", not {value!r}"
        return ValueError(f"must be {self.type_words}{given}")


def settings_of(cls: type) -> tuple[Setting, ...]:
    """Every setting that the dataclass `cls` declares, in its order."""
    hints = typing.get_type_hints(cls)
    return tuple(_resolved(item.name, hints[item.name], item.default, item.metadata[_TERMS]) for item in fields(cls))


def _resolved(name: str, hint: Any, default: object, terms: Terms) -> Setting:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = [choice for choice in choices if choice is not type(None)]
    kind = typing.get_origin(kinds[0]) or kinds[0]
    return Setting(name, kind, len(kinds) < len(choices), default, terms)


def _hide_in_url(url: str) -> str:
    """`url` without its password, also when that has characters that a URL should not have."""
    scheme, mark, rest = url.partition("://")
    user_part, at, host_part = rest.rpartition("@")
    user, colon, _ = user_part.partition(":")
    return scheme + mark + user + (f":{HIDDEN}" if colon else "") + at + hide_in_text(host_part)
