"""What a venue in a process of its own makes of its settings, and of time that passes."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from tests.venue_process import VenueProcess

SETTINGS = {"CROSSBOOK_TRUEX_DEPRECATED_VERSIONS": "v2024_01_01:2026-06-01:2027-06-01"}
PATIENCE_S = 60


def stalled(url: str, path: str, headers: str = "") -> socket.socket:
    """A connection on which a request waits for a body that does not come."""
    place = urlsplit(url)
    connection = socket.create_connection((place.hostname, place.port), timeout=PATIENCE_S)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{"
    connection.sendall(head.encode())
    return connection


def reply_on(connection: socket.socket) -> tuple[bytes, bytes]:
    """The first line and the rest of what is answered."""
    with connection:
        status, _, rest = connection.recv(65_536).partition(b"\r\n")
    return status, rest


def test_a_deprecated_version_and_a_body_that_does_not_come(tmp_path: Path) -> None:
    with VenueProcess(tmp_path / "venue", "--no-bots", settings=SETTINGS) as venue:
        waiting = [
            stalled(venue.url, "/api/v1/orders"),
            stalled(venue.url, "/api/v1/orders", "X-Truex-Version: v2026_01_23\r\n"),
            stalled(venue.url, "/auth/login"),
        ]
        old = httpx2.get(f"{venue.url}/api/v1/versions")
        assert old.json()[0] == {
            "version": "v2024_01_01",
            "status": "deprecated",
            "default": True,
            "deprecation": "2026-06-01",
            "sunset": "2027-06-01",
        }
        assert (old.headers["deprecation"], old.headers["sunset"]) == (
            "Mon, 01 Jun 2026 00:00:00 GMT",
            "Tue, 01 Jun 2027 00:00:00 GMT",
        )
        new = httpx2.get(f"{venue.url}/api/v1/versions", headers={"X-Truex-Version": "v2026_01_23"})
        assert set(new.json()) == {"data", "pagination"}
        assert not {"deprecation", "sunset"} & set(new.headers)
        plain, enveloped, flux = map(reply_on, waiting)
        assert [status for status, _ in (plain, enveloped, flux)] == [b"HTTP/1.1 408 Request Timeout"] * 3
        assert b"deprecation: Mon, 01 Jun 2026" in plain[1]
        assert b'{"type":"urn:crossbook:truex:request-timeout"' in plain[1]
        assert b'{"error":{"type":"urn:crossbook:truex:request-timeout"' in enveloped[1]
        assert b'"code":"REQUEST_TIMEOUT"' in flux[1]
        assert venue.stop() == 0
