"""One request on its way through a handler, and its reply."""

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec
from starlette.types import Scope

B = TypeVar("B")
Q = TypeVar("Q")

Header = tuple[bytes, bytes]

JSON: Final = "application/json"
VISIT: Final = "crossbook.visit"
"""The key under which the outermost layer leaves the `Visit` in the scope."""


class Visit:
    """What is known of a request from its first byte: for the log line, the metrics and the reply.

    `route` is the path template, which the router fills in; it never holds an id. `dialect` likewise.
    """

    __slots__ = ("address", "dialect", "request_id", "route")

    def __init__(self, request_id: str, address: str) -> None:
        self.request_id = request_id
        self.address = address
        self.route = ""
        self.dialect = ""


def visit_of(scope: Scope) -> Visit:
    """The visit of this request; one without an id when no outer layer made it."""
    found = scope.get(VISIT)
    if isinstance(found, Visit):
        return found
    client = scope.get("client")
    made = Visit("", client[0] if client else "")
    scope[VISIT] = made
    return made


class Principal(msgspec.Struct, frozen=True):
    """Who sends an authenticated request.

    `subject` names the user or key to the application, `limit_key` the budget that its requests spend.
    `session` is whatever the dialect's authenticator wants to hand to its handlers.
    """

    subject: str
    scopes: frozenset[str] = frozenset()
    limit_key: str = ""
    session: object = None


class Reply(msgspec.Struct, frozen=True):
    """An answer: `body` is encoded as JSON, unless `raw` holds the bytes themselves.

    `pagination` says where a page of a list ends, for the forms of reply that tell it in the body.
    """

    status: int = 200
    body: object = None
    headers: tuple[Header, ...] = ()
    media_type: str = JSON
    raw: bytes | None = None
    pagination: object = None


class Call(Generic[B, Q]):
    """A request as a handler sees it. `body` and `query` are decoded; `path` holds the path's parameters.

    `version` is the name of the version that the request asks for; "" in a dialect without versions.
    """

    __slots__ = ("_principal", "body", "path", "query", "raw_body", "scope", "version", "visit")

    def __init__(self, scope: Scope, visit: Visit) -> None:
        self.scope = scope
        self.visit = visit
        self.path: Mapping[str, str] = scope.get("path_params") or {}
        self.raw_body = b""
        self.version = ""
        self.body: B
        self.query: Q
        self._principal: Principal | None = None

    @property
    def principal(self) -> Principal:
        """Who sends the request. Raises LookupError on an endpoint without authentication."""
        if self._principal is None:
            raise LookupError("the endpoint is public")
        return self._principal

    def admit(self, principal: Principal) -> None:
        """Set who sends the request, once the authenticator knows."""
        self._principal = principal

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header of that lower-case name."""
        headers: list[tuple[bytes, bytes]] = self.scope["headers"]
        for key, value in headers:
            if key == name:
                return value
        return None


AnyCall = Call[Any, Any]
