"""The bounds of WebSockets: slow peers, talkative peers, silent peers, too many peers, and the end of the server."""

import asyncio
import json
import socket as sockets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.routing import WebSocketRoute
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from crossbook.dialects.socket import Peer, SocketFault
from crossbook.server.app import Listening, build_app, make_server
from crossbook.server.metrics import Metrics
from crossbook.server.websocket import SocketLimits, SocketRoom
from crossbook.system import SystemClock
from tests.dialects.toy import toy
from tests.server.running import Recorded, setup_for, wait_until_started

PATIENCE_S = 20.0
BULKY = "x" * 100_000


class Echo:
    """Answers what it is told, floods whoever asks for it, and crashes on demand."""

    is_used = False

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def opened(self) -> None:
        self.peer.send("welcome to " + self.peer.path)

    async def received(self, message: str) -> None:
        if message == "use":
            self.is_used = True
        if message == "flood":
            for _ in range(2_000):
                self.peer.send(BULKY)
        if message == "drip":
            for _ in range(2_000):
                self.peer.send(BULKY)
                await asyncio.sleep(0)
        if message == "crash":
            raise RuntimeError("secret detail")
        self.peer.send(message)
        if message == "bye":
            self.peer.close(1000, "as you wish")

    def heartbeat(self) -> str | None:
        return "tick"

    def notice(self, fault: SocketFault, text: str) -> str | None:
        return json.dumps([fault, text])

    def closed(self) -> None:
        CLOSED.append(self.peer.path)


CLOSED: list[str] = []


@dataclass
class Served:
    """A running server, and what it is made of."""

    url: str
    room: SocketRoom
    metrics: Metrics
    stop: Any = None
    recorded: Recorded = field(default_factory=Recorded)

    def series(self, name: str) -> float:
        """The value of a series, by its whole name with labels."""
        for line in generate_latest(self.metrics.registry).decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        return 0.0


@contextmanager
def served(**limits: Any) -> Iterator[Served]:
    metrics = Metrics()
    room = SocketRoom(SocketLimits(**{"heartbeat_s": 30.0, **limits}), SystemClock().monotonic_s, metrics=metrics)
    routes = [WebSocketRoute("/echo", room.app("toy", Echo))]
    setup = setup_for(Recorded())
    app = build_app([toy()], type(setup)(**{**vars(setup), "routes": routes}))
    server = make_server(app, Listening(port=0, drain_s=1), room.close)
    with sockets.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until_started(server, thread)

        def stop() -> None:
            server.should_exit = True

        try:
            yield Served(f"ws://127.0.0.1:{listener.getsockname()[1]}/echo", room, metrics, stop)
        finally:
            stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


@contextmanager
def dialled(url: str, **options: Any) -> Iterator[ClientConnection]:
    with connect(url, proxy=None, **options) as connection:
        assert connection.recv(PATIENCE_S) == "welcome to /echo"
        yield connection


def closing(connection: ClientConnection) -> tuple[int, str, list[Any]]:
    """Code and reason of the close, and the messages before it."""
    messages: list[Any] = []
    with pytest.raises(ConnectionClosed) as closed:
        read_into(connection, messages)
    assert closed.value.rcvd is not None, messages[-1:]
    return closed.value.rcvd.code, closed.value.rcvd.reason, messages


def read_into(connection: ClientConnection, messages: list[Any]) -> None:
    """Read until the connection ends."""
    while True:
        messages.append(connection.recv(PATIENCE_S))


def test_a_peer_that_does_not_read_is_dropped_and_told_why() -> None:
    with served(waiting_messages=50) as server, dialled(server.url) as slow, dialled(server.url) as quick:
        slow.send("flood")
        code, reason, messages = closing(slow)
        assert (code, reason) == (1008, "slow consumer")
        fault, text = json.loads(messages[-1])
        assert fault == "slow consumer"
        assert "read faster" in text
        assert len(messages) <= 51
        quick.send("still quick")
        assert quick.recv(PATIENCE_S) == "still quick"


def test_a_peer_that_never_reads_again_is_cut_off() -> None:
    with served(waiting_messages=100, farewell_s=0.1) as server:
        raw = sockets.create_connection(("127.0.0.1", int(server.url.split(":")[2].split("/")[0])))
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        raw.sendall(
            b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert raw.recv(12) == b"HTTP/1.1 101"
        raw.sendall(b"\x81\x84\x00\x00\x00\x00drip")  # masked by nothing
        until(lambda: server.series('crossbook_sockets_closed_total{dialect="toy",reason="slow consumer"}') == 1)
        until(lambda: len(server.room) == 0)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(raw)
        raw.close()


def send_for_ever(raw: sockets.socket) -> None:
    """Send pings until somebody minds."""
    while True:
        raw.sendall(b"\x89\x80\x00\x00\x00\x00")


def until(holds: Any) -> None:
    """Return when it holds."""
    waiter = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        waiter.wait(0.01)
    raise AssertionError("it does not come true")


def test_too_many_messages_are_refused_and_then_ended() -> None:
    with served(messages_per_s=1, messages_burst=3) as server, dialled(server.url) as peer:
        with suppress(ConnectionClosed):
            for _ in range(20):
                peer.send("again")
        code, reason, messages = closing(peer)
        assert (code, reason) == (1008, "too many messages")
        assert messages[:3] == ["again"] * 3
        refusal = json.dumps(["too many messages", "at most 1 messages a second"])
        assert messages[-4:] == [refusal] * 4


def test_a_peer_that_wants_nothing_and_says_nothing_is_closed() -> None:
    with served(heartbeat_s=0.05, idle_s=0.2) as server, dialled(server.url) as idle, dialled(server.url) as used:
        used.send("use")
        code, reason, messages = closing(idle)
        assert (code, reason) == (1001, "idle")
        assert json.loads(messages[-1])[0] == "idle"
        assert set(messages[:-1]) <= {"tick"}
        used.send("still there")
        while used.recv(PATIENCE_S) != "still there":
            pass


def test_connections_are_limited_for_each_address_and_for_all() -> None:
    for limits, status in (({"per_address": 3}, 429), ({"connections": 3}, 503)):
        with served(**limits) as server, ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(dialled(server.url))
            with pytest.raises(InvalidStatus) as refused:
                stack.enter_context(dialled(server.url))
            assert refused.value.response.status_code == status
            assert refused.value.response.headers["retry-after"] == "5"
        with served(**limits) as server:
            for _ in range(5):
                with dialled(server.url) as peer:
                    peer.send("bye")
                    assert closing(peer) == (1000, "as you wish", ["bye"])


def test_a_crash_ends_one_connection_without_its_details() -> None:
    with served() as server, dialled(server.url) as peer, dialled(server.url) as other:
        peer.send("crash")
        code, reason, messages = closing(peer)
        assert (code, reason) == (1011, "internal error")
        assert "secret" not in messages[-1]
        other.send("on")
        assert other.recv(PATIENCE_S) == "on"


def test_every_peer_hears_that_the_server_stops() -> None:
    with served() as server, dialled(server.url) as first, dialled(server.url) as second:
        server.stop()
        for peer in (first, second):
            code, _, messages = closing(peer)
            assert code == 1001
            assert json.loads(messages[-1])[0] == "shutdown"


def test_a_path_without_a_socket_is_refused() -> None:
    with served() as server:
        with pytest.raises(InvalidStatus) as refused, dialled(server.url.replace("echo", "nowhere")):
            pass
        assert refused.value.response.status_code == 404


def test_what_happens_is_counted() -> None:
    with served() as server:
        with dialled(server.url) as peer:
            peer.send("one")
            assert peer.recv(PATIENCE_S) == "one"
            assert server.series('crossbook_sockets_open{dialect="toy"}') == 1
        until(lambda: server.series('crossbook_sockets_open{dialect="toy"}') == 0)
        assert server.series('crossbook_sockets_closed_total{dialect="toy",reason="left"}') == 1
        assert server.series('crossbook_socket_messages_total{dialect="toy",direction="in"}') == 1
        assert server.series('crossbook_socket_messages_total{dialect="toy",direction="out"}') == 2


def test_every_session_is_given_back() -> None:
    CLOSED.clear()
    with served() as server:
        with dialled(server.url), dialled(server.url):
            pass
        until(lambda: len(server.room) == 0)
    assert CLOSED == ["/echo", "/echo"]


def test_the_room_can_be_closed_when_it_is_empty() -> None:
    room = SocketRoom(SocketLimits(), SystemClock().monotonic_s)
    asyncio.run(room.close())
    assert len(room) == 0
