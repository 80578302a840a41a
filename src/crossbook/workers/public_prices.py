"""Prices of public venues as sources of the index, over HTTP or a WebSocket. Off unless a file names them.

The file is JSON: a list of objects such as

    {"market": "BTC-PERP", "source": "kraken", "url": "https://api.example/ticker", "path": ["result", "c", 0]}
    {"market": "BTC-PERP", "source": "stamp", "url": "wss://ws.example", "path": ["data", "price"],
     "subscribe": {"event": "subscribe", "channel": "live_trades"}}

`path` leads to the price in each answer or message; one without a price there says nothing. Everything is bounded:
the length of an answer, the time it may take, the pause after a failure. A price counts from the moment it came in.
"""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from crossbook.domain.errors import CrossbookError
from crossbook.domain.index import Quote, micro_ticks
from crossbook.domain.money import InvalidValue, Step
from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.pauses import Backoff, pause

MOST_BYTES: Final = 65_536
"""The longest answer or message that is read."""
TIMEOUT_S: Final = 5.0
MOST_VENUES: Final = 100
_HTTP: Final = ("http", "https")
_SOCKETS: Final = ("ws", "wss")
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_PRICE: Final = re.compile(r"\d{1,20}(\.\d{1,18})?")
_FIELDS: Final = frozenset({"market", "source", "url", "path", "subscribe"})

_log: Final = Log("prices")


class PublicVenueError(CrossbookError):
    """A file of public venues that can not be used; the message says where and why."""


@dataclass(frozen=True)
class PublicVenue:
    """One public venue's price of one market. `subscribe` is sent first over a WebSocket; "" for nothing."""

    market: str
    source: str
    url: str
    path: tuple[str | int, ...]
    subscribe: str = ""

    @property
    def is_socket(self) -> bool:
        """Whether it is followed over a WebSocket."""
        return urlsplit(self.url).scheme in _SOCKETS

    @property
    def host(self) -> str:
        """Where it is, without what the address may hold besides."""
        return urlsplit(self.url).hostname or ""


def load_venues(file: Path) -> list[PublicVenue]:
    """The public venues that a file names. Raises PublicVenueError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PublicVenueError(f"{file} can not be read as JSON: {error}") from error
    if not isinstance(found, list) or len(found) > MOST_VENUES:
        raise PublicVenueError(f"{file} must hold a list of at most {MOST_VENUES} venues")
    venues = [_venue(file, place, entry) for place, entry in enumerate(found)]
    names = [(venue.market, venue.source) for venue in venues]
    if len(set(names)) < len(names):
        raise PublicVenueError(f"{file} names a source of a market twice")
    return venues


def _venue(file: Path, place: int, entry: Any) -> PublicVenue:
    where = f"{file}, venue {place}"
    if not isinstance(entry, Mapping) or not entry.keys() <= _FIELDS or not entry.keys() >= _FIELDS - {"subscribe"}:
        raise PublicVenueError(f"{where} must have market, source, url and path, and may have subscribe")
    market, source, url, path = (entry[name] for name in ("market", "source", "url", "path"))
    if not all(isinstance(text, str) for text in (market, source, url)) or not _SOURCE.fullmatch(source):
        raise PublicVenueError(f"{where}: source must be small letters, digits and . _ -, at most 32")
    parts = urlsplit(url)
    if parts.scheme not in _HTTP + _SOCKETS or not parts.hostname:
        raise PublicVenueError(f"{where}: url must begin with https, http, wss or ws, and name a host")
    steps = isinstance(path, list) and all(type(step) in (str, int) for step in path)
    if not steps or not 1 <= len(path) <= 10:
        raise PublicVenueError(f"{where}: path must be a list of 1 to 10 names and numbers")
    subscribe = json.dumps(entry["subscribe"]) if "subscribe" in entry else ""
    return PublicVenue(market, source, url, tuple(path), subscribe)


def price_in(text: str | bytes, path: Sequence[str | int]) -> Fraction | None:
    """The price to which `path` leads in a JSON text, exact; None where there is none, or no plain number."""
    try:
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
        for step in path:
            found = found[step]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return Fraction(found) if isinstance(found, str) and _PRICE.fullmatch(found) else None


class PublicPrice:
    """Follows one public venue. `quotes` has the last price, `health` how it goes."""

    def __init__(self, venue: PublicVenue, tick: Step, clock: Clock, every_ms: int = 1_000) -> None:
        self.health = Health()
        self.venue = venue
        self._tick = tick
        self._clock = clock
        self._every_ms = every_ms
        self._backoff = Backoff(first_ms=500, limit_ms=30_000)
        self._quote: Quote | None = None

    def quotes(self, now_ms: int) -> list[Quote]:
        """The last price, however old: the index knows what is too old."""
        del now_ms
        return [] if self._quote is None else [self._quote]

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the venue until `stop`; what fails is tried again, with growing pauses."""
        while not stop.is_set():
            try:
                if self.venue.is_socket:
                    await self._follow(stop)
                else:
                    await self._ask(stop)
            except (OSError, TimeoutError, ValueError, WebSocketException) as error:
                pause_ms = self._backoff.next_ms()
                self.health.set(Condition.WAITING, type(error).__name__)
                _log.warning(
                    "price source fails",
                    source=self.venue.source,
                    host=self.venue.host,
                    error=type(error).__name__,
                    again_in_ms=pause_ms,
                )
                await pause(self._clock, stop, pause_ms)
        self.health.set(Condition.STOPPED)

    async def _ask(self, stop: asyncio.Event) -> None:
        """Ask over HTTP, and wait for the next time."""
        self._take(await asyncio.to_thread(_fetch, self.venue.url))
        await pause(self._clock, stop, self._every_ms)

    async def _follow(self, stop: asyncio.Event) -> None:
        """Listen to the venue's WebSocket until it ends or `stop`."""
        async with connect(self.venue.url, max_size=MOST_BYTES, open_timeout=TIMEOUT_S, close_timeout=1) as socket:
            if self.venue.subscribe:
                await socket.send(self.venue.subscribe)
            stopped = asyncio.ensure_future(stop.wait())
            try:
                while not stop.is_set():
                    received = asyncio.ensure_future(socket.recv())
                    await asyncio.wait((received, stopped), return_when=asyncio.FIRST_COMPLETED)
                    if not received.done():
                        received.cancel()
                        await asyncio.gather(received, return_exceptions=True)
                        return
                    self._take(received.result())
            finally:
                stopped.cancel()
                await asyncio.gather(stopped, return_exceptions=True)

    def _take(self, text: str | bytes) -> None:
        price = price_in(text, self.venue.path)
        if price is None:
            return
        try:
            micro = micro_ticks(self._tick, price)
        except InvalidValue:
            return
        self._quote = Quote(self.venue.source, micro, self._clock.now_ms())
        self._backoff.reset()
        self.health.set(Condition.RUNNING)


def _fetch(url: str) -> bytes:
    """The answer of an address, at most MOST_BYTES of it. Raises OSError, and ValueError for a longer one."""
    request = urllib.request.Request(url, headers={"User-Agent": "crossbook"})  # noqa: S310 - the scheme was checked
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            text: bytes = answer.read(MOST_BYTES + 1)
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from error
    if len(text) > MOST_BYTES:
        raise ValueError("the answer is too long")
    return text
