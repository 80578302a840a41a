"""A whole embedded venue as a process of its own, in a folder that goes with it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

HOST: Final = "127.0.0.1"
READY_WITHIN_S: Final = 60.0
STOP_WITHIN_S: Final = 15.0
LOAD_WITHIN_S: Final = 240.0
LOOK_S: Final = 0.01
NO_LIMIT: Final = dict.fromkeys(
    (
        "CROSSBOOK_ORDERS_PER_S",
        "CROSSBOOK_CANCELS_PER_S",
        "CROSSBOOK_READS_PER_S",
        "CROSSBOOK_ADDRESS_PER_S",
        "CROSSBOOK_REGISTRATIONS_PER_MINUTE",
        "CROSSBOOK_LOGINS_PER_MINUTE",
    ),
    "0",
)
LOG_FILE: Final = "venue.log"


class VenueFailed(Exception):
    """The venue did not come up, or the load failed."""


class VenueProcess:
    """A venue with default settings but for rate limits, which would be in the load's way, and bots."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = _free_port()
        self._environment = dict(environment or {})
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start and wait until it is ready; the seconds that took. Raises VenueFailed."""
        started_s = monotonic()
        arguments = ["up", "--no-bots", "--port", str(self.port), "--data", str(self._folder / "data")]
        with (self._folder / LOG_FILE).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "crossbook.cli", *arguments],
                env=os.environ | NO_LIMIT | self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._is_ready():
            if self._process.poll() is not None or monotonic() - started_s > READY_WITHIN_S:
                raise VenueFailed(f"the venue did not start:\n{self._last_lines()}")
            sleep(LOOK_S)
        return monotonic() - started_s

    @property
    def admin(self) -> dict[str, str]:
        """The operator's email and password."""
        document = json.loads((self._folder / "data" / "demo.json").read_text(encoding="utf-8"))
        found: dict[str, str] = document["admin"]
        return found

    def load(self, phase: str, module: str = "benchmarks.venue_load", **plan: object) -> dict[str, Any]:
        """Run a phase of the load in a process of its own; its outcome. Raises VenueFailed."""
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps({"phase": phase, "port": self.port, **plan}).encode(),
            capture_output=True,
            check=False,
            timeout=LOAD_WITHIN_S,
        )
        if done.returncode:
            raise VenueFailed(f"the load failed:\n{done.stderr.decode()[-2_000:]}\n{self._last_lines()}")
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome

    def demo_keys(self) -> list[dict[str, str]]:
        """The keys of the demo users, with which they sign."""
        document = json.loads((self._folder / "data" / "demo.json").read_text(encoding="utf-8"))
        return [user["truex"] for user in document["users"]]

    def kill(self) -> None:
        """End the venue's process with SIGKILL, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it in order, and with force if it does not."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def memory_mb(self) -> float:
        """What the venue's process has in RAM, without its PostgreSQL; 0 where that can not be had."""
        assert self._process is not None
        statm = Path(f"/proc/{self._process.pid}/statm")
        if not statm.exists():
            return 0.0
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _is_ready(self) -> bool:
        with suppress(URLError, OSError), urlopen(f"http://{HOST}:{self.port}/ready", timeout=2) as reply:
            return bool(reply.status == 200)
        return False

    def _last_lines(self) -> str:
        return (self._folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")[-2_000:]


@contextmanager
def venue_process(environment: Mapping[str, str] | None = None) -> Iterator[VenueProcess]:
    """A venue with these settings beside the usual ones, not yet started; its folder goes at the end."""
    with tempfile.TemporaryDirectory(prefix="crossbook-bench-") as folder:
        venue = VenueProcess(Path(folder), environment)
        try:
            yield venue
        finally:
            venue.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
