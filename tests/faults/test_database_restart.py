"""The database goes away under load: the API says so and when to come back, and goes on when the database does."""

import asyncio
import os
import signal
from pathlib import Path

from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.running_server import address_of_running
from tests.faults.rig import Load, embedded_venue, must_be_whole, play, take_seats, until


def test_a_restart_of_the_database_under_load(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "elsewhere")
    address = postgres.start()
    venue = embedded_venue(tmp_path, DATABASE_URL=address)

    async def scene() -> None:
        venue.part.start()
        await venue.healthy("/ready")
        process_id = venue.part.process_id
        load = Load(venue.url, await take_seats(venue.url, address), seed=3)
        async with load.running():
            for _ in range(2):
                await load.grows()
                refused = len(load.unavailable)
                await asyncio.to_thread(postgres.restart)
                await load.grows()
                await venue.healthy("/ready")
                assert len(load.unavailable) > refused
        must_say_when_to_come_back(load)
        assert not load.lost_connections
        await load.repeat_unclear()
        await must_be_whole(address, load)
        assert venue.part.process_id == process_id
        assert venue.part.runs
        assert venue.part.stop() == 0, venue.part.tail()

    try:
        play(scene)
    finally:
        venue.part.kill()
        postgres.stop()


def test_the_embedded_database_is_killed_under_load(tmp_path: Path) -> None:
    venue = embedded_venue(tmp_path)
    pid_file = tmp_path / "venue" / "postgres" / "cluster" / "postmaster.pid"

    async def scene() -> None:
        venue.part.start()
        await venue.healthy("/ready")
        address = address_of_running(tmp_path / "venue" / "postgres")
        assert address is not None
        load = Load(venue.url, await take_seats(venue.url, address), seed=4)
        async with load.running():
            await load.grows()
            killed = int(pid_file.read_text().split()[0])
            os.kill(killed, signal.SIGKILL)

            async def another() -> bool:
                words = pid_file.read_text().split() if pid_file.exists() else []
                return bool(words) and int(words[0]) != killed

            await until("another server", another)
            await load.grows()
            await venue.healthy("/ready")
        must_say_when_to_come_back(load)
        await load.repeat_unclear()
        await must_be_whole(address, load)
        assert venue.part.stop() == 0, venue.part.tail()

    try:
        play(scene)
    finally:
        venue.part.kill()


def must_say_when_to_come_back(load: Load) -> None:
    """Every 503 is Flux's own, with a Retry-After."""
    assert load.unavailable
    for reply in load.unavailable:
        assert int(reply.headers["Retry-After"]) >= 1
        assert reply.json()["error"]["code"] == "UNAVAILABLE", reply.text
