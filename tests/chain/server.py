"""A server on a loopback port that answers every request with the same bytes, or does something worse."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behave = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """The server's address, and what it was asked."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)


def replying(document: object, status: int = 200) -> Behave:
    """Answers with this document, or with these bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(answer(status, body))

    return behave


def result(**fields: object) -> Behave:
    return replying({"id": 0, "jsonrpc": "2.0", "result": fields})


async def nothing(writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side goes."""
    await asyncio.sleep(30)


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Sends a byte now and then: no single read ever waits long."""
    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def cutting(writer: asyncio.StreamWriter) -> None:
    """Goes in the middle of the body."""
    writer.write(b"HTTP/1.1 200 x\r\nContent-Length: 100000\r\n\r\n{")


async def flooding(writer: asyncio.StreamWriter) -> None:
    """Sends more than anybody wants, without saying how much."""
    writer.write(b"HTTP/1.1 200 x\r\n\r\n")
    for _ in range(100):
        writer.write(b" " * 65_536)
        await writer.drain()


@asynccontextmanager
async def serving(behave: Behave) -> AsyncIterator[Peer]:
    peer = Peer()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length"))
            peer.paths.append(head.split(" ")[1])
            peer.asked.append(json.loads(await reader.readexactly(length)))
            await behave(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield peer
    finally:
        server.close()
        if hasattr(server, "close_clients"):
            server.close_clients()
