"""The log of commands: no gap and no double, whoever appends, whatever fails."""

import asyncio
import random

import pytest

from crossbook.storage.commands_log import (
    LoggedCommand,
    UnknownMarket,
    append,
    last_sequences,
    read,
    take_sequences,
)
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import ConstraintViolated
from tests.storage.support import NOW_MS, add_markets, using


def command(market_id: int, sequence: int, text: bytes = b"x") -> LoggedCommand:
    return LoggedCommand(market_id, sequence, text.ljust(112, b"\0"), NOW_MS)


async def log(transaction: Transaction, counts: dict[int, int], text: bytes = b"x") -> None:
    first = await take_sequences(transaction, counts)
    await append(
        transaction,
        [command(market, first[market] + number, text) for market, count in counts.items() for number in range(count)],
    )


async def prepare(database: Database) -> None:
    async with database.transaction() as transaction:
        await add_markets(transaction)


def test_a_batch_gets_the_next_sequences_of_each_market(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        async with database.transaction() as transaction:
            assert await take_sequences(transaction, {2: 1, 1: 3}) == {1: 1, 2: 1}
            await append(transaction, [command(1, 1), command(2, 1, b"y"), command(1, 3), command(1, 2)])
        async with database.transaction() as transaction:
            assert await take_sequences(transaction, {1: 1}) == {1: 4}
            await append(transaction, [command(1, 4)])
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (4, 0), 2: (1, 0)}
            assert await read(transaction, 1, 1, 10) == [command(1, sequence) for sequence in (1, 2, 3, 4)]
            assert await read(transaction, 1, 2, 2) == [command(1, 2), command(1, 3)]
            assert await read(transaction, 2, 1, 10) == [command(2, 1, b"y")]
            assert await read(transaction, 2, 2, 10) == []

    using(database_url, scenario)


def test_twenty_appenders_leave_no_gap_and_no_double(database_url: str) -> None:
    choices = random.Random(1)
    batches = [[choices.randint(1, 5) for _ in range(10)] for _ in range(20)]

    async def appender(database: Database, number: int, counts: list[int]) -> int:
        kept = 0
        for turn, count in enumerate(counts):
            # Half of them name the markets the other way round: the order of locks is not theirs to choose.
            order = (1, 2) if number % 2 else (2, 1)
            try:
                async with database.transaction() as transaction:
                    await log(transaction, dict.fromkeys(order, count), f"{number}.{turn}".encode())
                    if turn % 3 == 2:
                        raise KeyError
                kept += count
            except KeyError:
                continue
        return kept

    async def scenario(database: Database) -> None:
        await prepare(database)
        kept = sum(await asyncio.gather(*(appender(database, n, counts) for n, counts in enumerate(batches))))
        assert kept == sum(count for counts in batches for turn, count in enumerate(counts) if turn % 3 != 2)
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (kept, 0), 2: (kept, 0)}
            for market in (1, 2):
                found = await read(transaction, market, 1, kept + 1)
                assert [entry.sequence for entry in found] == list(range(1, kept + 1))

    using(database_url, scenario, connections=20)


def test_sequences_of_a_transaction_undone_are_given_again(database_url: str) -> None:
    async def undone(database: Database) -> None:
        async with database.transaction() as transaction:
            await log(transaction, {1: 5})
            raise KeyError

    async def scenario(database: Database) -> None:
        await prepare(database)
        with pytest.raises(KeyError):
            await undone(database)
        async with database.transaction() as transaction:
            assert await take_sequences(transaction, {1: 1}) == {1: 1}
            await append(transaction, [command(1, 1)])

    using(database_url, scenario)


def test_a_sequence_taken_and_not_used_can_not_be_committed(database_url: str) -> None:
    async def forgetful(database: Database) -> None:
        async with database.transaction() as transaction:
            await take_sequences(transaction, {1: 2})
            await append(transaction, [command(1, 2)])

    async def scenario(database: Database) -> None:
        await prepare(database)
        with pytest.raises(ConstraintViolated) as caught:
            await forgetful(database)
        assert caught.value.constraint == "market_sequences_without_gap"
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (0, 0), 2: (0, 0)}

    using(database_url, scenario)


def test_a_sequence_used_and_not_taken_is_refused(database_url: str) -> None:
    async def hasty(database: Database) -> None:
        async with database.transaction() as transaction:
            await append(transaction, [command(1, 1)])

    async def scenario(database: Database) -> None:
        await prepare(database)
        with pytest.raises(ConstraintViolated) as caught:
            await hasty(database)
        assert caught.value.constraint == "commands_counted"

    using(database_url, scenario)


def test_nonsense_is_refused(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        async with database.transaction() as transaction:
            with pytest.raises(UnknownMarket, match=r"\[9\]"):
                await take_sequences(transaction, {9: 1})
            with pytest.raises(ValueError, match="at least one"):
                await take_sequences(transaction, {1: 0})
            assert await take_sequences(transaction, {}) == {}
            await append(transaction, [])

    using(database_url, scenario)
