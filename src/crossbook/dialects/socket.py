"""What a dialect and the server owe each other about a WebSocket: the dialect's part knows no transport."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, Protocol

from crossbook.logs import Log

CRASH_PAUSE_S: Final = 1.0

_log: Final = Log("sockets")


class SocketFault(StrEnum):
    """Why the server, not the dialect, refuses something or ends a connection."""

    TOO_MANY_MESSAGES = "too many messages"
    NOT_TEXT = "not text"
    SLOW_CONSUMER = "slow consumer"
    IDLE = "idle"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"


class Peer(Protocol):
    """One connection, as a dialect sees it. Nothing here waits or raises."""

    @property
    def path(self) -> str:
        """The path that was dialled, without its query."""
        ...

    @property
    def address(self) -> str:
        """Where it comes from."""
        ...

    def send(self, message: str) -> None:
        """Send a text message after those that wait already. A peer that reads too slowly is dropped."""

    def close(self, code: int, reason: str) -> None:
        """Send what waits, then close. Later messages are not sent."""


class SocketSession(Protocol):
    """The dialect's part of one connection. Calls come one at a time, but for `heartbeat` and `closed`."""

    @property
    def is_used(self) -> bool:
        """Whether it is subscribed to anything: one that is not, and is silent, is closed after a while."""
        ...

    async def opened(self) -> None:
        """The connection stands."""

    async def received(self, message: str) -> None:
        """The peer sent a text message."""

    def heartbeat(self) -> str | None:
        """What to send every few seconds, so that silence means a fault; None for nothing."""

    def notice(self, fault: SocketFault, text: str) -> str | None:
        """How the dialect says that the server refuses something or is about to close; None for nothing."""

    def closed(self) -> None:
        """The connection is gone: give everything back."""


SocketSessions = Callable[[Peer], SocketSession]
"""Makes the dialect's part of a new connection."""


async def keep_going(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work`, which ends by being cancelled only, again after a pause whenever it crashes: listeners wait for it."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("stream crashed", stream=name)
        await asyncio.sleep(CRASH_PAUSE_S)


class Listeners:
    """Who hears the same messages, in the order of joining."""

    def __init__(self) -> None:
        self._peers: dict[Peer, None] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._peers))

    def add(self, peer: Peer) -> None:
        """One more, if it is not there yet."""
        self._peers[peer] = None

    def remove(self, peer: Peer) -> None:
        """One less, if it was there."""
        self._peers.pop(peer, None)

    def publish(self, messages: Iterable[str]) -> None:
        """Send everybody the messages."""
        for message in messages:
            for peer in list(self._peers):
                peer.send(message)
