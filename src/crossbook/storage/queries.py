"""Reads for the API: by plain SQL, along an index, never at a cost that grows with history.

Lists over all markets are put together from one short list per market: an index of an account's orders in
all markets would have to be kept by every order, and a venue has few markets.
"""

from collections.abc import Sequence
from typing import Any

from crossbook.application.feeds import AccountStates
from crossbook.application.views import (
    BalanceDetails,
    FillDetails,
    Holdings,
    LastAmendment,
    OrderDetails,
    Page,
    PositionDetails,
)
from crossbook.domain.errors import Reason
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import MarginRow
from crossbook.domain.orders import MAX_ID, OrderType, PriceSource, SelfTradePrevention, Side, TimeInForce
from crossbook.domain.risk import MarginMode
from crossbook.storage.database import Database, Row

_ORDER = """
    SELECT order_id, account_id, market_id, client_order_id, side, type, time_in_force, post_only, reduce_only,
        leverage, quantity_lots, price_ticks, trigger_price_ticks, expire_time_ms, status, reason, open_lots,
        filled_lots, filled_notional_units, held_units, created_at_ms, updated_at_ms, maker_fee_ppm, taker_fee_ppm,
        external_id, ref_external_id, self_trade_prevention, budget, display_quantity_lots, trigger_source, trail,
        trail_in_basis_points, oco_order_id, asked_time_in_force, amended_at_ms, amendment_reason, (
            SELECT (
                SELECT accepted_at_ms FROM commands
                WHERE commands.market_id = amendments.market_id AND commands.sequence = amendments.sequence
            ) FROM amendments WHERE amendments.order_id = orders.order_id ORDER BY amendments.sequence DESC LIMIT 1
        ) AS amending_since_ms
    FROM orders
"""
_FILL = """
    SELECT fill_id, trade_id, order_id, account_id, market_id, side, role, price_ticks, quantity_lots, notional_units,
        fee_units, realised_pnl_units, created_at_ms
    FROM fills
"""
_POSITIONS = """
    SELECT account_id, market_id, position_lots, cost_units, realised_pnl_units, leverage, open_buy_lots,
        open_buy_notional_units, open_sell_lots, open_sell_notional_units, fee_reserve_units, margin_mode,
        isolated_margin_units, funding_units, liquidation_id IS NOT NULL AS in_liquidation
    FROM positions WHERE account_id = $1 ORDER BY market_id
"""
_POSITIONS_OF_MANY = _POSITIONS.replace("= $1", "= ANY ($1::bigint[])")
_BALANCES = """
    SELECT account_id, name, decimals, total_units, held_units, transfer_hold_units
    FROM balances JOIN assets USING (asset_id) WHERE account_id = $1 ORDER BY name
"""
_BALANCES_OF_MANY = _BALANCES.replace("= $1", "= ANY ($1::bigint[])")
_SETTLED = "SELECT market_id, last_settled_sequence FROM market_settlements"
_LIVE = """
    SELECT newest.* FROM unnest($1::bigint[]) AS wanted (number) CROSS JOIN LATERAL (
        {orders} WHERE account_id = wanted.number AND is_live ORDER BY order_id DESC LIMIT $2
    ) AS newest
""".replace("{orders}", _ORDER)
_NAMED = f"{_ORDER} WHERE order_id = ANY ($1::bigint[]) AND account_id = ANY ($2::bigint[]) ORDER BY order_id"


class Queries:
    """What has been stored, as the API gives it out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, account_id: int, order_id: int) -> OrderDetails | None:
        """An order of the account, or None; another account's order is None too."""
        rows = await self._rows(f"{_ORDER} WHERE order_id = $1 AND account_id = $2", order_id, account_id)
        return _order(rows[0]) if rows else None

    async def order_by_client_id(self, account_id: int, client_order_id: str) -> OrderDetails | None:
        """The order that the account gave this client id, or None."""
        statement = f"{_ORDER} WHERE account_id = $1 AND client_order_id = $2"
        rows = await self._rows(statement, account_id, client_order_id)
        return _order(rows[0]) if rows else None

    async def orders(
        self, account_id: int, page: Page, market_id: int = 0, status: OrderStatus | None = None
    ) -> list[OrderDetails]:
        """The account's orders, newest first, of one market or all, of one status or all."""
        wanted = ""
        if status is not None:
            wanted = "AND is_live AND status = $5" if status.is_live else "AND NOT is_live AND ended_status = $5"
        rows = await self._rows(
            f"""
            SELECT of_market.* FROM markets CROSS JOIN LATERAL (
                {_ORDER} WHERE account_id = $1 AND orders.market_id = markets.market_id AND order_id < $2 {wanted}
                ORDER BY order_id DESC LIMIT $4
            ) AS of_market WHERE $3 = 0 OR markets.market_id = $3
            ORDER BY order_id DESC LIMIT $4
            """,  # noqa: S608
            account_id,
            page.before or MAX_ID,
            market_id,
            page.limit,
            *(() if status is None else (status,)),
        )
        return [_order(row) for row in rows]

    async def fills(self, account_id: int, page: Page, market_id: int = 0, order_id: int = 0) -> list[FillDetails]:
        """The account's fills, newest first, of one market or all, of one order or all."""
        rows = await self._rows(
            f"""
            SELECT of_market.* FROM markets CROSS JOIN LATERAL (
                {_FILL} WHERE account_id = $1 AND fills.market_id = markets.market_id AND fill_id < $2
                {"AND order_id = $5" if order_id else ""} ORDER BY fill_id DESC LIMIT $4
            ) AS of_market WHERE $3 = 0 OR markets.market_id = $3
            ORDER BY fill_id DESC LIMIT $4
            """,  # noqa: S608
            account_id,
            page.before or MAX_ID,
            market_id,
            page.limit,
            *((order_id,) if order_id else ()),
        )
        return [_fill(row) for row in rows]

    async def fills_after(self, account_id: int, market_id: int, fill_id: int, limit: int) -> list[FillDetails]:
        """The account's fills in a market after this one, the oldest first, `limit` at most.

        Fills of one market are stored in the order of their ids, so none appears later before one that was read.
        """
        rows = await self._rows(
            f"{_FILL} WHERE account_id = $1 AND market_id = $2 AND fill_id > $3 ORDER BY fill_id LIMIT $4",
            account_id,
            market_id,
            fill_id,
            limit,
        )
        return [_fill(row) for row in rows]

    async def holdings(self, account_id: int) -> Holdings:
        """The account's balances, and its rows in perpetual markets, both of the same moment."""
        async with self._database.snapshot() as transaction:
            positions = await transaction.rows(_POSITIONS, account_id)
            balances = await transaction.rows(_BALANCES, account_id)
        return Holdings([BalanceDetails(*row) for row in balances], [_position(row) for row in positions])

    async def positions(self, account_id: int) -> list[PositionDetails]:
        """The account's rows in perpetual markets, lowest market number first."""
        return [_position(row) for row in await self._rows(_POSITIONS, account_id)]

    async def balances(self, account_id: int) -> list[BalanceDetails]:
        """The account's balances by asset name."""
        return [BalanceDetails(*row) for row in await self._rows(_BALANCES, account_id)]

    async def settled_sequences(self) -> dict[int, int]:
        """The last settled sequence of every market, by number."""
        return {row[0]: row[1] for row in await self._rows(_SETTLED)}

    async def account_states(
        self, account_ids: Sequence[int], order_ids: Sequence[int], starting: Sequence[int], live_limit: int
    ) -> AccountStates:
        """Orders by id and holdings of these accounts, and the newest live orders of those that start.

        All of one moment, by five statements, whatever the number of accounts.
        """
        async with self._database.snapshot() as transaction:
            settled = await transaction.rows(_SETTLED)
            orders = await transaction.rows(_NAMED, order_ids, account_ids) if order_ids else []
            live = await transaction.rows(_LIVE, starting, live_limit) if starting else []
            positions = await transaction.rows(_POSITIONS_OF_MANY, account_ids)
            balances = await transaction.rows(_BALANCES_OF_MANY, account_ids)
        return AccountStates(
            {row[0]: row[1] for row in settled},
            _by_account([_order(row) for row in orders]),
            _by_account([_order(row) for row in live]),
            _holdings(account_ids, positions, balances),
        )

    async def balances_of(self, account_ids: Sequence[int]) -> dict[int, list[BalanceDetails]]:
        """The balances of these accounts, each account's by asset name."""
        found: dict[int, list[BalanceDetails]] = {}
        for row in await self._rows(_BALANCES_OF_MANY, list(account_ids)):
            found.setdefault(row["account_id"], []).append(BalanceDetails(*row))
        return found

    async def _rows(self, statement: str, *values: object) -> list[Row]:
        async with self._database.each_alone() as transaction:
            rows: list[Row] = await transaction.rows(statement, *values)
            return rows


def _by_account(orders: Sequence[OrderDetails]) -> dict[int, list[OrderDetails]]:
    found: dict[int, list[OrderDetails]] = {}
    for order in orders:
        found.setdefault(order.account_id, []).append(order)
    return found


def _holdings(account_ids: Sequence[int], positions: Sequence[Row], balances: Sequence[Row]) -> dict[int, Holdings]:
    found = {account_id: Holdings([], []) for account_id in account_ids}
    for row in balances:
        found[row["account_id"]].balances.append(BalanceDetails(*row))
    for row in positions:
        found[row["account_id"]].positions.append(_position(row))
    return found


def _order(row: Row) -> OrderDetails:
    values: list[Any] = list(row.values())
    values[4:7] = Side(row["side"]), OrderType(row["type"]), TimeInForce(row["time_in_force"])
    values[14:16] = OrderStatus(row["status"]), Reason(row["reason"])
    values[18] = int(row["filled_notional_units"])
    values[26] = SelfTradePrevention(row["self_trade_prevention"])
    values[29] = PriceSource(row["trigger_source"])
    asked = row["asked_time_in_force"]
    values[33] = None if asked is None else TimeInForce(asked)
    values[34:37] = [_last_amendment(row)]
    return OrderDetails(*values)


def _last_amendment(row: Row) -> LastAmendment | None:
    if row["amending_since_ms"] is not None:
        return LastAmendment(row["amending_since_ms"], None)
    return (
        None if row["amended_at_ms"] is None else LastAmendment(row["amended_at_ms"], Reason(row["amendment_reason"]))
    )


def _fill(row: Row) -> FillDetails:
    values: list[Any] = list(row.values())
    values[5:7] = Side(row["side"]), LiquidityRole(row["role"])
    return FillDetails(*values)


def _position(row: Row) -> PositionDetails:
    return PositionDetails(
        row["account_id"],
        row["market_id"],
        row["position_lots"],
        row["cost_units"],
        row["realised_pnl_units"],
        MarginRow(
            row["leverage"],
            row["position_lots"],
            row["open_buy_lots"],
            int(row["open_buy_notional_units"]),
            row["open_sell_lots"],
            int(row["open_sell_notional_units"]),
            row["fee_reserve_units"],
        ),
        MarginMode(row["margin_mode"]),
        row["isolated_margin_units"],
        row["funding_units"],
        row["in_liquidation"],
    )
