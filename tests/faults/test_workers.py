"""Each worker of an embedded venue crashes once under load: the others go on, it resumes, and nothing is lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from crossbook import bootstrap
from crossbook.application.desk import Desk
from crossbook.settings_loading import load as load_settings
from crossbook.storage.running_server import address_of_running
from crossbook.workers.market_data import MarketFeed
from crossbook.workers.matcher import Matcher
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler
from crossbook.workers.timers import Timers
from tests.faults.rig import NO_LIMITS, Load, must_be_whole, play, take_seats, until
from tests.venue_process import free_port

WORKERS = (Relay, Matcher, Settler, MarketFeed, Timers, Desk)


class Mortal:
    """The tasks of a kind of worker, each run so that a test can end it from inside, and how often they began."""

    def __init__(self, kind: Any, patch: pytest.MonkeyPatch) -> None:
        self.starts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        original = kind.run

        async def run(worker: Any, stop: asyncio.Event) -> None:
            self.starts += 1
            task = asyncio.create_task(original(worker, stop))
            self._tasks.add(task)
            try:
                await asyncio.wait((task,))
            finally:
                self._tasks.discard(task)
                task.cancel()
            if task.cancelled():
                raise RuntimeError("crashed by the test")
            task.result()

        patch.setattr(kind, "run", run)

    def kill(self) -> int:
        """End every one of them where it stands; how many those were."""
        return sum(task.cancel() for task in self._tasks)


@pytest.fixture
def mortals(monkeypatch: pytest.MonkeyPatch) -> list[Mortal]:
    return [Mortal(kind, monkeypatch) for kind in WORKERS]


def test_each_worker_crashes_once(tmp_path: Path, mortals: list[Mortal]) -> None:
    data = tmp_path / "venue"
    given = {"port": free_port(), "data_dir": data, "bots": False}
    settings = load_settings(dict.fromkeys(NO_LIMITS, "0"), overrides=given).settings
    venue = bootstrap.embedded(settings)

    async def scene() -> None:
        try:
            await venue.start()
            address = address_of_running(data / "postgres")
            assert address is not None
            load = Load(venue.base_url, await take_seats(venue.base_url, address), seed=7)
            async with load.running():
                for mortal in mortals:
                    await load.grows()
                    starts, killed = mortal.starts, mortal.kill()
                    assert killed

                    async def all_again(mortal: Mortal = mortal, goal: int = starts + killed) -> bool:
                        return mortal.starts >= goal

                    await until("the workers again", all_again)
                    await load.grows()
            await load.repeat_unclear()
            await must_be_whole(address, load)
        finally:
            await venue.stop()

    play(scene)
