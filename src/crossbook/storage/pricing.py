"""What pricing remembers, in rows, and its commands in the log: written together, so that neither is without the other.

A market's row is locked before its counter of the log, by everybody who writes both.
"""

from collections.abc import Sequence
from typing import Final

from crossbook.application.pricing import AppliedPeriod, Known, MarketControl, PricingStep
from crossbook.domain.funding_period import FundingPeriod
from crossbook.domain.index import Quote
from crossbook.domain.mark import Average, MarkState
from crossbook.domain.orders import MarketState
from crossbook.matching.codec import encode_records
from crossbook.storage.commands_log import CommandMaker, LoggedCommand, UnknownMarket, append, take_sequences
from crossbook.storage.database import Transaction

_PERIOD: Final = """
    SELECT period_start_ms, looked_at_ms, live, live_ms, samples, premium_sum_ppt, index_price_ticks
    FROM funding_periods
"""


async def lock_control(transaction: Transaction, market_id: int) -> MarketControl:
    """What was last ordered for a market; no operator and no pricing orders anything else before the transaction ends.

    A state that somebody else has changed since, such as the guard of price limits, is taken as it is settled. Raises
    UnknownMarket.
    """
    await transaction.execute(
        """
        INSERT INTO market_pricing (market_id, state) SELECT market_id, status FROM markets WHERE market_id = $1
        ON CONFLICT DO NOTHING
        """,
        market_id,
    )
    row = await transaction.row(
        """
        SELECT state, halted_from, CASE WHEN last_settled_sequence >= ordered_sequence THEN status END AS settled
        FROM market_pricing JOIN markets USING (market_id) JOIN market_settlements USING (market_id)
        WHERE market_id = $1 FOR NO KEY UPDATE OF market_pricing
        """,
        market_id,
    )
    if row is None:
        raise UnknownMarket(f"no such market: {market_id}")
    if row["settled"] not in (None, row["state"]):
        return MarketControl(MarketState(row["settled"]))
    return _control(row["state"], row["halted_from"])


async def set_control(transaction: Transaction, market_id: int, control: MarketControl, sequence: int) -> None:
    """Write down what is ordered now by a command, of a market whose control is locked."""
    await transaction.execute(
        "UPDATE market_pricing SET state = $2, halted_from = $3, ordered_sequence = $4 WHERE market_id = $1",
        market_id,
        int(control.state),
        None if control.halted_from is None else int(control.halted_from),
        sequence,
    )


async def read(transaction: Transaction, market_id: int) -> Known:
    """Everything that is remembered of a market, which stays locked. Raises UnknownMarket."""
    control = await lock_control(transaction, market_id)
    row = await transaction.row(
        """
        SELECT basis_numerator, basis_denominator, price_numerator, price_denominator, looked_at_ms
        FROM market_pricing WHERE market_id = $1
        """,
        market_id,
    )
    assert row is not None
    values = [int(value) for value in row]
    mark = MarkState(Average(*values[:2]), Average(*values[2:4]), values[4])
    return Known(control, mark, await quotes_of(transaction, market_id), await open_periods(transaction, market_id))


async def quotes_of(transaction: Transaction, market_id: int) -> list[Quote]:
    """The newest quote of each source that operators feed."""
    rows = await transaction.rows(
        "SELECT source, price_micro_ticks, quoted_at_ms FROM index_quotes WHERE market_id = $1 ORDER BY source",
        market_id,
    )
    return [Quote(row[0], row[1], row[2]) for row in rows]


async def open_periods(transaction: Transaction, market_id: int) -> list[FundingPeriod]:
    """The periods of a market that are not applied yet, the oldest first."""
    rows = await transaction.rows(
        f"{_PERIOD} WHERE market_id = $1 AND sequence IS NULL ORDER BY period_start_ms", market_id
    )
    return [FundingPeriod(row[0], row[1], row[2], row[3], row[4], int(row[5]), row[6]) for row in rows]


async def write(transaction: Transaction, market_id: int, step: PricingStep, now_ms: int) -> list[LoggedCommand]:
    """Log what a look at a market led to, and remember it; the commands as they are in the log now.

    Raises ConstraintViolated for a period that was applied before: then nothing is logged.
    """
    if step.period is not None:
        await _store_period(transaction, market_id, step.period)
    logged = await log_commands(transaction, market_id, step.commands, now_ms)
    await _remember(transaction, market_id, step, logged[-1].sequence if logged else 0)
    for place, applied in enumerate(step.applied):
        await _close_period(transaction, market_id, applied, logged[place].sequence)
    return logged


async def log_commands(
    transaction: Transaction, market_id: int, makers: Sequence[CommandMaker], now_ms: int
) -> list[LoggedCommand]:
    """Append commands of the venue itself, each made from its sequence and the time."""
    if not makers:
        return []
    first = (await take_sequences(transaction, {market_id: len(makers)}))[market_id]
    logged = [
        LoggedCommand(market_id, sequence, encode_records(make(sequence, now_ms)), now_ms)
        for sequence, make in enumerate(makers, start=first)
    ]
    await append(transaction, logged)
    return logged


async def _remember(transaction: Transaction, market_id: int, step: PricingStep, last_sequence: int) -> None:
    mark, control = step.mark, step.control
    await transaction.execute(
        """
        UPDATE market_pricing SET state = $2, halted_from = $3, basis_numerator = $4, basis_denominator = $5,
            price_numerator = $6, price_denominator = $7, looked_at_ms = $8,
            ordered_sequence = CASE WHEN state <> $2 THEN $9 ELSE ordered_sequence END
        WHERE market_id = $1
        """,
        market_id,
        int(control.state),
        None if control.halted_from is None else int(control.halted_from),
        mark.basis.numerator,
        mark.basis.denominator,
        mark.price.numerator,
        mark.price.denominator,
        mark.time_ms,
        last_sequence,
    )


async def _store_period(transaction: Transaction, market_id: int, period: FundingPeriod) -> None:
    await transaction.execute(
        """
        INSERT INTO funding_periods (market_id, period_start_ms, looked_at_ms, live, live_ms, samples,
            premium_sum_ppt, index_price_ticks)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (market_id, period_start_ms) DO UPDATE SET looked_at_ms = excluded.looked_at_ms,
            live = excluded.live, live_ms = excluded.live_ms, samples = excluded.samples,
            premium_sum_ppt = excluded.premium_sum_ppt, index_price_ticks = excluded.index_price_ticks
        """,
        market_id,
        period.start_ms,
        period.looked_at_ms,
        period.live,
        period.live_ms,
        period.samples,
        period.premium_sum_ppt,
        period.index_price_ticks,
    )


async def _close_period(transaction: Transaction, market_id: int, applied: AppliedPeriod, sequence: int) -> None:
    period = applied.period
    closed = await transaction.execute(
        """
        UPDATE funding_periods SET looked_at_ms = $3, live_ms = $4, rate_ppb = $5, sequence = $6
        WHERE market_id = $1 AND period_start_ms = $2 AND sequence IS NULL
        """,
        market_id,
        period.start_ms,
        period.looked_at_ms,
        period.live_ms,
        applied.rate_ppb,
        sequence,
    )
    if closed != 1:
        raise UnknownMarket(f"market {market_id} has no open period {period.start_ms}")


def _control(state: int, halted_from: int | None) -> MarketControl:
    return MarketControl(MarketState(state), None if halted_from is None else MarketState(halted_from))
