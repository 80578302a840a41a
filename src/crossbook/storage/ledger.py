"""Journals become durable here, and balances follow from them, in one place for the whole venue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossbook.domain.ledger import Journal, LedgerType
from crossbook.storage.database import Transaction, columns


@dataclass(frozen=True)
class Entry:
    """One journal to store, its kind, and the engine's event that caused it, if one did (else zeros)."""

    kind: LedgerType
    journal: Journal
    market_id: int = 0
    sequence: int = 0
    event_index: int = 0


async def post(
    transaction: Transaction, entries: Sequence[Entry], asset_ids: Mapping[str, int], now_ms: int
) -> list[int]:
    """Store journals that move something, their postings, and the balances after them; the ids of those journals.

    Balances rows are made when an account first holds an asset, and are locked lowest account first.
    Raises ConstraintViolated when a balance would fall where it may not.
    """
    moving = [entry for entry in entries if entry.journal.postings]
    if not moving:
        return []
    ids = await transaction.rows(
        """
        INSERT INTO journals (kind, market_id, sequence, event_index, created_at_ms)
        SELECT kind, nullif(market_id, 0), nullif(sequence, 0), CASE WHEN market_id > 0 THEN event_index END, $5
        FROM unnest($1::smallint[], $2::integer[], $3::bigint[], $4::integer[])
            WITH ORDINALITY AS entry (kind, market_id, sequence, event_index, place)
        ORDER BY place RETURNING journal_id
        """,
        *columns([(e.kind, e.market_id, e.sequence, e.event_index) for e in moving], 4),
        now_ms,
    )
    postings = [
        (row["journal_id"], line, posting.account_id, asset_ids[posting.asset], posting.type, posting.amount_units)
        for row, entry in zip(ids, moving, strict=True)
        for line, posting in enumerate(entry.journal.postings)
    ]
    await transaction.execute(
        """
        INSERT INTO postings (journal_id, line, account_id, asset_id, kind, amount_units)
        SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::smallint[], $5::smallint[], $6::bigint[])
        """,
        *columns(postings, 6),
    )
    changes: dict[tuple[int, int], int] = {}
    for _, _, account_id, asset_id, _, amount_units in postings:
        changes[account_id, asset_id] = changes.get((account_id, asset_id), 0) + amount_units
    await change_balances(transaction, changes)
    return [row["journal_id"] for row in ids]


async def change_balances(transaction: Transaction, changes: Mapping[tuple[int, int], int]) -> None:
    """Add to the totals of accounts, by account and asset id. Raises ConstraintViolated."""
    rows = [(*key, units) for key, units in sorted(changes.items()) if units]
    if not rows:
        return
    values = columns(rows, 3)
    await transaction.execute(
        """
        INSERT INTO balances (account_id, asset_id, is_margin_asset)
        SELECT account_id, asset_id, is_margin_asset
        FROM unnest($1::bigint[], $2::smallint[]) AS wanted (account_id, asset_id) JOIN assets USING (asset_id)
        WHERE NOT EXISTS (
            SELECT FROM balances b WHERE b.account_id = wanted.account_id AND b.asset_id = wanted.asset_id
        )
        ORDER BY account_id, asset_id ON CONFLICT DO NOTHING
        """,
        values[0],
        values[1],
    )
    await transaction.execute(
        """
        WITH wanted AS (
            SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::bigint[]) AS wanted (account_id, asset_id, change)
        ), locked AS MATERIALIZED (
            SELECT account_id, asset_id, change FROM balances JOIN wanted USING (account_id, asset_id)
            ORDER BY account_id, asset_id FOR NO KEY UPDATE OF balances
        )
        UPDATE balances SET total_units = total_units + change FROM locked
        WHERE balances.account_id = locked.account_id AND balances.asset_id = locked.asset_id
        """,
        *values,
    )
