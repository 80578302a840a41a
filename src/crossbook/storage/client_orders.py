"""Orders as a client sees them who keeps their activity: with what is asked of them and not done yet.

Conditions become parameterised SQL here: columns and operators come from the tables below, values only as
parameters.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from crossbook.application.activity import ActivityKind
from crossbook.application.client_orders import ClientOrder, ClientTrade
from crossbook.application.order_filters import CODES, TEXTS, WHOLE, Column, Condition, Operator, OrderStage
from crossbook.domain.errors import Reason
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.orders import MAX_ID, OrderType, SelfTradePrevention, Side, TimeInForce
from crossbook.storage.database import Database, Row

# The only columns of another table here are those of markets; `kind` and `status` are told apart by their tables.
# What is asked of a live order and not settled: its newest request whose command is beyond the settled ones. And the
# newest change that was ever asked for.
_ORDERS: Final = f"""
    FROM orders
    JOIN markets ON markets.market_id = orders.market_id AND markets.kind = 1
    LEFT JOIN market_settlements ON market_settlements.market_id = orders.market_id
    LEFT JOIN LATERAL (
        SELECT kind FROM activity
        WHERE keeps_activity AND is_live AND activity.order_id = orders.order_id AND kind IN (2, 3)
            AND activity.sequence > last_settled_sequence
        ORDER BY activity_id DESC LIMIT 1
    ) AS asked ON true
    CROSS JOIN LATERAL (
        SELECT CASE orders.status
            WHEN 1 THEN {OrderStage.NEW_PENDING} WHEN 4 THEN {OrderStage.FILLED}
            WHEN 5 THEN {OrderStage.CANCELED} WHEN 7 THEN {OrderStage.CANCELED} WHEN 6 THEN {OrderStage.REJECTED}
            ELSE CASE asked.kind WHEN {ActivityKind.REQUEST_CANCEL} THEN {OrderStage.CANCEL_PENDING}
                WHEN {ActivityKind.REQUEST_MODIFY} THEN {OrderStage.MODIFY_PENDING} ELSE {OrderStage.ACTIVE} END
            END AS stage
    ) AS staged
"""  # noqa: S608 - numbers of ours
_MODIFIED: Final = f"""
    LEFT JOIN LATERAL (
        SELECT price_ticks AS new_price_ticks, quantity_lots AS new_quantity_lots FROM activity
        WHERE keeps_activity AND activity.order_id = orders.order_id AND kind = {ActivityKind.REQUEST_MODIFY}
        ORDER BY activity_id DESC LIMIT 1
    ) AS modified ON true
"""  # noqa: S608 - a number of ours
_COLUMNS: Final = """
    SELECT orders.order_id, orders.account_id, orders.market_id, coalesce(external_id, '') AS external_id,
        coalesce(ref_external_id, '') AS ref_external_id, side, type, time_in_force, post_only,
        self_trade_prevention, orders.quantity_lots, orders.price_ticks,
        stage, reason, open_lots, filled_lots, filled_notional_units, orders.created_at_ms, updated_at_ms,
        new_quantity_lots, new_price_ticks
"""
_TICK: Final = "tick_size * 0.1::numeric ^ tick_decimals"
_LOTS: Final = "lot_size * 0.1::numeric ^ lot_decimals"
_EXPRESSIONS: Final[Mapping[Column, str]] = MappingProxyType(
    {
        Column.ID: "orders.order_id",
        Column.CLIENT_ID: "account_id",
        Column.INSTRUMENT_ID: "orders.market_id",
        Column.STAGE: "stage",
        Column.SIDE: "side",
        Column.TYPE: "type",
        Column.TIME_IN_FORCE: "time_in_force",
        Column.EXTERNAL_ID: "coalesce(external_id, '') COLLATE \"C\"",
        Column.REF_EXTERNAL_ID: "coalesce(ref_external_id, '') COLLATE \"C\"",
        Column.PRICE: f"(CASE type WHEN 2 THEN 0 ELSE orders.price_ticks * {_TICK} END)",
        Column.QUANTITY: f"(orders.quantity_lots * {_LOTS})",
        Column.LEAVES_QUANTITY: f"(CASE orders.status WHEN 1 THEN 0 ELSE open_lots * {_LOTS} END)",
        Column.EXECUTED_QUANTITY: f"(filled_lots * {_LOTS})",
        Column.CREATED_AT_NS: "(orders.created_at_ms * 1000000)",
    }
)
_COMPARISONS: Final[Mapping[Operator, str]] = MappingProxyType(
    {
        Operator.EQ: "{column} = {value}",
        Operator.NE: "{column} <> {value}",
        Operator.IN: "{column} = ANY ({value}[])",
        Operator.NIN: "{column} <> ALL ({value}[])",
        Operator.GT: "{column} > {value}",
        Operator.GTE: "{column} >= {value}",
        Operator.LT: "{column} < {value}",
        Operator.LTE: "{column} <= {value}",
    }
)


def _type_of(column: Column) -> str:
    if column in TEXTS:
        return "text"
    return "bigint" if column in WHOLE or column in CODES else "numeric"


def conditions_sql(conditions: Sequence[Condition], first: int) -> tuple[str, list[object]]:
    """Conditions as SQL, each with AND before it, whose values are the parameters from number `first` on."""
    parts, values = [], list[object]()
    for condition in conditions:
        value = f"${first + len(values)}::{_type_of(condition.column)}"
        comparison = _COMPARISONS[condition.operator].format(column=_EXPRESSIONS[condition.column], value=value)
        parts.append(f" AND {comparison}")
        is_list = condition.operator in {Operator.IN, Operator.NIN}
        values.append(list(condition.values) if is_list else condition.values[0])
    return "".join(parts), values


class ClientOrders:
    """Orders and trades of an organization's clients, as its API gives them out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def one(self, accounts: Sequence[int], order_id: int) -> ClientOrder | None:
        """The order of this id, if it belongs to one of the accounts."""
        return await self._one("account_id = ANY ($1::bigint[]) AND orders.order_id = $2", accounts, order_id)

    async def named(self, accounts: Sequence[int], external_id: str) -> ClientOrder | None:
        """The order that a client calls so now: a live one before those that have ended, the newest of those."""
        where = (
            "account_id = ANY ($1::bigint[]) AND external_id = $2 ORDER BY is_live DESC, orders.order_id DESC LIMIT 1"
        )
        return await self._one(where, accounts, external_id)

    async def active(self, accounts: Sequence[int], order_id: int, limit: int) -> list[ClientOrder]:
        """The live orders of the accounts, newest first, or only the one of this id (0 for all)."""
        where = """
            account_id = ANY ($1::bigint[]) AND is_live AND $2::bigint IN (0, orders.order_id)
            ORDER BY orders.order_id DESC LIMIT $3
        """
        return await self._list(where, accounts, order_id, limit)

    async def matching(
        self, accounts: Sequence[int], conditions: Sequence[Condition], limit: int, *, skip: int = 0, before: int = 0
    ) -> list[ClientOrder]:
        """The orders of the accounts that fulfil all conditions, newest first.

        `skip` leaves out so many of the newest; `before` gives only those of a smaller id, 0 for all.
        """
        more, values = conditions_sql(conditions, first=5)
        where = f"""
            account_id = ANY ($1::bigint[]) AND orders.order_id < $2 {more}
            ORDER BY orders.order_id DESC LIMIT $3 OFFSET $4
        """
        return await self._list(where, accounts, before or MAX_ID, limit, skip, *values)

    async def trades(
        self,
        accounts: Sequence[int],
        after_ms: int,
        until_ms: int,
        limit: int,
        *,
        skip: int = 0,
        before: int = 0,
        market_ids: Sequence[int],
    ) -> list[ClientTrade]:
        """What the accounts traded in these markets after `after_ms` and up to `until_ms`, newest first."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                """
                SELECT fill_id, fills.account_id, external_id, fills.market_id, fills.created_at_ms, fills.side,
                    fills.order_id, fills.price_ticks, fills.quantity_lots, fee_ppm, role, trade_id
                FROM fills JOIN orders USING (order_id)
                WHERE fills.account_id = ANY ($1::bigint[]) AND fills.created_at_ms > $2
                    AND fills.created_at_ms <= $3 AND fill_id < $4 AND fills.market_id = ANY ($7::integer[])
                ORDER BY fill_id DESC LIMIT $5 OFFSET $6
                """,
                accounts,
                after_ms,
                until_ms,
                before or MAX_ID,
                limit,
                skip,
                market_ids,
            )
        return [_trade(row) for row in rows]

    async def _one(self, where: str, *values: object) -> ClientOrder | None:
        found = await self._list(where, *values)
        return found[0] if found else None

    async def _list(self, where: str, *values: object) -> list[ClientOrder]:
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(f"{_COLUMNS} {_ORDERS} {_MODIFIED} WHERE {where}", *values)
        return [_order(row) for row in rows]


def _order(row: Row) -> ClientOrder:
    values: list[Any] = list(row.values())
    values[5:8] = Side(values[5]), OrderType(values[6]), TimeInForce(values[7])
    values[9] = SelfTradePrevention(values[9])
    values[12:14] = OrderStage(values[12]), Reason(values[13])
    values[16] = int(values[16])
    return ClientOrder(*values)


def _trade(row: Row) -> ClientTrade:
    values: list[Any] = list(row.values())
    values[2] = values[2] or ""
    values[5] = Side(values[5])
    values[10] = LiquidityRole(values[10])
    return ClientTrade(*values)
