"""Whether the venue works, and which versions of this API there are."""

from datetime import UTC, datetime
from typing import Final

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Endpoint
from crossbook.dialects.truex import schemas
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import listed
from crossbook.dialects.versions import Version

NAME: Final = "crossbook"
TAG: Final = "Service"


class ServiceHandlers:
    """The handlers of `/health` and `/versions`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def health(self, call: Call[None, None]) -> Reply:
        """200 when the venue works, 503 when its database or its matching does not."""
        del call
        healthy = await self._services.healthy()
        now = datetime.fromtimestamp(self._services.clock.now_ms() // 1000, UTC)
        body = schemas.Health("healthy" if healthy else "degraded", now.strftime("%Y-%m-%d %H:%M:%S"), NAME)
        return Reply(200 if healthy else 503, body)

    async def versions(self, call: Call[None, None]) -> Reply:
        """Every version that a request may ask for."""
        del call
        default = self._services.versions.default.name
        return listed([_version_row(version, version.name == default) for version in self._services.versions])


def _version_row(version: Version, is_default: bool) -> schemas.VersionRow:
    retirement = version.retirement
    if retirement is None:
        return schemas.VersionRow(version.name, "current", is_default)
    sunset = "" if retirement.sunset_on is None else retirement.sunset_on.isoformat()
    return schemas.VersionRow(version.name, "deprecated", is_default, retirement.deprecated_on.isoformat(), sunset)


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    service = ServiceHandlers(services)
    return [
        Endpoint(
            "GET",
            "/health",
            "Whether the venue works.",
            service.health,
            {200: schemas.Health, 503: schemas.Health},
            tag=TAG,
            description="503 and degraded when the database cannot be reached or matching stands still.",
        ),
        Endpoint(
            "GET", "/versions", "The versions of this API.", service.versions, {200: list[schemas.VersionRow]}, tag=TAG
        ),
    ]
