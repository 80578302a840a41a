"""Snapshots of the engines. Their content carries its own checksum; whether one is good, its reader finds out."""

from dataclasses import dataclass

from crossbook.storage.database import Transaction


@dataclass(frozen=True)
class StoredSnapshot:
    """The state of a market's engine after the command `sequence`."""

    market_id: int
    sequence: int
    data: bytes


async def store(transaction: Transaction, snapshot: StoredSnapshot, created_at_ms: int) -> None:
    """Keep a snapshot; it takes the place of one with the same market and sequence."""
    await transaction.execute(
        """
        INSERT INTO snapshots (market_id, sequence, data, created_at_ms) VALUES ($1, $2, $3, $4)
        ON CONFLICT (market_id, sequence) DO UPDATE SET data = excluded.data, created_at_ms = excluded.created_at_ms
        """,
        snapshot.market_id,
        snapshot.sequence,
        snapshot.data,
        created_at_ms,
    )


async def newest(transaction: Transaction, market_id: int, below: int | None = None) -> StoredSnapshot | None:
    """The newest snapshot, or the newest with a sequence less than `below`, for when that one was broken."""
    row = await transaction.row(
        """
        SELECT sequence, data FROM snapshots WHERE market_id = $1 AND ($2::bigint IS NULL OR sequence < $2)
        ORDER BY sequence DESC LIMIT 1
        """,
        market_id,
        below,
    )
    return None if row is None else StoredSnapshot(market_id, row["sequence"], row["data"])


async def prune(transaction: Transaction, market_id: int, keep: int) -> int:
    """Remove all but the newest `keep` snapshots of a market (at least 1); return how many went."""
    if keep < 1:
        raise ValueError("the newest snapshot is never removed")
    return await transaction.execute(
        """
        DELETE FROM snapshots WHERE market_id = $1 AND sequence < (
            SELECT sequence FROM snapshots WHERE market_id = $1 ORDER BY sequence DESC OFFSET $2 LIMIT 1
        )
        """,
        market_id,
        keep - 1,
    )


async def newest_sequence(transaction: Transaction, market_id: int) -> int:
    """The sequence of the newest snapshot, good or not; 0 for none."""
    sequence: int = await transaction.value(
        "SELECT coalesce(max(sequence), 0) FROM snapshots WHERE market_id = $1", market_id
    )
    return sequence


async def prune_settled(transaction: Transaction, market_id: int, settled_sequence: int, keep: int) -> int:
    """Remove what lies before the newest `keep` snapshots up to `settled_sequence`; return how many went.

    Those beyond it all stay: events after it may have to be made again, from a snapshot that is not newer.
    """
    if keep < 1:
        raise ValueError("the newest settled snapshot is never removed")
    return await transaction.execute(
        """
        DELETE FROM snapshots WHERE market_id = $1 AND sequence < (
            SELECT sequence FROM snapshots WHERE market_id = $1 AND sequence <= $2
            ORDER BY sequence DESC OFFSET $3 LIMIT 1
        )
        """,
        market_id,
        settled_sequence,
        keep - 1,
    )
