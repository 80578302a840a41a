"""Snapshots: newest first, one after another, and pruned from the old end."""

import pytest

from crossbook.storage.database import Database
from crossbook.storage.snapshots import StoredSnapshot, newest, prune, store
from tests.storage.support import NOW_MS, add_markets, using


def snapshot(sequence: int, market_id: int = 1, data: bytes = b"state") -> StoredSnapshot:
    return StoredSnapshot(market_id, sequence, data)


def test_snapshots_are_kept_found_and_pruned(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            await add_markets(transaction)
            assert await newest(transaction, 1) is None
            for sequence in (10, 30, 20):
                await store(transaction, snapshot(sequence), NOW_MS)
            await store(transaction, snapshot(99, market_id=2), NOW_MS)
            assert await newest(transaction, 1) == snapshot(30)
            assert await newest(transaction, 1, below=30) == snapshot(20)
            assert await newest(transaction, 1, below=10) is None
            assert await prune(transaction, 1, keep=2) == 1
            assert await newest(transaction, 1, below=20) is None
            assert await prune(transaction, 1, keep=2) == 0
            assert await newest(transaction, 1, below=30) == snapshot(20)
            assert await newest(transaction, 2) == snapshot(99, market_id=2)
            with pytest.raises(ValueError, match="never removed"):
                await prune(transaction, 1, keep=0)

    using(database_url, scenario)


def test_a_snapshot_takes_the_place_of_a_broken_one_and_may_be_large(database_url: str) -> None:
    large = bytes(range(256)) * 40_000

    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            await add_markets(transaction)
            await store(transaction, snapshot(10, data=b"broken"), NOW_MS)
            await store(transaction, snapshot(10, data=large), NOW_MS)
        async with database.transaction() as transaction:
            assert await newest(transaction, 1) == snapshot(10, data=large)

    using(database_url, scenario)
