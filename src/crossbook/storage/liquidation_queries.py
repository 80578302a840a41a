"""Reads about liquidations for the API: their steps, and everybody's place in the queue of deleveraging."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from crossbook.application.liquidations import LiquidationDetails, LiquidationState, StepDetails, StepKind
from crossbook.application.views import Page
from crossbook.domain.liquidating import deleveraging_rank
from crossbook.domain.orders import MAX_ID, Side
from crossbook.storage.database import Database, Row
from crossbook.system import Clock

RANKS_KEPT_S: Final = 5.0
"""How old the ranks of a market may be: they are shown, not acted upon."""


class LiquidationQueries:
    """Liquidations as stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def liquidations(self, page: Page, account_id: int = 0) -> list[LiquidationDetails]:
        """Liquidations with their steps, newest first: of one account, or of all (0)."""
        async with self._database.snapshot() as transaction:
            rows = await transaction.rows(
                f"""
                SELECT liquidation_id, account_id, assets.name, decimals, market_id, state, opened_at_ms, closed_at_ms,
                    equity_units, maintenance_units
                FROM liquidations JOIN assets USING (asset_id)
                WHERE liquidation_id < $1 {"AND account_id = $3" if account_id else ""}
                ORDER BY liquidation_id DESC LIMIT $2
                """,  # noqa: S608 - one of two texts of ours
                page.before or MAX_ID,
                page.limit,
                *([account_id] if account_id else []),
            )
            steps = await transaction.rows(
                """
                SELECT liquidation_id, step, kind, market_id, side, quantity_lots, limit_price_ticks,
                    bankruptcy_price_ticks, amount_units, created_at_ms
                FROM liquidation_steps WHERE liquidation_id = ANY ($1::bigint[]) ORDER BY liquidation_id, step
                """,
                [row[0] for row in rows],
            )
        by_id: dict[int, list[StepDetails]] = {}
        for row in steps:
            by_id.setdefault(row[0], []).append(_step(row))
        return [_liquidation(row, by_id.get(row[0], [])) for row in rows]


def _step(row: Row) -> StepDetails:
    side = None if row[4] is None else Side(row[4])
    return StepDetails(row[1], StepKind(row[2]), row[3], side, *row[5:])


def _liquidation(row: Row, steps: Sequence[StepDetails]) -> LiquidationDetails:
    values = list(row.values())
    values[5] = LiquidationState(row[5])
    values.append(tuple(steps))
    return LiquidationDetails(*values)


class Ranks:
    """The rank, 1 to 5, of every position in the queue of auto-deleveraging of its side (3.7).

    The database orders the whole side in plain floating point, at most every few seconds and only when somebody looks:
    whoever deleverages ranks by the exact rule.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[int, tuple[float, Mapping[int, int]]] = {}
        self._reading = asyncio.Lock()

    async def of_market(self, market_id: int) -> Mapping[int, int]:
        """The rank by account; those without equity, or in liquidation, have none."""
        async with self._reading:
            known = self._known.get(market_id)
            now_s = self._clock.monotonic_s()
            if known is None or now_s - known[0] > RANKS_KEPT_S:
                known = now_s, await self._read(market_id)
                self._known[market_id] = known
            return known[1]

    async def _read(self, market_id: int) -> Mapping[int, int]:
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(_RANKING, market_id)
        return {row[0]: deleveraging_rank(row[1] - 1, row[2]) for row in rows}


_RANKING: Final = """
    WITH terms AS MATERIALIZED (
        SELECT market_id, quote_asset_id, mark_price_ticks * tick_size * lot_size
            * 10::float8 ^ (decimals - tick_decimals - lot_decimals) AS price
        FROM markets JOIN market_prices USING (market_id) JOIN assets ON asset_id = quote_asset_id
        WHERE quote_asset_id = (SELECT quote_asset_id FROM markets WHERE market_id = $1) AND mark_price_ticks > 0
    ), held AS MATERIALIZED (
        SELECT p.account_id, sign(p.position_lots) AS side, p.position_lots * here.price AS value,
            p.cost_units::float8 AS cost,
            CASE p.margin_mode WHEN 2 THEN p.isolated_margin_units + p.position_lots * here.price - p.cost_units
            ELSE (SELECT total_units - held_units - transfer_hold_units FROM balances
                    WHERE account_id = p.account_id AND asset_id = here.quote_asset_id)
                + (SELECT sum(CASE WHEN o.margin_mode = 1 THEN o.position_lots * t.price - o.cost_units ELSE 0 END
                        - o.isolated_margin_units)
                    FROM positions AS o JOIN terms AS t ON t.market_id = o.market_id
                    WHERE o.account_id = p.account_id)
            END AS equity
        FROM positions AS p JOIN terms AS here ON here.market_id = p.market_id
        WHERE p.market_id = $1 AND p.is_open AND p.liquidation_id IS NULL
    ), scored AS (
        SELECT account_id, side, CASE WHEN (value - cost) > 0 THEN (value - cost) / abs(cost) * abs(value) / equity
            ELSE (value - cost) / abs(cost) / (abs(value) / equity) END AS score
        FROM held WHERE equity > 0
    )
    SELECT account_id, row_number() OVER (PARTITION BY side ORDER BY score DESC, account_id) AS place,
        count(*) OVER (PARTITION BY side) AS others
    FROM scored
"""
