"""uvicorn's HTTP protocol, with the head of a reply and the start of its body sent by one write.

uvicorn writes them one after the other, and the event loop sends each at once: two calls of the kernel and two
packets for every reply, the dearest thing that a small request does.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

INTERIM: Final = b"HTTP/1.1 100 "
"""How a reply begins that only asks for the body: it can not wait, for nothing follows it."""


class Writer:
    """The transport as the replies of one connection see it: a head waits for what comes after it."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send `data` behind the head that waits, or let it wait if it is one itself."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(INTERIM):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that nothing follows, as that of a reply to HEAD."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Send what waits, and hang up."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is being closed."""
        return self._transport.is_closing()


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    _writer: Writer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As the library's."""
        super().connection_made(transport)
        self._writer = Writer(transport)

    def on_response_complete(self) -> None:
        """As the library's, once all is sent."""
        self._writer.flush()
        super().on_response_complete()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        cycle.transport = self._writer
        super()._start_asgi_task(cycle, app)
