"""The bots of swaps trade on the same real PostgreSQL as the tests of storage."""

from tests.storage.conftest import database_url, server, template

__all__ = ["database_url", "server", "template"]
