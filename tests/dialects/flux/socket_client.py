"""A client of Flux's WebSocket, as careful as a program should be: it keeps a book and checks every rule."""

import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 10.0
Message = dict[str, Any]


class SocketClient:
    """An open connection. Heartbeats are counted, and otherwise passed over."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heartbeats = 0

    def send(self, **request: Any) -> None:
        self.connection.send(json.dumps(request))

    def lose(self) -> None:
        """Break the connection off, without a word to the venue."""
        self.connection.socket.shutdown(socket.SHUT_RDWR)

    def raw(self) -> Message:
        """The next message of any kind."""
        message: Message = json.loads(self.connection.recv(PATIENCE_S))
        return message

    def next(self) -> Message:
        """The next message that is no heartbeat."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            message = self.raw()
            if message["type"] != "heartbeat":
                return message
            self.heartbeats += 1
        raise AssertionError("nothing but heartbeats")

    def until(self, kind: str, channel: str = "") -> Message:
        """The next message of this type, and of this channel."""
        while True:
            message = self.next()
            if message["type"] == kind and (not channel or message.get("channel") == channel):
                return message

    def subscribe(self, channel: str, market: str | None = None, **more: Any) -> Message:
        """Subscribe, and give the snapshot."""
        market_field = {} if market is None else {"market": market}
        self.send(op="subscribe", channel=channel, **market_field, **more)
        answer = self.until("subscribed", channel)
        snapshot = self.until("snapshot", channel)
        assert snapshot["topic"] == answer["topic"]
        return snapshot


@contextmanager
def dialled(address: str, path: str = "/ws", **options: Any) -> Iterator[SocketClient]:
    """A connection to the venue at this http address."""
    # Who has stopped reading does not see the goodbye: no test waits long for it.
    with connect(address.replace("http", "ws", 1) + path, proxy=None, **{"close_timeout": 1, **options}) as connection:
        yield SocketClient(connection)


class Book:
    """A book kept by the rules of the documentation."""

    def __init__(self, tick_decimals: int, lot_decimals: int) -> None:
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self.sequence = 0
        self.depth = 0
        self.updates = 0
        self.resyncs = 0
        self._decimals = tick_decimals, lot_decimals
        self._has_lost = True

    def take(self, message: Message) -> None:
        """Apply a message of the topic; the checksum and the numbers must fit."""
        if message["type"] == "resync":
            self.resyncs += 1
            self._has_lost = True
            return
        if message["type"] == "snapshot":
            self.sides = {"bids": {}, "asks": {}}
            self.depth = message["depth"]
            self._has_lost = False
        else:
            assert not self._has_lost, "an update before the snapshot"
            assert message["previousSequence"] == self.sequence
            assert message["sequence"] > self.sequence
            self.updates += 1
        self.sequence = message["sequence"]
        for side, levels in self.sides.items():
            for price, quantity in message["data"][side]:
                if quantity == "0":
                    levels.pop(price, None)
                else:
                    levels[price] = quantity
        assert self.checksum() == message["checksum"]
        assert all(len(levels) <= self.depth for levels in self.sides.values())

    def best(self, side: str) -> list[list[str]]:
        """The levels of a side, best first."""
        levels = self.sides[side]
        return [[price, levels[price]] for price in sorted(levels, key=Decimal, reverse=side == "bids")]

    def checksum(self) -> int:
        """By the documentation's rule."""
        shown = min(10, self.depth)
        levels = self.best("asks")[:shown] + self.best("bids")[:shown]
        return zlib.crc32("".join(self._digits(level) for level in levels).encode())

    def _digits(self, level: list[str]) -> str:
        texts = [f"{Decimal(text):.{places}f}" for text, places in zip(level, self._decimals, strict=True)]
        return "".join(text.replace(".", "").lstrip("0") for text in texts)
