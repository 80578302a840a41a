"""WebSockets for any dialect: every connection has bounds, and nobody's slowness is felt by others.

A connection has an outgoing queue of bounded size: whoever lets it fill up is told so and dropped. Messages that come
in are limited in size and number, connections in number, all of them and those of one address. A peer that does not
answer pings is cut off by the protocol, one that subscribes to nothing and says nothing by us.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from crossbook.dialects.call import visit_of
from crossbook.dialects.socket import SocketFault, SocketSession, SocketSessions
from crossbook.logs import Log
from crossbook.server.limits import Buckets, Budget, network_of
from crossbook.server.metrics import Metrics
from crossbook.server.websocket_protocol import ABORT

GOING_AWAY: Final = 1001
UNSUPPORTED: Final = 1003
POLICY: Final = 1008
INTERNAL: Final = 1011
LINGER_S: Final = 15.0
"""How long a closed connection may take to say goodbye before it is cut off."""

_log: Final = Log("websocket")


@dataclass(frozen=True)
class SocketLimits:
    """The bounds of all connections, and of each. Messages and bytes that wait are those going out."""

    connections: int = 2_000
    per_address: int = 100
    waiting_messages: int = 1_000
    waiting_bytes: int = 8 * 1024 * 1024
    messages_per_s: int = 20
    messages_burst: int = 100
    heartbeat_s: float = 15.0
    idle_s: float = 120.0
    farewell_s: float = 1.0


class _Ending:
    """Why and how a connection ends."""

    def __init__(self, code: int, reason: str, fault: SocketFault | None) -> None:
        self.code = code
        self.reason = reason
        self.fault = fault


class Connection:
    """One WebSocket while it is open: the `Peer` of its session."""

    def __init__(self, room: "SocketRoom", name: str, number: int, scope: Scope, receive: Receive, send: Send) -> None:
        self.name = name
        self.path: str = scope["path"]
        self.address = visit_of(scope).address
        self.session: SocketSession
        self._room = room
        self._number = str(number)
        self._scope = scope
        self._receive = receive
        self._send = send
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Event()
        self._ending: _Ending | None = None
        self._ended = asyncio.Event()
        self._heard_s = room.monotonic_s()
        self._refused_in_a_row = 0
        self.sent = 0
        self.received = 0

    # -- The peer's side -----------------------------------------------------------------------------
    def send(self, message: str) -> None:
        """Queue a message; one too many, and the peer is dropped as a slow consumer."""
        if self._ending is not None:
            return
        limits = self._room.limits
        if len(self._waiting) >= limits.waiting_messages or self._waiting_bytes + len(message) > limits.waiting_bytes:
            text = f"{len(self._waiting)} messages wait: read faster, or subscribe to less"
            self._waiting.clear()
            self._waiting_bytes = 0
            self.end(POLICY, "slow consumer", SocketFault.SLOW_CONSUMER, text)
            return
        self._put(message)

    def _put(self, message: str) -> None:
        self._waiting.append(message)
        self._waiting_bytes += len(message)
        self._changed.set()

    def close(self, code: int, reason: str) -> None:
        """Send what waits, then close."""
        self.end(code, reason, None, "")

    def end(self, code: int, reason: str, fault: SocketFault | None, text: str) -> None:
        """Close for a reason of the server's own, saying so in the dialect's words first."""
        if self._ending is not None:
            return
        notice = None if fault is None else self.session.notice(fault, text)
        if notice is not None:
            self._put(notice)
        self._ending = _Ending(code, reason, fault)
        self._changed.set()
        self._ended.set()

    # -- Work ----------------------------------------------------------------------------------------
    async def run(self, session: SocketSession) -> None:
        """Serve the connection until it ends, whoever ends it."""
        self.session = session
        writer = asyncio.create_task(self._write())
        others = [asyncio.create_task(self._read()), asyncio.create_task(self._watch())]
        try:
            await asyncio.wait((writer, *others), return_when=asyncio.FIRST_COMPLETED)
            if self._ending is not None:
                await asyncio.wait((writer,), timeout=self._room.limits.farewell_s)
        finally:
            session.closed()
            cut_off = self._ending is not None and not writer.done()
            for task in (writer, *others):
                task.cancel()
            await asyncio.gather(writer, *others, return_exceptions=True)
            self._room.forget(self._number)
            self._let_go(cut_off)

    def _let_go(self, at_once: bool) -> None:
        """Cut the connection off: now, or when the peer has had time to close it."""
        abort: Callable[[], None] | None = self._scope.get("extensions", {}).get(ABORT)
        if abort is None or self._ending is None:
            return
        if at_once:
            abort()
        else:
            asyncio.get_running_loop().call_later(LINGER_S, abort)

    async def _write(self) -> None:
        """Send what waits, and last the close."""
        while True:
            while self._waiting:
                message = self._waiting.popleft()
                self._waiting_bytes -= len(message)
                await self._send({"type": "websocket.send", "text": message})
                self.sent += 1
                self._room.count_message(self.name, "out")
            if self._ending is not None:
                ending = self._ending
                await self._send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})
                return
            self._changed.clear()
            await self._changed.wait()

    async def _read(self) -> None:
        """Take what comes in, until the peer goes or the connection ends."""
        try:
            await self.session.opened()
            while self._ending is None:
                event = await self._receive()
                if event["type"] == "websocket.disconnect":
                    return
                await self._take(event.get("text"))
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("socket crashed", dialect=self.name, address=self.address)
            self.end(INTERNAL, "internal error", SocketFault.INTERNAL, "an unexpected fault of the venue")

    async def _take(self, text: str | None) -> None:
        self.received += 1
        self._heard_s = self._room.monotonic_s()
        self._room.count_message(self.name, "in")
        if text is None:
            self.end(UNSUPPORTED, "text only", SocketFault.NOT_TEXT, "messages are JSON text, not binary")
        elif self._room.may_speak(self._number):
            self._refused_in_a_row = 0
            await self.session.received(text)
        else:
            self._refuse()

    def _refuse(self) -> None:
        """One message too many: an answer, but not for ever."""
        limits = self._room.limits
        self._refused_in_a_row += 1
        text = f"at most {limits.messages_per_s} messages a second"
        if self._refused_in_a_row > limits.messages_burst:
            self.end(POLICY, "too many messages", SocketFault.TOO_MANY_MESSAGES, text)
        elif (notice := self.session.notice(SocketFault.TOO_MANY_MESSAGES, text)) is not None:
            self.send(notice)

    async def _watch(self) -> None:
        """Heartbeats, and the end of a connection that nobody uses; returns when the connection ends."""
        limits = self._room.limits
        while True:
            try:
                async with asyncio.timeout(limits.heartbeat_s):
                    await self._ended.wait()
                return
            except TimeoutError:
                pass
            silent_s = self._room.monotonic_s() - self._heard_s
            if not self.session.is_used and silent_s >= limits.idle_s:
                text = f"no subscription and no message for {limits.idle_s:.0f} s"
                self.end(GOING_AWAY, "idle", SocketFault.IDLE, text)
            elif (message := self.session.heartbeat()) is not None:
                self.send(message)

    @property
    def outcome(self) -> str:
        """Why it ended, for the log and the metrics."""
        if self._ending is None:
            return "left"
        return self._ending.fault or self._ending.reason


class SocketRoom:
    """Every WebSocket of a process. `origins` are the web origins that may open one, beside the venue's own."""

    def __init__(
        self,
        limits: SocketLimits,
        monotonic_s: Callable[[], float],
        *,
        origins: Sequence[str] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self.limits = limits
        self.monotonic_s = monotonic_s
        self._origins = frozenset(origins)
        self._metrics = metrics
        self._open: dict[Connection, None] = {}
        self._by_address: Counter[str] = Counter()
        self._numbers = 0
        self._closing = False
        budget = Budget.per_second(limits.messages_per_s, limits.messages_burst)
        self._buckets = Buckets(budget, lambda: int(monotonic_s() * 1000), limits.connections + 1)

    def __len__(self) -> int:
        return len(self._open)

    def app(self, name: str, sessions: SocketSessions) -> ASGIApp:
        """The application of a dialect's socket; `name` is the dialect's."""
        return _SocketApp(self, name, sessions)

    async def close(self) -> None:
        """Take no more connections, tell every peer, and return when they are gone or had `farewell_s` for it."""
        self._closing = True
        for connection in list(self._open):
            connection.end(GOING_AWAY, "the venue stops", SocketFault.SHUTDOWN, "the venue stops: connect again later")
        end_s = self.monotonic_s() + self.limits.farewell_s
        while self._open and self.monotonic_s() < end_s:
            await asyncio.sleep(0.01)

    # -- For the connections -------------------------------------------------------------------------
    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and text for a connection that is not let in; None for one that is."""
        if not self._is_welcome(scope):
            return 403, "this web origin may not open a WebSocket here"
        if self._closing:
            return 503, "the venue stops"
        if len(self._open) >= self.limits.connections:
            return 503, "too many connections"
        if self._by_address[network_of(visit_of(scope).address)] >= self.limits.per_address:
            return 429, f"at most {self.limits.per_address} connections from one address"
        return None

    def _is_welcome(self, scope: Scope) -> bool:
        """Programs send no Origin. A page's must be the venue's own, or one that the settings name."""
        headers = dict(reversed(scope["headers"]))
        origin = headers.get(b"origin")
        if origin is None:
            return True
        text = origin.decode("latin-1")
        return text in self._origins or urlsplit(text).netloc == headers.get(b"host", b"").decode("latin-1")

    async def serve(self, connection: Connection, session: SocketSession) -> None:
        """Run a connection, counted."""
        network = network_of(connection.address)
        self._open[connection] = None
        self._by_address[network] += 1
        self._note_open(connection.name, 1)
        started_s = self.monotonic_s()
        _log.info("socket opened", dialect=connection.name, address=connection.address)
        try:
            await connection.run(session)
        finally:
            del self._open[connection]
            self._by_address[network] -= 1
            if not self._by_address[network]:
                del self._by_address[network]
            self._note_open(connection.name, -1)
            if self._metrics is not None:
                self._metrics.sockets_closed.labels(connection.name, connection.outcome).inc()
            _log.info(
                "socket closed",
                dialect=connection.name,
                address=connection.address,
                reason=connection.outcome,
                received=connection.received,
                sent=connection.sent,
                duration_s=round(self.monotonic_s() - started_s, 3),
            )

    def next_number(self) -> int:
        """A number for a new connection."""
        self._numbers += 1
        return self._numbers

    def may_speak(self, number: str) -> bool:
        """Whether the connection has not sent too many messages."""
        return self._buckets.take(number).allowed

    def forget(self, number: str) -> None:
        """The connection is gone."""
        self._buckets.forget(number)

    def count_message(self, name: str, direction: str) -> None:
        """One message more."""
        if self._metrics is not None:
            self._metrics.count_socket_message(name, direction)

    def _note_open(self, name: str, change: int) -> None:
        if self._metrics is not None:
            self._metrics.sockets_open.labels(name).inc(change)


class _SocketApp:
    """Lets a connection in, or refuses it."""

    def __init__(self, room: SocketRoom, name: str, sessions: SocketSessions) -> None:
        self._room = room
        self._name = name
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        refusal = self._room.refusal(scope)
        if refusal is not None:
            await refuse_upgrade(send, *refusal)
            return
        await send({"type": "websocket.accept"})
        connection = Connection(self._room, self._name, self._room.next_number(), scope, receive, send)
        await self._room.serve(connection, self._sessions(connection))


async def refuse_upgrade(send: Send, status: int, text: str) -> None:
    """Answer a handshake by an HTTP reply."""
    headers: list[Any] = [(b"content-type", b"text/plain; charset=utf-8")]
    if status in {429, 503}:
        headers.append((b"retry-after", b"5"))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": text.encode()})
