"""The log of commands: no gap and no double, whoever appends, whatever fails."""

import asyncio
import random

import pytest

from crossbook.storage.commands_log import (
    LogEnds,
    LoggedCommand,
    LogMoved,
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


async def log_behind(transaction: Transaction, ends: LogEnds, counts: dict[int, int]) -> bool:
    """Append so many commands, as the desk does; whether the counters had to be asked."""
    spans = ends.spans(counts)
    if spans is None:
        first = await take_sequences(transaction, counts)
        ends.taken(first)
    else:
        first = {market: before + 1 for market, before, _ in spans}
    commands = [command(market, first[market] + n) for market, count in counts.items() for n in range(count)]
    await append(transaction, commands, spans or ())
    ends.left(commands)
    return spans is None


def test_who_appended_last_need_not_ask_where_the_log_ends(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        ends, asked = LogEnds(), []
        for counts in ({1: 2}, {1: 3}, {1: 1, 2: 2}, {2: 1, 1: 1}):
            async with database.transaction() as transaction:
                asked.append(await log_behind(transaction, ends, counts))
        assert asked == [True, False, True, False]
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (7, 0), 2: (3, 0)}

    using(database_url, scenario)


def test_nothing_is_appended_behind_a_log_that_has_moved(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await prepare(database)
        ends = LogEnds()
        async with database.transaction() as transaction:
            await log_behind(transaction, ends, {1: 2, 2: 2})
        async with database.transaction() as transaction:
            await log(transaction, {2: 1})
        with pytest.raises(LogMoved):
            async with database.transaction() as transaction:
                await log_behind(transaction, ends, {1: 1, 2: 1})
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (2, 0), 2: (3, 0)}
        ends.forget()
        asked = []
        for _ in range(3):
            async with database.transaction() as transaction:
                asked.append(await log_behind(transaction, ends, {2: 1}))
        # The end is believed again once a counter was found as it had been left.
        assert asked == [True, True, False]

    using(database_url, scenario)


def test_two_who_append_behind_the_same_end_do_not_both(database_url: str) -> None:
    async def appender(database: Database, ends: LogEnds, ready: asyncio.Barrier) -> bool:
        spans = ends.spans({1: 1})
        assert spans is not None
        try:
            async with database.transaction() as transaction:
                await ready.wait()
                await append(transaction, [command(1, spans[0][1] + 1)], spans)
                await asyncio.sleep(0.05)
        except LogMoved:
            return False
        return True

    async def scenario(database: Database) -> None:
        await prepare(database)
        first, second, ready = LogEnds(), LogEnds(), asyncio.Barrier(2)
        async with database.transaction() as transaction:
            await log_behind(transaction, first, {1: 2})
        second.left([command(1, 2)])
        outcome = await asyncio.gather(*(appender(database, ends, ready) for ends in (first, second)))
        assert sorted(outcome) == [False, True]
        async with database.transaction() as transaction:
            assert await last_sequences(transaction) == {1: (3, 0), 2: (0, 0)}

    using(database_url, scenario)
