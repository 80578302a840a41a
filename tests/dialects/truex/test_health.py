"""`health` tells the truth: it is degraded when the database is away or matching stands still."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from crossbook.dialects.truex.service import ServiceHandlers
from crossbook.dialects.truex.services import Services
from crossbook.readiness import checks_of
from crossbook.server.health import readiness
from crossbook.storage.database import Database
from crossbook.streams.in_process import InProcessStreams
from crossbook.streams.port import StreamKind
from crossbook.system import ManualClock
from crossbook.workers.health import Condition, Health
from tests.storage.support import using


@dataclass
class Matcher:
    """A worker that is as it says."""

    health: Health = field(default_factory=Health)


async def asked(database: Database, matcher: Matcher) -> tuple[int, str]:
    clock = ManualClock()
    stream = InProcessStreams(StreamKind.COMMANDS)
    checks = checks_of(database, stream, [], {"matching": [matcher]}, clock, 5_000)

    async def healthy() -> bool:
        return (await readiness(checks)).status == "ready"

    @dataclass
    class Some:
        healthy: Any
        clock: Any

    handlers = ServiceHandlers(cast("Services", Some(healthy, clock)))
    reply = await handlers.health(cast("Any", None))
    assert reply.media_type == "application/json"
    return reply.status, cast("Any", reply.body).status


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (Condition.RUNNING, (200, "healthy")),
        (Condition.STANDBY, (200, "healthy")),
        (Condition.WAITING, (503, "degraded")),
        (Condition.FAILED, (503, "degraded")),
    ],
)
def test_health_is_that_of_matching(database_url: str, condition: Condition, found: tuple[int, str]) -> None:
    matcher = Matcher()
    matcher.health.set(condition)

    async def scenario(database: Database) -> tuple[int, str]:
        return await asked(database, matcher)

    assert using(database_url, scenario) == found


def test_health_is_that_of_the_database(database_url: str) -> None:
    matcher = Matcher()
    matcher.health.set(Condition.RUNNING)

    async def scenario() -> tuple[int, str]:
        database = await Database.connect(database_url, max_connections=1)
        await database.close()
        return await asked(database, matcher)

    assert asyncio.run(scenario()) == (503, "degraded")
