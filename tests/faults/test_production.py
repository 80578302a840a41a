"""A venue in production, each part a process of its own: the streams lose everything, and workers are killed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossbook.demo import create_markets
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.migrate import migrate
from crossbook.system import SystemClock
from tests.faults.rig import SEALING_KEY, SECRET, Door, Load, Part, must_be_whole, play, take_seats
from tests.streams.adapters import OwnServer
from tests.venue_process import free_port

WORKERS = ("relay", "matcher", "settler", "market-data")


class Production:
    """The parts of one venue, on servers of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._postgres = EmbeddedPostgres(folder / "database")
        self.address = self._postgres.start()
        try:
            self.redis = OwnServer(folder)
        except BaseException:
            self._postgres.stop()
            raise
        self.parts: dict[str, Part] = {}
        self.door = self._door()

    def _door(self) -> Door:
        port = free_port()
        return Door(self._part("api", "--port", str(port)), port)

    def _part(self, *words: str) -> Part:
        part = self.parts[words[-1] if words[0] == "worker" else words[0]] = Part(
            self._folder,
            *words,
            DATABASE_URL=self.address,
            REDIS_URL=self.redis.url,
            JWT_SECRET=SECRET,
            CROSSBOOK_SEALING_KEYS=SEALING_KEY,
            CROSSBOOK_LEASE_MS="500",
        )
        return part

    async def start(self, *workers: str) -> None:
        """Make the markets, start the API and these workers, and wait until orders are taken."""
        database = await Database.connect(self.address)
        try:
            await migrate(database)
            await create_markets(database, SystemClock().now_ms())
        finally:
            await database.close()
        for name in workers:
            self._part("worker", name)
        for part in self.parts.values():
            part.start()
        for part in self.parts.values():
            await part.ready(starts=1)
        await self.door.healthy("/ready")

    def stop_all(self) -> None:
        """Ask every part to end: each does."""
        for part in self.parts.values():
            assert part.stop() == 0, part.tail()

    def close(self) -> None:
        """End whatever is still there."""
        for part in self.parts.values():
            part.kill()
        self.redis.close()
        self._postgres.stop()


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Production]:
    production = Production(tmp_path)
    try:
        yield production
    finally:
        production.close()


def test_the_streams_lose_everything_under_load(venue: Production) -> None:
    async def scene() -> None:
        await venue.start("all")
        load = Load(venue.door.url, await take_seats(venue.door.url, venue.address), seed=5)
        async with load.running():
            for _ in range(5):
                await load.grows(50)
                await asyncio.to_thread(venue.redis.empty)
        await load.repeat_unclear()
        await must_be_whole(venue.address, load)
        await venue.door.healthy("/ready")
        venue.stop_all()

    play(scene)


def test_each_worker_is_killed_under_load(venue: Production) -> None:
    async def scene() -> None:
        await venue.start(*WORKERS)
        load = Load(venue.door.url, await take_seats(venue.door.url, venue.address), seed=6)
        async with load.running():
            for name in WORKERS:
                await load.grows(50)
                venue.parts[name].kill()
                await load.grows(50)  # the rest goes on
                venue.parts[name].start()
                await venue.parts[name].ready(starts=2)
                await load.grows(50)
        assert not load.unavailable
        await must_be_whole(venue.address, load)
        venue.stop_all()

    play(scene)
