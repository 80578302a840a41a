"""The application's tests run on the same real PostgreSQL as those of storage."""

from tests.storage.conftest import database_url, server, template

__all__ = ["database_url", "server", "template"]
