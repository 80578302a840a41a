"""Leases: one holder at a time, by given times, and no harm from one that fell asleep."""

import asyncio
from dataclasses import replace

import pytest

from crossbook.storage.database import Database
from crossbook.storage.errors import ConstraintViolated, LeaseLost
from crossbook.storage.leases import Lease, acquire, release, renew, require
from tests.storage.support import NOW_MS, add_markets, using

DURATION_MS = 5_000


async def take(database: Database, holder: str, now_ms: int, market_id: int = 1, role: str = "matcher") -> Lease | None:
    async with database.transaction() as transaction:
        return await acquire(transaction, market_id, role, holder, now_ms, DURATION_MS)


async def have(database: Database, holder: str, now_ms: int) -> Lease:
    lease = await take(database, holder, now_ms)
    assert lease is not None
    return lease


async def work(database: Database, lease: Lease) -> None:
    async with database.transaction() as transaction:
        await require(transaction, lease)


async def prolong(database: Database, lease: Lease, now_ms: int) -> Lease:
    async with database.transaction() as transaction:
        return await renew(transaction, lease, now_ms, DURATION_MS)


async def prepare(database: Database) -> None:
    async with database.transaction() as transaction:
        await add_markets(transaction)


def test_one_holder_until_the_time_is_over(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        first = await have(database, "a", NOW_MS)
        assert first == Lease(1, "matcher", "a", 1, NOW_MS + DURATION_MS)
        assert await take(database, "b", NOW_MS + DURATION_MS - 1) is None
        assert await take(database, "a", NOW_MS) is None
        second = await have(database, "b", NOW_MS + DURATION_MS)
        assert second.fencing_token == 2
        with pytest.raises(LeaseLost):
            await work(database, first)
        with pytest.raises(LeaseLost):
            await prolong(database, first, NOW_MS)
        await work(database, second)

    using(database_url, scenario)


def test_markets_and_roles_have_leases_of_their_own(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        await have(database, "a", NOW_MS)
        assert await take(database, "b", NOW_MS, market_id=2) is not None
        assert await take(database, "b", NOW_MS, role="settler") is not None
        with pytest.raises(ConstraintViolated):
            await take(database, "b", NOW_MS, market_id=9)

    using(database_url, scenario)


def test_renewing_prolongs_even_after_the_time_when_nobody_came(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        lease = await have(database, "a", NOW_MS)
        lease = await prolong(database, lease, NOW_MS + 2 * DURATION_MS)
        assert lease == Lease(1, "matcher", "a", 1, NOW_MS + 3 * DURATION_MS)
        assert await take(database, "b", NOW_MS + 3 * DURATION_MS - 1) is None
        await work(database, lease)

    using(database_url, scenario)


def test_a_lease_given_back_is_free_at_once_and_its_token_never_returns(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        first = await have(database, "a", NOW_MS)
        async with database.transaction() as transaction:
            await release(transaction, first)
        with pytest.raises(LeaseLost):
            await work(database, first)
        with pytest.raises(LeaseLost):
            await prolong(database, first, NOW_MS)
        second = await have(database, "a", NOW_MS)
        assert second.fencing_token == 2
        async with database.transaction() as transaction:
            await release(transaction, first)
        await work(database, second)

    using(database_url, scenario)


def test_of_many_that_want_it_at_once_one_gets_it(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        got = await asyncio.gather(*(take(database, f"w{number}", NOW_MS) for number in range(10)))
        assert len([lease for lease in got if lease is not None]) == 1

    using(database_url, scenario)


def test_nobody_takes_the_lease_while_its_holder_writes(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        first = await have(database, "a", NOW_MS)
        async with database.transaction() as transaction:
            await require(transaction, first)
            rival = asyncio.create_task(take(database, "b", NOW_MS + DURATION_MS))
            done, _ = await asyncio.wait({rival}, timeout=0.2)
            assert not done
        second = await rival
        assert second == replace(first, holder="b", fencing_token=2, expires_at_ms=NOW_MS + 2 * DURATION_MS)

    using(database_url, scenario)
