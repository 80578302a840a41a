"""`/ready` of a running venue while workers beside the way of an order, or prices from outside, are in trouble."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from crossbook import bootstrap
from crossbook.settings_loading import load as load_settings
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.workers.pricing import PricingWorker
from crossbook.workers.timers import Timers
from crossbook.workers.transfers import TransferDriver
from tests.faults.rig import NO_LIMITS, play, until
from tests.venue_process import free_port

LIMIT_MS = 300


class Broken:
    """A kind of worker whose look fails while `error` is set."""

    def __init__(self, kind: Any, patch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        original = kind.look

        async def look(worker: Any) -> Any:
            if self.error is not None:
                raise self.error
            return await original(worker)

        patch.setattr(kind, "look", look)


@asynccontextmanager
async def running(data: Path, **given: object) -> AsyncIterator[httpx2.AsyncClient]:
    """A venue of this process; a client of its own address."""
    found = {"port": free_port(), "data_dir": data, "bots": False, "ready_wait_limit_ms": LIMIT_MS, **given}
    venue = bootstrap.embedded(load_settings(dict.fromkeys(NO_LIMITS, "0"), overrides=found).settings)
    try:
        await venue.start()
        async with httpx2.AsyncClient(base_url=venue.base_url) as client:
            yield client
    finally:
        await venue.stop()


async def until_ready_says(client: httpx2.AsyncClient, status: int, check: str, words: str) -> dict[str, Any]:
    """The finding of a check, once `/ready` has this status and its finding these words."""

    async def look() -> dict[str, Any] | None:
        reply = await client.get("/ready")
        finding: dict[str, Any] = reply.json()["checks"][check]
        return finding if reply.status_code == status and words in json.dumps(finding) else None

    return await until(f"{check}: {words}", look)


def test_ready_tells_of_every_worker_that_waits_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {
        "transfers": Broken(TransferDriver, monkeypatch),
        "pricing": Broken(PricingWorker, monkeypatch),
        "timers": Broken(Timers, monkeypatch),
    }

    async def scene() -> None:
        async with running(tmp_path / "venue") as client:
            await until_ready_says(client, 200, "accountFeed", '"ok": true')  # the last of them to start
            reply = await client.get("/ready")
            names = {"pricing", "transfers", "timers", "liquidation", "priceGuard", "accountFeed", "swaps", "activity"}
            assert names | {"prices", "database", "matching", "settling", "relay"} <= reply.json()["checks"].keys()
            # The last one is no trouble that a worker knows: it crashes, and the supervisor starts it again.
            errors = [DatabaseUnavailable("gone"), DatabaseUnavailable("gone"), RuntimeError("crashed by the test")]
            for (check, look), error in zip(broken.items(), errors, strict=True):
                look.error = error
                finding = await until_ready_says(client, 503, check, "waiting for")
                assert not finding["ok"]
                assert "gone" not in finding["detail"]
                look.error = None
                await until_ready_says(client, 200, check, '"ok": true, "detail": ""')

    play(scene)


def test_a_silent_source_outside_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "venues.json"
    silent = {"market": "BTC-PERP", "source": "far", "url": f"http://127.0.0.1:{free_port()}/", "path": ["price"]}
    file.write_text(json.dumps([silent]))

    async def scene() -> None:
        given = {"index_venues_file": file, "index_max_age_ms": 100, "prices_interval_ms": 50}
        async with running(tmp_path / "venue", **given) as client:
            await until_ready_says(client, 200, "prices", "BTC-PERP takes cancels only: too few prices")
            reply = await client.get("/ready")
            assert (reply.status_code, reply.json()["status"]) == (200, "ready")
            assert reply.json()["checks"]["prices"] == {
                "ok": True,
                "detail": "",
                "warning": "BTC-PERP takes cancels only: too few prices; far for BTC-PERP: no price yet",
            }

    play(scene)


def test_a_mark_that_nobody_states_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pricing = Broken(PricingWorker, monkeypatch)

    async def scene() -> None:
        given = {"bots": True, "index_max_age_ms": 500, "prices_interval_ms": 50, "ready_wait_limit_ms": 600_000}
        async with running(tmp_path / "venue", **given) as client:

            async def marked() -> bool:
                prices = (await client.get("/prices")).json()
                return all(row["indexPrice"] for row in prices if row["marketId"].endswith("-PERP"))

            await until("marks", marked)
            await until_ready_says(client, 200, "prices", '"ok": true, "detail": ""')
            pricing.error = DatabaseUnavailable("gone")
            await until_ready_says(client, 200, "prices", "BTC-PERP: no mark for")
            pricing.error = None
            await until_ready_says(client, 200, "prices", '"ok": true, "detail": ""}')

    play(scene)


def test_a_worker_that_never_got_to_work_is_said_and_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = asyncio.Event()

    async def run(worker: TransferDriver, stop: asyncio.Event) -> None:
        del stop
        crashed.set()
        raise RuntimeError(f"{type(worker).__name__} crashed by the test")

    monkeypatch.setattr(TransferDriver, "run", run)

    async def scene() -> None:
        async with running(tmp_path / "venue") as client:
            await crashed.wait()
            await until_ready_says(client, 503, "transfers", "waiting for 1 s")
            # Nobody was stopped by it: the process answers, and trades.
            assert (await client.get("/health")).status_code == 200
            assert (await client.get("/markets")).status_code == 200

    play(scene)
