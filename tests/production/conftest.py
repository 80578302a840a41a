"""A production venue stands on a real PostgreSQL and a real Valkey that are not its own."""

from tests.storage.conftest import empty_url, server
from tests.streams.conftest import own_server

__all__ = ["empty_url", "own_server", "server"]
