"""The door: the one layer that every request passes on its way in and every reply on its way out.

In: a request id, the client's address. Out: the id, security headers, one line in the access log, one
measurement. Plain ASGI and one layer, because each layer costs every request. The limits of a body (size,
depth, media type, time) are kept where the body is read, in `crossbook.dialects.body`.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import msgspec
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossbook.dialects.call import VISIT, Header, Reply, Visit
from crossbook.dialects.endpoint import send_reply

SANE_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
UNLESS_SET: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
OVER_TLS: Final[Header] = (b"strict-transport-security", b"max-age=31536000")

EXPOSED: Final = (
    "X-Request-Id",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
    "Link",
)
CORS_METHODS: Final = ("GET", "POST", "PATCH", "DELETE")
CORS_AGE_S: Final = 600
SECOND_US: Final = 1_000_000

Bind = Callable[[str], AbstractContextManager[object]]
"""Makes the context in which every log line carries a request id."""
NOTHING_BOUND: Final = nullcontext()


class AccessLine(msgspec.Struct, frozen=True, gc=False):
    """One request as the log sees it. The path goes without its query, which may hold a token.

    `route` is the path's template and `dialect` its table, both "" where no table knows the path.
    `status` is 0 when the client went away before a reply. `duration_us` in microseconds.
    """

    request_id: str
    address: str
    method: str
    path: str
    route: str
    dialect: str
    status: int
    duration_us: int
    sent_bytes: int


AccessLog = Callable[[AccessLine], None]
"""Takes the line of every finished request, for the log and for the metrics."""


def request_id_of(headers: Sequence[Header], make: Callable[[], str]) -> str:
    """The client's own request id when it is short and plain, else a new one."""
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode("ascii") if SANE_ID.fullmatch(value) else make()
    return make()


class Exchange:
    """One request and its reply, while they pass the door."""

    __slots__ = ("_head", "_secure", "_send", "sent_bytes", "status", "visit")

    def __init__(self, scope: Scope, send: Send, visit: Visit) -> None:
        self.visit = visit
        self.status = 0
        self.sent_bytes = 0
        self._send = send
        self._secure = scope.get("scheme") == "https"
        self._head = scope["method"] == "HEAD"

    async def send(self, message: Message) -> None:
        """Pass a message of the reply on, with the door's headers in its first."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._with_own(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.sent_bytes += 0 if self._head else len(message.get("body", b""))
        await self._send(message)

    def _with_own(self, headers: Sequence[Header]) -> list[Header]:
        present = {name for name, _ in headers}
        own = [header for header in UNLESS_SET if header[0] not in present]
        if self._secure:
            own.append(OVER_TLS)
        return [*headers, *ALWAYS, *own, (b"x-request-id", self.visit.request_id.encode("ascii"))]


class Door:
    """The outermost layer of the application.

    `new_id` makes request ids, `monotonic_s` measures, `bind` keeps the id in the log's context as long as
    it is entered, `access` gets a line per request, `crashed` turns an error that nobody caught into a reply.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        new_id: Callable[[], str],
        monotonic_s: Callable[[], float],
        crashed: Callable[[Exception, Visit], Reply],
        bind: Bind = lambda request_id: NOTHING_BOUND,
        access: AccessLog | None = None,
    ) -> None:
        self._app = app
        self._new_id = new_id
        self._monotonic_s = monotonic_s
        self._crashed = crashed
        self._bind = bind
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        visit = self._enter(scope)
        with self._bind(visit.request_id):
            if scope["type"] == "http":
                await self._pass(scope, receive, Exchange(scope, send, visit))
            else:
                await self._app(scope, receive, send)

    def _enter(self, scope: Scope) -> Visit:
        client = scope.get("client")
        visit = Visit(request_id_of(scope["headers"], self._new_id), client[0] if client else "")
        scope[VISIT] = visit
        return visit

    async def _pass(self, scope: Scope, receive: Receive, exchange: Exchange) -> None:
        started_s = self._monotonic_s()
        try:
            await self._app(scope, receive, exchange.send)
        except Exception as error:
            reply = self._crashed(error, exchange.visit)
            if exchange.status:
                raise  # the reply had begun: the server cuts the connection
            await send_reply(exchange.send, reply)
        finally:
            if self._access is not None:
                duration_us = int((self._monotonic_s() - started_s) * SECOND_US)
                self._access(line_of(scope, exchange, duration_us))


def line_of(scope: Scope, exchange: Exchange, duration_us: int) -> AccessLine:
    """The access line of a finished request."""
    visit = exchange.visit
    return AccessLine(
        visit.request_id,
        visit.address,
        scope["method"],
        scope["path"],
        visit.route,
        visit.dialect,
        exchange.status,
        duration_us,
        exchange.sent_bytes,
    )


def with_cors(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of these origins call the API. Without origins, no page but the venue's own can."""
    if not origins:
        return app
    if "*" in origins:
        raise ValueError("name the origins that may call the API; * would let every page do it")
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=CORS_METHODS,
        allow_headers=("Authorization", "Content-Type", "X-Request-Id"),
        expose_headers=EXPOSED,
        max_age=CORS_AGE_S,
    )
