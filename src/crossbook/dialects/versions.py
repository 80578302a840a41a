"""Versions of a dialect that a request chooses by a header, and the forms of reply that go with them.

A plain version sends what the handler answers. An enveloped one wraps it: `{"data": ...}`, with `pagination`
beside it on lists, and `{"error": ...}` around a problem. Which fields a body has is the handler's matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

import msgspec
from starlette.types import Scope

from crossbook.dialects.call import Header, Reply
from crossbook.dialects.refusals import Fault, FaultKind

SHOWN_CHARACTERS: Final = 48
_DATES: Final = frozenset({b"deprecation", b"sunset"})


@dataclass(frozen=True)
class Retirement:
    """That something is going away: since when it is deprecated, until when it is served at least (None: no date)."""

    deprecated_on: date
    sunset_on: date | None = None

    def headers(self) -> tuple[Header, ...]:
        """`Deprecation` and `Sunset` (RFC 8594), both as HTTP dates."""
        found: list[Header] = [(b"deprecation", http_date(self.deprecated_on))]
        if self.sunset_on is not None:
            found.append((b"sunset", http_date(self.sunset_on)))
        return tuple(found)


def http_date(day: date) -> bytes:
    """Midnight UTC of a day as headers write it."""
    return format_datetime(datetime.combine(day, time(), UTC), usegmt=True).encode("ascii")


@dataclass(frozen=True)
class Version:
    """One version of a dialect. `retirement` is None while it is current."""

    name: str
    enveloped: bool = False
    retirement: Retirement | None = None


class Pagination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a page of a list ends. `next_cursor` is left out on the last page."""

    size: int
    next_cursor: str = ""


class Versions:
    """The versions of a dialect; the first is the default. `header` is the request header's lower-case name.

    Raises ValueError without a version.
    """

    def __init__(self, header: str, versions: Sequence[Version]) -> None:
        if not versions:
            raise ValueError("a dialect with versions needs one")
        self.header = header
        self._key = header.encode("ascii")
        self._by_name = {version.name: version for version in versions}

    def __iter__(self) -> Iterator[Version]:
        return iter(self._by_name.values())

    @property
    def default(self) -> Version:
        """The version of a request that names none."""
        return next(iter(self._by_name.values()))

    def asked(self, scope: Scope) -> Version:
        """The version that a request asks for. Raises `Fault` INVALID for one that is not spoken."""
        name = self._name_in(scope)
        version = self._by_name.get(name) if name is not None else self.default
        if version is None:
            known = ", ".join(self._by_name)
            shown = (name or "")[:SHOWN_CHARACTERS]
            message = f"{self.header} must be one of {known}; got {shown!r}"
            raise Fault(FaultKind.INVALID, message, field=self.header, rule=f"must be one of {known}", got=shown)
        return version

    def _name_in(self, scope: Scope) -> str | None:
        for key, value in scope["headers"]:
            if key == self._key:
                return str(value.decode("latin-1")).strip()
        return None

    def dressed(self, scope: Scope, reply: Reply, problem_type: str) -> Reply:
        """A reply in the form of the request's version, with its headers; the plain form for an unknown version."""
        version = self._by_name.get(self._name_in(scope) or "", self.default)
        headers = reply.headers if version.retirement is None else _soonest(reply.headers, version.retirement)
        body = _enveloped(reply, problem_type) if version.enveloped else reply.body
        return Reply(reply.status, body, headers, reply.media_type, reply.raw)


def _soonest(headers: tuple[Header, ...], retirement: Retirement) -> tuple[Header, ...]:
    """The headers with those of a version that goes away. Of an old path's dates and the version's the sooner hold."""
    dates = dict(retirement.headers())
    kept = []
    for name, value in headers:
        if name not in _DATES:
            kept.append((name, value))
        elif name not in dates or _day_of(value) < _day_of(dates[name]):
            dates[name] = value
    return (*kept, *dates.items())


def _day_of(value: bytes) -> datetime:
    return parsedate_to_datetime(value.decode("ascii"))


def _enveloped(reply: Reply, problem_type: str) -> object:
    if reply.body is None:
        return None
    if reply.media_type == problem_type:
        return {"error": reply.body}
    if reply.pagination is None:
        return {"data": reply.body}
    return {"data": reply.body, "pagination": reply.pagination}


def enveloped_type(kind: Any, name: str, problem: object) -> Any:
    """The type of an enveloped body, for the OpenAPI document: of an error, of a list, or of one thing.

    `name` is the type's name in the document.
    """
    if kind is problem:
        fields: Mapping[str, Any] = {"error": kind}
    elif getattr(kind, "__origin__", None) is list:
        fields = {"data": kind, "pagination": Pagination}
    else:
        fields = {"data": kind}
    return msgspec.defstruct(name, list(fields.items()), frozen=True)
