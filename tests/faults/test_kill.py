"""The embedded venue is killed at random moments under load: what it acknowledged is there afterwards, once."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from crossbook.storage.running_server import address_of_running
from tests.faults.rig import PATIENCE_S, Door, Load, embedded_venue, must_be_whole, nothing_pending, play, take_seats


def address_of(folder: Path) -> str:
    address = address_of_running(folder / "venue" / "postgres")
    assert address is not None
    return address


def kill(venue: Door, folder: Path, and_database: bool) -> None:
    """kill -9 of the venue, and of its database server too where that is said."""
    # Read while the venue runs, so that the number is certainly that of its server.
    postmaster = int((folder / "venue" / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])
    venue.part.kill()
    if and_database:
        os.kill(postmaster, signal.SIGKILL)


async def killed_in_rounds(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    venue = embedded_venue(folder)
    venue.part.start()
    try:
        await venue.healthy("/ready")
        seats = await take_seats(venue.url, address_of(folder))
        load = Load(venue.url, seats, seed)
        for _ in range(rounds):
            async with load.running():
                await load.grows()
                await asyncio.sleep(chance.uniform(0, 1.5))
                await asyncio.to_thread(kill, venue, folder, chance.random() < 0.5)
            assert load.accepted
            while chance.random() < 0.25:  # killed again on its way up
                venue.part.start()
                await asyncio.sleep(chance.uniform(0, 1.5))
                await asyncio.to_thread(venue.part.kill)
            venue.part.start()
            await venue.healthy()
            await nothing_pending(address_of(folder))
            await venue.healthy("/ready")
            await load.repeat_unclear()
            await must_be_whole(address_of(folder), load)
        assert venue.part.stop() == 0, venue.part.tail()
    finally:
        venue.part.kill()


def test_killed_three_times(tmp_path: Path) -> None:
    play(lambda: killed_in_rounds(tmp_path, 3, seed=1))


@pytest.mark.soak
def test_killed_fifty_times(tmp_path: Path) -> None:
    play(lambda: killed_in_rounds(tmp_path, 50, seed=2), deadline_s=30 * PATIENCE_S)
