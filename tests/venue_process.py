"""A whole venue in a process of its own, as `crossbook up` starts it, and a client that speaks Flux to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

T = TypeVar("T")

PATIENCE_S = 60.0
"""Only so that a test which can not end does end."""


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def eventually(look: Callable[[], T | None]) -> T:
    """What `look` gives once it gives something true."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"{look} gave nothing in time"
        time.sleep(0.02)


class VenueProcess:
    """`python -m crossbook.cli up` on a folder; use it as a context, and start it again after a stop."""

    def __init__(self, data: Path, *options: str, settings: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.port = free_port()
        self.options = list(options)
        self.settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log = data.parent / f"{data.name}.log"

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def demo(self) -> dict[str, Any]:
        """What is in demo.json."""
        found: dict[str, Any] = json.loads((self.data / "demo.json").read_text())
        return found

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def start(self) -> None:
        """Start it, and return when it says that it is ready."""
        command = [sys.executable, "-m", "crossbook.cli", "up", "--port", str(self.port), "--data", str(self.data)]
        environment = without_settings(os.environ)
        # Many requests come from one address here.
        environment["CROSSBOOK_REGISTRATIONS_PER_MINUTE"] = "0"
        environment.update(self.settings)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *self.options], stdout=log, stderr=log, env=environment)
        eventually(self._ready)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return httpx2.get(f"{self.url}/ready").status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """Kill the venue and its database at once, as a power cut would."""
        assert self._process is not None
        postmaster = self.postmaster
        self._process.kill()
        os.kill(postmaster, signal.SIGKILL)
        self._process.wait(PATIENCE_S)

    @property
    def postmaster(self) -> int:
        """The process of its database."""
        return int((self.data / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text()

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Another command of the command line, on the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "crossbook.cli", *words, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=without_settings(os.environ),
            check=False,
        )


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which the venue finds no settings."""
    return {name: value for name, value in environment.items() if not _is_setting(name)}


def _is_setting(name: str) -> bool:
    switches = {"CROSSBOOK_INTERPRETED", "CROSSBOOK_PURE"}
    given = {"DATABASE_URL", "REDIS_URL", "JWT_SECRET", "RUNTIME_MODE"}
    return name in given or (name.startswith("CROSSBOOK_") and name not in switches)


class Trader:
    """One user of the venue, signed in."""

    def __init__(self, url: str, email: str, password: str) -> None:
        reply = httpx2.post(f"{url}/auth/login", json={"email": email, "password": password})
        assert reply.status_code == 200, reply.text
        self.token: str = reply.json()["token"]
        self._client = httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {self.token}"})

    @classmethod
    def registered(cls, url: str, name: str) -> "Trader":
        """A user who registers first."""
        email, password = f"{name}@example.com", f"long password of {name}"
        reply = httpx2.post(f"{url}/auth/register", json={"email": email, "password": password})
        assert reply.status_code == 201, reply.text
        return cls(url, email, password)

    @classmethod
    def new(cls, url: str, name: str) -> "Trader":
        """A user who registers first, and deposits 100,000 USDC."""
        trader = cls.registered(url, name)
        assert trader.post("/deposits", {"asset": "USDC", "amount": "100000"}).status_code == 201
        return trader

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def get(self, path: str) -> Any:
        """The answer to a read."""
        reply = self._client.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, body: object) -> httpx2.Response:
        """The reply to a request."""
        return self._client.post(path, json=body)

    def order(self, side: str, price: str, client_order_id: str | None = None) -> str:
        """Enter an order for 0.01 BTC; its id."""
        body = {"marketId": "BTC-PERP", "side": side, "type": "LIMIT", "quantity": "0.01", "price": price}
        reply = self.post("/orders", {**body, "leverage": 10, "clientOrderId": client_order_id})
        assert reply.status_code == 202, reply.text
        order_id: str = reply.json()["orderId"]
        return order_id

    def settled(self, order_id: str) -> dict[str, Any]:
        """The order once it is not pending any more."""

        def look() -> dict[str, Any] | None:
            order: dict[str, Any] = self.get(f"/orders/{order_id}")
            return order if order["status"] != "PENDING" else None

        return eventually(look)
