"""A real server on a loopback port, in a thread of its own."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

from starlette.types import ASGIApp

from crossbook.dialects.endpoint import Dialect, Surroundings
from crossbook.server.app import Listening, Setup, build_app, make_server
from crossbook.server.middleware import AccessLine

START_TIMEOUT_S = 10


class Recorded:
    """What the application told its surroundings."""

    def __init__(self) -> None:
        self.lines: list[AccessLine] = []
        self.crashes: list[tuple[str, str, str]] = []

    def crash(self, error: BaseException, request_id: str, route: str) -> None:
        self.crashes.append((repr(error), request_id, route))


def setup_for(recorded: Recorded, surroundings: Surroundings | None = None) -> Setup:
    """A setup whose request ids are id-1, id-2 and so on."""
    ids = count(1)
    return Setup(
        new_id=lambda: f"id-{next(ids)}",
        monotonic_s=time.monotonic,
        surroundings=replace(surroundings or Surroundings(), crash=recorded.crash),
        access=recorded.lines.append,
    )


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The address of a server that runs `app` while the block runs."""
    server = make_server(app, Listening(port=0, drain_s=1))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        wait_until_started(server, thread)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT_S)
            assert not thread.is_alive()


def wait_until_started(server: object, thread: threading.Thread) -> None:
    """Return once the server answers."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not getattr(server, "started", False):
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline_s, "the server did not start in time"
        time.sleep(0.01)


@contextmanager
def serving_dialects(dialects: Sequence[Dialect], setup: Setup) -> Iterator[str]:
    """The address of a server of these dialects."""
    with serving(build_app(dialects, setup)) as address:
        yield address
