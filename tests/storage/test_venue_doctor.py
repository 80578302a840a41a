"""What `crossbook doctor` says of a venue's database, streams, clock, disk and packages."""

import asyncio
import socket
from importlib import metadata
from pathlib import Path

import pytest

from crossbook import venue_doctor
from crossbook.doctor import Finding
from crossbook.storage.database import Database
from crossbook.storage.migrate import Migration
from crossbook.system import SystemClock
from crossbook.venue_doctor import (
    COMFORTABLE_BYTES,
    LEAST_FREE_BYTES,
    MOST_SKEW_MS,
    check_disk,
    check_migrations,
    check_package,
    check_packages,
    check_streams,
    describe_disk,
    describe_server,
    describe_skew,
    examine_database,
    examine_venue,
    package_names,
)
from tests.storage.conftest import Server
from tests.storage.support import using
from tests.streams.adapters import OwnServer

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def test_a_fit_database_is_found_well(database_url: str, tmp_path: Path) -> None:
    findings = asyncio.run(examine_venue(database_url, None, tmp_path, SystemClock()))
    assert [finding.topic for finding in findings[:5]] == ["database", "schema", "clock", "streams", "disk"]
    assert [finding.found for finding in findings[1:4]] == [
        "current",
        "agrees with the database",
        "inside the process",
    ]
    assert findings[0].found.startswith("PostgreSQL ")
    assert all(finding.ok for finding in findings[:4])


def test_an_empty_database_needs_its_migrations(empty_url: str) -> None:
    database, schema, _ = asyncio.run(examine_database(empty_url, SystemClock()))
    assert database.ok
    assert (schema.ok, schema.advice) == (False, "Run `crossbook migrate`.")
    assert schema.found.startswith("migrations 1, 2")


def test_a_database_of_a_newer_program_is_not_fit(database_url: str) -> None:
    async def scenario(database: Database) -> Finding:
        return await check_migrations(database, (Migration(1, "one", "SELECT 1"),))

    finding = using(database_url, scenario)
    assert not finding.ok
    assert finding.advice == "Use the program that belongs to this database."


def test_no_database_is_named_and_is_no_fault() -> None:
    (finding,) = asyncio.run(examine_database(None, SystemClock()))
    assert finding.ok
    assert "crossbook up" in finding.advice


def test_a_server_that_is_away_is_not_reached() -> None:
    url = f"postgresql://somebody@127.0.0.1:{free_port()}/nothing"
    (finding,) = asyncio.run(examine_database(url, SystemClock()))
    assert not finding.ok
    assert finding.found.startswith("not reached")
    assert "Start the server" in finding.advice


def test_a_database_that_is_not_there_lets_us_not_in(server: Server) -> None:
    (finding,) = asyncio.run(examine_database(server.address("no_such_database"), SystemClock()))
    assert not finding.ok
    assert "lets us not in" in finding.found
    assert "DATABASE_URL" in finding.advice


@pytest.mark.parametrize(("number", "ok"), [(140_022, False), (150_000, True), (180_001, True)])
def test_the_server_must_be_new_enough(number: int, ok: bool) -> None:
    finding = describe_server(number, DURABLE)
    assert finding.ok is ok
    assert f"{number // 10_000}.{number % 10_000}" in finding.found


@pytest.mark.parametrize("name", DURABLE)
def test_a_server_that_may_lose_what_it_confirmed_is_not_fit(name: str) -> None:
    finding = describe_server(180_001, {**DURABLE, name: "off"})
    assert not finding.ok
    assert f"Set {name} to on" in finding.advice


@pytest.mark.parametrize(
    ("there_ms", "ok", "words"),
    [
        (10_000 - MOST_SKEW_MS, True, "agrees"),
        (10_500, True, "agrees"),
        (11_000 + MOST_SKEW_MS, True, "agrees"),
        (10_000 - MOST_SKEW_MS - 1, False, f"{MOST_SKEW_MS + 1} ms ahead of"),
        (11_000 + MOST_SKEW_MS + 7, False, f"{MOST_SKEW_MS + 7} ms behind"),
    ],
)
def test_clocks_must_agree_as_far_as_two_looks_can_tell(there_ms: int, ok: bool, words: str) -> None:
    finding = describe_skew(10_000, there_ms, 11_000)
    assert finding.ok is ok
    assert words in finding.found
    assert ("NTP" in finding.advice) is not ok


def test_streams_that_answer_are_reached(tmp_path: Path) -> None:
    server = OwnServer(tmp_path)
    try:
        assert asyncio.run(check_streams(server.url)) == Finding("streams", "Redis or Valkey answers")
    finally:
        server.close()


def test_streams_that_do_not_answer_are_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_doctor, "TIMEOUT_MS", 300)
    finding = asyncio.run(check_streams(f"redis://127.0.0.1:{free_port()}/0"))
    assert not finding.ok
    assert "REDIS_URL" in finding.advice


@pytest.mark.parametrize(
    ("free", "ok", "advised"),
    [
        (LEAST_FREE_BYTES - 1, False, True),
        (LEAST_FREE_BYTES, True, True),
        (COMFORTABLE_BYTES - 1, True, True),
        (COMFORTABLE_BYTES, True, False),
    ],
)
def test_a_full_disk_is_not_fit_and_a_small_one_is_said(free: int, ok: bool, advised: bool) -> None:
    finding = describe_disk(Path("data"), free)
    assert finding.ok is ok
    assert (finding.advice != "") is advised


def test_the_disk_of_a_folder_that_is_not_yet_there_is_found(tmp_path: Path) -> None:
    assert "MB free" in check_disk(tmp_path / "not" / "yet").found


def test_names_of_packages_are_read_from_requirements() -> None:
    listed = ["typer>=0.20", "uvicorn[standard]>=0.40 ; python_version>'3'", "matplotlib; extra == 'plot'"]
    assert package_names(listed) == ["typer", "uvicorn"]


def test_a_missing_package_is_not_fit() -> None:
    assert check_package("pytest").ok
    finding = check_package("no-such-package-anywhere")
    assert (finding.ok, finding.found) == (False, "not installed")


def test_packages_are_those_that_crossbook_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _: ["pytest>=9", "no-such-package-anywhere"])
    assert [(finding.topic, finding.ok) for finding in check_packages()] == [
        ("pytest", True),
        ("no-such-package-anywhere", False),
    ]


def test_a_program_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    (finding,) = check_packages()
    assert finding.ok
    assert finding.advice == "Install Crossbook."
