"""A fresh database for each test, and streams of this process or of a real server that is this room's own."""

from collections.abc import Iterator

import pytest

from tests.storage.conftest import database_url, server, template
from tests.streams.adapters import OwnServer

__all__ = ["database_url", "server", "template"]


@pytest.fixture(scope="session")
def own_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that these tests may empty."""
    redis = OwnServer(tmp_path_factory.mktemp("redis"))
    yield redis.url
    redis.close()


@pytest.fixture(params=["in process", "redis"])
def redis_url(request: pytest.FixtureRequest) -> str | None:
    """None for streams of this process, or the address of a server."""
    if request.param == "in process":
        return None
    url: str = request.getfixturevalue("own_redis_url")
    return url
