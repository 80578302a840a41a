"""Filters of orders against real PostgreSQL: every condition means there what it means in Python."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from decimal import Decimal
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossbook.application.client_orders import ClientOrder
from crossbook.application.order_filters import (
    CODES,
    DECIMALS,
    OF_LISTS,
    OF_ORDER,
    TEXTS,
    Column,
    Condition,
    Operator,
    OrderStage,
    Value,
)
from crossbook.domain.orders import OrderType
from crossbook.storage.client_orders import ClientOrders, conditions_sql
from crossbook.storage.database import Database
from tests.storage.conftest import Server

T = TypeVar("T")
ACCOUNTS: Final = [1_000_000, 1_000_001]
STRANGER: Final = 1_000_002
ALL: Final = 1_000

# Orders of every status, side, kind and name; a third has a request that is not settled. Markets 1 and 2 differ in
# tick and lot. Market 3 is a perpetual, whose orders are not shown.
WORLD: Final = """
INSERT INTO users (user_id, kind, created_at_ms) VALUES (1, 2, 0);
INSERT INTO assets (asset_id, name, decimals, is_margin_asset)
VALUES (1, 'PYUSD', 6, false), (2, 'BTC', 8, false), (3, 'USDC', 6, true);
INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status, tick_decimals, tick_size,
    lot_decimals, lot_size, created_at_ms)
VALUES (1, 'BTC-PYUSD', 1, 2, 1, 1, 1, 5, 4, 1, 0), (2, 'BTC-X', 1, 2, 1, 1, 0, 2, 3, 25, 0);
INSERT INTO markets (market_id, symbol, kind, base_asset_id, quote_asset_id, status, tick_decimals, tick_size,
    lot_decimals, lot_size, created_at_ms, funding_interval_hours)
VALUES (3, 'BTC-PERP', 2, 2, 3, 1, 1, 1, 3, 1, 0, 8);
INSERT INTO accounts (account_id, user_id, created_at_ms) VALUES (1000000, 1, 0), (1000001, 1, 0), (1000002, 1, 0);
INSERT INTO orders (order_id, account_id, market_id, sequence, external_id, ref_external_id, side, type,
    time_in_force, quantity_lots, price_ticks, status, reason, open_lots, filled_lots, filled_notional_units,
    created_at_ms, updated_at_ms, maker_fee_ppm, taker_fee_ppm, keeps_activity)
SELECT number, 1000000 + number % 3, 1 + number % 7 % 3, number,
    CASE number % 4 WHEN 0 THEN NULL ELSE 'order-' || number % 5 || '.' || number END,
    CASE number % 6 WHEN 0 THEN 'was' || number END,
    1 + number % 2, CASE WHEN number % 11 = 0 AND status > 3 THEN 2 ELSE 1 END,
    CASE WHEN number % 11 = 0 THEN 2 ELSE 1 END,
    10, 100 + number % 9, status,
    CASE WHEN status > 4 THEN 400 ELSE 0 END,
    CASE WHEN status = 3 THEN 6 WHEN status < 3 THEN 10 ELSE 0 END,
    CASE status WHEN 3 THEN 4 WHEN 4 THEN 10 WHEN 5 THEN number % 3 ELSE 0 END,
    1000 * CASE status WHEN 3 THEN 4 WHEN 4 THEN 10 WHEN 5 THEN number % 3 ELSE 0 END,
    number, number, 0, 0, number % 3 = 0
FROM (SELECT number, 1 + number % 7 AS status FROM generate_series(1, 120) AS number) AS made;
INSERT INTO activity (account_id, order_id, market_id, kind, side, sequence, price_ticks, quantity_lots, recorded_at_ns)
SELECT account_id, order_id, market_id, 2 + order_id % 2, side, 1000, 101, 9, 0 FROM orders WHERE keeps_activity;
"""
STATUS_OF: Final = {4: OrderStage.FILLED, 5: OrderStage.CANCELED, 6: OrderStage.REJECTED, 7: OrderStage.CANCELED}
STEPS: Final = {1: (Decimal("0.5"), Decimal("0.0001")), 2: (Decimal(2), Decimal("0.025"))}


class Storage:
    """A database with those orders, and a loop to ask it from."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self.database = self.run(Database.connect(url))
        self.orders = ClientOrders(self.database)
        self.rows = self.run(self._fill())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.database.close())
        self._loop.close()

    async def _fill(self) -> list[dict[Column, Value]]:
        async with self.database.transaction() as transaction:
            await transaction.execute(WORLD)
            rows = await transaction.rows("SELECT * FROM orders WHERE account_id <> 1000002 AND market_id <> 3")
        return [modelled(dict(row)) for row in rows]


def modelled(row: dict[str, Any]) -> dict[Column, Value]:
    """The columns of an order, by another way than the one that is tested."""
    tick, lot = STEPS[row["market_id"]]
    stage = STATUS_OF.get(row["status"], OrderStage.NEW_PENDING if row["status"] == 1 else OrderStage.ACTIVE)
    if stage is OrderStage.ACTIVE and row["keeps_activity"]:
        stage = OrderStage.MODIFY_PENDING if row["order_id"] % 2 else OrderStage.CANCEL_PENDING
    return {
        Column.ID: row["order_id"],
        Column.CLIENT_ID: row["account_id"],
        Column.INSTRUMENT_ID: row["market_id"],
        Column.STAGE: stage,
        Column.SIDE: row["side"],
        Column.TYPE: row["type"],
        Column.TIME_IN_FORCE: row["time_in_force"],
        Column.EXTERNAL_ID: row["external_id"] or "",
        Column.REF_EXTERNAL_ID: row["ref_external_id"] or "",
        Column.PRICE: Decimal(0) if row["type"] == OrderType.MARKET else row["price_ticks"] * tick,
        Column.QUANTITY: row["quantity_lots"] * lot,
        Column.LEAVES_QUANTITY: Decimal(0) if row["status"] == 1 else row["open_lots"] * lot,
        Column.EXECUTED_QUANTITY: row["filled_lots"] * lot,
        Column.CREATED_AT_NS: row["created_at_ms"] * 1_000_000,
    }


COMPARE: Final[dict[Operator, Callable[[Any, tuple[Any, ...]], bool]]] = {
    Operator.EQ: lambda value, given: value == given[0],
    Operator.NE: lambda value, given: value != given[0],
    Operator.IN: lambda value, given: value in given,
    Operator.NIN: lambda value, given: value not in given,
    Operator.GT: lambda value, given: value > given[0],
    Operator.GTE: lambda value, given: value >= given[0],
    Operator.LT: lambda value, given: value < given[0],
    Operator.LTE: lambda value, given: value <= given[0],
}


@pytest.fixture(scope="module")
def storage(server: Server, template: str) -> Iterator[Storage]:
    name = server.create(template)
    made = Storage(server.address(name))
    yield made
    made.close()
    server.drop(name)


def values_of(column: Column) -> st.SearchStrategy[Value]:
    """Values of a column's kind, near those that there are, and strange ones."""
    if column in CODES:
        return st.integers(0, 7)
    if column in TEXTS:
        return st.sampled_from(
            ["", "order-1.1", "order-3.3", "order-2.77", "was6", "was12", "z", "' OR '1'='1"]
        ) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
    if column in DECIMALS:
        near = st.sampled_from(["0", "0.0004", "0.001", "0.25", "0.15", "50.5", "52", "204", "206.0", "-1"])
        return near.map(Decimal) | st.decimals(-300, 300, places=4)
    if column is Column.CLIENT_ID:
        return st.integers(999_999, 1_000_003)
    if column is Column.CREATED_AT_NS:
        return st.integers(0, 121).map(lambda ms: ms * 1_000_000) | st.integers(0, 2**63 - 1)
    return st.integers(0, 121) | st.integers(0, 2**63 - 1)


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    column = draw(st.sampled_from(Column))
    operator = draw(st.sampled_from([op for op in Operator if column not in CODES or op not in OF_ORDER]))
    several = st.lists(values_of(column), min_size=1, max_size=6 if operator in OF_LISTS else 1)
    return Condition(column, operator, tuple(draw(several)))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(conditions(), max_size=4))
def test_conditions_mean_in_sql_what_they_mean_in_python(storage: Storage, wanted: list[Condition]) -> None:
    expected = [
        row[Column.ID]
        for row in storage.rows
        if all(COMPARE[each.operator](row[each.column], each.values) for each in wanted)
    ]
    found = storage.run(storage.orders.matching(ACCOUNTS, wanted, ALL))
    assert [order.order_id for order in found] == sorted(expected, reverse=True)


@pytest.mark.parametrize("text", ["'; DROP TABLE orders; --", "' OR true --", "$1", "%s", '"', "\\", "a\nb"])
def test_a_value_is_never_a_part_of_the_statement(storage: Storage, text: str) -> None:
    condition = Condition(Column.EXTERNAL_ID, Operator.EQ, (text,))
    plain = Condition(Column.EXTERNAL_ID, Operator.EQ, ("plain",))
    assert conditions_sql([condition], 1)[0] == conditions_sql([plain], 1)[0]
    assert storage.run(storage.orders.matching(ACCOUNTS, [condition], ALL)) == []
    assert len(storage.run(storage.orders.matching(ACCOUNTS, [], ALL))) == len(storage.rows)


def test_pages_by_cursor_and_by_skip_give_everything_once(storage: Storage) -> None:
    def ids(found: list[ClientOrder]) -> list[int]:
        return [order.order_id for order in found]

    whole = ids(storage.run(storage.orders.matching(ACCOUNTS, [], ALL)))
    skipped = [
        each
        for skip in range(0, 100, 7)
        for each in ids(storage.run(storage.orders.matching(ACCOUNTS, [], 7, skip=skip)))
    ]
    walked: list[int] = []
    while page := ids(storage.run(storage.orders.matching(ACCOUNTS, [], 7, before=walked[-1] if walked else 0))):
        walked += page
    assert whole == skipped == walked


def test_nobody_sees_orders_of_others(storage: Storage) -> None:
    everything = [Condition(Column.ID, Operator.GTE, (0,))]
    own = storage.run(storage.orders.matching([STRANGER], everything, ALL))
    assert {order.account_id for order in own} == {STRANGER}
    stolen = own[0]
    assert storage.run(storage.orders.one(ACCOUNTS, stolen.order_id)) is None
    assert storage.run(storage.orders.active(ACCOUNTS, stolen.order_id, ALL)) == []
    named = next(order for order in own if order.external_id)
    assert storage.run(storage.orders.named(ACCOUNTS, named.external_id)) is None
    assert storage.run(storage.orders.named([STRANGER], named.external_id)) == named


def test_an_order_tells_of_the_change_that_was_asked_for_last(storage: Storage) -> None:
    asked = storage.run(storage.orders.one(ACCOUNTS, 3))
    assert asked is not None
    assert (asked.new_quantity_lots, asked.new_price_ticks) == (9, 101)
    assert storage.run(storage.orders.one(ACCOUNTS, 4)).new_quantity_lots is None  # type: ignore[union-attr]
