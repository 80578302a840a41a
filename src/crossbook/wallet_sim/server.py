"""A simulated world over HTTP, as an ASGI application.

    POST /json_rpc                    the daemon
    POST /wallets/NAME/json_rpc       a wallet
    POST /admin/json_rpc              the administrator

A port of its own can belong to a wallet: every path on it is then that wallet's.
"""

from collections.abc import Callable, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from crossbook.wallet_sim import rpc
from crossbook.wallet_sim.faults import Fault
from crossbook.wallet_sim.rpc import Handler
from crossbook.wallet_sim.world import World

BODY_LIMIT_BYTES: Final = 1 << 20
RPC: Final = "/json_rpc"
WALLETS: Final = "/wallets/"
ADMIN: Final = "/admin"
NOTHING: Final[Mapping[int, str]] = {}

Find = Callable[[Scope], Handler | None]
"""Whom a request is for."""


def world_app(world: World, wallet_of_port: Mapping[int, str] = NOTHING) -> ASGIApp:
    """The application of a world. `wallet_of_port` names the wallets that have a port of their own."""

    def find(scope: Scope) -> Handler | None:
        path: str = scope["path"]
        if not path.endswith(RPC):
            return None
        server = scope.get("server")
        name = wallet_of_port.get(server[1]) if server else None
        if name is not None:
            return world.wallets.get(name)
        place = path.removesuffix(RPC)
        if place.startswith(WALLETS):
            return world.wallets.get(place.removeprefix(WALLETS))
        handlers: dict[str, Handler] = {"": world.daemon, ADMIN: world.admin}
        return handlers.get(place)

    return rpc_app(world, find)


def keyed_app(world: World, handlers: Mapping[str, Handler]) -> ASGIApp:
    """The application of a world inside another server: whoever knows a key may use its handler, at /KEY/json_rpc."""

    def find(scope: Scope) -> Handler | None:
        inner = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        return handlers.get(inner.removesuffix(RPC).removeprefix("/")) if inner.endswith(RPC) else None

    return rpc_app(world, find)


def rpc_app(world: World, find: Find) -> ASGIApp:
    """Answers POST requests with what the handler says that `find` gives."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise ValueError("HTTP only")
        status, body = await _answer(scope, receive)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(scope: Scope, receive: Receive) -> tuple[int, bytes]:
        handler = find(scope)
        if handler is None:
            return 404, b'{"error": "no wallet is here"}'
        if scope["method"] != "POST":
            return 405, b'{"error": "POST only"}'
        body = await _body(receive)
        if body is None:
            return 413, b'{"error": "the request is too long"}'
        if handler is world.daemon and world.faults.happens(Fault.DAEMON_DOWN):
            return 503, b'{"error": "the daemon is down"}'
        return 200, rpc.answer(handler, body)

    return app


async def _body(receive: Receive) -> bytes | None:
    """The body of a request, None for one that is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > BODY_LIMIT_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
