"""Bringing an engine to a place in the log: the newest good snapshot, then the commands after it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from crossbook.domain.commands import COMMAND_VERSION
from crossbook.domain.errors import CrossbookError, MalformedCommand, SequenceError, SnapshotError
from crossbook.logs import Log
from crossbook.matching import Engine
from crossbook.matching.layout import EVENT_BYTES, EVENT_WORDS
from crossbook.storage import commands_log, snapshots
from crossbook.storage.database import Database, Transaction
from crossbook.storage.snapshots import StoredSnapshot
from crossbook.streams.entries import Entry
from crossbook.streams.port import Stream, StreamTrimmed
from crossbook.workers.metrics import Metrics
from crossbook.workers.names import MarketName

_log: Final = Log("recovery")


class MarketStopped(CrossbookError):
    """The log of a market can not be played: it holds what no engine takes. Nobody goes on until somebody looked."""


class Restored(NamedTuple):
    """An engine as a snapshot left it, and that snapshot; None for the empty engine of a new market."""

    engine: Engine
    snapshot: StoredSnapshot | None


class Progress(NamedTuple):
    """How far a market's log has come: the last sequence accepted and the last one settled."""

    accepted: int
    settled: int


async def progress(database: Database, market_id: int) -> Progress:
    """How far the market is now. Raises StorageError."""
    async with database.each_alone() as transaction:
        return await progress_in(transaction, market_id)


async def progress_in(transaction: Transaction, market_id: int) -> Progress:
    """As `progress`, inside a transaction."""
    return Progress(*(await commands_log.last_sequences(transaction))[market_id])


async def restore(database: Database, market: MarketName, at_most: int, metrics: Metrics) -> Restored:
    """An engine from the newest good snapshot up to the sequence `at_most`; broken ones are skipped with a warning."""
    below = at_most + 1
    while True:
        async with database.each_alone() as transaction:
            stored = await snapshots.newest(transaction, market.market_id, below)
        if stored is None:
            return Restored(Engine(), None)
        try:
            engine = Engine.restore(stored.data)
            if engine.last_sequence != stored.sequence:
                raise SnapshotError(f"it is of sequence {engine.last_sequence}")
        except SnapshotError as error:
            metrics.count("snapshots_broken", market.symbol)
            _log.warning("snapshot skipped", market=market.symbol, sequence=stored.sequence, error=str(error))
            below = stored.sequence
        else:
            return Restored(engine, stored)


async def read_log(database: Database, market_id: int, after_sequence: int, limit: int) -> list[Entry]:
    """Up to `limit` commands of the log after a sequence, as entries of a stream. Raises StorageError.

    Raises MarketStopped for a command of another version, which this program would play wrongly.
    """
    async with database.each_alone() as transaction:
        logged = await commands_log.read(transaction, market_id, after_sequence + 1, limit)
    for command in logged:
        if command.version != COMMAND_VERSION:
            raise MarketStopped(
                f"command {command.sequence} is of version {command.version}, this program knows {COMMAND_VERSION}"
            )
    return [(command.sequence, command.record) for command in logged]


async def read_commands(
    database: Database, commands: Stream, market: MarketName, after_sequence: int, limit: int, block_ms: int
) -> list[Entry]:
    """Commands after a sequence, from the stream or, when it no longer holds them, from the log.

    Raises StorageError and StreamUnavailable.
    """
    try:
        return await commands.read(market.symbol, after_sequence, limit, block_ms)
    except StreamTrimmed:
        return await read_log(database, market.market_id, after_sequence, limit)


def play(engine: Engine, entries: Sequence[Entry]) -> list[Entry]:
    """Apply commands; give the events of each under its sequence, an empty payload for a command without.

    Raises MalformedCommand and SequenceError, and applies nothing, when they are not the next commands of
    the log; MarketStopped, with an engine that is of no more use, when their records are not what their
    sequences say.
    """
    if not entries:
        return []
    records = engine.process(b"".join([payload for _, payload in entries]))
    if engine.last_sequence != entries[-1][0]:
        raise MarketStopped(f"the records up to {entries[-1][0]} end at {engine.last_sequence}")
    return _by_sequence(records, entries[0][0], entries[-1][0])


def _by_sequence(records: bytes, first: int, last: int) -> list[Entry]:
    """Event records as one entry for each sequence from `first` to `last`."""
    sequences: list[int] = memoryview(records).cast("q")[1::EVENT_WORDS].tolist()
    count = len(sequences)
    entries: list[Entry] = []
    at = 0
    for sequence in range(first, last + 1):
        start = at
        while at < count and sequences[at] == sequence:
            at += 1
        entries.append((sequence, records[start * EVENT_BYTES : at * EVENT_BYTES]))
    if at != count:
        raise MarketStopped(f"an event of {sequences[at]} came from the commands {first} to {last}")
    return entries


REFUSED: Final = (MalformedCommand, SequenceError)
"""What an engine raises for commands that are not the next of its log; it has applied nothing then."""
