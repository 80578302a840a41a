"""One venue for all tests of the dialect: a real server, a real PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.dialects.lethean.venue import LetheanVenue, running_venue
from tests.storage.conftest import database_url, module_url, server, template

__all__ = ["database_url", "module_url", "server", "template"]


@pytest.fixture(scope="module")
def venue(module_url: str) -> Iterator[LetheanVenue]:
    """A running venue."""
    with running_venue(module_url) as made:
        yield made
