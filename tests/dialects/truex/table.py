"""TrueX's table without a venue: building it touches nothing of what its handlers need."""

from types import SimpleNamespace
from typing import cast

from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.versions import SINGULAR, versions_of


def built_for_reading() -> Services:
    """As much of the services as a table needs to be built."""
    return cast(
        "Services",
        SimpleNamespace(versions=versions_of(), singular=SINGULAR, unavailable=(), keys=None, clock=None, limiter=None),
    )
