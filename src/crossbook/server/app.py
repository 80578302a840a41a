"""The whole application, built from the tables of the dialects, and the server that runs it."""

import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from crossbook.dialects.call import Reply, Visit, visit_of
from crossbook.dialects.endpoint import Dialect, NotFound, Surroundings, paths_of, send_reply
from crossbook.dialects.front_page import front_page
from crossbook.dialects.reference import documentation_of, index_of
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.server.health import Check, health_app, ready_app
from crossbook.server.http_protocol import HttpProtocol
from crossbook.server.metrics import Metrics, metrics_app
from crossbook.server.middleware import NOTHING_BOUND, AccessLine, AccessLog, Bind, Door, with_cors
from crossbook.server.websocket import refuse_upgrade
from crossbook.server.websocket_protocol import WebSocketProtocol

KEEP_ALIVE_S: Final = 30
DRAIN_S: Final = 3
BACKLOG: Final = 2048
HEADER_LIMIT_BYTES: Final = 16 * 1024
MESSAGE_LIMIT_BYTES: Final = 16 * 1024
"""The longest message that comes in over a WebSocket; a longer one closes it (1009)."""
PING_S: Final = 20
"""A WebSocket is pinged so often, and cut off when no answer comes in the same time."""
METHODS_OF_PAGES: Final = ("GET", "HEAD")


@dataclass(frozen=True)
class Setup:
    """What the application is built with, besides the dialects.

    `new_id` makes request ids; `monotonic_s` is a clock for durations; `bind` makes the context in which log
    lines carry a request id; `access` takes a line per request. `routes` are served beside the tables (WebSockets,
    pages). `origins` are the web origins that may call the API from a browser. `metrics` None means that
    nothing is measured or served. `notes` are paragraphs for the page at `/`.
    """

    new_id: Callable[[], str]
    monotonic_s: Callable[[], float]
    surroundings: Surroundings = field(default_factory=Surroundings)
    bind: Bind = lambda request_id: NOTHING_BOUND
    access: AccessLog | None = None
    routes: Sequence[BaseRoute] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    metrics: Metrics | None = None
    origins: Sequence[str] = ()
    notes: Sequence[str] = ()
    lifespan: Lifespan[Any] | None = None


class Switchboard:
    """Finds the application of a path: plain paths by one look-up, those with parameters by the router."""

    def __init__(self, plain: Mapping[str, ASGIApp], router: Router) -> None:
        self._plain = plain
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._plain.get(scope["path"]) if scope["type"] == "http" else None
        await (app or self._router)(scope, receive, send)


def page_app(reply: Reply, route: str) -> ASGIApp:
    """The application of a page that never changes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        visit_of(scope).route = route
        if scope["method"] in METHODS_OF_PAGES:
            await send_reply(send, reply)
        else:
            await send_reply(send, Reply(405, headers=((b"allow", b"GET, HEAD"),)))

    return app


def service_paths(dialects: Sequence[Dialect], setup: Setup) -> dict[str, ASGIApp]:
    """The paths that the server itself offers: documentation, health, metrics."""
    pages = {"/": front_page(dialects, setup.notes), "/docs": index_of(dialects)}
    for dialect in dialects:
        pages.update(documentation_of(dialect))
    paths = {path: page_app(reply, path) for path, reply in pages.items()}
    paths["/health"] = health_app()
    paths["/ready"] = ready_app(setup.checks)
    if setup.metrics is not None:
        paths["/metrics"] = metrics_app(setup.metrics)
    return paths


def access_of(setup: Setup) -> AccessLog | None:
    """Who gets the access lines: the log, the metrics, both or nobody."""
    metrics, log = setup.metrics, setup.access
    if metrics is None or log is None:
        return log if metrics is None else metrics.observe_request

    def both(line: AccessLine) -> None:
        metrics.observe_request(line)
        log(line)

    return both


def build_app(dialects: Sequence[Dialect], setup: Setup) -> ASGIApp:
    """The venue as one ASGI application. A dialect's own path goes before the server's of the same name.

    Raises ValueError when there is no dialect or two of them share a path.
    """
    not_found = NotFound(dialects)
    tables = paths_of(dialects, setup.surroundings)
    paths: dict[str, ASGIApp] = {**service_paths(dialects, setup), **tables}
    plain = {path: app for path, app in paths.items() if "{" not in path}
    routes = [Route(path, app) for path, app in paths.items() if "{" in path]

    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await refuse_upgrade(send, 404, "no WebSocket at this path")
        else:
            await not_found(scope, receive, send)

    router = Router([*setup.routes, *routes], redirect_slashes=False, default=unknown, lifespan=setup.lifespan)

    def crashed(error: Exception, visit: Visit) -> Reply:
        setup.surroundings.crash(error, visit.request_id, visit.route)
        fault = Fault(FaultKind.INTERNAL, "an unexpected fault of the venue")
        return not_found.dialect_of(visit.route).errors.reply(fault, visit.request_id)

    return Door(
        with_cors(Switchboard(plain, router), setup.origins),
        new_id=setup.new_id,
        monotonic_s=setup.monotonic_s,
        crashed=crashed,
        bind=setup.bind,
        access=access_of(setup),
    )


async def _nobody_to_tell() -> None:
    """There are no WebSockets."""


class Server(uvicorn.Server):
    """uvicorn without hands on the process: whoever runs the venue handles its signals.

    `farewell` is awaited before connections are closed, so that WebSockets can be told.
    """

    def __init__(self, config: uvicorn.Config, farewell: Callable[[], Awaitable[None]] = _nobody_to_tell) -> None:
        super().__init__(config)
        self._farewell = farewell

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye, then stop as uvicorn does."""
        await self._farewell()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers as they are."""
        yield


@dataclass(frozen=True)
class Listening:
    """Where and how the server listens. `trusted_proxies` are the addresses whose X-Forwarded-For is believed."""

    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: Sequence[str] = ()
    keep_alive_s: int = KEEP_ALIVE_S
    drain_s: int = DRAIN_S
    max_connections: int | None = None


def make_server(
    app: ASGIApp, listening: Listening, farewell: Callable[[], Awaitable[None]] = _nobody_to_tell
) -> Server:
    """The server, not yet started: `await server.serve()`, and `server.should_exit = True` to stop it.

    `farewell` tells WebSockets that it is over, before their connections are closed.
    uvloop is used where it is installed.
    """
    config = uvicorn.Config(
        app,
        host=listening.host,
        port=listening.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(listening.trusted_proxies),
        forwarded_allow_ips=list(listening.trusted_proxies),
        limit_concurrency=listening.max_connections,
        backlog=BACKLOG,
        timeout_keep_alive=listening.keep_alive_s,
        timeout_graceful_shutdown=listening.drain_s,
        h11_max_incomplete_event_size=HEADER_LIMIT_BYTES,
        lifespan="on",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MESSAGE_LIMIT_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        # Compressing costs more than sending, and every peer anew.
        ws_per_message_deflate=False,
    )
    return Server(config, farewell)
