"""The statements of admission: read a batch's accounts under lock, and write what it admitted.

Locks are taken in the order that the whole venue keeps: balances, positions, then the counters of the
log. Statements are set-based: their number does not grow with the batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from crossbook.application.books import (
    AdmittedAmendment,
    AdmittedOrder,
    AmendableOrder,
    Balance,
    Books,
    CommandMaker,
    FeeRates,
    KnownOrder,
    Needs,
    PositionRow,
)
from crossbook.application.errors import StoreRefused
from crossbook.domain.accounts import BAD_DEBT
from crossbook.domain.amendments import Terms
from crossbook.domain.commands import COMMAND_VERSION
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import OrderType, Side
from crossbook.domain.risk import MarginMode
from crossbook.matching.codec import encode_records
from crossbook.storage import activity, commands_log
from crossbook.storage.commands_log import LogEnds, LoggedCommand, Span, require_all, values_to_append
from crossbook.storage.database import Database, Row, Transaction, columns
from crossbook.storage.errors import ConstraintViolated, TransactionConflict

ATTEMPTS: Final = 5
"""How often a batch that met another transaction is tried again before it fails."""
NAMES: Final = ("orders_one_by_client_id", "orders_one_live_by_external_id")
"""The rules that two processes may meet over, when both enter an order of the same name."""


class AdmissionStore:
    """Makes admitted requests durable in PostgreSQL: the port of `crossbook.application.desk`.

    `logged` is given the commands of every commit, right after it.
    """

    def __init__(self, database: Database, logged: Callable[[Sequence[LoggedCommand]], None] = lambda _: None) -> None:
        self._chain = database.chain()
        self._ends = LogEnds()
        self._logged = logged

    async def commit(
        self, needs: Needs, decide: Callable[[Books], list[Any]], now_ms: int, followed: Callable[[], bool]
    ) -> list[Any]:
        """Read, decide and write in one transaction; see the port. Raises StoreRefused and StorageError."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._chain.transaction(followed) as transaction:
                    books = await _read(transaction, needs)
                    answers = decide(books)
                    written = await write(transaction, books, now_ms, self._ends)
                self._ends.left(written)
                self._logged(written)
                return answers
            except TransactionConflict:
                self._ends.forget()
                if attempt == ATTEMPTS:
                    raise
            except ConstraintViolated as error:
                # Two processes met over one name: the second look finds the other's order.
                if error.constraint not in NAMES or attempt > 1:
                    raise StoreRefused(error.constraint) from error
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """See the port."""
        await self._chain.close()


async def _read(transaction: Transaction, needs: Needs) -> Books:
    books = Books()
    if needs.accounts:
        books.balances = await read_balances(transaction, needs.accounts)
        books.positions = await read_positions(transaction, needs.accounts)
    books.by_client_id = await read_by_client_id(transaction, needs.client_ids)
    books.by_external_id = await read_by_external_id(transaction, needs.external_ids)
    books.by_id = await read_by_id(transaction, needs.order_ids)
    books.live = await read_live(transaction, needs.clearing_accounts)
    books.amendable = await read_amendable(transaction, needs.amended_order_ids)
    return books


async def read_balances(transaction: Transaction, accounts: Sequence[int]) -> dict[tuple[int, int], Balance]:
    """The balances of the accounts, locked until the transaction ends."""
    rows = await transaction.rows(
        """
        SELECT account_id, asset_id, total_units, held_units, transfer_hold_units FROM balances
        WHERE account_id = ANY ($1::bigint[]) ORDER BY account_id, asset_id FOR NO KEY UPDATE
        """,
        accounts,
    )
    return {(row[0], row[1]): Balance(row[2], row[3], row[4]) for row in rows}


async def read_positions(transaction: Transaction, accounts: Sequence[int]) -> dict[tuple[int, int], PositionRow]:
    """The margin rows of the accounts, locked until the transaction ends."""
    rows = await transaction.rows(
        """
        SELECT account_id, market_id, leverage, position_lots, open_buy_lots, open_buy_notional_units,
            open_sell_lots, open_sell_notional_units, fee_reserve_units, cost_units, margin_mode,
            isolated_margin_units, chosen_leverage, liquidation_id IS NOT NULL
        FROM positions WHERE account_id = ANY ($1::bigint[]) ORDER BY account_id, market_id FOR NO KEY UPDATE
        """,
        accounts,
    )
    return {
        (row[0], row[1]): PositionRow(
            MarginRow(row[2], row[3], row[4], int(row[5]), row[6], int(row[7]), row[8]),
            row[9],
            MarginMode(row[10]),
            row[11],
            row[12],
            row[13],
        )
        for row in rows
    }


async def read_bad_debts(transaction: Transaction) -> dict[int, int]:
    """What stands open as bad debt, by asset id: below zero where something does."""
    rows = await transaction.rows("SELECT asset_id, total_units FROM balances WHERE account_id = $1", BAD_DEBT)
    return {row[0]: row[1] for row in rows}


_KNOWN = "order_id, account_id, market_id, status, created_at_ms, request_hash, external_id, keeps_activity"


async def read_by_client_id(
    transaction: Transaction, wanted: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], KnownOrder]:
    """The orders that have these client ids, by account and client id."""
    if not wanted:
        return {}
    rows = await transaction.rows(
        f"""
        SELECT {_KNOWN}, client_order_id FROM orders
        JOIN unnest($1::bigint[], $2::text[]) AS wanted (account_id, client_order_id)
        USING (account_id, client_order_id)
        """,  # noqa: S608
        *columns(wanted, 2),
    )
    return {(row["account_id"], row["client_order_id"]): _known(row) for row in rows}


async def read_by_external_id(
    transaction: Transaction, wanted: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], KnownOrder]:
    """The live orders of these external ids, or the newest that have ended, by account and external id."""
    if not wanted:
        return {}
    rows = await transaction.rows(
        f"""
        SELECT {_KNOWN} FROM unnest($1::bigint[], $2::text[]) AS wanted (account, name) CROSS JOIN LATERAL (
            (
                SELECT {_KNOWN} FROM orders WHERE account_id = account AND external_id = name
                ORDER BY order_id DESC LIMIT 1
            ) UNION ALL (
                SELECT {_KNOWN} FROM orders WHERE account_id = account AND external_id = name AND is_live
            )
        ) AS found
        """,  # noqa: S608
        *columns(sorted(set(wanted)), 2),
    )
    newest_then_live = sorted((_known(row) for row in rows), key=lambda known: known.status.is_live)
    return {(known.account_id, known.external_id): known for known in newest_then_live if known.external_id}


async def read_by_id(transaction: Transaction, order_ids: Sequence[int]) -> dict[int, KnownOrder]:
    """The orders of these ids."""
    if not order_ids:
        return {}
    rows = await transaction.rows(f"SELECT {_KNOWN} FROM orders WHERE order_id = ANY ($1::bigint[])", order_ids)  # noqa: S608
    return {row[0]: _known(row) for row in rows}


async def read_live(transaction: Transaction, accounts: Sequence[int]) -> dict[int, list[KnownOrder]]:
    """The live orders of the accounts, oldest first."""
    if not accounts:
        return {}
    rows = await transaction.rows(
        f"SELECT {_KNOWN} FROM orders WHERE account_id = ANY ($1::bigint[]) AND is_live ORDER BY order_id",  # noqa: S608
        accounts,
    )
    live: dict[int, list[KnownOrder]] = {}
    for row in rows:
        live.setdefault(row[1], []).append(_known(row))
    return live


async def read_amendable(transaction: Transaction, order_ids: Sequence[int]) -> dict[int, AmendableOrder]:
    """The orders of these ids as amendments see them, with the amendments under way.

    Their owners' rows are locked already, so nothing that they tie up changes until the transaction ends.
    """
    if not order_ids:
        return {}
    rows = await transaction.rows(
        f"""
        SELECT {_KNOWN}, side, type, post_only, reduce_only, quantity_lots, price_ticks, open_lots, maker_fee_ppm,
            taker_fee_ppm, (
                SELECT array_agg(amendments.quantity_lots ORDER BY amendments.sequence) FROM amendments
                WHERE amendments.order_id = orders.order_id
            ) AS asked_lots, (
                SELECT array_agg(amendments.price_ticks ORDER BY amendments.sequence) FROM amendments
                WHERE amendments.order_id = orders.order_id
            ) AS asked_ticks
        FROM orders WHERE order_id = ANY ($1::bigint[])
        """,  # noqa: S608
        order_ids,
    )
    return {
        row["order_id"]: AmendableOrder(
            _known(row),
            Side(row["side"]),
            OrderType(row["type"]),
            row["post_only"],
            row["reduce_only"],
            Terms(row["quantity_lots"], row["price_ticks"]),
            row["open_lots"],
            FeeRates(row["maker_fee_ppm"], row["taker_fee_ppm"]),
            [Terms(*asked) for asked in zip(row["asked_lots"] or [], row["asked_ticks"] or [], strict=True)],
        )
        for row in rows
    }


def _known(row: Row) -> KnownOrder:
    return KnownOrder(row[0], row[1], row[2], OrderStatus(row[3]), row[4], row[5], row[6], row[7])


async def write(
    transaction: Transaction, books: Books, now_ms: int, ends: LogEnds | None = None
) -> list[LoggedCommand]:
    """Write all that a batch admitted: held balances, margin rows, the log, and the orders it names; gives the log.

    `ends` knows where the logs end, or may learn it. Raises LogMoved when it was wrong, and StorageError.
    """
    await _write_balances(transaction, books)
    await _rename(transaction, books, now_ms)
    logged, spans = await _number(transaction, books.commands, now_ms, ends or LogEnds())
    orders = [(logged[index].sequence, order) for index, order in books.orders]
    if orders:
        await _write_orders(transaction, logged, spans, orders, _position_rows(books), now_ms)
    elif logged:
        await commands_log.append(transaction, logged, spans)
    if books.amendments:
        # Beside new orders, the margin rows are written by now; otherwise only amendments changed them.
        positions = [] if orders else _position_rows(books)
        amendments = [(logged[index].sequence, amendment) for index, amendment in books.amendments]
        await _write_amendments(transaction, amendments, positions)
    if books.steps:
        steps = [replace(step, sequence=logged[index].sequence) for index, step in books.steps]
        await activity.write(transaction, steps, now_ms)
    return logged


async def _write_balances(transaction: Transaction, books: Books) -> None:
    if not books.touched_balances:
        return
    rows = [(*key, books.balances[key].held_units) for key in sorted(books.touched_balances)]
    await transaction.execute(
        """
        UPDATE balances SET held_units = changed.held_units
        FROM unnest($1::bigint[], $2::smallint[], $3::bigint[]) AS changed (account_id, asset_id, held_units)
        WHERE balances.account_id = changed.account_id AND balances.asset_id = changed.asset_id
        """,
        *columns(rows, 3),
    )


async def _rename(transaction: Transaction, books: Books, now_ms: int) -> None:
    if not books.renamed:
        return
    await transaction.execute(
        """
        WITH locked AS MATERIALIZED (
            SELECT order_id, name FROM orders JOIN unnest($1::bigint[], $2::text[]) AS renamed (order_id, name)
            USING (order_id) ORDER BY order_id FOR NO KEY UPDATE OF orders
        )
        UPDATE orders SET ref_external_id = external_id, external_id = name,
            updated_at_ms = greatest(updated_at_ms, $3)
        FROM locked WHERE orders.order_id = locked.order_id
        """,
        list(books.renamed),
        list(books.renamed.values()),
        now_ms,
    )


def _position_rows(books: Books) -> list[tuple[int, ...]]:
    """The margin rows that the batch changed."""
    rows: list[tuple[int, ...]] = []
    for key in sorted(books.touched_positions):
        row = books.positions[key].margin
        sums = (row.buy_lots, row.buy_notional_units, row.sell_lots, row.sell_notional_units, row.fee_reserve_units)
        rows.append((*key, *sums, row.leverage))
    return rows


async def _number(
    transaction: Transaction, commands: Sequence[tuple[int, CommandMaker]], now_ms: int, ends: LogEnds
) -> tuple[list[LoggedCommand], list[Span]]:
    """Give the commands their sequences; what is to be logged of them, and what is to be counted with that."""
    counts: dict[int, int] = {}
    for market_id, _ in commands:
        counts[market_id] = counts.get(market_id, 0) + 1
    if not counts:
        return [], []
    spans = ends.spans(counts)
    if spans is None:
        following = await commands_log.take_sequences(transaction, counts)
        ends.taken(following)
    else:
        following = {market_id: before + 1 for market_id, before, _ in spans}
    logged = []
    for market_id, make in commands:
        sequence = following[market_id]
        following[market_id] += 1
        record = encode_records(make(sequence, now_ms))
        logged.append(LoggedCommand(market_id, sequence, record, now_ms, COMMAND_VERSION))
    return logged, spans or []


async def _write_orders(
    transaction: Transaction,
    logged: Sequence[LoggedCommand],
    spans: Sequence[Span],
    orders: Sequence[tuple[int, AdmittedOrder]],
    positions: Sequence[tuple[int, ...]],
    now_ms: int,
) -> None:
    """Append to the log, store the orders that it names, and count them in the margin rows, by one statement.

    The margin rows are locked since they were read, and a new one needs the account's balance, which is locked too.
    """
    rows = [
        (
            admitted.order_id,
            order.account_id,
            order.market_id,
            sequence,
            order.client_order_id,
            admitted.fingerprint,
            order.side,
            order.type,
            order.time_in_force,
            order.post_only,
            order.reduce_only,
            order.self_trade_prevention,
            order.leverage,
            order.quantity_lots,
            order.price_ticks,
            order.budget,
            order.display_quantity_lots,
            order.trigger_price_ticks,
            order.trigger_source,
            order.trail,
            order.trail_in_basis_points,
            order.oco_order_id,
            order.trade_group,
            order.expire_time_ms,
            order.quantity_lots,
            admitted.held_units,
            now_ms,
            now_ms,
            admitted.rates.maker_ppm,
            admitted.rates.taker_ppm,
            order.external_id,
            order.asked_time_in_force,
            order.keeps_activity,
        )
        for sequence, admitted in orders
        for order in (admitted.order,)
    ]
    appended = await transaction.value(
        _WRITE_ORDERS, *columns(rows, 33), *columns(positions, 8), *values_to_append(logged, spans)
    )
    require_all(appended, logged)


_WRITE_ORDERS: Final = f"""
        WITH {commands_log.appending(42)}, tied_up AS (
            INSERT INTO positions (account_id, market_id, open_buy_lots, open_buy_notional_units,
                open_sell_lots, open_sell_notional_units, fee_reserve_units, leverage)
            SELECT * FROM unnest($34::bigint[], $35::integer[], $36::bigint[], $37::numeric[],
                $38::bigint[], $39::numeric[], $40::bigint[], $41::smallint[])
            ON CONFLICT (account_id, market_id) DO UPDATE SET
                open_buy_lots = excluded.open_buy_lots, open_buy_notional_units = excluded.open_buy_notional_units,
                open_sell_lots = excluded.open_sell_lots, open_sell_notional_units = excluded.open_sell_notional_units,
                fee_reserve_units = excluded.fee_reserve_units, leverage = excluded.leverage
        ), entered AS (
            INSERT INTO orders (order_id, account_id, market_id, sequence, client_order_id, request_hash, side, type,
            time_in_force, post_only, reduce_only, self_trade_prevention, leverage, quantity_lots, price_ticks, budget,
            display_quantity_lots, trigger_price_ticks, trigger_source, trail, trail_in_basis_points, oco_order_id,
            trade_group, expire_time_ms, open_lots, held_units, created_at_ms, updated_at_ms, maker_fee_ppm,
            taker_fee_ppm, external_id, asked_time_in_force, keeps_activity)
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::text[], $6::bytea[],
            $7::smallint[], $8::smallint[], $9::smallint[], $10::boolean[], $11::boolean[], $12::smallint[],
            $13::smallint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::smallint[],
            $20::bigint[], $21::boolean[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[],
            $27::bigint[], $28::bigint[], $29::integer[], $30::integer[], $31::text[], $32::smallint[], $33::boolean[])
        )
        SELECT count(*) FROM logged
        """  # noqa: S608 - a text of ours
"""When not all commands are appended, the transaction is undone, and with it all else."""


async def _write_amendments(
    transaction: Transaction,
    amendments: Sequence[tuple[int, AdmittedAmendment]],
    positions: Sequence[tuple[int, ...]],
) -> None:
    """Store the amendments with their sequences, and count them in the margin rows, which are locked."""
    rows = [
        (
            order.known.market_id,
            sequence,
            order.known.order_id,
            order.known.account_id,
            order.side,
            admitted.asked.total_lots,
            admitted.asked.price_ticks,
            admitted.reserve.lots,
            admitted.reserve.notional_units,
            admitted.reserve.fee_reserve_units,
            admitted.reserve.held_units,
        )
        for sequence, admitted in amendments
        for order in (admitted.order,)
    ]
    await transaction.execute(
        """
        WITH counted AS (
            UPDATE positions SET open_buy_lots = changed.buy_lots, open_buy_notional_units = changed.buy_notional,
                open_sell_lots = changed.sell_lots, open_sell_notional_units = changed.sell_notional,
                fee_reserve_units = changed.fee_reserve
            FROM unnest($12::bigint[], $13::integer[], $14::bigint[], $15::numeric[], $16::bigint[], $17::numeric[],
                $18::bigint[], $19::smallint[]) AS changed (account_id, market_id, buy_lots, buy_notional, sell_lots,
                sell_notional, fee_reserve, leverage)
            WHERE positions.account_id = changed.account_id AND positions.market_id = changed.market_id
        )
        INSERT INTO amendments (market_id, sequence, order_id, account_id, side, quantity_lots, price_ticks, extra_lots,
            extra_notional_units, extra_fee_reserve_units, held_units)
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[], $6::bigint[],
            $7::bigint[], $8::bigint[], $9::numeric[], $10::bigint[], $11::bigint[])
        """,
        *columns(rows, 11),
        *columns(positions, 8),
    )
