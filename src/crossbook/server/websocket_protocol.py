"""uvicorn's WebSocket protocol, with what it lacks: a way to cut off a peer that reads nothing, and quiet logs."""

import logging
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ABORT: Final = "crossbook.abort"
"""The extension of the scope that cuts the connection at once, without sending what waits."""
_LOGGER: Final = logging.getLogger("crossbook.websocket.protocol")


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """As uvicorn's own. Its log line of a handshake has the whole query, which may hold a secret: it is not written."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _LOGGER.setLevel(logging.WARNING)
        self.logger = _LOGGER

    def handle_connect(self, event: Any) -> None:
        """Let the application find `ABORT` in its scope."""
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort
