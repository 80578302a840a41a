"""The line that every request leaves in the log.

As JSON it is written here and not through the logging machinery, which costs more than many a request: lines
are made in one step, gathered, and written together a moment later. The form is that of `crossbook.logs`.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Protocol, TextIO

import msgspec

from crossbook.logs import Log
from crossbook.security.redaction import hide_in_text
from crossbook.server.middleware import AccessLine

FLUSH_S: Final = 0.02
"""How long a line may wait for others."""
LOGGER: Final = "access"
MESSAGE: Final = "request"

_log: Final = Log(LOGGER)


class WallClock(Protocol):
    """Tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class _Line(msgspec.Struct, frozen=True, gc=False):
    """One line, in the order of its fields."""

    time: str
    level: str
    logger: str
    message: str
    request_id: str
    method: str
    path: str
    status: int
    duration_us: int
    address: str


_encode: Final = msgspec.json.Encoder().encode


def log_access(line: AccessLine) -> None:
    """Write a line through the ordinary log: text on a terminal."""
    _log.info(
        MESSAGE,
        request_id=line.request_id,
        method=line.method,
        path=line.path,
        status=line.status,
        duration_us=line.duration_us,
        address=line.address,
    )


class JsonAccessLog:
    """Writes lines as JSON to `stream`, within FLUSH_S. To be used in an event loop, and flushed at the end."""

    def __init__(self, stream: TextIO, clock: WallClock) -> None:
        self._stream = stream
        self._clock = clock
        self._waiting: list[bytes] = []
        self._second = 0
        self._second_text = ""

    def __call__(self, line: AccessLine) -> None:
        """Take a line."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._waiting.append(_encode(self._line(line)))

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            text = b"\n".join(self._waiting).decode() + "\n"
            self._waiting.clear()
            with suppress(OSError):  # nobody reads any more: no reason to stop a venue
                self._stream.write(text)
                self._stream.flush()

    def _line(self, line: AccessLine) -> _Line:
        # A path that equals its template holds nothing that a client chose.
        path = line.path if line.path == line.route else hide_in_text(line.path)
        return _Line(
            self._now(),
            "info",
            f"crossbook.{LOGGER}",
            MESSAGE,
            line.request_id,
            line.method,
            path,
            line.status,
            line.duration_us,
            line.address,
        )

    def _now(self) -> str:
        """The time of day; the part before the milliseconds is made once a second."""
        second, milliseconds = divmod(self._clock.now_ms(), 1000)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{milliseconds:03d}Z"
