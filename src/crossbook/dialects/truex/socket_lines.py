"""Who hears a channel of TrueX's WebSocket, and how its messages are numbered.

Numbers belong to a connection and a channel: a snapshot carries the number that the next update will carry, an update
its own. So the first update after the snapshot n carries n, and the one after it n + 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from crossbook.dialects.socket import Peer
from crossbook.dialects.truex.socket_schemas import Channel, Kind, Status

FIRST_NUMBER: Final = 1
_encode: Final = msgspec.json.Encoder().encode


def text_of(data: object) -> str:
    """Data as they are sent; the same text serves every listener."""
    return _encode(data).decode()


class Numbers:
    """The numbers of one connection."""

    def __init__(self) -> None:
        self._next: dict[Channel, int] = {}

    def take(self, channel: Channel, kind: Kind) -> int:
        """The number of a message that is sent now."""
        number = self._next.get(channel, FIRST_NUMBER)
        if kind == "UPDATE":
            self._next[channel] = number + 1
        return number


@dataclass(frozen=True, eq=False)
class Line:
    """One item of one channel on one connection, and how it was subscribed to."""

    peer: Peer
    numbers: Numbers
    channel: Channel
    status: Status

    def tell(self, kind: Kind, data: str) -> None:
        """Send a message; `data` is JSON already."""
        number = self.numbers.take(self.channel, kind)
        self.peer.send(
            f'{{"seqnum":"{number}","channel":"{self.channel}","update":"{kind}","status":"{self.status}","data":{data}}}'
        )


class Lines:
    """Everybody who hears the same, in the order of joining."""

    def __init__(self) -> None:
        self._lines: dict[Line, None] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(list(self._lines))

    def add(self, line: Line) -> None:
        """One more."""
        self._lines[line] = None

    def remove(self, line: Line) -> None:
        """One less, if it was there."""
        self._lines.pop(line, None)

    def tell(self, kind: Kind, data: str) -> None:
        """Send everybody the same data, each with its own number."""
        for line in list(self._lines):
            line.tell(kind, data)
