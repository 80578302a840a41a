"""Liveness and readiness.

`/health` says that the process answers; nothing outside the process can make it fail, so a supervisor that
restarts on it never restarts a venue because its database is away. `/ready` asks every part by name and
answers 503 until all of them are well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from crossbook.dialects.call import Reply, visit_of
from crossbook.dialects.endpoint import send_reply

CHECK_TIMEOUT_S: Final = 2


class Health(msgspec.Struct, frozen=True):
    """The answer of the liveness probe."""

    status: Literal["ok"] = "ok"


class Finding(msgspec.Struct, frozen=True):
    """What one check found. `detail` is fit for a stranger's eyes: no addresses, no names of hosts."""

    ok: bool
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True):
    """The answer of the readiness probe, check by check."""

    status: Literal["ready", "degraded"]
    checks: dict[str, Finding]


Check = Callable[[], Awaitable[Finding]]


async def find(check: Check, timeout_s: float) -> Finding:
    """Run one check; one that fails or takes too long is a finding, never an error."""
    try:
        async with asyncio.timeout(timeout_s):
            return await check()
    except TimeoutError:
        return Finding(ok=False, detail="no answer in time")
    except Exception as error:  # its text may hold an address; its kind is enough here
        return Finding(ok=False, detail=type(error).__name__)


async def readiness(checks: Mapping[str, Check], timeout_s: float = CHECK_TIMEOUT_S) -> Readiness:
    """Run all checks at once, each at most `timeout_s` seconds."""
    found = await asyncio.gather(*(find(check, timeout_s) for check in checks.values()))
    by_name = dict(zip(checks, found, strict=True))
    return Readiness("ready" if all(item.ok for item in found) else "degraded", by_name)


def health_app() -> ASGIApp:
    """The application of `/health`."""
    reply = Reply(body=Health())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        visit_of(scope).route = "/health"
        await send_reply(send, reply)

    return app


def ready_app(checks: Mapping[str, Check], timeout_s: float = CHECK_TIMEOUT_S) -> ASGIApp:
    """The application of `/ready`: 200 when every check is well, else 503."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        visit_of(scope).route = "/ready"
        found = await readiness(checks, timeout_s)
        headers = () if found.status == "ready" else ((b"retry-after", b"1"),)
        await send_reply(send, Reply(200 if found.status == "ready" else 503, found, headers))

    return app
