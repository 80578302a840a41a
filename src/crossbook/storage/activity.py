"""Activity: written by the transactions that accept and settle, read by pages, and removed when it is old."""

from collections.abc import Sequence
from typing import Any, Final

from crossbook.application.activity import NS_PER_MS, Activity, ActivityKind, Step
from crossbook.storage.database import Database, Row, Transaction, columns

_OLDER: Final = """
    AND (recorded_at_ns, activity_id) < (
        SELECT last.recorded_at_ns, last.activity_id FROM activity AS last
        WHERE last.activity_id = $4 AND last.account_id = ANY ($1::bigint[])
    )
"""
"""What came before a row of the same accounts; nothing, when there is no such row."""


async def write(transaction: Transaction, steps: Sequence[Step], now_ms: int) -> None:
    """Store steps in their order, by one statement. Whose they are, and the client's id, is taken from the orders.

    The venue's clock gives milliseconds; the last six digits of a row's time are those of its id, so that rows of one
    millisecond stay in their order. The price that protects a market order is none that its client asked for: it is
    left out.
    """
    if not steps:
        return
    rows = [
        (
            step.order_id,
            step.kind,
            step.sequence,
            step.price_ticks,
            step.quantity_lots,
            step.role,
            step.fee_ppm,
            step.trade_id,
            step.reason,
        )
        for step in steps
    ]
    await transaction.execute(
        """
        INSERT INTO activity (activity_id, account_id, order_id, market_id, kind, side, external_id, price_ticks,
            quantity_lots, role, fee_ppm, trade_id, reason, sequence, recorded_at_ns)
        SELECT activity_id, account_id, order_id, market_id, kind, side, external_id,
            CASE WHEN type = 2 AND kind <> 6 THEN 0 ELSE step.price_ticks END, step.quantity_lots, role, fee_ppm,
            trade_id, step.reason, step.sequence, $10 + activity_id % 1000000
        FROM (
            SELECT nextval('activity_activity_id_seq') AS activity_id, step.*
            FROM unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::smallint[],
                $7::integer[], $8::bigint[], $9::smallint[])
                AS step (order_id, kind, sequence, price_ticks, quantity_lots, role, fee_ppm, trade_id, reason)
        ) AS step JOIN orders USING (order_id) ORDER BY activity_id
        """,
        *columns(rows, 9),
        now_ms * NS_PER_MS,
    )


class ActivityReader:
    """Activity as the API gives it out, newest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        accounts: Sequence[int],
        after_ns: int,
        until_ns: int,
        limit: int,
        *,
        skip: int = 0,
        before: int = 0,
        order_ids: Sequence[int] = (),
        kinds: Sequence[ActivityKind] = (),
    ) -> list[Activity]:
        """What was written down after `after_ns` and up to `until_ns`, of some orders and kinds or of all.

        `skip` leaves out so many of the newest; `before` gives only what came before the row of that id, 0 for all.
        """
        older = _OLDER if before else "AND $4::bigint = 0"
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                f"""
                SELECT activity_id, account_id, order_id, market_id, kind, side, external_id, price_ticks,
                    quantity_lots, role, fee_ppm, trade_id, reason, recorded_at_ns
                FROM activity
                WHERE account_id = ANY ($1::bigint[]) AND recorded_at_ns > $2 AND recorded_at_ns <= $3
                    {older}
                    AND (cardinality($5::bigint[]) = 0 OR order_id = ANY ($5::bigint[]))
                    AND (cardinality($6::smallint[]) = 0 OR kind = ANY ($6::smallint[]))
                ORDER BY recorded_at_ns DESC, activity_id DESC LIMIT $7 OFFSET $8
                """,  # noqa: S608 - one of two texts of ours
                accounts,
                after_ns,
                until_ns,
                before,
                list(order_ids),
                list(kinds),
                limit,
                skip,
            )
        return [_activity(row) for row in rows]


def _activity(row: Row) -> Activity:
    values: list[Any] = list(row.values())
    values[4] = ActivityKind(values[4])
    return Activity(*values)


async def remove_old(database: Database, before_ns: int, at_most: int) -> int:
    """Remove the oldest rows that were written down before `before_ns`; how many, `at_most` at once.

    Rows are looked at in the order of their ids, which is that of time but for transactions that met.
    """
    async with database.transaction() as transaction:
        return await transaction.execute(
            """
            DELETE FROM activity WHERE activity_id IN (
                SELECT activity_id FROM (
                    SELECT activity_id, recorded_at_ns FROM activity ORDER BY activity_id LIMIT $2
                ) AS oldest WHERE recorded_at_ns < $1
            )
            """,
            before_ns,
            at_most,
        )
