"""Limits of prices, and the phases of halted markets."""

from typing import NamedTuple

from crossbook.application.market_limits import HaltPhase, MarketLimits
from crossbook.domain.orders import MarketState
from crossbook.storage.database import Database, Row, Transaction


class StoredLimits(NamedTuple):
    """A market's limits, whether its log has the band, where it is between halt and opening, and its settled state."""

    market_id: int
    limits: MarketLimits
    is_configured: bool
    phase: HaltPhase
    phase_since_ms: int
    status: MarketState


async def put(transaction: Transaction, market_id: int, limits: MarketLimits) -> None:
    """Store limits where the market has none yet."""
    await transaction.execute(
        """
        INSERT INTO market_limits (market_id, reference_price_ticks, band_basis_points, halt_basis_points,
            halt_window_ms, halt_ms, auction_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (market_id) DO NOTHING
        """,
        market_id,
        limits.reference_price_ticks,
        limits.band_basis_points,
        limits.halt_basis_points,
        limits.halt_window_ms,
        limits.halt_ms,
        limits.auction_ms,
    )


class LimitStore:
    """Limits in PostgreSQL, as the operator sets them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, market_id: int, limits: MarketLimits) -> None:
        """Set or replace the limits of a market; its band is to go into its log. A halt under way goes on."""
        async with self._database.transaction() as transaction:
            await put(transaction, market_id, limits)
            await transaction.execute(
                """
                UPDATE market_limits SET reference_price_ticks = $2, band_basis_points = $3, halt_basis_points = $4,
                    halt_window_ms = $5, halt_ms = $6, auction_ms = $7, is_configured = false
                WHERE market_id = $1
                """,
                market_id,
                limits.reference_price_ticks,
                limits.band_basis_points,
                limits.halt_basis_points,
                limits.halt_window_ms,
                limits.halt_ms,
                limits.auction_ms,
            )


async def load(transaction: Transaction) -> list[StoredLimits]:
    """The limits of every market that has some, lowest number first."""
    rows = await transaction.rows(
        "SELECT market_limits.*, status FROM market_limits JOIN markets USING (market_id) ORDER BY market_id"
    )
    return [_stored(row) for row in rows]


async def note_configured(transaction: Transaction, market_id: int, limits: MarketLimits) -> None:
    """Note that the band of a market is in its log, unless another band is wanted by now."""
    await transaction.execute(
        """
        UPDATE market_limits SET is_configured = true
        WHERE market_id = $1 AND reference_price_ticks = $2 AND band_basis_points = $3
        """,
        market_id,
        limits.reference_price_ticks,
        limits.band_basis_points,
    )


async def set_phase(transaction: Transaction, market_id: int, before: HaltPhase, phase: HaltPhase, now_ms: int) -> bool:
    """Move a market from one phase to the next; False when it is not in `before` any more."""
    statement = "UPDATE market_limits SET phase = $3, phase_since_ms = $4 WHERE market_id = $1 AND phase = $2"
    return await transaction.execute(statement, market_id, before, phase, now_ms) > 0


def _stored(row: Row) -> StoredLimits:
    limits = MarketLimits(
        row["reference_price_ticks"],
        row["band_basis_points"],
        row["halt_basis_points"],
        row["halt_window_ms"],
        row["halt_ms"],
        row["auction_ms"],
    )
    return StoredLimits(
        row["market_id"],
        limits,
        row["is_configured"],
        HaltPhase(row["phase"]),
        row["phase_since_ms"],
        MarketState(row["status"]),
    )
