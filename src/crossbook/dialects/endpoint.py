"""One table of endpoints per dialect: its router, its documentation and its fuzz target.

An `Endpoint` says everything about one operation. A `Dialect` is a table of them with the dialect's way of
authenticating and of saying errors. `EndpointApp` runs one endpoint as a plain ASGI application:

    1. address budget    2. body, within limits    3. authentication    4. scopes    5. key budget
    6. decoding          7. the handler            8. the reply, or the dialect's form of what went wrong
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, unique
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from crossbook.dialects.body import ClientGone, check_control_characters, check_depth, check_media_type, read_body
from crossbook.dialects.call import JSON, AnyCall, Call, Header, Principal, Reply, visit_of
from crossbook.dialects.deadlines import Deadlines, Limit
from crossbook.dialects.decoding import CONTROL, BodyDecoder, QueryDecoder
from crossbook.dialects.ports import Crash, Limiter, Unlimited, Verdict, tighter
from crossbook.dialects.refusals import Fault, FaultKind, Refusal
from crossbook.dialects.socket_page import SocketGuide
from crossbook.dialects.versions import Retirement, Versions

B = TypeVar("B")
Q = TypeVar("Q")

BODY_LIMIT_BYTES: Final = 64 * 1024
DEPTH_LIMIT: Final = 16
BODY_TIMEOUT_S: Final = 10
HANDLER_TIMEOUT_S: Final = 15
RETRY_AFTER_S: Final = 1


@unique
class Auth(Enum):
    """Whether an endpoint wants to know who asks."""

    PUBLIC = "public"
    REQUIRED = "required"


class ErrorForm(Protocol):
    """How a dialect says that something is wrong."""

    schema: object
    """The type of an error's body."""
    media_type: str

    def status(self, kind: FaultKind) -> int:
        """The HTTP status of a fault."""

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        """The reply to a refusal: a `Fault`, or one that this dialect's handlers raise."""

    def translate(self, error: Exception) -> Refusal | None:
        """The refusal that an application's error amounts to; None for an unexpected error."""


Authenticator = Callable[[AnyCall], Awaitable[Principal]]
"""Says who sends a request, from its headers or its raw body. Raises a `Refusal`."""


@dataclass(frozen=True)
class Endpoint(Generic[B, Q]):
    """One operation of a dialect.

    `path` may hold parameters in braces; they reach the handler as strings. `request` and `query` are msgspec
    Structs, or None. `responses` maps each status that the handler itself answers to the type of its body
    (None for an empty one); the framework adds those of its own faults. `rate_class` names the budget that
    the endpoint spends ("" for none). `body_limit_bytes` overrides the dialect's. `responses_in` maps the name of
    a version to the responses that are others in it. `headers` go with every reply of the endpoint.
    """

    method: str
    path: str
    summary: str
    handler: Callable[[Call[B, Q]], Awaitable[Reply]]
    responses: Mapping[int, object]
    auth: Auth = Auth.PUBLIC
    scopes: frozenset[str] = frozenset()
    request: type[B] | None = None
    query: type[Q] | None = None
    rate_class: str = ""
    description: str = ""
    tag: str = ""
    example: object = None
    deprecated: bool = False
    body_limit_bytes: int = 0
    responses_in: Mapping[str, Mapping[int, object]] = field(default_factory=dict)
    headers: tuple[Header, ...] = ()
    on_invalid: Callable[[Fault], Refusal] | None = None
    """Makes the refusal of a body that does not fit, where that is not the dialect's own."""

    def __post_init__(self) -> None:
        """Refuse a row that contradicts itself, when the table is built."""
        if self.scopes and self.auth is Auth.PUBLIC:
            raise ValueError(f"{self.method} {self.path} asks for scopes of nobody")
        if not self.path.startswith("/") or self.method != self.method.upper():
            raise ValueError(f"{self.method} {self.path} is no method and path")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in their order."""
        return tuple(compile_path(self.path)[2])


AnyEndpoint = Endpoint[Any, Any]


def alias(endpoint: AnyEndpoint, path: str, retirement: Retirement, prefix: str = "") -> AnyEndpoint:
    """The same operation under an old path, marked deprecated in the document and in the headers of its replies.

    `prefix` is the dialect's; the Link header needs it to name the path that takes the old one's place.
    """
    link = f'<{prefix}{endpoint.path}>; rel="successor-version"'.encode("ascii")
    headers = (*endpoint.headers, *retirement.headers(), (b"link", link))
    return replace(endpoint, path=path, deprecated=True, headers=headers)


async def nobody(call: AnyCall) -> Principal:
    """The authenticator of a dialect whose endpoints are all public."""
    del call
    raise Fault(FaultKind.UNAUTHENTICATED, "this API knows no users")


@dataclass(frozen=True)
class Dialect:
    """One public API.

    `name` is its place in the documentation's address, `prefix` the start of all its paths ("" for the
    root). `security` is the OpenAPI description of its credentials. `signs_body` has the body of every
    authenticated request read, even where no schema wants one. `plain_strings` refuses control characters.
    `versions` are those that a request may choose from; None where there is but one. `socket` describes the
    dialect's WebSocket, which is served beside the table.
    """

    name: str
    title: str
    version: str
    description: str
    endpoints: Sequence[AnyEndpoint]
    errors: ErrorForm
    prefix: str = ""
    authenticate: Authenticator = nobody
    security: Mapping[str, Any] = field(default_factory=dict)
    signs_body: bool = False
    plain_strings: bool = True
    body_limit_bytes: int = BODY_LIMIT_BYTES
    depth_limit: int = DEPTH_LIMIT
    versions: Versions | None = None
    socket: SocketGuide | None = None

    def __post_init__(self) -> None:
        """Refuse two rows for one operation."""
        seen: set[tuple[str, str]] = set()
        for endpoint in self.endpoints:
            operation = (endpoint.method, endpoint.path)
            if operation in seen:
                raise ValueError(f"{self.name} has two rows for {endpoint.method} {endpoint.path}")
            seen.add(operation)

    def dressed(self, scope: Scope, reply: Reply) -> Reply:
        """A reply in the form of the version that the request asks for."""
        return reply if self.versions is None else self.versions.dressed(scope, reply, self.errors.media_type)

    def faults_of(self, endpoint: AnyEndpoint) -> Iterator[FaultKind]:
        """The faults that the framework itself may answer on this endpoint."""
        if self.versions is not None:
            yield FaultKind.INVALID
        if endpoint.rate_class:
            yield FaultKind.RATE_LIMITED
        if endpoint.request is not None or (self.signs_body and endpoint.auth is Auth.REQUIRED):
            yield from (FaultKind.BODY_TOO_LARGE, FaultKind.REQUEST_TIMEOUT)
        if endpoint.request is not None:
            yield from (FaultKind.UNSUPPORTED_MEDIA_TYPE, FaultKind.MALFORMED, FaultKind.INVALID)
        if endpoint.query is not None:
            yield FaultKind.INVALID
        if endpoint.auth is Auth.REQUIRED:
            yield FaultKind.UNAUTHENTICATED
        if endpoint.scopes:
            yield FaultKind.FORBIDDEN
        if endpoint.parameters:
            yield FaultKind.NOT_FOUND
        yield from (FaultKind.UNAVAILABLE, FaultKind.INTERNAL)


@dataclass(frozen=True)
class Surroundings:
    """What the framework is given by whoever builds the application. Timeouts in seconds."""

    limiter: Limiter = field(default_factory=Unlimited)
    crash: Crash = lambda error, request_id, route: None
    body_timeout_s: float = BODY_TIMEOUT_S
    handler_timeout_s: float = HANDLER_TIMEOUT_S


# -- Replies -----------------------------------------------------------------------------------------
_encode: Final = msgspec.json.Encoder().encode


def limit_headers(verdict: Verdict) -> tuple[Header, ...]:
    """The headers that tell a client its budget: size, what is left, seconds until it is full again."""
    return (
        (b"x-ratelimit-limit", b"%d" % verdict.limit),
        (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
        (b"x-ratelimit-reset", b"%d" % verdict.reset_s),
    )


def encoded(reply: Reply) -> bytes:
    """The bytes of a reply's body."""
    if reply.raw is not None:
        return reply.raw
    return b"" if reply.body is None else _encode(reply.body)


async def send_reply(send: Send, reply: Reply, verdict: Verdict | None = None) -> None:
    """Send a reply, with the headers of the rate limit when there is one."""
    content = encoded(reply)
    headers: list[Header] = [(b"content-length", b"%d" % len(content)), *reply.headers]
    if content:
        headers.append((b"content-type", reply.media_type.encode("ascii")))
    if verdict is not None:
        headers.extend(limit_headers(verdict))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def too_many(verdict: Verdict) -> Fault:
    """The refusal of a request beyond its budget."""
    wait = max(verdict.retry_after_s, 1)
    return Fault(
        FaultKind.RATE_LIMITED,
        f"more than {verdict.limit} requests; try again in {wait} s",
        rule=f"at most {verdict.limit} requests at once",
        retry_after_s=wait,
    )


# -- One endpoint as an application ------------------------------------------------------------------
class EndpointApp:
    """Runs one endpoint of a dialect."""

    def __init__(self, dialect: Dialect, endpoint: AnyEndpoint, surroundings: Surroundings) -> None:
        self._dialect = dialect
        self._endpoint = endpoint
        self._with = surroundings
        self._body = BodyDecoder(endpoint.request) if endpoint.request is not None else None
        self._query = QueryDecoder(endpoint.query) if endpoint.query is not None else None
        self._needs_user = endpoint.auth is Auth.REQUIRED
        self._reads = self._body is not None or (dialect.signs_body and self._needs_user)
        self._limit_bytes = endpoint.body_limit_bytes or dialect.body_limit_bytes
        self._has_parameters = bool(endpoint.parameters)
        self._deadlines = Deadlines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        visit.route = self._dialect.prefix + self._endpoint.path
        visit.dialect = self._dialect.name
        call: AnyCall = Call(scope, visit)
        budget = Budget(self._with.limiter, self._endpoint.rate_class)
        try:
            reply = await self._answer(call, receive, budget)
        except ClientGone:
            return
        except Exception as error:  # whatever it is, the client gets the dialect's form of it
            reply = refused(error, call, self._dialect, self._with.crash)
        await send_reply(send, self._finished(scope, reply), budget.verdict)

    def _finished(self, scope: Scope, reply: Reply) -> Reply:
        """The reply with the endpoint's own headers, in the form of the request's version."""
        if self._endpoint.headers:
            reply = msgspec.structs.replace(reply, headers=(*reply.headers, *self._endpoint.headers))
        return self._dialect.dressed(scope, reply)

    async def _answer(self, call: AnyCall, receive: Receive, budget: "Budget") -> Reply:
        if self._has_parameters and any(CONTROL.search(value) for value in call.path.values()):
            raise Fault(FaultKind.NOT_FOUND, "no such path")
        budget.spend_of_address(call.visit.address)
        if self._dialect.versions is not None:
            call.version = self._dialect.versions.asked(call.scope).name
        surroundings, reads = self._with, self._reads
        if self._body is not None:
            check_media_type(call)
        limit = Limit(self._deadlines, surroundings.body_timeout_s if reads else surroundings.handler_timeout_s)
        try:
            with limit:
                if reads:
                    call.raw_body = await read_body(call, receive, self._limit_bytes)
                    reads = False
                    limit.renew(surroundings.handler_timeout_s)
                if self._needs_user:
                    await self._admit(call, budget)
                self._decode(call)
                return await self._endpoint.handler(call)
        except TimeoutError:
            if not limit.expired:
                raise
            raise _late(reads) from None

    async def _admit(self, call: AnyCall, budget: "Budget") -> None:
        principal = await self._dialect.authenticate(call)
        missing = self._endpoint.scopes - principal.scopes
        if missing:
            raise Fault(FaultKind.FORBIDDEN, f"the scope {', '.join(sorted(missing))} is missing")
        call.admit(principal)
        budget.spend_of_key(principal.limit_key or principal.subject)

    def _decode(self, call: AnyCall) -> None:
        if self._query is not None:
            call.query = self._query.decode(call.scope.get("query_string", b""))
        if self._body is None:
            return
        check_depth(call.raw_body, self._dialect.depth_limit)
        try:
            call.body = self._body.decode(call.raw_body)
            if self._dialect.plain_strings:
                check_control_characters(call.raw_body, call.body)
        except Fault as fault:
            if self._endpoint.on_invalid is None or fault.kind is not FaultKind.INVALID:
                raise
            raise self._endpoint.on_invalid(fault) from fault


def _late(reads: bool) -> Fault:
    """What took too long: the body, while it `reads`, or the answer."""
    if reads:
        close = ((b"connection", b"close"),)
        return Fault(FaultKind.REQUEST_TIMEOUT, "the body did not arrive in time", headers=close)
    message = "no answer in time; the outcome is unknown, send the same request again"
    return Fault(FaultKind.UNAVAILABLE, message, retry_after_s=RETRY_AFTER_S)


class Budget:
    """What one request spends, and the tightest verdict on it so far."""

    __slots__ = ("_limiter", "_rate_class", "verdict")

    def __init__(self, limiter: Limiter, rate_class: str) -> None:
        self._limiter = limiter
        self._rate_class = rate_class
        self.verdict: Verdict | None = None

    def spend_of_address(self, address: str) -> None:
        """Count the request against its address. Raises `Fault` RATE_LIMITED."""
        if self._rate_class:
            self._note(self._limiter.take_address(self._rate_class, address))

    def spend_of_key(self, key: str) -> None:
        """Count the request against its user. Raises `Fault` RATE_LIMITED."""
        if self._rate_class:
            self._note(self._limiter.take_key(self._rate_class, key))

    def _note(self, verdict: Verdict | None) -> None:
        if verdict is not None and not verdict.allowed:
            self.verdict = verdict
            raise too_many(verdict)
        self.verdict = tighter(self.verdict, verdict)


def refused(error: Exception, call: AnyCall, dialect: Dialect, crash: Crash) -> Reply:
    """The dialect's reply to an error; an unexpected one is reported, and its text stays inside."""
    refusal = error if isinstance(error, Refusal) else dialect.errors.translate(error)
    if refusal is None:
        crash(error, call.visit.request_id, call.visit.route)
        refusal = Fault(FaultKind.INTERNAL, "an unexpected fault of the venue")
    return dialect.errors.reply(refusal, call.visit.request_id)


# -- A table as routes -------------------------------------------------------------------------------
class PathApp:
    """All methods of one path. HEAD is answered as GET; other methods by the dialect's own 405."""

    def __init__(self, dialect: Dialect, surroundings: Surroundings) -> None:
        self._dialect = dialect
        self._with = surroundings
        self._methods: dict[str, EndpointApp] = {}

    def add(self, endpoint: AnyEndpoint) -> None:
        """Serve one more method."""
        made = EndpointApp(self._dialect, endpoint, self._with)
        self._methods[endpoint.method] = made
        if endpoint.method == "GET":
            self._methods.setdefault("HEAD", made)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["method"]
        app = self._methods.get(method)
        if app is not None:
            await app(scope, receive, send)
            return
        allowed = ", ".join(sorted(self._methods))
        fault = Fault(
            FaultKind.METHOD_NOT_ALLOWED,
            f"{method} is not allowed here; allowed: {allowed}",
            rule=f"one of {allowed}",
            got=method,
            headers=((b"allow", allowed.encode("ascii")),),
        )
        await refuse(scope, send, fault, self._dialect)


async def refuse(scope: Scope, send: Send, fault: Fault, dialect: Dialect) -> None:
    """Answer a fault that belongs to no endpoint."""
    visit = visit_of(scope)
    visit.dialect = dialect.name
    await send_reply(send, dialect.dressed(scope, dialect.errors.reply(fault, visit.request_id)))


class NotFound:
    """Answers every path that no table knows, in the form of the dialect whose prefix is nearest."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        if not dialects:
            raise ValueError("a venue needs a dialect")
        self._dialects = sorted(dialects, key=lambda dialect: len(dialect.prefix), reverse=True)

    def dialect_of(self, path: str) -> Dialect:
        """The dialect with the longest prefix of `path`; the last of the table when none fits."""
        for dialect in self._dialects:
            if path == dialect.prefix or path.startswith(dialect.prefix + "/"):
                return dialect
        return self._dialects[-1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await refuse(scope, send, Fault(FaultKind.NOT_FOUND, "no such path"), self.dialect_of(scope["path"]))


def paths_of(dialects: Sequence[Dialect], surroundings: Surroundings) -> dict[str, PathApp]:
    """Every path of every table with its application. Raises ValueError when two dialects share a path."""
    paths: dict[str, PathApp] = {}
    for dialect in dialects:
        own: dict[str, PathApp] = {}
        for endpoint in dialect.endpoints:
            path = dialect.prefix + endpoint.path
            if path in paths:
                raise ValueError(f"{path} is served by two dialects")
            own.setdefault(path, PathApp(dialect, surroundings)).add(endpoint)
        paths.update(own)
    return paths


__all__ = [
    "JSON",
    "AnyCall",
    "AnyEndpoint",
    "Auth",
    "Authenticator",
    "Call",
    "Dialect",
    "Endpoint",
    "EndpointApp",
    "ErrorForm",
    "Fault",
    "FaultKind",
    "NotFound",
    "PathApp",
    "Principal",
    "Refusal",
    "Reply",
    "Surroundings",
    "alias",
    "paths_of",
    "refuse",
    "send_reply",
]
