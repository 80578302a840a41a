"""The HTTP server's application: dialects, WebSockets, `/ready`, limits, the log of requests. Steps 1 and 2."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.types import ASGIApp

from crossbook.demo import DEMO_FILE, USERS
from crossbook.dialects.endpoint import Surroundings
from crossbook.dialects.flux.services import Services as FluxServices
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket import FluxSocket
from crossbook.dialects.lethean.services import Services as LetheanServices
from crossbook.dialects.ports import Limiter
from crossbook.dialects.truex.services import Services as TruexServices
from crossbook.dialects.truex.socket import TruexSocket
from crossbook.logs import REQUEST_ID, Log, LogFormat, LogLevel, log_fields
from crossbook.rates import limiter_of
from crossbook.readiness import Worker, checks_of, helper_checks, prices_check
from crossbook.server.access_log import LOGGER, JsonAccessLog, log_access
from crossbook.server.app import Setup, build_app
from crossbook.server.health import Check, readiness
from crossbook.server.middleware import AccessLog
from crossbook.server.websocket import SocketLimits, SocketRoom
from crossbook.settings import Settings
from crossbook.system import Clock, request_ids
from crossbook.wiring.core import Core
from crossbook.wiring.dialects import all_dialects, reading_dialects

_access: Final = Log(LOGGER)


def full_app(
    core: Core,
    flux: FluxServices,
    truex: TruexServices,
    lethean: LetheanServices,
    checks: Mapping[str, Check],
    more: Sequence[BaseRoute],
) -> ASGIApp:
    """All dialects and their sockets, and `more` routes before them."""
    routes = [*more, *_sockets(core, flux, truex)]
    dialects = all_dialects(core.settings, flux, truex, lethean)
    return build_app(dialects, _setup(core, flux.limiter, checks, routes))


def reading_app(core: Core, streams: StreamServices) -> ASGIApp:
    """What a process serves that takes no orders: Flux's public data, and its WebSocket."""
    routes = [WebSocketRoute("/ws", _room(core).app("flux", FluxSocket(streams)))]
    setup = _setup(core, limiter_of(core.settings, core.clock), checks_of_venue(core), routes)
    return build_app(reading_dialects(streams), setup)


def checks_of_venue(core: Core) -> dict[str, Check]:
    """What `/ready` looks at."""
    parts, ground = core.parts, core.ground
    workers: dict[str, Sequence[Worker]] = {
        "matching": parts.matchers,
        "settling": parts.settlers,
        "relay": parts.relays,
        "marketData": parts.feeds,
    }
    symbols = [name.symbol for name in core.names]
    settings = core.settings
    checks = checks_of(ground.database, ground.commands, symbols, workers, core.clock, settings.ready_lag_limit_ms)
    checks |= helper_checks(parts.helpers, settings.ready_wait_limit_ms)
    age_ms = settings.index_max_age_ms
    checks["prices"] = prices_check(core.perpetual_feeds(), parts.public_prices, parts.pricing, core.clock, age_ms)
    return checks


def health_of(checks: Mapping[str, Check]) -> Callable[[], Awaitable[bool]]:
    """Asks whether every check is well now."""

    async def healthy() -> bool:
        return (await readiness(checks)).status == "ready"

    return healthy


def _setup(core: Core, limiter: Limiter, checks: Mapping[str, Check], routes: Sequence[BaseRoute]) -> Setup:
    """What the application is built with, besides the dialects."""
    access, core.parts.flush_logs = _access_log(core.settings, core.clock)
    return Setup(
        new_id=request_ids(),
        monotonic_s=core.clock.monotonic_s,
        surroundings=Surroundings(limiter=limiter, crash=_note_crash),
        bind=lambda request_id: log_fields(**{REQUEST_ID: request_id}),
        access=access,
        checks=checks,
        metrics=core.metrics,
        origins=core.settings.web_origins,
        notes=_notes(core.settings),
        routes=routes,
    )


def _notes(settings: Settings) -> list[str]:
    """What the page at `/` says besides: where the demo users' secrets are."""
    if not settings.demo:
        return []
    file = settings.data_dir / DEMO_FILE
    return [f"Demo users {', '.join(USERS)}: their secrets are in {file}, on the machine that runs the venue."]


# -- Sockets -----------------------------------------------------------------------------------------
def _sockets(core: Core, flux: FluxServices, truex: TruexServices) -> list[BaseRoute]:
    """The WebSockets of the dialects. TrueX's clients dial any path, so it takes those that no other wants."""
    assert core.parts.socket_io is not None
    room, most = _room(core), core.settings.socket_subscriptions
    return [
        WebSocketRoute("/ws", room.app("flux", FluxSocket(flux))),
        Mount("/socket.io", core.parts.socket_io.app),
        WebSocketRoute("/{path:path}", room.app("truex", TruexSocket(truex, most))),
    ]


def _room(core: Core) -> SocketRoom:
    """The one room of the WebSockets."""
    settings = core.settings
    limits = SocketLimits(
        connections=settings.sockets_limit,
        per_address=settings.sockets_per_address,
        waiting_messages=settings.socket_queue_limit,
        messages_per_s=settings.socket_messages_per_s,
    )
    room = SocketRoom(limits, core.clock.monotonic_s, origins=settings.web_origins, metrics=core.metrics)
    core.parts.sockets = room
    return room


# -- The log of requests -----------------------------------------------------------------------------
def _note_crash(error: BaseException, request_id: str, route: str) -> None:
    del error  # it is being handled: the log takes it from there
    _access.exception("request crashed", request_id=request_id, route=route)


def _access_log(settings: Settings, clock: Clock) -> tuple[AccessLog | None, Callable[[], None]]:
    """Who takes the lines of requests, and what writes those that still wait at the end."""
    if not _access.enabled(LogLevel.INFO):
        return None, _nothing
    if settings.log_format is LogFormat.JSON or (settings.log_format is LogFormat.AUTO and not sys.stderr.isatty()):
        lines = JsonAccessLog(sys.stderr, clock)
        return lines, lines.flush
    return log_access, _nothing


def _nothing() -> None:
    """There is nothing to do."""
