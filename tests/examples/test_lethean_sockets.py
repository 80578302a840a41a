"""The sockets of a whole venue, heard with the client that bots use while two of them swap."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx2
import pytest
import socketio

from examples.lethean_bot import Bot
from tests.examples.swapping_venue import Place, swapping_venue

DEADLINE_S = 30


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with swapping_venue(tmp_path_factory.mktemp("sockets") / "venue", "--no-bots") as made:
        yield made


class Ear:
    """A client that notes what it hears."""

    def __init__(self, client: socketio.AsyncClient) -> None:
        self.client = client
        self.heard: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        client.on("*", self._note)

    async def _note(self, event: str, *data: Any) -> None:
        self.heard.put_nowait((event, *data))

    async def until(self, *events: str) -> dict[str, Any]:
        """The arguments of these events by name, once all of them were heard; others are passed over."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(DEADLINE_S):
            while set(events) - set(found):
                event, *data = await self.heard.get()
                found[event] = data[0] if data else None
        return found

    async def ask(self, event: str, **data: Any) -> None:
        assert await self.client.call(event, data, timeout=DEADLINE_S) == {"success": True}


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ear]:
    async with aiohttp.ClientSession() as session:
        client = socketio.AsyncClient(http_session=session)
        await client.connect(url)
        ear = Ear(client)
        try:
            yield ear
        finally:
            await client.disconnect()


def test_everything_that_two_bots_do_is_heard(place: Place) -> None:
    def posted(name: str, side: str, amount: str) -> Bot:
        return place.bot(name, side, "0.25", amount)

    async def act() -> None:
        async with listening(place.process.url) as ear, listening(place.process.url) as alices:
            await ear.ask("in-trading", id=place.pair_id)
            await ear.until("update-orders")
            seller = await asyncio.to_thread(posted, "alice", "sell", "10")
            new = (await ear.until("new-order"))["new-order"]["orderData"]
            assert (new["id"], new["left"], new["user"]["alias"]) == (seller.order_id, "10", "alice")
            await alices.ask("in-dex-notifications", token=seller.venue.token)

            buyer = await asyncio.to_thread(posted, "bob", "buy", "4")
            await ear.until("new-order", "update-orders")  # it meets the other one
            await asyncio.to_thread(place.step, buyer)  # applies
            await ear.until("update-orders")
            noted = (await alices.until("order-notification"))["order-notification"]["orderData"]
            assert noted["id"] == seller.order_id

            await asyncio.to_thread(place.step, seller)  # confirms
            told = await ear.until("delete-order", "update-orders", "update-pair-stats")
            assert told["delete-order"] == {"orderId": buyer.order_id}
            assert told["update-pair-stats"]["pairStats"]["rate"] == 0.25

            await asyncio.to_thread(seller.stop)
            assert (await ear.until("delete-order"))["delete-order"] == {"orderId": seller.order_id}
            assert alices.heard.empty()

    asyncio.run(act())


def test_what_others_shall_not_hear(place: Place) -> None:
    async def act() -> None:
        async with listening(place.process.url) as ear:
            for token in ("", "x", place.process.demo["admin"]["password"]):
                refused = await ear.client.call("in-dex-notifications", {"token": token}, timeout=DEADLINE_S)
                assert refused == {"success": False, "data": "Unauthorized (JWT)"}
            login = httpx2.post(f"{place.process.url}/auth/login", json=flux_login(place)).json()
            refused = await ear.client.call("in-dex-notifications", {"token": login["token"]}, timeout=DEADLINE_S)
            assert refused["success"] is False  # a user of the other API is no wallet

    asyncio.run(act())


def flux_login(place: Place) -> dict[str, str]:
    admin = place.process.demo["admin"]
    return {"email": admin["email"], "password": admin["password"]}


def test_the_events_are_documented(place: Place) -> None:
    page = httpx2.get(f"{place.process.url}/docs/lethean").text
    document = json.loads(httpx2.get(f"{place.process.url}/docs/lethean/asyncapi.json").content)
    for event in ("in-trading", "out-trading", "in-dex-notifications", "new-order", "delete-order", "update-orders"):
        assert event in page
    assert document["channels"]["socket"]["address"] == "/socket.io"
    assert len(document["components"]["messages"]) == 8


def test_the_venue_stops_while_sockets_are_open(place: Place) -> None:
    async def act() -> None:
        async with listening(place.process.url) as ear:
            await ear.ask("in-trading", id=place.pair_id)
            assert await asyncio.to_thread(place.process.stop) == 0

    asyncio.run(act())
    assert "Traceback" not in place.process.log
    assert '"level":"error"' not in place.process.log
