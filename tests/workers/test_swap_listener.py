"""What one process does to the board of swaps is heard in the others, once, and a gap is told as one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.application.swaps import Swaps
from crossbook.domain.orders import Side
from crossbook.domain.swaps import OfferUnusable
from crossbook.storage.database import Database
from crossbook.storage.swap_changes import SwapStore
from crossbook.workers.swap_listener import SwapListener
from tests.storage.swapping import World

DEADLINE_S = 20
KINDS = SwapEventKind


class Ear:
    """A publisher that can be waited for."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[SwapEvent] = asyncio.Queue()

    def publish(self, events: Sequence[SwapEvent]) -> None:
        for event in events:
            self.events.put_nowait(event)

    async def hears(self, count: int) -> list[SwapEvent]:
        return [await asyncio.wait_for(self.events.get(), DEADLINE_S) for _ in range(count)]


class Scene:
    """Two processes on one database: `here` changes the board, `there` listens, and changes it too."""

    def __init__(self, world: World, here: Swaps, there: Swaps, ear: Ear) -> None:
        self.world = world
        self.here = here
        self.there = there
        self.ear = ear

    async def listens(self) -> None:
        """Return once the listener stands."""
        async with asyncio.timeout(DEADLINE_S):
            while not await self.count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"):
                await asyncio.sleep(0.01)

    async def count(self, statement: str) -> int:
        async with self.world.database.transaction() as transaction:
            found: int = await transaction.value(statement)
        return found


def play(url: str, act: Callable[[Scene, list[int]], Awaitable[None]]) -> None:
    async def run() -> None:
        database, other = await Database.connect(url), await Database.connect(url)
        stop, ear, world = asyncio.Event(), Ear(), World(database)
        users = await world.start()
        here = Swaps(SwapStore(database, "here"), world.clock)
        there = Swaps(SwapStore(other, "there"), world.clock)
        listener = SwapListener(other, "there", ear.publish, world.clock)
        task = asyncio.create_task(listener.run(stop))
        try:
            scene = Scene(world, here, there, ear)
            await scene.listens()
            await act(scene, users)
        finally:
            stop.set()
            world.clock.advance(10_000)
            await asyncio.wait_for(task, DEADLINE_S)
            await database.close()
            await other.close()

    asyncio.run(run())


def test_another_process_hears_what_happened_in_order(database_url: str) -> None:
    async def act(scene: Scene, users: list[int]) -> None:
        pair_id = scene.world.pair_id
        sell = await scene.here.create(users[0], pair_id, Side.SELL, "2", "10")
        buy = await scene.here.create(users[1], pair_id, Side.BUY, "2", "10")
        swap_id = await scene.here.apply(users[1], sell.offer_id, buy.offer_id, "ab")
        await scene.here.confirm(users[0], swap_id)
        heard = await scene.ear.hears(10)
        assert [event.kind for event in heard[:3]] == [KINDS.OFFER_POSTED, KINDS.OFFER_POSTED, KINDS.BOARD_CHANGED]
        assert [event.offer_id for event in heard[:2]] == [sell.offer_id, buy.offer_id]
        rest = [event.kind for event in heard[3:]]
        for kind, times in ((KINDS.OFFER_NOTIFIED, 2), (KINDS.OFFER_ENDED, 2), (KINDS.STATISTICS_CHANGED, 1)):
            assert rest.count(kind) == times
        assert all(event.pair_id == pair_id for event in heard)

    play(database_url, act)


def test_what_a_process_did_itself_is_not_heard_twice(database_url: str) -> None:
    async def act(scene: Scene, users: list[int]) -> None:
        await scene.there.create(users[0], scene.world.pair_id, Side.SELL, "2", "10")
        foreign = await scene.here.create(users[0], scene.world.pair_id, Side.SELL, "3", "10")
        (heard,) = await scene.ear.hears(1)
        assert heard.offer_id == foreign.offer_id
        assert scene.ear.events.empty()

    play(database_url, act)


def test_a_change_that_is_undone_is_not_heard(database_url: str) -> None:
    async def act(scene: Scene, users: list[int]) -> None:
        offer = await scene.here.create(users[0], scene.world.pair_id, Side.SELL, "2", "10")
        for user_id in users[1:]:
            with pytest.raises(OfferUnusable):
                await scene.here.cancel(user_id, offer.offer_id)
        await scene.here.cancel(users[0], offer.offer_id)
        heard = await scene.ear.hears(2)
        assert [event.kind for event in heard] == [KINDS.OFFER_POSTED, KINDS.OFFER_ENDED]

    play(database_url, act)


def test_after_a_lost_connection_everything_may_have_changed(database_url: str) -> None:
    async def act(scene: Scene, users: list[int]) -> None:
        statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        assert await scene.count(statement) == 1
        async with asyncio.timeout(DEADLINE_S):
            while scene.ear.events.empty():
                scene.world.clock.advance(100)
                await asyncio.sleep(0.01)
        assert await scene.ear.hears(1) == [SwapEvent(KINDS.BOARD_CHANGED, 0)]
        offer = await scene.here.create(users[0], scene.world.pair_id, Side.SELL, "2", "10")
        assert (await scene.ear.hears(1))[0].offer_id == offer.offer_id

    play(database_url, act)
