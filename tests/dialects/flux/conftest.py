"""One venue for all transcripts: a real server, a real PostgreSQL, the real workers."""

from collections.abc import Iterator

import pytest

from tests.dialects.flux.venue import FluxVenue, running_venue
from tests.storage.conftest import module_url, server, template

__all__ = ["module_url", "server", "template"]


@pytest.fixture(scope="module")
def venue(module_url: str) -> Iterator[FluxVenue]:
    """A running venue with the markets BTC-PERP, ETH-PERP, BTC-USDC and BTC-PYUSD."""
    with running_venue(module_url) as made:
        yield made
