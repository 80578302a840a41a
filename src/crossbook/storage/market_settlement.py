"""What settlement writes of a market as a whole: its prices, its fundings, its final settlement.

Most batches have none of these, and then nothing is sent to the database. All rows are new ones but the
market's prices; unique keys see to it that a period is paid once for ever.
"""

from crossbook.application.settlement_rows import Closing, Funding, Settlement
from crossbook.storage.database import Transaction, columns


async def write_market(transaction: Transaction, market_id: int, settlement: Settlement) -> None:
    """Write what a settlement says of the market. Raises ConstraintViolated for a period that was paid before."""
    if settlement.prices is not None:
        prices = settlement.prices
        await transaction.execute(
            """
            INSERT INTO market_prices AS known (market_id, mark_price_ticks, index_price_ticks, sequence, updated_at_ms)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT (market_id) DO UPDATE
            SET mark_price_ticks = excluded.mark_price_ticks, index_price_ticks = excluded.index_price_ticks,
                sequence = excluded.sequence, updated_at_ms = excluded.updated_at_ms
            """,
            market_id,
            prices.mark_price_ticks,
            prices.index_price_ticks,
            prices.sequence,
            settlement.prices_at_ms,
        )
    for funding in settlement.fundings:
        await _write_funding(transaction, market_id, funding)
    for closing in settlement.closings:
        await _write_closing(transaction, market_id, closing)


async def _write_funding(transaction: Transaction, market_id: int, funding: Funding) -> None:
    event = funding.event
    amounts = [units for _, _, units in funding.payments]
    await transaction.execute(
        """
        WITH paid AS (
            INSERT INTO fundings (market_id, period_start_ms, rate_ppb, index_price_ticks, positions, paid_units,
                received_units, dust_units, sequence, event_index, created_at_ms)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        )
        INSERT INTO funding_payments (market_id, period_start_ms, account_id, position_lots, amount_units)
        SELECT $1, $2, * FROM unnest($12::bigint[], $13::bigint[], $14::bigint[])
        """,
        market_id,
        event.period_start_ms,
        event.rate_ppb,
        event.index_price_ticks,
        len(funding.payments),
        -sum(units for units in amounts if units < 0),
        sum(units for units in amounts if units > 0),
        funding.dust_units,
        event.sequence,
        event.index,
        funding.time_ms,
        *columns(funding.payments, 3),
    )


async def _write_closing(transaction: Transaction, market_id: int, closing: Closing) -> None:
    event = closing.event
    await transaction.execute(
        """
        INSERT INTO position_closings (market_id, sequence, event_index, price_ticks, created_at_ms, account_id,
            position_lots, cost_units, realised_pnl_units)
        SELECT $1, $2, $3, $4, $5, * FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
        """,
        market_id,
        event.sequence,
        event.index,
        event.price_ticks,
        closing.time_ms,
        *columns(closing.closed, 4),
    )
