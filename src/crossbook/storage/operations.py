"""What operators did, with why; and the prices that they feed."""

import json
from collections.abc import Callable, Sequence
from typing import Final

from crossbook.application.operations import Act, AdminEntry
from crossbook.application.pricing import MarketControl
from crossbook.application.views import Page
from crossbook.domain.index import Quote
from crossbook.storage import pricing
from crossbook.storage.database import Database, columns

_MAX_ID: Final = (1 << 62) - 1


class OperationsRecord:
    """The record of operators in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def act(
        self, act: Act, control: Callable[[MarketControl], MarketControl], now_ms: int
    ) -> tuple[MarketControl, int]:
        """Record and log an act in one transaction: the control of its market now, and the command's sequence."""
        async with self._database.transaction() as transaction:
            changed = control(await pricing.lock_control(transaction, act.market_id))
            await transaction.execute(
                """
                INSERT INTO admin_log (user_id, action, market_id, reason, details, created_at_ms)
                VALUES ($1, $2, $3, $4, $5::jsonb, $6)
                """,
                act.user_id,
                act.action,
                act.market_id,
                act.reason,
                json.dumps(dict(act.details)),
                now_ms,
            )
            logged = await pricing.log_commands(transaction, act.market_id, [act.command], now_ms)
            await pricing.set_control(transaction, act.market_id, changed, logged[0].sequence)
        return changed, logged[0].sequence

    async def put_quotes(self, user_id: int, quotes: Sequence[tuple[int, Quote]], most: int) -> int:
        """Store the newest quote of each market and source; the number of a market with too many sources, or 0."""
        newest: dict[tuple[int, str], Quote] = {}
        for market_id, quote in sorted(quotes, key=lambda each: (each[0], each[1].source, each[1].time_ms)):
            newest[market_id, quote.source] = quote
        rows = [(number, source, each.price_micro_ticks, each.time_ms) for (number, source), each in newest.items()]
        async with self._database.transaction() as transaction:
            full = await transaction.value(
                """
                SELECT market_id FROM (
                    SELECT market_id, source FROM index_quotes WHERE market_id = ANY ($1::integer[])
                    UNION SELECT * FROM unnest($1::integer[], $2::text[])
                ) AS together GROUP BY market_id HAVING count(*) > $3 ORDER BY market_id LIMIT 1
                """,
                *columns(rows, 4)[:2],
                most,
            )
            if full:
                return int(full)
            await transaction.execute(
                """
                INSERT INTO index_quotes AS known (market_id, source, price_micro_ticks, quoted_at_ms, user_id)
                SELECT *, $5 FROM unnest($1::integer[], $2::text[], $3::bigint[], $4::bigint[])
                ON CONFLICT (market_id, source) DO UPDATE SET price_micro_ticks = excluded.price_micro_ticks,
                    quoted_at_ms = excluded.quoted_at_ms, user_id = excluded.user_id
                WHERE known.quoted_at_ms <= excluded.quoted_at_ms
                """,
                *columns(rows, 4),
                user_id,
            )
        return 0

    async def entries(self, page: Page) -> list[AdminEntry]:
        """A page of the record, newest first."""
        async with self._database.transaction(read_only=True) as transaction:
            rows = await transaction.rows(
                """
                SELECT entry_id, user_id, action, coalesce(market_id, 0) AS market_id, reason, details, created_at_ms
                FROM admin_log WHERE entry_id < $1 ORDER BY entry_id DESC LIMIT $2
                """,
                page.before or _MAX_ID,
                page.limit,
            )
        return [AdminEntry(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]), row[6]) for row in rows]

    async def index_ticks(self, market_id: int) -> int:
        """The last index that is settled, 0 for none."""
        async with self._database.transaction(read_only=True) as transaction:
            found = await transaction.value(
                "SELECT index_price_ticks FROM market_prices WHERE market_id = $1", market_id
            )
        return int(found or 0)
