"""The bytes of replies on a connection: what follows a head, and that head and body come together."""

import asyncio
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send

from crossbook.server.http_protocol import Writer
from tests.server.running import serving

BODY = b'{"ok":true}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers by the path: a body, none, one in pieces, one after a while, or what was sent."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path, body = scope["path"], BODY
    status = 204 if path == "/nothing" else 200
    if path == "/echo":
        body = (await receive())["body"]
    pieces = [b"one ", b"two"] if path in {"/pieces", "/slow"} else [b"" if status == 204 else body]
    headers = [] if status == 204 or len(pieces) > 1 else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for place, piece in enumerate(pieces):
        if path == "/slow":
            await asyncio.sleep(0.02)
        await send({"type": "http.response.body", "body": piece, "more_body": place + 1 < len(pieces)})


@pytest.fixture(scope="module")
def connected() -> Iterator[tuple[str, int]]:
    with serving(app) as address:
        found = urlsplit(address)
        assert found.hostname is not None
        assert found.port is not None
        yield found.hostname, found.port


def exchanged(connected: tuple[str, int], *requests: bytes) -> bytes:
    """All that comes back on one connection for these requests, the last of which closes it."""
    with socket.create_connection(connected, timeout=5) as client:
        client.sendall(b"".join(requests))
        received = b""
        while more := client.recv(65_536):
            received += more
    return received


def asked(method: str, path: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: here", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


CLOSE = b"Connection: close"


@pytest.mark.parametrize(
    ("request_", "ends_with"),
    [
        (asked("GET", "/", b"", CLOSE), b"\r\n\r\n" + BODY),
        (asked("HEAD", "/", b"", CLOSE), b"content-length: 11\r\nconnection: close\r\n\r\n"),
        (asked("GET", "/nothing", b"", CLOSE), b"\r\n\r\n"),
        (asked("GET", "/pieces", b"", CLOSE), b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"),
        (asked("GET", "/slow", b"", CLOSE), b"\r\n\r\n4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"),
        (asked("POST", "/echo", b"hello", CLOSE), b"\r\n\r\nhello"),
    ],
    ids=["body", "HEAD", "no content", "pieces", "slow pieces", "echo"],
)
def test_a_reply_is_whole(connected: tuple[str, int], request_: bytes, ends_with: bytes) -> None:
    received = exchanged(connected, request_)
    assert received.startswith(b"HTTP/1.1 20")
    assert received.endswith(ends_with)
    assert received.count(b"HTTP/1.1 ") == 1


def test_replies_on_one_connection_come_in_their_order(connected: tuple[str, int]) -> None:
    pipelined = [asked("HEAD", "/"), asked("POST", "/echo", b"first"), asked("GET", "/pieces")]
    received = exchanged(connected, *pipelined, asked("POST", "/echo", b"last", CLOSE))
    heads = [part.partition(b"\r\n\r\n") for part in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [body for _, _, body in heads] == [b"", b"first", b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n", b"last"]


def test_who_waits_to_be_asked_for_the_body_is_asked(connected: tuple[str, int]) -> None:
    with socket.create_connection(connected, timeout=5) as client:
        head = [b"POST /echo HTTP/1.1", b"Host: here", b"Expect: 100-continue", b"Content-Length: 5", CLOSE, b"", b""]
        client.sendall(b"\r\n".join(head))
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        received = b""
        while more := client.recv(65_536):
            received += more
    assert received.endswith(b"\r\n\r\nhello")


class Wire(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def test_a_head_and_its_body_are_one_write() -> None:
    wire = Wire()
    writer = Writer(wire)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert wire.written == []
    writer.write(BODY)
    writer.write(b"more")
    assert wire.written == [b"HTTP/1.1 200 OK\r\n\r\n" + BODY, b"more"]


def test_a_head_without_a_body_is_not_kept_back() -> None:
    for end in ("flush", "close"):
        wire = Wire()
        writer = Writer(wire)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        getattr(writer, end)()
        writer.flush()
        assert wire.written == [b"HTTP/1.1 200 OK\r\n\r\n"]
        assert writer.is_closing() is (end == "close")
