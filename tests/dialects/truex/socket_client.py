"""A client of TrueX's WebSocket, written from the contract: it signs, checks every number, and keeps a book."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.dialects.truex.signing import Organization

PATIENCE_S = 15.0
Message = dict[str, Any]


def socket_signature(secret: str, timestamp: str, key: str, path: str = "") -> str:
    """Base64(HMAC-SHA256(secret, timestamp + TRUEXWS + key [+ path]))."""
    payload = f"{timestamp}TRUEXWS{key}{path}"
    return base64.b64encode(hmac.new(secret.encode(), payload.encode(), hashlib.sha256).digest()).decode()


def credentials(who: Organization, path: str = "", age_s: int = 0) -> dict[str, str]:
    """The fields of a signed request."""
    timestamp = str(int(time.time()) - age_s)
    signed = socket_signature(who.secret, timestamp, who.key_id, path)
    return {"timestamp": timestamp, "key": who.key_id, "signature": signed}


class SocketClient:
    """An open connection. Numbers of data are checked as they come."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.welcome: Message = self._read()
        self._expected: dict[str, int] = {}

    def _read(self) -> Message:
        message: Message = json.loads(self.connection.recv(PATIENCE_S))
        return message

    def send(self, kind: str, channels: list[str], item_names: list[str] | None = None, **more: Any) -> None:
        fields = {"type": kind, "channels": channels, "item_names": item_names or [], "timestamp": "0", **more}
        self.connection.send(json.dumps(fields))

    def next(self) -> Message:
        """The next message; the first update after the snapshot n must carry n, the one after it n + 1."""
        message = self._read()
        if "seqnum" not in message:
            return message
        channel, number = message["channel"], int(message["seqnum"])
        assert isinstance(message["seqnum"], str)
        if message["update"] == "SNAPSHOT":
            self._expected[channel] = number
        else:
            assert number == self._expected[channel], message
            self._expected[channel] = number + 1
        return message

    def until(self, channel: str, update: str) -> Message:
        while True:
            message = self.next()
            if (message["channel"], message["update"]) == (channel, update):
                return message

    def until_depth(self) -> Message:
        """The next message of DEPTH, of either kind."""
        while True:
            message = self.next()
            if message["channel"] == "DEPTH":
                return message

    def confirmed(self) -> Message:
        """The answer to a request."""
        return self.until("WEBSOCKET", "SNAPSHOT")

    def ask(self, kind: str, channels: list[str], item_names: list[str] | None = None, **more: Any) -> Message:
        """Send a request, and give its answer."""
        self.send(kind, channels, item_names, **more)
        return self.confirmed()


@contextmanager
def dialled(address: str, path: str = "/api/v1", **options: Any) -> Iterator[SocketClient]:
    """A connection to the venue at this http address."""
    with connect(address.replace("http", "ws", 1) + path, proxy=None, **options) as connection:
        yield SocketClient(connection)


class Book:
    """A book kept from DEPTH."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, tuple[str, str]]] = {"bids": {}, "asks": {}}
        self.updates = 0

    def take(self, message: Message) -> None:
        """Apply a message of DEPTH."""
        if message["update"] == "SNAPSHOT":
            self.sides = {"bids": {}, "asks": {}}
        else:
            self.updates += 1
        for side, levels in self.sides.items():
            for level in message["data"][side]:
                assert all(isinstance(value, str) for value in level.values())
                if level["qty"] == "0":
                    levels.pop(level["price"], None)
                else:
                    levels[level["price"]] = (level["qty"], level["order_count"])

    def best(self, side: str) -> list[list[str]]:
        """Price and quantity of a side, best first."""
        levels = self.sides[side]
        best_first = sorted(levels, key=Decimal, reverse=side == "bids")
        return [[price, levels[price][0]] for price in best_first]
