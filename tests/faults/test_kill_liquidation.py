"""The embedded venue is killed in the middle of liquidations: each is resumed and ends, every step is taken once."""

import asyncio
import json
import random
from pathlib import Path

import httpx2

from crossbook.storage.audit import audit
from crossbook.storage.database import Database
from crossbook.storage.running_server import address_of_running
from tests.faults.rig import PATIENCE_S, Door, embedded_venue, opened, play, until

PAIRS = 5
KILLS = 4


class Floor:
    """The traders of the scene, and the operator who feeds the index."""

    def __init__(self, venue: Door, folder: Path) -> None:
        self.venue = venue
        self.folder = folder
        self.tokens: list[str] = []

    def client(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.venue.url, timeout=PATIENCE_S)

    async def feed(self, price: str) -> None:
        document = json.loads((self.folder / "venue" / "demo.json").read_text())
        async with self.client() as client:
            reply = await client.post("/auth/login", json=document["admin"])
            headers = {"authorization": f"Bearer {reply.json()['token']}"}
            body = {"prices": [{"marketId": "BTC-PERP", "source": "scene", "price": price}]}
            reply = await client.post("/admin/prices", json=body, headers=headers)
            assert reply.status_code == 202, reply.text

    async def seat(self, usdc: str) -> str:
        async with self.client() as client:
            token: str = (await client.post("/auth/guest")).json()["token"]
            reply = await client.post(
                "/deposits", json={"asset": "USDC", "amount": usdc}, headers={"authorization": f"Bearer {token}"}
            )
            assert reply.status_code == 201, reply.text
        return token

    async def order(self, token: str, side: str, quantity: str, price: str) -> None:
        body = {"marketId": "BTC-PERP", "side": side, "type": "LIMIT", "quantity": quantity, "price": price}
        async with self.client() as client:
            reply = await client.post(
                "/orders", json={**body, "leverage": 20}, headers={"authorization": f"Bearer {token}"}
            )
            assert reply.status_code == 202, reply.text


async def count(database: Database, statement: str) -> int:
    async with database.transaction(read_only=True) as transaction:
        return int(await transaction.value(statement))


def address_of(folder: Path) -> str:
    address = address_of_running(folder / "venue" / "postgres")
    assert address is not None
    return address


async def scene(folder: Path) -> None:
    chance = random.Random(4)
    terms = {"CROSSBOOK_PRICES_INTERVAL_MS": "100", "CROSSBOOK_INDEX_MAX_AGE_MS": "3600000"}
    venue = embedded_venue(folder, **terms)
    floor = Floor(venue, folder)
    venue.part.start()
    try:
        await venue.healthy("/ready")
        async with opened(address_of(folder)) as database, database.transaction() as transaction:
            await transaction.execute("UPDATE users SET scopes = '{admin,prices}' WHERE kind = 4")
        await floor.feed("65000")
        rich = await floor.seat("1000000")
        for _ in range(PAIRS):
            poor = await floor.seat("400")
            await floor.order(rich, "SELL", "0.1", "65000")
            await floor.order(poor, "BUY", "0.1", "65000")
        await floor.order(rich, "BUY", "0.15", "60500")
        async with opened(address_of(folder)) as database:
            await until(
                "traded", lambda: count(database, "SELECT (count(*) = 6)::int FROM positions WHERE position_lots <> 0")
            )
            await floor.feed("57000")
            await until("flagged", lambda: count(database, "SELECT count(*) FROM liquidations"))
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0, 0.15))
            await asyncio.to_thread(venue.part.kill)
            venue.part.start()
            await venue.healthy("/ready")
        await floor.feed("57000")
        async with opened(address_of(folder)) as database:
            ended = "SELECT (count(*) = 5 AND count(closed_at_ms) = 5)::int FROM liquidations"
            await until("every liquidation ended", lambda: count(database, ended))
            assert await count(database, "SELECT count(*) FROM positions WHERE liquidation_id IS NOT NULL") == 0
            poor_ones = "SELECT count(*) FROM positions WHERE position_lots > 0"
            assert await count(database, poor_ones) == 0
            orders = await count(database, "SELECT count(*) FROM orders WHERE purpose = 2")
            assert orders == await count(database, "SELECT count(*) FROM liquidation_steps WHERE kind = 2")
            assert await count(database, "SELECT count(*) FROM liquidation_steps WHERE kind = 5") == PAIRS
            differences = [f"{check.name}: {check.difference}" for check in await audit(database) if not check.ok]
        assert not differences, differences
        assert venue.part.stop() == 0, venue.part.tail()
    finally:
        venue.part.kill()


def test_killed_in_the_middle_of_liquidations(tmp_path: Path) -> None:
    play(lambda: scene(tmp_path))
