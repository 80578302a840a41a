"""Public venues as price sources, played by servers of this test: what they send, and what they should not send."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from crossbook.domain.index import MICRO
from crossbook.domain.money import Step
from crossbook.system import SystemClock
from crossbook.workers.public_prices import (
    MOST_BYTES,
    PublicPrice,
    PublicVenue,
    PublicVenueError,
    load_venues,
    price_in,
)

TICK = Step.of("0.1")


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """The address of a server that gives these answers in turn, the last one for ever; b"" is an error 500."""
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.send_response(200 if body else 500)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = threading.Thread(target=server.serve_forever, daemon=True)
    running.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/ticker"
    finally:
        server.shutdown()
        server.server_close()
        running.join()


def venue_at(url: str, subscribe: str = "") -> PublicVenue:
    return PublicVenue("BTC-PERP", "there", url, ("result", "c", 0), subscribe)


async def until(price: PublicPrice, done: Callable[[], bool]) -> None:
    """Run a source until something is so."""
    stop = asyncio.Event()
    running = asyncio.ensure_future(price.run(stop))
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)
    stop.set()
    await running


def ticks(price: PublicPrice) -> list[int]:
    return [quote.price_micro_ticks // MICRO for quote in price.quotes(0)]


def test_a_price_is_asked_for_again_and_again() -> None:
    answers = [json.dumps({"result": {"c": [text]}}).encode() for text in ("65000.1", "65000.2", "65000.3")]
    with answering(*answers) as url:
        price = PublicPrice(venue_at(url), TICK, SystemClock(), every_ms=1)
        asyncio.run(until(price, lambda: ticks(price) == [650_003]))
        (quote,) = price.quotes(0)
        assert quote.source == "there"
        assert abs(quote.time_ms - SystemClock().now_ms()) < 60_000


def test_errors_and_nonsense_say_nothing_and_are_tried_again() -> None:
    good = b'{"result": {"c": [65000.5]}}'
    wrong = [b"", b"no json", b'{"result": {}}', b'{"result": {"c": [NaN]}}', b'{"result": {"c": ["1e9"]}}']
    too_long = b'{"result": {"c": [1]}}' + b" " * MOST_BYTES
    for bad in (*wrong, too_long):
        with answering(bad, good) as url:
            price = PublicPrice(venue_at(url), TICK, SystemClock(), every_ms=1)
            price._backoff._next_ms = 1
            asyncio.run(until(price, lambda price=price: bool(price.quotes(0))))  # type: ignore[misc]
            assert ticks(price) == [650_005]


def play(
    talk: Callable[[ServerConnection], Awaitable[None]], subscribe: str, done: Callable[[PublicPrice], bool]
) -> PublicPrice:
    """A source that follows a WebSocket server with this side of the talk."""

    async def scenario() -> PublicPrice:
        async with serve(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            price = PublicPrice(venue_at(f"ws://127.0.0.1:{port}", subscribe), TICK, SystemClock())
            price._backoff._next_ms = 1
            await until(price, lambda: done(price))
            return price

    return asyncio.run(scenario())


def test_a_socket_is_subscribed_to_and_followed() -> None:
    heard: list[str | bytes] = []

    async def talk(connection: ServerConnection) -> None:
        heard.append(await connection.recv())
        await connection.send('{"hello": "world"}')
        for text in ("65000.1", "65000.4"):
            await connection.send(json.dumps({"result": {"c": [text]}}))
        await connection.wait_closed()

    price = play(talk, '{"event": "subscribe"}', lambda price: ticks(price) == [650_004])
    assert heard == ['{"event": "subscribe"}']
    assert price.health.condition == "stopped"


def test_a_socket_that_ends_is_opened_again() -> None:
    connections = 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        if connections == 2:
            await connection.send("x" * (MOST_BYTES + 1))  # longer than is read: the connection ends
        if connections > 2:
            await connection.send('{"result": {"c": ["65000"]}}')
            await connection.wait_closed()

    play(talk, "", lambda price: ticks(price) == [650_000])
    assert connections == 3


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ('{"a": [{"b": "1.5"}]}', Fraction(3, 2)),
        ('{"a": [{"b": 65000}]}', Fraction(65_000)),
        ('{"a": [{"b": 0.1}]}', Fraction(1, 10)),
        ('{"a": [{"b": -1}]}', None),
        ('{"a": [{"b": 1e5}]}', None),
        ('{"a": [{"b": Infinity}]}', None),
        ('{"a": [{"b": true}]}', None),
        ('{"a": [{"b": null}]}', None),
        ('{"a": []}', None),
        ('{"a": 5}', None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_the_price_in_an_answer(text: str, price: Fraction | None) -> None:
    assert price_in(text, ("a", 0, "b")) == price


GOOD = {"market": "BTC-PERP", "source": "there", "url": "https://there.example/x", "path": ["a", 0]}


def test_a_file_of_venues(tmp_path: Path) -> None:
    file = tmp_path / "venues.json"
    file.write_text(json.dumps([GOOD, {**GOOD, "source": "ws", "url": "wss://x.example", "subscribe": {"on": 1}}]))
    first, second = load_venues(file)
    assert first == PublicVenue("BTC-PERP", "there", "https://there.example/x", ("a", 0))
    assert (second.subscribe, second.is_socket, second.host) == ('{"on": 1}', True, "x.example")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "can not be read"),
        ("{}", "a list"),
        (json.dumps([5]), "must have market"),
        (json.dumps([{**GOOD, "more": 1}]), "must have market"),
        (json.dumps([{**GOOD, "source": "No Good"}]), "source must be"),
        (json.dumps([{**GOOD, "url": "file:///etc/passwd"}]), "url must begin"),
        (json.dumps([{**GOOD, "url": "https://"}]), "url must begin"),
        (json.dumps([{**GOOD, "path": []}]), "path must be"),
        (json.dumps([{**GOOD, "path": [1.5]}]), "path must be"),
        (json.dumps([GOOD, GOOD]), "twice"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "venues.json"
    file.write_text(content)
    with pytest.raises(PublicVenueError, match=words):
        load_venues(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PublicVenueError, match="can not be read"):
        load_venues(tmp_path / "none.json")
