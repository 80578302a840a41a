"""The log of each market: sequences are taken and commands appended in one transaction, without a gap.

A transaction first takes the sequences of all its markets, which locks their counters in one fixed order
until it ends, then appends a command for every sequence taken. So the order of commits is the order of
sequences, and a rollback gives the sequences back. The schema refuses to commit anything less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from crossbook.domain.commands import COMMAND_VERSION, SingleCommand
from crossbook.storage.database import Transaction, columns


@dataclass(frozen=True)
class LoggedCommand:
    """One command in the log. `record` is what the engine takes; a batch is several records in one."""

    market_id: int
    sequence: int
    record: bytes
    accepted_at_ms: int
    version: int = COMMAND_VERSION


CommandMaker = Callable[[int, int], SingleCommand]
"""Makes a command of the venue itself from its sequence and its time in milliseconds."""


class UnknownMarket(KeyError):
    """A market that the database does not have."""


async def take_sequences(transaction: Transaction, counts: Mapping[int, int]) -> dict[int, int]:
    """Take as many sequences of each market as `counts` says; return the first one of each.

    The counters stay locked, lowest market first, until the transaction ends. Raises UnknownMarket, and
    StorageError as `Database.transaction` does. Counts must be at least 1.
    """
    if any(count < 1 for count in counts.values()):
        raise ValueError("a market takes at least one sequence, or is left out")
    rows = await transaction.rows(
        """
        WITH wanted AS (SELECT * FROM unnest($1::integer[], $2::bigint[]) AS wanted (market_id, taken)),
        locked AS MATERIALIZED (
            SELECT market_id FROM market_sequences WHERE market_id = ANY ($1::integer[])
            ORDER BY market_id FOR NO KEY UPDATE
        )
        UPDATE market_sequences SET last_accepted_sequence = last_accepted_sequence + taken
        FROM locked JOIN wanted USING (market_id)
        WHERE market_sequences.market_id = locked.market_id
        RETURNING market_sequences.market_id, last_accepted_sequence - taken + 1 AS first
        """,
        list(counts),
        list(counts.values()),
    )
    first = {row["market_id"]: row["first"] for row in rows}
    missing = sorted(set(counts) - set(first))
    if missing:
        raise UnknownMarket(f"no such market: {missing}")
    return first


async def append(transaction: Transaction, commands: Sequence[LoggedCommand]) -> None:
    """Append commands, whose sequences this transaction took, in one statement.

    Raises ConstraintViolated for a sequence that was not taken or is in the log already; at the end of
    the transaction, when a sequence was taken and no command appended for it.
    """
    rows = [(c.market_id, c.sequence, c.version, c.record, c.accepted_at_ms) for c in commands]
    await transaction.execute(
        """
        INSERT INTO commands (market_id, sequence, version, record, accepted_at_ms)
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::smallint[], $4::bytea[], $5::bigint[])
        """,
        *columns(rows, 5),
    )


async def read(transaction: Transaction, market_id: int, first_sequence: int, limit: int) -> list[LoggedCommand]:
    """Up to `limit` commands of a market, from `first_sequence` on, in order."""
    rows = await transaction.rows(
        """
        SELECT sequence, version, record, accepted_at_ms FROM commands
        WHERE market_id = $1 AND sequence >= $2 ORDER BY sequence LIMIT $3
        """,
        market_id,
        first_sequence,
        limit,
    )
    return [
        LoggedCommand(market_id, row["sequence"], row["record"], row["accepted_at_ms"], row["version"]) for row in rows
    ]


async def last_sequences(transaction: Transaction) -> dict[int, tuple[int, int]]:
    """For every market: the last sequence accepted and the last one settled."""
    rows = await transaction.rows(
        """
        SELECT market_id, last_accepted_sequence, last_settled_sequence
        FROM market_sequences JOIN market_settlements USING (market_id)
        """
    )
    return {row["market_id"]: (row["last_accepted_sequence"], row["last_settled_sequence"]) for row in rows}
