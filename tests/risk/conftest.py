"""The databases of tests/storage, for whole liquidations."""

from tests.storage.conftest import database_url, server, template

__all__ = ["database_url", "server", "template"]
