"""Places for streams: this process, and a real server with either protocol. TEST_REDIS_URL names another server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.streams.adapters import OwnServer, Place, in_process_place, redis_place


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    server = OwnServer(tmp_path_factory.mktemp("server"))
    yield server.url
    server.close()


@pytest.fixture(params=["in process", "RESP2", "RESP3"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "in process":
        yield in_process_place()
        return
    url: str = request.getfixturevalue("redis_url")
    found = redis_place(url, int(request.param[-1]))
    yield found
    with Redis.from_url(url) as client:
        client.delete(f"engine.commands.{found.market}")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A server that belongs to the test: what is done to it is done to nobody else."""
    server = OwnServer(tmp_path / "server")
    yield server
    server.close()
