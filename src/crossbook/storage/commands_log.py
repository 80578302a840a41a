"""The log of each market: sequences are taken and commands appended in one transaction, without a gap.

A transaction first takes the sequences of all its markets, which locks their counters in one fixed order
until it ends, then appends a command for every sequence taken. So the order of commits is the order of
sequences, and a rollback gives the sequences back. The schema refuses to commit anything less.

Who was the last to append knows where the logs end (`LogEnds`) and need not ask: the commands are appended
behind that end, and if somebody else was there meanwhile, nothing is, and the transaction is tried again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from crossbook.domain.commands import COMMAND_VERSION, SingleCommand
from crossbook.storage.database import Transaction, columns
from crossbook.storage.errors import TransactionConflict


class LoggedCommand(NamedTuple):
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


Span = tuple[int, int, int]
"""A market, the last sequence of its log, and the last one that there will be."""


class LogMoved(TransactionConflict):
    """The log of a market does not end where it was thought to end."""


class LogEnds:
    """Where logs end, as the last of this process's own transactions left them.

    Somebody else appends now and then. After that the end is taken from the counter until a transaction finds it where
    the one before had left it: where many processes append, nearly always.
    """

    def __init__(self) -> None:
        self._ends: dict[int, int] = {}
        self._moved: set[int] = set()

    def spans(self, counts: Mapping[int, int]) -> list[Span] | None:
        """So many commands more in each market; None where the counters must be asked."""
        if any(market_id not in self._ends or market_id in self._moved for market_id in counts):
            return None
        return [
            (market_id, self._ends[market_id], self._ends[market_id] + count) for market_id, count in counts.items()
        ]

    def taken(self, first: Mapping[int, int]) -> None:
        """The first sequences that the counters gave."""
        for market_id, sequence in first.items():
            if self._ends.get(market_id, sequence - 1) == sequence - 1:
                self._moved.discard(market_id)
            else:
                self._moved.add(market_id)

    def left(self, commands: Iterable[LoggedCommand]) -> None:
        """A transaction that appended these, last ones last, was committed."""
        self._ends.update((command.market_id, command.sequence) for command in commands)

    def forget(self) -> None:
        """They are not what was thought."""
        self._moved.update(self._ends)


def appending(place: int) -> str:
    """The part of a statement that appends: two common table expressions, with values from number `place` on.

    What follows them may use `(SELECT count(*) FROM logged)`: how many commands were appended, all or none.
    """
    at = [f"${place + number}" for number in range(APPENDING_VALUES)]
    # The only things put into this text are the numbers of its values.
    return f"""
        counters AS MATERIALIZED (
            SELECT market_id, last_accepted_sequence FROM market_sequences WHERE market_id = ANY ({at[0]}::integer[])
            ORDER BY market_id FOR NO KEY UPDATE
        ), counted AS (
            UPDATE market_sequences SET last_accepted_sequence = span.after
            FROM unnest({at[0]}::integer[], {at[1]}::bigint[], {at[2]}::bigint[]) AS span (market_id, before, after)
            JOIN counters USING (market_id)
            WHERE market_sequences.market_id = span.market_id AND counters.last_accepted_sequence = span.before
            RETURNING 1
        ), logged AS (
            INSERT INTO commands (market_id, sequence, version, record, accepted_at_ms)
            SELECT * FROM unnest({at[3]}::integer[], {at[4]}::bigint[], {at[5]}::smallint[], {at[6]}::bytea[],
                {at[7]}::bigint[])
            WHERE (SELECT count(*) FROM counted) = cardinality({at[0]}::integer[]) RETURNING 1
        )"""  # noqa: S608


APPENDING_VALUES: Final = 8


def values_to_append(commands: Sequence[LoggedCommand], spans: Sequence[Span]) -> list[Sequence[object]]:
    """The values of `appending`. `spans` are the markets whose sequences it counts; others were taken before."""
    rows = [(c.market_id, c.sequence, c.version, c.record, c.accepted_at_ms) for c in commands]
    return [*columns(spans, 3), *columns(rows, 5)]


async def append(transaction: Transaction, commands: Sequence[LoggedCommand], spans: Sequence[Span] = ()) -> None:
    """Append commands, whose sequences this transaction took, or counts here by `spans`, in one statement.

    Raises LogMoved for a log that does not end where a span begins, ConstraintViolated for a sequence that was not
    taken or is in the log already; at the end of the transaction, when a sequence was taken and no command appended
    for it.
    """
    appended = await transaction.value(
        f"WITH {appending(1)} SELECT count(*) FROM logged",  # noqa: S608 - a text of ours
        *values_to_append(commands, spans),
    )
    require_all(appended, commands)


def require_all(appended: int, commands: Sequence[LoggedCommand]) -> None:
    """Raise LogMoved unless as many commands were appended as should be."""
    if appended != len(commands):
        raise LogMoved("somebody else appended to the log meanwhile")


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
