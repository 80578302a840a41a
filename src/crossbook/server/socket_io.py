"""Socket.IO for the board of swaps, at /socket.io: rooms, limits, and telling everybody in them what happened.

Everything that a stranger can make grow has a bound: sockets of an address and in all, rooms of a socket, messages a
second, the size of a message, and what waits for a socket that does not read. Text packets only. `publish` never
waits: events are told by `run`, and when too many wait, everybody is told to look at the board instead.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import socketio
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.dialects.call import Reply, visit_of
from crossbook.dialects.endpoint import send_reply
from crossbook.dialects.lethean.live import (
    UPDATE_ORDERS,
    LiveBoard,
    LivePages,
    Message,
    NotSignedIn,
    changed_boards,
    id_in,
    pair_room,
    token_in,
    user_room,
)
from crossbook.domain.errors import CrossbookError
from crossbook.logs import Log
from crossbook.server.limits import Buckets, Budget, network_of
from crossbook.system import Clock

PATH: Final = "/socket.io/"
NAMESPACE: Final = "/"
TEXT_PACKETS: Final = frozenset("0123")
"""Connect, disconnect, event and acknowledgement, by their first character. The others carry bytes."""
BODY_TIMEOUT_S: Final = 10
MS: Final = 1000
UNAUTHORIZED: Final = "Unauthorized (JWT)"

_log: Final = Log("socket.io")
_EVERYWHERE: Final = SwapEvent(SwapEventKind.BOARD_CHANGED, 0)


@dataclass(frozen=True)
class SocketIoLimits:
    """The bounds. What waits is counted in packets for a socket, and in events for `run`."""

    in_all: int = 5_000
    per_address: int = 50
    rooms: int = 50
    packet_bytes: int = 16_384
    messages_per_s: int = 20
    messages_burst: int = 100
    waiting_packets: int = 2_000
    waiting_events: int = 20_000


class SocketIo:
    """The sockets of one process. It is the `SwapPublisher` of the board; `app` serves /socket.io.

    `origins` are the web origins whose pages may connect, beside the venue's own.
    """

    def __init__(
        self, pages: LivePages, clock: Clock, limits: SocketIoLimits | None = None, origins: Sequence[str] = ()
    ) -> None:
        self._pages = pages
        self._board = LiveBoard(pages)
        self._limits = limits or SocketIoLimits()
        self._origins = frozenset(origins)
        self._rooms: dict[str, dict[str, None]] = {}
        """The sockets in each room."""
        self._joined: dict[str, dict[str, None]] = {}
        """The rooms of each socket."""
        self._tokens: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._of_address: Counter[str] = Counter()
        budget = Budget.per_second(self._limits.messages_per_s, self._limits.messages_burst)
        self._budgets = Buckets(budget, lambda: int(clock.monotonic_s() * MS), self._limits.in_all)
        self._waiting: list[SwapEvent] = []
        self._wake = asyncio.Event()
        self._is_open = True
        self._sio = self._server()

    def _server(self) -> Any:
        """The library's server, with our hands on what comes in."""
        silent = logging.getLogger("crossbook.socket.io.library")
        silent.setLevel(logging.CRITICAL + 1)  # it reports what strangers send
        server: Any = socketio.AsyncServer(
            async_mode="asgi",
            async_handlers=False,
            namespaces=[NAMESPACE],
            cors_allowed_origins=self._allows,
            cors_credentials=False,
            http_compression=False,
            max_http_buffer_size=self._limits.packet_bytes,
            logger=silent,
            engineio_logger=silent,
        )
        server.eio.on("connect", self._opened)
        server.eio.on("message", self._received)
        server.eio.on("disconnect", self._closed)
        server.on("in-trading", self._in_trading)
        server.on("out-trading", self._out_trading)
        server.on("in-dex-notifications", self._in_notifications)
        server.on("disconnect", self._left)
        return server

    # -- The application -----------------------------------------------------------------------------
    @property
    def app(self) -> ASGIApp:
        """Serves /socket.io, both transports."""
        return self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        visit.route, visit.dialect = PATH, "lethean"
        query = parse_qs(scope.get("query_string", b"").decode("ascii", "replace"))
        if "sid" not in query and not self._admits(network_of(visit.address)):
            await _refuse(scope, send, 429, "too many sockets")
            return
        if scope["type"] == "http" and scope["method"] == "POST":
            body = await self._body(receive)
            if body is None:
                await self._drop(query.get("sid", [""])[0])
                await _refuse(scope, send, 413, f"a message has at most {self._limits.packet_bytes} bytes")
                return
            scope = {**scope, "headers": _with_length(scope["headers"], len(body))}
            receive = _giving(body, receive)
        await self._sio.handle_request(scope, receive, send)

    async def _body(self, receive: Receive) -> bytes | None:
        """The body of a request, None for one that is too long or too slow."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                while True:
                    message = await receive()
                    part: bytes = message.get("body", b"")
                    size += len(part)
                    if size > self._limits.packet_bytes:
                        return None
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            return None

    def _allows(self, origin: str | None, environ: Mapping[str, Any]) -> bool:
        """Whether a page of this origin may connect. Only browsers send one."""
        if origin is None or origin in self._origins:
            return True
        return urlsplit(origin).netloc == environ.get("HTTP_HOST")

    def _admits(self, address: str) -> bool:
        has_room = len(self._addresses) < self._limits.in_all
        return self._is_open and has_room and self._of_address[address] < self._limits.per_address

    # -- What the library hears first ----------------------------------------------------------------
    async def _opened(self, connection: str, environ: Mapping[str, Any]) -> bool | None:
        address = network_of(visit_of(environ["asgi.scope"]).address)
        if not self._admits(address):
            return False
        self._addresses[connection] = address
        self._of_address[address] += 1
        await self._sio._handle_eio_connect(connection, environ)
        return None

    async def _received(self, connection: str, data: object) -> None:
        """One packet. Whoever sends bytes, nonsense or too much is cut off."""
        fits = isinstance(data, str) and data[:1] in TEXT_PACKETS
        if not fits or not self._budgets.take(connection).allowed:
            await self._drop(connection)
            return
        try:
            await self._sio._handle_eio_message(connection, data)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            await self._drop(connection)

    async def _closed(self, connection: str, reason: object = None) -> None:
        address = self._addresses.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]
        self._budgets.forget(connection)
        await self._sio._handle_eio_disconnect(connection, reason)
        self._end_waiting(connection)

    async def _drop(self, connection: str) -> None:
        """Cut a connection off, with all that waits for it."""
        socket = self._sio.eio.sockets.get(connection)
        if socket is None:
            return
        while not socket.queue.empty():
            socket.queue.get_nowait()
        await socket.close(wait=False, abort=True)
        self._sio.eio.sockets.pop(connection, None)

    def _end_waiting(self, connection: str) -> None:
        """Let the request that polls for this connection, or what writes to it, come to its end."""
        socket = self._sio.eio.sockets.get(connection)
        if socket is not None:
            socket.queue.put_nowait(None)

    # -- What clients ask ----------------------------------------------------------------------------
    async def _in_trading(self, sid: str, *data: object) -> dict[str, object]:
        """Watch a pair. The board may have changed since the client read it, so it is told to look at once."""
        pair_id = id_in(data[0]) if data else None
        if pair_id is None:
            return _refused("id must be the number of a pair")
        if not await self._join(sid, pair_room(pair_id)):
            return _refused(f"a socket watches at most {self._limits.rooms} pairs")
        await self._sio.emit(UPDATE_ORDERS, to=sid)
        return {"success": True}

    async def _out_trading(self, sid: str, *data: object) -> dict[str, object]:
        pair_id = id_in(data[0]) if data else None
        if pair_id is None:
            return _refused("id must be the number of a pair")
        await self._leave(sid, pair_room(pair_id))
        return {"success": True}

    async def _in_notifications(self, sid: str, *data: object) -> dict[str, object]:
        """Hear what happens to one's own orders. A socket is one user's at a time."""
        token = token_in(data[0]) if data else None
        try:
            user_id = await self._pages.user_of(token or "")
        except NotSignedIn:
            return _refused(UNAUTHORIZED)
        except CrossbookError as error:
            _log.warning("a token was not looked at", error=str(error))
            return _refused("try again")
        await self._forget_user(sid)
        await self._join(sid, user_room(user_id), counted=False)
        self._tokens[sid] = token or ""
        return {"success": True}

    async def _left(self, sid: str, *reason: object) -> None:
        del reason
        self._tokens.pop(sid, None)
        for room in list(self._joined.get(sid, ())):
            await self._leave(sid, room)

    async def _join(self, sid: str, room: str, *, counted: bool = True) -> bool:
        joined = self._joined.setdefault(sid, {})
        if counted and room not in joined and len(joined) >= self._limits.rooms:
            return False
        joined[room] = None
        self._rooms.setdefault(room, {})[sid] = None
        await self._sio.enter_room(sid, room)
        return True

    async def _leave(self, sid: str, room: str) -> None:
        joined, members = self._joined.get(sid, {}), self._rooms.get(room, {})
        joined.pop(room, None)
        members.pop(sid, None)
        if not joined:
            self._joined.pop(sid, None)
        if not members:
            self._rooms.pop(room, None)
        await self._sio.leave_room(sid, room)

    async def _forget_user(self, sid: str) -> None:
        self._tokens.pop(sid, None)
        for room in [room for room in self._joined.get(sid, ()) if not _is_pair(room)]:
            await self._leave(sid, room)

    # -- Telling -------------------------------------------------------------------------------------
    def publish(self, events: Sequence[SwapEvent]) -> None:
        """Tell these soon. With nobody here, nothing is kept."""
        if not self._rooms:
            return
        self._waiting.extend(events)
        if len(self._waiting) > self._limits.waiting_events:
            self._waiting = [_EVERYWHERE]
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tell what is published, until `stop`; then every socket is let go."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                waking = asyncio.create_task(self._wake.wait())
                await asyncio.wait((stopping, waking), return_when=asyncio.FIRST_COMPLETED)
                waking.cancel()
                self._wake.clear()
                await self._tell_waiting()
        finally:
            stopping.cancel()
            await self._close()

    async def hang_up(self) -> None:
        """Let every socket go; their clients may come again."""
        for connection in list(self._sio.eio.sockets):
            await self._drop(connection)

    async def _close(self) -> None:
        self._is_open = False
        await self.hang_up()
        if self._sio.eio.service_task_handle is not None:
            await self._sio.eio.shutdown()

    async def _tell_waiting(self) -> None:
        events, self._waiting = self._waiting, []
        if not events:
            return
        pair_rooms = [room for room in self._rooms if _is_pair(room)]
        try:
            messages = await self._board.messages(events, self._rooms.__contains__, pair_rooms)
        except CrossbookError as error:
            _log.warning("events could not be told: everybody is told to look", error=str(error))
            messages = changed_boards([_EVERYWHERE], pair_rooms)
        for message in messages:
            await self._tell(message)
        await self._drop_slow({message.room for message in messages})

    async def _tell(self, message: Message) -> None:
        if not _is_pair(message.room):
            await self._check_sessions(message.room)
        if message.room in self._rooms:
            await self._sio.emit(message.event, message.payload, room=message.room)

    async def _check_sessions(self, room: str) -> None:
        """Let those go whose session has ended since they came: nothing of a user is told to them."""
        for sid in list(self._rooms.get(room, ())):
            try:
                user_id = await self._pages.user_of(self._tokens.get(sid, ""))
                is_in = user_room(user_id) == room
            except CrossbookError:
                is_in = False
            if not is_in:
                await self._forget_user(sid)

    async def _drop_slow(self, rooms: set[str]) -> None:
        sids = dict.fromkeys(sid for room in sorted(rooms) for sid in self._rooms.get(room, ()))
        for sid in sids:
            connection = self._sio.manager.eio_sid_from_sid(sid, NAMESPACE)
            socket = self._sio.eio.sockets.get(connection)
            if socket is not None and socket.queue.qsize() > self._limits.waiting_packets:
                _log.info("a socket that does not read is cut off", waiting=socket.queue.qsize())
                await self._drop(connection)


def _is_pair(room: str) -> bool:
    return room.startswith(pair_room(0)[:-1])


def _refused(why: str) -> dict[str, object]:
    return {"success": False, "data": why}


# -- ASGI --------------------------------------------------------------------------------------------
async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})
    else:
        # What is left of the request is not read.
        await send_reply(send, Reply(status, _refused(why), headers=((b"connection", b"close"),)))


def _with_length(headers: Sequence[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a request whose body has this length, whatever the client said of it."""
    kept = [(name, value) for name, value in headers if name not in {b"content-length", b"transfer-encoding"}]
    return [*kept, (b"content-length", b"%d" % length)]


def _giving(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, then what comes after it."""
    given: list[bool] = []

    async def give() -> AsgiMessage:
        if given:
            return await receive()
        given.append(True)
        return {"type": "http.request", "body": body, "more_body": False}

    return give
