"""Finds, in the transaction that settles a batch, the accounts that must be liquidated, and flags them (3.6).

The database narrows down whom the batch can have brought there; the rule itself (`domain.risk`) decides. The cost
grows with the positions of the market, not with accounts that have none there.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from crossbook.application.books import Balance, PositionRow
from crossbook.application.markets import Market
from crossbook.application.risk_rows import exposure
from crossbook.domain.instruments import Instrument, InstrumentKind
from crossbook.domain.margin import MarginRow
from crossbook.domain.money import MILLION
from crossbook.domain.orders import MarketState
from crossbook.domain.risk import CROSS_SCOPE, AccountRisk, MarginMode, account_risk
from crossbook.storage import markets as stored_markets
from crossbook.storage.database import Transaction, columns

NOT_LIQUIDATING: Final = [int(MarketState.CANCEL_ONLY), int(MarketState.PAUSED), int(MarketState.SETTLEMENT_ONLY)]
"""In these states nobody is flagged: the mark may be stale, or no order could close anything."""
SLACK_UNITS: Final = 1_000
"""What the database's arithmetic may be off by, and one unit of rounding for each position: it only narrows down."""


class Affected(IntEnum):
    """Whose positions of a market a batch can have made worse, beside those who traded."""

    SHORTS = -1
    NOBODY = 0
    LONGS = 1
    EVERYBODY = 2


def affected_by(mark_before: int, mark_after: int) -> Affected:
    """Who loses when the mark moves: a position that gains can not bring its owner down."""
    if mark_before == 0:
        return Affected.EVERYBODY
    if mark_before == mark_after:
        return Affected.NOBODY
    return Affected.LONGS if mark_after < mark_before else Affected.SHORTS


async def perpetuals_of(transaction: Transaction, quote_asset_id: int) -> list[Market]:
    """Every perpetual that is settled in this asset, with its margin tiers."""
    return [
        market
        for market in await stored_markets.load(transaction)
        if market.instrument.kind is InstrumentKind.PERPETUAL and market.quote_asset_id == quote_asset_id
    ]


async def flag(
    transaction: Transaction,
    market: Market,
    perpetuals: Sequence[Market],
    sequence: int,
    now_ms: int,
    affected: Affected,
    traded: Sequence[int],
) -> list[int]:
    """Open a liquidation for every scope at or below its maintenance margin; gives the accounts.

    Of those `affected` who have a position in `market`, and of `traded`. `perpetuals` are all of the market's quote
    asset. `sequence` is the last command of the batch. Whoever is flagged already is left alone.
    """
    candidates = await _candidates(transaction, market, perpetuals, affected, traded)
    if not candidates:
        return []
    risks = await read_risks(transaction, candidates, market.quote_asset_id, perpetuals)
    rows = []
    for account_id, risk in sorted(risks.items()):
        for scope_id in risk.in_liquidation:
            scope = next(scope for scope in risk.scopes if scope.market_id == scope_id)
            rows.append((account_id, scope_id, scope.equity_units, scope.maintenance_units))
    if rows:
        await _open(transaction, market, sequence, now_ms, rows, [each.number for each in perpetuals])
    return sorted({row[0] for row in rows})


_WHOM: Final = {
    # Two texts, so that a batch of trades looks at a few rows, whatever the market holds.
    True: "p.account_id = ANY ($6::bigint[]) AND $9::integer = 0",
    False: "($9::integer = 2 OR sign(p.position_lots) = $9 OR p.account_id = ANY ($6::bigint[]))",
}


async def _candidates(
    transaction: Transaction,
    market: Market,
    perpetuals: Sequence[Market],
    affected: Affected,
    traded: Sequence[int],
) -> list[int]:
    """Accounts with a position here whose equity can be at or below what they must keep; a few too many.

    Plain floating point, with some slack: nothing is decided here.
    """
    terms = [
        (each.number, each.instrument.units_per_tick_lot, _highest_maintenance(each.instrument)) for each in perpetuals
    ]
    rows = await transaction.rows(
        f"""
        WITH terms AS MATERIALIZED (
            SELECT market_id, mark_price_ticks * unit::float8 AS price, rate
            FROM unnest($3::integer[], $4::bigint[], $5::float8[]) AS terms (market_id, unit, rate)
            JOIN market_prices USING (market_id)
        )
        SELECT p.account_id FROM positions AS p JOIN terms AS here ON here.market_id = p.market_id
        WHERE p.market_id = $1 AND p.is_open AND p.liquidation_id IS NULL
            AND NOT EXISTS (SELECT FROM markets WHERE markets.market_id = $1 AND status = ANY ($8::smallint[]))
            AND {_WHOM[affected is Affected.NOBODY]}
            AND CASE p.margin_mode
                WHEN 2 THEN p.isolated_margin_units + p.position_lots * here.price - p.cost_units
                    - abs(p.position_lots) * here.price * here.rate <= $7
                ELSE (SELECT total_units - held_units - transfer_hold_units FROM balances
                        WHERE account_id = p.account_id AND asset_id = $2)
                    + (SELECT sum(CASE WHEN o.margin_mode = 1 AND o.position_lots <> 0
                            THEN o.position_lots * t.price - o.cost_units - abs(o.position_lots) * t.price * t.rate
                            ELSE 0 END - o.isolated_margin_units)
                        FROM positions AS o JOIN terms AS t ON t.market_id = o.market_id
                        WHERE o.account_id = p.account_id) <= $7
                END
        """,  # noqa: S608 - one of two texts of ours
        market.number,
        market.quote_asset_id,
        *columns(terms, 3),
        traded,
        SLACK_UNITS * len(perpetuals),
        NOT_LIQUIDATING,
        int(affected),
    )
    return [row[0] for row in rows]


def _highest_maintenance(instrument: Instrument) -> float:
    ppm = instrument.tiers[-1].maintenance_margin_ppm if instrument.tiers else instrument.maintenance_margin_ppm
    return ppm / MILLION


async def read_risks(
    transaction: Transaction, accounts: Sequence[int], quote_asset_id: int, perpetuals: Sequence[Market]
) -> dict[int, AccountRisk]:
    """The accounts in one quote asset, at the marks as settled; without locks."""
    marks = await read_marks(transaction)
    balances = await transaction.rows(
        """
        SELECT account_id, total_units, held_units, transfer_hold_units FROM balances
        WHERE account_id = ANY ($1::bigint[]) AND asset_id = $2
        """,
        accounts,
        quote_asset_id,
    )
    positions = await transaction.rows(
        """
        SELECT account_id, market_id, leverage, position_lots, open_buy_lots, open_buy_notional_units, open_sell_lots,
            open_sell_notional_units, fee_reserve_units, cost_units, margin_mode, isolated_margin_units,
            liquidation_id IS NOT NULL
        FROM positions WHERE account_id = ANY ($1::bigint[]) AND market_id = ANY ($2::integer[])
        """,
        accounts,
        [each.number for each in perpetuals],
    )
    wallets = {row[0]: Balance(row[1], row[2], row[3]) for row in balances}
    rows: dict[int, list[tuple[int, PositionRow]]] = {}
    for row in positions:
        margin = MarginRow(row[2], row[3], row[4], int(row[5]), row[6], int(row[7]), row[8])
        kept = PositionRow(margin, row[9], MarginMode(row[10]), row[11], in_liquidation=row[12])
        rows.setdefault(row[0], []).append((row[1], kept))
    numbered = {each.number: each for each in perpetuals}
    return {
        account_id: account_risk(
            wallets.get(account_id, Balance()).free_units,
            (exposure(numbered[number], row, marks.get(number)) for number, row in rows.get(account_id, [])),
        )
        for account_id in accounts
    }


async def read_marks(transaction: Transaction) -> Mapping[int, int]:
    """The mark of every market that has one, as settled."""
    rows = await transaction.rows("SELECT market_id, mark_price_ticks FROM market_prices WHERE mark_price_ticks > 0")
    return {row[0]: row[1] for row in rows}


async def _open(
    transaction: Transaction,
    market: Market,
    sequence: int,
    now_ms: int,
    rows: Sequence[tuple[int, int, int, int]],
    perpetuals: Iterable[int],
) -> None:
    """Open liquidations of (account, scope, equity, maintenance margin), and mark every position in them."""
    await transaction.execute(
        """
        WITH opened AS (
            INSERT INTO liquidations (account_id, asset_id, market_id, flagged_in_market_id, flagged_at_sequence,
                equity_units, maintenance_units, opened_at_ms)
            SELECT account_id, $5, market_id, $6, $7, equity, maintenance, $8
            FROM unnest($1::bigint[], $2::integer[], $3::bigint[], $4::bigint[])
                AS found (account_id, market_id, equity, maintenance)
            ORDER BY account_id, market_id ON CONFLICT DO NOTHING RETURNING liquidation_id, account_id, market_id
        ), locked AS MATERIALIZED (
            SELECT positions.account_id, positions.market_id, opened.liquidation_id
            FROM positions JOIN opened ON opened.account_id = positions.account_id
                AND CASE opened.market_id WHEN $10 THEN margin_mode = 1 ELSE positions.market_id = opened.market_id END
            WHERE positions.market_id = ANY ($9::integer[])
            ORDER BY positions.account_id, positions.market_id FOR NO KEY UPDATE OF positions
        )
        UPDATE positions SET liquidation_id = locked.liquidation_id FROM locked
        WHERE positions.account_id = locked.account_id AND positions.market_id = locked.market_id
        """,
        *columns(rows, 4),
        market.quote_asset_id,
        market.number,
        sequence,
        now_ms,
        sorted(perpetuals),
        CROSS_SCOPE,
    )
