"""Settlement in the database: exactly once, whatever happens in between, and in nobody's way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from crossbook.application.settlement_rows import SettlementFault, UnknownOrder
from crossbook.domain.commands import CancelOrder, ReduceOrder, SubmitOrder
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.orders import OrderType, Side
from crossbook.storage.commands_log import UnknownMarket
from crossbook.storage.database import Database, Transaction
from crossbook.storage.errors import TransactionConflict
from crossbook.storage.settlement import SettlementGap, read_terms, settle_batch, settled_sequence
from tests.application.market_flows import AcceptedFlow
from tests.application.test_settlement_flows import MARKETS
from tests.application.venue import BASE, MARKET, QUOTE, Venue, account_of
from tests.domain.cases import perp, spot
from tests.storage.settling import SYMBOL, StoredVenue, open_market
from tests.storage.support import NOW_MS, using

ALICE, BOB, CAROL = account_of(1), account_of(2), account_of(3)


def limit(sequence: int, account_id: int, side: Side, lots: int, price_ticks: int) -> SubmitOrder:
    """A limit order whose id is its sequence."""
    now_ms = NOW_MS + sequence
    return SubmitOrder(sequence, now_ms, sequence, account_id, side, OrderType.LIMIT, lots, price_ticks)


async def traded(database: Database, spot_market: bool = False) -> StoredVenue:
    """Three commands accepted, none settled: bob sells 3, alice buys 2 of them, carol bids below."""
    venue = Venue(spot() if spot_market else perp())
    await open_market(database, venue.instrument)
    stored = StoredVenue(venue, database)
    venue.enter(limit(1, BOB, Side.SELL, 3, 1000))
    venue.enter(limit(2, ALICE, Side.BUY, 2, 1010))
    venue.enter(limit(3, CAROL, Side.BUY, 1, 900))
    await stored.accept()
    return stored


@pytest.mark.parametrize("name", sorted(MARKETS))
@pytest.mark.parametrize("seed", [1, 7])
def test_random_markets_are_stored_as_they_were_computed(database_url: str, name: str, seed: int) -> None:
    async def scenario(database: Database) -> None:
        stored = StoredVenue(Venue(MARKETS[name]), database)
        await open_market(database, stored.venue.instrument)
        perpetual = stored.venue.instrument.kind is InstrumentKind.PERPETUAL
        for count, command in enumerate(AcceptedFlow(seed, perpetual).take(150), start=1):
            stored.venue.enter(command)
            if count % 25 == 0:
                await stored.accept()
                await stored.settle()
                stored.venue.settle()
                stored.venue.audit()
                await stored.audit()

    using(database_url, scenario)


def test_settling_twice_is_settling_once(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        first_two = stored.entries()[:2]
        assert await stored.settle(first_two) == 2
        assert await stored.settle(first_two) == 2
        # A batch that begins with what is settled goes on with what is not.
        assert await stored.settle() == 3
        assert await stored.settle() == 3
        stored.venue.settle()
        await stored.audit()

    using(database_url, scenario)


def test_a_gap_is_refused(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        with pytest.raises(SettlementGap, match="settled up to 0; 2 can not be next"):
            await stored.settle(stored.entries()[1:])
        await stored.audit()

    using(database_url, scenario)


def test_events_of_commands_that_are_not_in_the_log_are_refused(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        with pytest.raises(SettlementGap, match="no commands 1 to 4 in its log"):
            await stored.settle([*stored.entries(), (4, [])])
        await stored.audit()

    using(database_url, scenario)


class Crash(Exception):
    """The process dies here, as far as the database can tell."""


class CrashingTransaction(Transaction):
    """A transaction that dies before its statement number `left`."""

    def __init__(self, inner: Transaction, left: int) -> None:
        self._inner = inner
        self.left = left

    def _count(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1

    async def execute(self, statement: str, *values: object) -> int:
        self._count()
        return await self._inner.execute(statement, *values)

    async def rows(self, statement: str, *values: object) -> list[object]:  # type: ignore[override]
        self._count()
        return list(await self._inner.rows(statement, *values))

    async def row(self, statement: str, *values: object) -> object:  # type: ignore[override]
        self._count()
        return await self._inner.row(statement, *values)

    async def value(self, statement: str, *values: object) -> object:
        self._count()
        return await self._inner.value(statement, *values)


def test_a_crash_at_any_statement_leaves_nothing_behind(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        settled_at = None
        for left in range(20):
            try:
                async with database.transaction() as transaction:
                    crashing = CrashingTransaction(transaction, left)
                    await settle_batch(crashing, stored.venue.terms, stored.entries())
                    settled_at = left - crashing.left
                    raise Crash
            except Crash:
                await stored.audit()
        assert settled_at == 6
        await stored.settle()
        stored.venue.settle()
        await stored.audit()

    using(database_url, scenario)


def test_a_big_batch_takes_as_many_statements_as_a_small_one(database_url: str) -> None:
    async def counted(database: Database, stored: StoredVenue) -> int:
        await stored.accept()
        async with database.transaction() as transaction:
            counting = CrashingTransaction(transaction, 1000)
            await settle_batch(counting, stored.venue.terms, stored.entries())
        return 1000 - counting.left

    async def scenario(database: Database) -> tuple[int, int]:
        stored = await traded(database)
        small = await counted(database, stored)
        for sequence in range(4, 200):
            side = Side.BUY if sequence % 2 else Side.SELL
            stored.venue.enter(limit(sequence, account_of(1 + sequence % 3), side, 2, 1000))
        return small, await counted(database, stored)

    small, big = using(database_url, scenario)
    assert small == big


def test_two_settlers_of_one_market_take_turns(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        assert await asyncio.gather(*(stored.settle() for _ in range(6))) == [3] * 6
        stored.venue.settle()
        await stored.audit()

    using(database_url, scenario)


def test_an_order_that_nobody_stored_stops_the_market(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        async with database.transaction() as transaction:
            await transaction.execute("DELETE FROM orders WHERE order_id = 2")
        with pytest.raises(UnknownOrder, match=r"market 1, event 2/0: there is no order 2") as caught:
            await stored.settle()
        assert (caught.value.market_id, caught.value.sequence, caught.value.index) == (1, 2, 0)
        async with database.transaction() as transaction:
            assert await settled_sequence(transaction, MARKET) == 0

    using(database_url, scenario)


def test_an_account_without_a_row_of_positions_stops_the_market(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        async with database.transaction() as transaction:
            await transaction.execute("DELETE FROM positions WHERE account_id = $1", ALICE)
        with pytest.raises(SettlementFault, match=f"event 2/1: account {ALICE} has no row of positions"):
            await stored.settle()

    using(database_url, scenario)


def test_settling_waits_for_those_who_hold_the_rows_and_nobody_deadlocks(database_url: str) -> None:
    """Others lock balances, then positions, then orders, for orders of the same accounts, all the time."""

    async def other(database: Database, rounds: int) -> None:
        for _ in range(rounds):
            async with database.transaction() as transaction:
                for table, order in (
                    ("balances", "account_id, asset_id"),
                    ("positions", "account_id, market_id"),
                    ("orders", "order_id"),
                ):
                    await transaction.rows(f"SELECT 1 FROM {table} ORDER BY {order} FOR NO KEY UPDATE")
                    await asyncio.sleep(0)
                await transaction.execute("UPDATE positions SET leverage = leverage + 1 WHERE account_id = $1", ALICE)

    async def settler(stored: StoredVenue) -> None:
        entries = stored.entries()
        for end in range(5, len(entries) + 1, 5):
            await stored.settle(entries[:end])

    async def scenario(database: Database) -> None:
        stored = await traded(database)
        for sequence in range(4, 101):
            side = Side.BUY if sequence % 2 else Side.SELL
            account_id = account_of(1 + sequence * 7 % 3)
            stored.venue.enter(limit(sequence, account_id, side, 1 + sequence % 3, 1000 + sequence % 2))
        await stored.accept()
        await asyncio.gather(settler(stored), other(database, 30), other(database, 30))
        stored.venue.settle()
        stored.venue.audit()
        await stored.audit()

    using(database_url, scenario)


def test_orders_accepted_meanwhile_are_counted_too(database_url: str) -> None:
    """Sums change by differences: what an acceptance adds while a batch is settled is not lost."""

    async def scenario(database: Database) -> None:
        stored = await traded(database)
        held_up = asyncio.Event()
        go_on = asyncio.Event()

        async def accept() -> None:
            async with database.transaction() as transaction:
                await transaction.execute(
                    """
                    UPDATE positions SET open_buy_lots = open_buy_lots + 5,
                        open_buy_notional_units = open_buy_notional_units + 500 WHERE account_id = $1
                    """,
                    ALICE,
                )
                held_up.set()
                await go_on.wait()

        accepting = asyncio.create_task(accept())
        await held_up.wait()
        settling = asyncio.create_task(stored.settle())
        await asyncio.sleep(0.05)
        assert not settling.done()
        go_on.set()
        await asyncio.gather(accepting, settling)
        stored.venue.settle()
        stored.venue.sums[ALICE].buy_lots += 5
        stored.venue.sums[ALICE].buy_units += 500
        await stored.audit()

    using(database_url, scenario)


class Interrupted(CrashingTransaction):
    """A transaction before whose first write somebody else commits `statements`."""

    def __init__(self, inner: Transaction, database: Database, statements: Sequence[str]) -> None:
        super().__init__(inner, 1000)
        self._database = database
        self._statements = list(statements)

    async def execute(self, statement: str, *values: object) -> int:
        async with self._database.transaction() as other:
            while self._statements:
                await other.execute(self._statements.pop(0))
        return await super().execute(statement, *values)


async def settle_interrupted(stored: StoredVenue, statements: Sequence[str]) -> None:
    async with stored.database.transaction() as transaction:
        interrupted = Interrupted(transaction, stored.database, statements)
        await settle_batch(interrupted, stored.venue.terms, stored.entries())


def test_a_hold_that_changed_meanwhile_makes_the_batch_give_way(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database, spot_market=True)
        amending = [
            f"UPDATE balances SET held_units = held_units + 7 WHERE account_id = {CAROL} AND asset_id = {QUOTE}",
            "UPDATE orders SET held_units = held_units + 7 WHERE order_id = 3",
        ]
        with pytest.raises(TransactionConflict, match="1 rows of orders changed"):
            await settle_interrupted(stored, amending)
        stored.venue.orders[3].held_units += 7
        stored.venue.held[CAROL, QUOTE] += 7
        await stored.settle()
        stored.venue.settle()
        await stored.audit()

    using(database_url, scenario)


@pytest.mark.parametrize("column", ["cost_units", "realised_pnl_units", "position_lots"])
def test_a_position_that_changed_meanwhile_makes_the_batch_give_way(database_url: str, column: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database)
        await stored.settle()
        stored.venue.settle()
        stored.venue.enter(limit(4, ALICE, Side.BUY, 1, 1000))
        await stored.accept()
        elsewhere = [f"UPDATE positions SET {column} = {column} + 1 WHERE account_id = {ALICE}"]
        with pytest.raises(TransactionConflict, match="1 rows of positions changed"):
            await settle_interrupted(stored, elsewhere)
        async with database.transaction() as transaction:
            await transaction.execute(f"UPDATE positions SET {column} = {column} - 1 WHERE account_id = $1", ALICE)
        await stored.settle()
        stored.venue.settle()
        await stored.audit()

    using(database_url, scenario)


def test_an_iceberg_never_shows_more_than_its_total(database_url: str) -> None:
    """A reduced total takes the display quantity with it: the schema holds them together."""

    async def scenario(database: Database) -> list[int]:
        venue = Venue(perp())
        await open_market(database, venue.instrument)
        stored = StoredVenue(venue, database)
        shown = []
        venue.enter(replace(limit(1, ALICE, Side.BUY, 10, 900), display_quantity_lots=6))
        venue.enter(ReduceOrder(2, NOW_MS + 2, 1, ALICE, 3))
        venue.enter(ReduceOrder(3, NOW_MS + 3, 1, ALICE, 3))
        await stored.accept()
        for end in (2, 3):
            await stored.settle(stored.entries()[:end])
            async with database.transaction() as transaction:
                shown.append(await transaction.value("SELECT display_quantity_lots FROM orders"))
        venue.settle()
        await stored.audit()
        return shown

    assert using(database_url, scenario) == [6, 4]


def test_cancelled_spot_orders_give_back_what_they_held(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        stored = await traded(database, spot_market=True)
        stored.venue.enter(CancelOrder(4, NOW_MS + 4, 1, BOB))
        stored.venue.enter(CancelOrder(5, NOW_MS + 5, 3, CAROL))
        await stored.accept()
        await stored.settle()
        stored.venue.settle()
        stored.venue.audit()
        await stored.audit()
        async with database.transaction() as transaction:
            assert await transaction.value("SELECT sum(held_units)::bigint FROM balances") == 0
            sold = await transaction.value(
                "SELECT total_units FROM balances WHERE account_id = $1 AND asset_id = $2", BOB, BASE
            )
            assert sold == 10**17 - 2 * stored.venue.instrument.base_units_per_lot

    using(database_url, scenario)


@pytest.mark.parametrize("name", sorted(MARKETS))
def test_terms_are_read_as_they_were_stored(database_url: str, name: str) -> None:
    async def scenario(database: Database) -> None:
        venue = Venue(MARKETS[name])
        await open_market(database, venue.instrument)
        async with database.transaction() as transaction:
            terms = await read_terms(transaction, SYMBOL)
        assert (terms.market_id, terms.base_asset_id, terms.quote_asset_id) == (MARKET, BASE, QUOTE)
        for term in ("units_per_tick_lot", "base_units_per_lot", "maker_fee_ppm", "taker_fee_ppm", "fee_asset", "kind"):
            assert getattr(terms.instrument, term) == getattr(venue.instrument, term)

    using(database_url, scenario)


def test_a_market_that_is_not_there(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            with pytest.raises(UnknownMarket):
                await read_terms(transaction, "NOWHERE")
            with pytest.raises(UnknownMarket):
                await settled_sequence(transaction, 77)

    using(database_url, scenario)
