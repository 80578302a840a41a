"""Settles batches of commands: reads what a batch needs, writes all that it changes, in one transaction.

Exactly once: the sequence up to which a market is settled is written by the transaction that settles it.
Two settlers of one market take turns (an advisory lock); the second one sees what the first one did.

Locks are held for as short as can be, because new orders wait for the same rows. So rows are read without
locks, everything is computed, what nobody else can touch is inserted, and only then rows are locked, in
the order that all writers share: balances, positions, orders, the market, each by rising id. Nobody
but the settler changes positions, and hardly anybody a stored order; that this held is checked by
every statement, and if not, the transaction gives way (TransactionConflict) and is tried again.
"""

from collections.abc import Sequence
from typing import Final

from crossbook.application.settlement import MOVES_MONEY, amendments_named, orders_named, settle
from crossbook.application.settlement_positions import PositionsNeeded, positions_needed
from crossbook.application.settlement_rows import (
    AmendmentRow,
    CommandEvents,
    MarketTerms,
    OrderRow,
    PositionRow,
    Settlement,
)
from crossbook.domain.accounts import FEES, INSURANCE
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import Event
from crossbook.domain.instruments import Asset, FeeAsset, Instrument, InstrumentKind
from crossbook.domain.money import Step
from crossbook.domain.orders import MarketState
from crossbook.domain.positions import Position
from crossbook.storage import activity
from crossbook.storage.commands_log import UnknownMarket
from crossbook.storage.database import Transaction, columns
from crossbook.storage.errors import TransactionConflict
from crossbook.storage.flagging import Affected, affected_by, flag, perpetuals_of
from crossbook.storage.market_settlement import write_market

ADVISORY_KEY: Final = 0x5345544C
"""First half of the advisory lock of a market's settlement; the market's number is the other."""

Entry = tuple[int, Sequence[Event]]
"""The sequence of a command, and its events."""


class SettlementGap(CrossbookError):
    """A batch that does not begin where the market is settled to, or whose commands are not in the log."""


async def read_terms(transaction: Transaction, symbol: str) -> MarketTerms:
    """The terms of a market as settlement needs them: without margin tiers. Raises UnknownMarket."""
    row = await transaction.row(
        """
        SELECT market_id, kind, symbol, base_asset_id, quote_asset_id, status, tick_size, tick_decimals, lot_size,
            lot_decimals, min_quantity_lots, min_notional_units, maker_fee_ppm, taker_fee_ppm, fee_asset, max_leverage,
            initial_margin_ppm, maintenance_margin_ppm, liquidation_fee_ppm, funding_interval_hours,
            funding_rate_cap_ppm, base.name AS base_name, base.decimals AS base_decimals, quote.name AS quote_name,
            quote.decimals AS quote_decimals
        FROM markets JOIN assets AS base ON base.asset_id = base_asset_id
        JOIN assets AS quote ON quote.asset_id = quote_asset_id WHERE symbol = $1
        """,
        symbol,
    )
    if row is None:
        raise UnknownMarket(f"no such market: {symbol}")
    instrument = Instrument(
        symbol=row["symbol"],
        kind=InstrumentKind(row["kind"]),
        base=Asset(row["base_name"], row["base_decimals"]),
        quote=Asset(row["quote_name"], row["quote_decimals"]),
        tick=Step(row["tick_size"], row["tick_decimals"]),
        lot=Step(row["lot_size"], row["lot_decimals"]),
        min_quantity_lots=row["min_quantity_lots"],
        min_notional_units=row["min_notional_units"],
        maker_fee_ppm=row["maker_fee_ppm"],
        taker_fee_ppm=row["taker_fee_ppm"],
        fee_asset=FeeAsset(row["fee_asset"]),
        status=MarketState(row["status"]),
        max_leverage=row["max_leverage"],
        initial_margin_ppm=row["initial_margin_ppm"],
        maintenance_margin_ppm=row["maintenance_margin_ppm"],
        liquidation_fee_ppm=row["liquidation_fee_ppm"],
        funding_interval_hours=row["funding_interval_hours"],
        funding_rate_cap_ppm=row["funding_rate_cap_ppm"],
    )
    perpetual = instrument.kind is InstrumentKind.PERPETUAL
    perpetuals = await perpetuals_of(transaction, row["quote_asset_id"]) if perpetual else []
    return MarketTerms(row["market_id"], instrument, row["base_asset_id"], row["quote_asset_id"], tuple(perpetuals))


async def settled_sequence(transaction: Transaction, market_id: int) -> int:
    """The sequence of the last command of a market that is settled. Raises UnknownMarket."""
    found = await transaction.value(
        "SELECT last_settled_sequence FROM market_settlements WHERE market_id = $1", market_id
    )
    if found is None:
        raise UnknownMarket(f"no such market: {market_id}")
    return int(found)


async def settle_batch(transaction: Transaction, terms: MarketTerms, entries: Sequence[Entry], now_ms: int = 0) -> int:
    """Settle the events of commands whose sequences rise by one; return the last sequence settled by now.

    Activity is written as of `now_ms`, or of the last command where that is later.
    Entries that are settled already are left out; when all are, nothing happens. The number of statements
    does not depend on the batch. Raises SettlementGap when commands are missing before the first entry or
    in the log, SettlementFault when the events do not fit what is stored, TransactionConflict when a row
    changed meanwhile, and StorageError as `Database.transaction` does.
    """
    market_id = terms.market_id
    await _take_turn(transaction, market_id)
    settled, logged_ms, journal_ids = await _read_log(transaction, market_id, entries)
    fresh = [entry for entry in entries if entry[0] > settled]
    if not fresh:
        return settled
    if fresh[0][0] != settled + 1:
        raise SettlementGap(f"market {market_id} is settled up to {settled}; {fresh[0][0]} can not be next")
    times_ms = logged_ms[-len(fresh) :]
    if len(logged_ms) != len(entries):
        raise SettlementGap(f"market {market_id} has no commands {fresh[0][0]} to {fresh[-1][0]} in its log")
    commands = [
        CommandEvents(sequence, time_ms, of_one) for (sequence, of_one), time_ms in zip(fresh, times_ms, strict=True)
    ]
    named = orders_named(event for _, of_one in fresh for event in of_one)
    orders, positions = await _read_rows(transaction, market_id, named)
    needed = positions_needed(event for _, of_one in fresh for event in of_one)
    if needed.all or needed.accounts:
        await _read_positions(transaction, market_id, needed, positions)
    amended = amendments_named(event for _, of_one in fresh for event in of_one)
    amendments = await _read_amendments(transaction, market_id, amended) if amended else {}
    liquidates = any(order.bankruptcy_ticks for order in orders.values())
    fund_units = await _lock_fund(transaction, terms.quote_asset_id) if liquidates else 0
    settlement = settle(terms, commands, orders, positions, amendments, fund_units)
    await _write(transaction, terms, settlement, journal_ids, settled, fresh[-1][0], times_ms[-1])
    await activity.write(transaction, settlement.steps, max(now_ms, times_ms[-1]))
    return fresh[-1][0]


# -- Reading -----------------------------------------------------------------------------------------
async def _take_turn(transaction: Transaction, market_id: int) -> None:
    """Wait until no other transaction settles this market.

    Every statement below finds its rows by a few ids. A plan that was made while the tables were small
    must not read them whole when they have grown, so plans that do are switched off.
    """
    await transaction.rows(
        """
        SELECT pg_advisory_xact_lock($1, $2), set_config('enable_seqscan', 'off', true),
            set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
        """,
        ADVISORY_KEY,
        market_id,
    )


async def _read_log(
    transaction: Transaction, market_id: int, entries: Sequence[Entry]
) -> tuple[int, list[int], list[int]]:
    """The sequence settled so far, when each command was accepted, and an id for every journal that may be needed."""
    if not entries:
        return await settled_sequence(transaction, market_id), [], []
    row = await transaction.row(
        """
        SELECT last_settled_sequence, (
            SELECT array_agg(accepted_at_ms ORDER BY sequence) FROM commands
            WHERE market_id = $1 AND sequence BETWEEN $2 AND $3
        ) AS times_ms, (
            SELECT array_agg(nextval('journals_journal_id_seq')) FROM generate_series(1, $4::integer)
        ) AS journal_ids
        FROM market_settlements WHERE market_id = $1
        """,
        market_id,
        entries[0][0],
        entries[-1][0],
        sum(isinstance(event, MOVES_MONEY) for _, of_one in entries for event in of_one),
    )
    if row is None:
        raise UnknownMarket(f"no such market: {market_id}")
    return row["last_settled_sequence"], row["times_ms"] or [], row["journal_ids"] or []


async def _read_rows(
    transaction: Transaction, market_id: int, order_ids: list[int]
) -> tuple[dict[int, OrderRow], dict[int, PositionRow]]:
    """The orders, and the positions of their accounts in this market, where they have one."""
    rows = await transaction.rows(
        """
        SELECT order_id, account_id, side, post_only, reduce_only, status, reason, quantity_lots, price_ticks,
            trigger_price_ticks, budget, open_lots, filled_lots, held_units, maker_fee_ppm, taker_fee_ppm,
            keeps_activity, bankruptcy_price_ticks, position_lots, cost_units, realised_pnl_units, positions.leverage,
            margin_mode, isolated_margin_units, liquidation_id IS NOT NULL, funding_units
        FROM orders LEFT JOIN positions USING (account_id, market_id)
        WHERE order_id = ANY ($1::bigint[]) AND market_id = $2
        """,
        order_ids,
        market_id,
    )
    orders = {row[0]: OrderRow(*row[:18]) for row in rows}
    positions = {row[1]: PositionRow(row[1], Position(*row[18:21]), *row[21:]) for row in rows if row[18] is not None}
    return orders, positions


async def _read_positions(
    transaction: Transaction, market_id: int, needed: PositionsNeeded, positions: dict[int, PositionRow]
) -> None:
    """Add the positions of accounts that have no order in the batch."""
    rows = await transaction.rows(
        """
        SELECT account_id, position_lots, cost_units, realised_pnl_units, leverage, margin_mode, isolated_margin_units,
            liquidation_id IS NOT NULL, funding_units
        FROM positions WHERE market_id = $1 AND (account_id = ANY ($2::bigint[]) OR ($3 AND is_open))
        """,
        market_id,
        sorted(needed.accounts),
        needed.all,
    )
    for row in rows:
        positions.setdefault(row[0], PositionRow(row[0], Position(*row[1:4]), *row[4:]))


async def _read_amendments(
    transaction: Transaction, market_id: int, sequences: Sequence[int]
) -> dict[int, AmendmentRow]:
    """What the amendments of these commands set aside. Nobody but the settler touches them once they are stored."""
    rows = await transaction.rows(
        """
        SELECT sequence, account_id, side, extra_lots, extra_notional_units, extra_fee_reserve_units, held_units
        FROM amendments WHERE market_id = $1 AND sequence = ANY ($2::bigint[])
        """,
        market_id,
        sequences,
    )
    return {row[0]: AmendmentRow(*(int(value) for value in row)) for row in rows}


async def _lock_fund(transaction: Transaction, asset_id: int) -> int:
    """What the insurance fund has: nobody else pays from it until this transaction ends.

    The fee account comes first in the order of locks, and is written by the same batch.
    """
    rows = await transaction.rows(
        """
        SELECT account_id, total_units FROM balances WHERE account_id = ANY ($1::bigint[]) AND asset_id = $2
        ORDER BY account_id FOR NO KEY UPDATE
        """,
        [FEES, INSURANCE],
        asset_id,
    )
    return next((int(row[1]) for row in rows if row[0] == INSURANCE), 0)


# -- Writing -----------------------------------------------------------------------------------------
async def _write(
    transaction: Transaction,
    terms: MarketTerms,
    settlement: Settlement,
    journal_ids: Sequence[int],
    settled: int,
    sequence: int,
    now_ms: int,
) -> None:
    """Write a settlement: first what is new, then what others may wait for, in the order of locks."""
    market_id = terms.market_id
    await _insert(transaction, market_id, settlement, journal_ids)
    await _change_accounts(transaction, market_id, settlement)
    if settlement.status is not None:
        await transaction.execute(
            "UPDATE markets SET status = $2 WHERE market_id = $1", market_id, int(settlement.status)
        )
    affected = await _affected(transaction, terms, settlement)
    await write_market(transaction, market_id, settlement)
    await _flag(transaction, terms, settlement, affected, sequence, now_ms)
    if settlement.amendments:
        await _end_amendments(transaction, market_id, settlement)
    await _change_orders(transaction, market_id, settlement, settled, sequence)


async def _affected(transaction: Transaction, terms: MarketTerms, settlement: Settlement) -> Affected:
    """Whose positions the batch can have made worse by its mark or its funding.

    A market that opens again may have moved meanwhile, when nobody was flagged.
    """
    if not terms.perpetuals:
        return Affected.NOBODY
    if settlement.fundings or settlement.status is not None:
        return Affected.EVERYBODY
    if settlement.prices is None:
        return Affected.NOBODY
    before = await transaction.value("SELECT mark_price_ticks FROM market_prices WHERE market_id = $1", terms.market_id)
    return affected_by(before or 0, settlement.prices.mark_price_ticks)


async def _flag(
    transaction: Transaction,
    terms: MarketTerms,
    settlement: Settlement,
    affected: Affected,
    sequence: int,
    now_ms: int,
) -> None:
    """Flag whom the batch brought to maintenance margin: by a mark or funding, or by trading (3.6)."""
    traded = sorted({change[0] for change in settlement.positions}) if terms.perpetuals else []
    if traded or affected is not Affected.NOBODY:
        market = next(each for each in terms.perpetuals if each.number == terms.market_id)
        await flag(transaction, market, terms.perpetuals, sequence, now_ms, affected, traded)


async def _insert(transaction: Transaction, market_id: int, settlement: Settlement, journal_ids: Sequence[int]) -> None:
    """Fills, journals and their postings; an account that never had an asset gets a balance of zero.

    One statement: each is a message to the server, and a wait for its answer.
    """
    if not (settlement.fills or settlement.journals or settlement.balances):
        return
    ids = journal_ids[: len(settlement.journals)]
    places, *postings = columns(settlement.postings, 6)
    accounts, assets, _, _ = columns(settlement.balances, 4)
    await transaction.execute(
        """
        WITH filled AS (
            INSERT INTO fills (market_id, trade_id, side, order_id, account_id, role, price_ticks, quantity_lots,
                notional_units, fee_units, fee_ppm, fee_asset_id, realised_pnl_units, sequence, event_index,
                created_at_ms)
            SELECT $1, * FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::smallint[],
                $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::integer[], $12::smallint[],
                $13::bigint[], $14::bigint[], $15::integer[], $16::bigint[])
        ), entered AS (
            INSERT INTO journals (journal_id, market_id, kind, sequence, event_index, created_at_ms)
            SELECT journal_id, $1, kind, sequence, event_index, created_at_ms
            FROM unnest($17::bigint[], $18::smallint[], $19::bigint[], $20::integer[], $21::bigint[])
                AS entered (journal_id, kind, sequence, event_index, created_at_ms)
        ), posted AS (
            INSERT INTO postings (journal_id, line, account_id, asset_id, kind, amount_units)
            SELECT * FROM unnest($22::bigint[], $23::integer[], $24::bigint[], $25::smallint[], $26::smallint[],
                $27::bigint[])
        )
        INSERT INTO balances (account_id, asset_id, is_margin_asset)
        SELECT account_id, asset_id, assets.is_margin_asset
        FROM unnest($28::bigint[], $29::smallint[]) AS wanted (account_id, asset_id) JOIN assets USING (asset_id)
        WHERE NOT EXISTS (SELECT FROM balances WHERE balances.account_id = wanted.account_id
            AND balances.asset_id = wanted.asset_id)
        ORDER BY account_id, asset_id
        ON CONFLICT DO NOTHING
        """,
        market_id,
        *columns(settlement.fills, 15),
        ids,
        *columns(settlement.journals, 4),
        [ids[place] for place in places],
        *postings,
        accounts,
        assets,
    )


async def _change_accounts(transaction: Transaction, market_id: int, settlement: Settlement) -> None:
    """Balances, then positions: the locks of the latter wait for those of the former.

    Positions are looked up one by one, in the order of their locks: a plan for a small market would compare each with
    all positions of a big one.
    """
    if not settlement.balances and not settlement.positions:
        return
    row = await transaction.row(
        """
        WITH locked_balances AS MATERIALIZED (
            SELECT account_id, asset_id, change.total_units, change.held_units
            FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[])
                AS change (account_id, asset_id, total_units, held_units) JOIN balances USING (account_id, asset_id)
            ORDER BY account_id, asset_id FOR NO KEY UPDATE OF balances
        ), changed_balances AS (
            UPDATE balances SET total_units = balances.total_units + locked.total_units,
                held_units = balances.held_units + locked.held_units
            FROM locked_balances AS locked
            WHERE balances.account_id = locked.account_id AND balances.asset_id = locked.asset_id RETURNING 1
        ), balances_count AS MATERIALIZED (
            SELECT count(*) AS rows FROM changed_balances
        ), locked_positions AS MATERIALIZED (
            SELECT change.* FROM unnest($6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[],
                $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[],
                $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::smallint[], $22::boolean[])
                AS change (account_id, lots, cost, realised, buy_lots, buy_notional, sell_lots, sell_notional,
                    fee_reserve, read_lots, read_cost, read_realised, margin, funding, read_margin, read_mode,
                    read_flag)
            CROSS JOIN LATERAL (
                SELECT FROM positions WHERE positions.market_id = $1 AND positions.account_id = change.account_id
                FOR NO KEY UPDATE
            ) AS held
            WHERE (SELECT rows FROM balances_count) >= 0
        ), changed_positions AS (
            UPDATE positions SET position_lots = locked.lots, cost_units = locked.cost,
                realised_pnl_units = locked.realised, open_buy_lots = open_buy_lots + locked.buy_lots,
                open_buy_notional_units = open_buy_notional_units + locked.buy_notional,
                open_sell_lots = open_sell_lots + locked.sell_lots,
                open_sell_notional_units = open_sell_notional_units + locked.sell_notional,
                fee_reserve_units = fee_reserve_units + locked.fee_reserve, isolated_margin_units = locked.margin,
                funding_units = locked.funding
            FROM locked_positions AS locked WHERE positions.account_id = locked.account_id AND positions.market_id = $1
                AND position_lots = locked.read_lots AND cost_units = locked.read_cost
                AND realised_pnl_units = locked.read_realised AND isolated_margin_units = locked.read_margin
                AND margin_mode = locked.read_mode AND (liquidation_id IS NOT NULL) = locked.read_flag RETURNING 1
        )
        SELECT (SELECT rows FROM balances_count), (SELECT count(*) FROM changed_positions)
        """,
        market_id,
        *columns(settlement.balances, 4),
        *columns(settlement.positions, 17),
    )
    assert row is not None
    _expect(row[0], len(settlement.balances), "balances")
    _expect(row[1], len(settlement.positions), "positions")


async def _end_amendments(transaction: Transaction, market_id: int, settlement: Settlement) -> None:
    """Remove amendments that are decided, and note on each order what came of the last one.

    An order whose amendment was refused may not change otherwise; it is locked in its place among those that do.
    """
    last = {order_id: (order_id, time_ms, reason) for _, order_id, reason, time_ms in settlement.amendments}
    await transaction.execute(
        """
        WITH ended AS (
            DELETE FROM amendments WHERE market_id = $1 AND sequence = ANY ($2::bigint[])
        ), named AS (
            SELECT unnest($3::bigint[]) AS order_id UNION SELECT unnest($6::bigint[])
        ), locked AS MATERIALIZED (
            SELECT order_id FROM named JOIN orders USING (order_id) ORDER BY order_id FOR NO KEY UPDATE OF orders
        )
        UPDATE orders SET amended_at_ms = decided.time_ms, amendment_reason = decided.reason
        FROM locked JOIN unnest($3::bigint[], $4::bigint[], $5::smallint[]) AS decided (order_id, time_ms, reason)
            USING (order_id)
        WHERE orders.order_id = locked.order_id
        """,
        market_id,
        [row[0] for row in settlement.amendments],
        *columns(list(last.values()), 3),
        [row[0] for row in settlement.orders],
    )


async def _change_orders(
    transaction: Transaction, market_id: int, settlement: Settlement, before: int, after: int
) -> None:
    """Orders, and with them how far the market is settled: from `before` to `after`."""
    row = await transaction.row(
        """
        WITH locked AS MATERIALIZED (
            SELECT change.* FROM unnest($4::bigint[], $5::smallint[], $6::smallint[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
                AS change (order_id, status, reason, quantity, price, trigger, open, filled, traded, held, read_held,
                    time_ms)
            JOIN orders USING (order_id) ORDER BY order_id FOR NO KEY UPDATE OF orders
        ), changed AS (
            UPDATE orders SET status = locked.status, reason = locked.reason, quantity_lots = locked.quantity,
                display_quantity_lots = least(display_quantity_lots, locked.quantity), price_ticks = locked.price,
                trigger_price_ticks = locked.trigger, open_lots = locked.open, filled_lots = locked.filled,
                filled_notional_units = filled_notional_units + locked.traded, held_units = locked.held,
                updated_at_ms = greatest(updated_at_ms, locked.time_ms)
            FROM locked WHERE orders.order_id = locked.order_id AND held_units = locked.read_held RETURNING 1
        ), advanced AS (
            UPDATE market_settlements SET last_settled_sequence = $3
            WHERE market_id = $1 AND last_settled_sequence = $2 AND (SELECT count(*) FROM changed) >= 0 RETURNING 1
        )
        SELECT (SELECT count(*) FROM changed), (SELECT count(*) FROM advanced)
        """,
        market_id,
        before,
        after,
        *columns(settlement.orders, 12),
    )
    assert row is not None
    _expect(row[0], len(settlement.orders), "orders")
    _expect(row[1], 1, "market_settlements")


def _expect(changed: int, wanted: int, table: str) -> None:
    """Give way when a row is not as it was read."""
    if changed != wanted:
        raise TransactionConflict(f"{wanted - changed} rows of {table} changed while they were settled")
