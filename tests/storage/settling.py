"""A venue of one market in the database, beside the one in memory: accept there, settle here, compare."""

from typing import Any, Final

from crossbook.application.settlement_rows import Settlement
from crossbook.domain.accounts import FIRST_USER
from crossbook.domain.commands import Batch, SubmitOrder
from crossbook.domain.instruments import Instrument
from crossbook.matching.codec import encode_records
from crossbook.storage.commands_log import LoggedCommand, append, take_sequences
from crossbook.storage.database import Database, Transaction, columns
from crossbook.storage.settlement import Entry, settle_batch
from tests.application.venue import BASE, CLEARING, LEVERAGE, MARKET, QUOTE, Order, Venue

RICHES: Final = 10**17
"""What every user is given of both assets, so that the balances cover whatever the tests hold."""
SYMBOL: Final = "TESTED"


async def open_market(database: Database, market: Instrument, users: int = 5) -> None:
    """One market, its assets and clearing account, and `users` rich users with a row of positions each."""
    async with database.transaction() as transaction:
        await transaction.execute(
            """
            INSERT INTO assets (asset_id, name, decimals, is_margin_asset)
            VALUES ($1, $2, $3, false), ($4, $5, $6, $7)
            """,
            BASE,
            market.base.name,
            market.base.decimals,
            QUOTE,
            market.quote.name,
            market.quote.decimals,
            market.kind == 2,
        )
        await _insert_market(transaction, market)
        await transaction.execute(
            "INSERT INTO accounts (account_id, market_id, created_at_ms) VALUES ($1, $2, 0)", CLEARING, MARKET
        )
        await transaction.execute(
            "INSERT INTO users (user_id, kind, created_at_ms) SELECT 1000 + n, 2, 0 FROM generate_series(0, $1) AS n",
            users,
        )
        await transaction.execute(
            """
            INSERT INTO accounts (account_id, user_id, created_at_ms)
            SELECT $2 + n, 1000 + n, 0 FROM generate_series(0, $1) AS n
            """,
            users,
            FIRST_USER,
        )
        await transaction.execute(
            """
            INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units)
            SELECT account_id, asset_id, is_margin_asset, $1 FROM accounts, assets WHERE kind = 1
            """,
            RICHES,
        )
        if market.kind == 2:
            await transaction.execute(
                """
                INSERT INTO positions (account_id, market_id, leverage)
                SELECT account_id, $1, $2 FROM accounts WHERE kind = 1
                """,
                MARKET,
                LEVERAGE,
            )


async def _insert_market(transaction: Transaction, market: Instrument) -> None:
    terms: dict[str, Any] = {
        "market_id": MARKET,
        "symbol": SYMBOL,
        "kind": int(market.kind),
        "base_asset_id": BASE,
        "quote_asset_id": QUOTE,
        "status": int(market.status),
        "tick_decimals": market.tick.decimals,
        "tick_size": market.tick.size_units,
        "lot_decimals": market.lot.decimals,
        "lot_size": market.lot.size_units,
        "maker_fee_ppm": market.maker_fee_ppm,
        "taker_fee_ppm": market.taker_fee_ppm,
        "fee_asset": int(market.fee_asset),
        "max_leverage": market.max_leverage,
        "initial_margin_ppm": market.initial_margin_ppm,
        "maintenance_margin_ppm": market.maintenance_margin_ppm,
        "liquidation_fee_ppm": market.liquidation_fee_ppm,
        "funding_interval_hours": market.funding_interval_hours,
        "funding_rate_cap_ppm": market.funding_rate_cap_ppm,
        "created_at_ms": 0,
    }
    places = ", ".join(f"${place}" for place in range(1, len(terms) + 1))
    await transaction.execute(f"INSERT INTO markets ({', '.join(terms)}) VALUES ({places})", *terms.values())


class StoredVenue:
    """A venue in memory and the same one in the database."""

    def __init__(self, venue: Venue, database: Database) -> None:
        self.venue = venue
        self.database = database
        self._accepted = 0

    async def accept(self) -> None:
        """Store what the venue in memory has accepted since the last time, as the application would."""
        fresh = self.venue.log[self._accepted :]
        self._accepted += len(fresh)
        if not fresh:
            return
        members = [
            member
            for command, _ in fresh
            for member in (command.commands if isinstance(command, Batch) else (command,))
            if isinstance(member, SubmitOrder)
        ]
        orders = [self.venue.orders[member.order_id] for member in members]
        async with self.database.transaction() as transaction:
            await self._tie_up(transaction, orders)
            await _insert_orders(transaction, orders)
            await take_sequences(transaction, {MARKET: len(fresh)})
            logged = [
                LoggedCommand(MARKET, command.sequence, encode_records(command), of_one.time_ms)
                for command, of_one in fresh
            ]
            await append(transaction, logged)

    async def _tie_up(self, transaction: Transaction, orders: list[Order]) -> None:
        for order in orders:
            command = order.command
            if self.venue.is_spot:
                await transaction.execute(
                    "UPDATE balances SET held_units = held_units + $3 WHERE account_id = $1 AND asset_id = $2",
                    command.account_id,
                    QUOTE if command.side == 1 else BASE,
                    order.held_units,
                )
                continue
            counted = self.venue.counted(order)
            await transaction.execute(
                """
                UPDATE positions SET open_buy_lots = open_buy_lots + $2,
                    open_buy_notional_units = open_buy_notional_units + $3, open_sell_lots = open_sell_lots + $4,
                    open_sell_notional_units = open_sell_notional_units + $5, fee_reserve_units = fee_reserve_units + $6
                WHERE account_id = $1
                """,
                command.account_id,
                counted.buy_lots,
                counted.buy_units,
                counted.sell_lots,
                counted.sell_units,
                counted.reserve_units,
            )

    def entries(self) -> list[Entry]:
        """What the stream of events would give: all of it, from the first command on."""
        return [(events.sequence, events.events) for _, events in self.venue.log]

    async def settle(self, entries: list[Entry] | None = None) -> int:
        async with self.database.transaction() as transaction:
            return await settle_batch(transaction, self.venue.terms, entries or self.entries())

    async def audit(self) -> None:
        """The rows in the database are those in memory, and no others."""
        venue = self.venue
        async with self.database.snapshot() as transaction:
            assert await self._stored_orders(transaction) == {
                order_id: _shown(order) for order_id, order in venue.orders.items()
            }
            fills = await transaction.rows(
                """
                SELECT trade_id, side, order_id, account_id, role, price_ticks, quantity_lots, notional_units,
                    fee_units, fee_ppm, fee_asset_id, realised_pnl_units, sequence, event_index, created_at_ms
                FROM fills ORDER BY fill_id
                """
            )
            assert [tuple(row) for row in fills] == _all_fills(venue.settlements)
            postings = await transaction.rows(
                """
                SELECT sequence, event_index, line, account_id, asset_id, postings.kind, amount_units, journals.kind
                FROM postings JOIN journals USING (journal_id) ORDER BY journal_id, line
                """
            )
            assert [tuple(row) for row in postings] == _all_postings(venue.settlements)
            balances = await transaction.rows("SELECT account_id, asset_id, total_units, held_units FROM balances")
            found = {(row[0], row[1]): (row[2] - (RICHES if row[0] >= FIRST_USER else 0), row[3]) for row in balances}
            keys = found.keys() | venue.totals.keys() | venue.held.keys()
            assert {key: found.get(key, (0, 0)) for key in keys} == {
                key: (venue.totals[key], venue.held[key]) for key in keys
            }
            if not venue.is_spot:
                await self._audit_positions(transaction)
            await self._audit_market(transaction)
            row = await transaction.row(
                "SELECT status, last_settled_sequence FROM markets JOIN market_settlements USING (market_id)"
            )
            assert row is not None
            assert tuple(row) == (venue.status, len(venue.log) - len(venue.waiting))

    async def _audit_market(self, transaction: Transaction) -> None:
        """Prices, fundings and closings."""
        settlements = [each for each in self.venue.settlements if each.prices is not None]
        expected = [
            (each.prices.mark_price_ticks, each.prices.index_price_ticks, each.prices.sequence, each.prices_at_ms)
            for each in settlements[-1:]
            if each.prices is not None
        ]
        rows = await transaction.rows(
            "SELECT mark_price_ticks, index_price_ticks, sequence, updated_at_ms FROM market_prices"
        )
        assert [tuple(row) for row in rows] == expected
        fundings = [funding for each in self.venue.settlements for funding in each.fundings]
        rows = await transaction.rows(
            """
            SELECT period_start_ms, rate_ppb, index_price_ticks, positions, dust_units, sequence, event_index,
                created_at_ms FROM fundings ORDER BY sequence, event_index
            """
        )
        assert [tuple(row) for row in rows] == [
            (
                each.event.period_start_ms,
                each.event.rate_ppb,
                each.event.index_price_ticks,
                len(each.payments),
                each.dust_units,
                each.event.sequence,
                each.event.index,
                each.time_ms,
            )
            for each in fundings
        ]
        rows = await transaction.rows(
            "SELECT account_id, position_lots, amount_units FROM funding_payments ORDER BY payment_id"
        )
        assert [tuple(row) for row in rows] == [payment for each in fundings for payment in each.payments]
        rows = await transaction.rows(
            """
            SELECT account_id, position_lots, cost_units, realised_pnl_units FROM position_closings
            ORDER BY sequence, event_index, account_id
            """
        )
        closings = [closing for each in self.venue.settlements for closing in each.closings]
        assert [tuple(row) for row in rows] == [closed for each in closings for closed in each.closed]

    async def _stored_orders(self, transaction: Transaction) -> dict[int, tuple[int, ...]]:
        rows = await transaction.rows(
            """
            SELECT order_id, status, reason, quantity_lots, price_ticks, trigger_price_ticks, open_lots, filled_lots,
                filled_notional_units::bigint, held_units, updated_at_ms FROM orders
            """
        )
        return {row[0]: tuple(row)[1:] for row in rows}

    async def _audit_positions(self, transaction: Transaction) -> None:
        rows = await transaction.rows(
            """
            SELECT account_id, position_lots, cost_units, realised_pnl_units, open_buy_lots,
                open_buy_notional_units::bigint, open_sell_lots, open_sell_notional_units::bigint, fee_reserve_units
            FROM positions
            """
        )
        found = {row[0]: tuple(row)[1:] for row in rows if any(tuple(row)[1:])}
        expected = {}
        for account, position in self.venue.positions.items():
            sums = self.venue.sums[account]
            shown = (*position, *vars(sums).values())
            if any(shown):
                expected[account] = shown
        assert found == expected


def _shown(order: Order) -> tuple[int, ...]:
    return (
        order.status,
        order.reason,
        order.quantity_lots,
        order.price_ticks,
        order.trigger_price_ticks,
        order.open_lots,
        order.filled_lots,
        order.filled_units,
        order.held_units,
        order.updated_at_ms,
    )


def _all_fills(settlements: list[Settlement]) -> list[tuple[int, ...]]:
    return [fill for settlement in settlements for fill in settlement.fills]


def _all_postings(settlements: list[Settlement]) -> list[tuple[int, ...]]:
    found = []
    for settlement in settlements:
        for place, *posting in settlement.postings:
            kind, sequence, index, _ = settlement.journals[place]
            found.append((sequence, index, *posting, kind))
    return found


async def _insert_orders(transaction: Transaction, orders: list[Order]) -> None:
    rows = []
    for order in orders:
        command = order.command
        rows.append(
            (
                command.order_id,
                command.account_id,
                MARKET,
                command.sequence,
                int(command.side),
                int(command.type),
                int(command.time_in_force),
                command.post_only,
                command.reduce_only,
                command.quantity_lots,
                command.price_ticks,
                command.budget,
                command.trigger_price_ticks,
                command.display_quantity_lots,
                command.trail,
                command.trail_in_basis_points,
                command.expire_time_ms,
                order.open_lots,
                order.held_units,
                order.maker_fee_ppm,
                order.taker_fee_ppm,
                command.time_ms,
            )
        )
    await transaction.execute(
        """
        INSERT INTO orders (order_id, account_id, market_id, sequence, side, type, time_in_force, post_only,
            reduce_only, quantity_lots, price_ticks, budget, trigger_price_ticks, display_quantity_lots, trail,
            trail_in_basis_points, expire_time_ms, open_lots, held_units, maker_fee_ppm, taker_fee_ppm, created_at_ms,
            updated_at_ms)
        SELECT *, created_at_ms FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::bigint[], $5::smallint[],
            $6::smallint[], $7::smallint[], $8::boolean[], $9::boolean[], $10::bigint[], $11::bigint[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::bigint[], $16::boolean[], $17::bigint[], $18::bigint[], $19::bigint[],
            $20::integer[], $21::integer[], $22::bigint[])
            AS entered (order_id, account_id, market_id, sequence, side, type, time_in_force, post_only, reduce_only,
                quantity_lots, price_ticks, budget, trigger_price_ticks, display_quantity_lots, trail,
                trail_in_basis_points, expire_time_ms, open_lots, held_units, maker_fee_ppm, taker_fee_ppm,
                created_at_ms)
        """,
        *columns(rows, 22),
    )
