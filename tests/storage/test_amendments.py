"""Amendments on a real database, with engine and settlement: what they set aside, and what is left of it."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from crossbook.application.errors import InsufficientFunds, InvalidOrder, OrderNotFound, OrderNotOpen, Overloaded
from crossbook.application.requests import AmendRequest
from crossbook.application.views import OrderDetails, Page
from crossbook.domain.errors import CrossbookError, Reason
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.margin import InsufficientMargin
from crossbook.domain.orders import OrderType, SelfTradePrevention, Side, TimeInForce
from crossbook.storage.database import Database, columns
from crossbook.storage.queries import Queries
from tests.storage.audited import PERP_TICKS, SPOT_TICKS, AuditedVenue, audited, open_venue
from tests.storage.support import using

UNIT = 1_000_000
HELD = "SELECT account_id, asset_id, total_units, held_units FROM balances WHERE account_id >= 1000000 ORDER BY 1, 2"
ROWS = """
    SELECT account_id, market_id, position_lots, cost_units, open_buy_lots, open_buy_notional_units, open_sell_lots,
        open_sell_notional_units, fee_reserve_units FROM positions ORDER BY 1, 2
"""


def at_the_venue(url: str, scenario: Callable[[AuditedVenue], Awaitable[None]]) -> None:
    """Run `scenario` with an open desk, and audit what it leaves."""

    async def run(database: Database) -> None:
        venue, running, stop = await open_venue(database)
        async with asyncio.timeout(120):
            await scenario(venue)
        stop.set()
        await running
        assert await audited(database) == {}

    using(url, run)


async def stored(venue: AuditedVenue, statement: str) -> list[tuple[int, ...]]:
    async with venue.database.snapshot() as transaction:
        return [tuple(int(value) for value in row) for row in await transaction.rows(statement)]


async def tied_up(venue: AuditedVenue) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Every balance and every row of positions."""
    return await stored(venue, HELD), await stored(venue, ROWS)


async def order_of(venue: AuditedVenue, trader: int, order_id: int) -> OrderDetails:
    order = await Queries(venue.database).order(venue.traders[trader], order_id)
    assert order is not None
    return order


async def amend(
    venue: AuditedVenue, trader: int, order_id: int, lots: int = 0, ticks: int = 0, trigger: int = 0
) -> None:
    await venue.desk.amend(AmendRequest(venue.traders[trader], order_id, lots, ticks, trigger))


async def give(venue: AuditedVenue, trader: int, usdc_units: int) -> None:
    """Let a trader have just so much of USDC, in a way that leaves the books in balance."""
    async with venue.database.transaction() as transaction:
        await transaction.execute("SET LOCAL session_replication_role = replica")
        account = venue.traders[trader]
        asset: int = await transaction.value("SELECT asset_id FROM assets WHERE name = 'USDC'")
        before: int = await transaction.value(
            "SELECT total_units FROM balances WHERE account_id = $1 AND asset_id = $2", account, asset
        )
        await transaction.execute(
            """
            UPDATE balances SET total_units = total_units + CASE account_id WHEN $1 THEN $3 ELSE -$3::bigint END
            WHERE account_id IN (1, $1) AND asset_id = $2
            """,
            account,
            asset,
            usdc_units - before,
        )
        await transaction.execute(
            """
            WITH journal AS (INSERT INTO journals (kind, created_at_ms) VALUES (1, 0) RETURNING journal_id)
            INSERT INTO postings (journal_id, line, account_id, asset_id, kind, amount_units)
            SELECT journal_id, line, account_id, $3, 1, units FROM journal, unnest($1::bigint[], $2::bigint[])
                WITH ORDINALITY AS lines (account_id, units, line)
            """,
            *columns([(account, usdc_units - before), (1, before - usdc_units)], 2),
            asset,
        )


@pytest.mark.parametrize("kind", ["spot", "perp"])
def test_what_an_amendment_needs_more_is_set_aside_at_once_and_recounted_when_it_is_settled(
    database_url: str, kind: str
) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        market, ticks = (venue.spot, SPOT_TICKS) if kind == "spot" else (venue.perp, PERP_TICKS)
        empty = await tied_up(venue)
        order_id = await venue.submit(0, market, Side.BUY, 10, ticks)
        await venue.settle()
        await amend(venue, 0, order_id, 20, ticks - 10)
        assert (await order_of(venue, 0, order_id)).quantity_lots == 10
        before = await tied_up(venue)
        assert await audited(venue.database) == {}
        await venue.settle()
        order = await order_of(venue, 0, order_id)
        assert (order.quantity_lots, order.open_lots, order.price_ticks) == (20, 20, ticks - 10)
        after = await tied_up(venue)
        # It was covered before: settling frees, and never takes.
        assert all(b[3] >= a[3] for b, a in zip(before[0], after[0], strict=True))
        assert all(b[5] >= a[5] and b[8] >= a[8] for b, a in zip(before[1], after[1], strict=True))
        await venue.desk.cancel(venue.traders[0], order_id)
        await venue.settle()
        left = await tied_up(venue)
        assert left[0] == empty[0]
        assert all(not any(row[2:]) for row in left[1])
        assert await stored(venue, "SELECT sequence FROM amendments") == []

    at_the_venue(database_url, scenario)


@pytest.mark.parametrize("kind", ["spot", "perp"])
def test_what_the_engine_refuses_changes_nothing(database_url: str, kind: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        market, ticks = (venue.spot, SPOT_TICKS) if kind == "spot" else (venue.perp, PERP_TICKS)
        await venue.submit(1, market, Side.SELL, 10, ticks + 5)
        order_id = await venue.submit(0, market, Side.BUY, 10, ticks, post_only=True)
        await venue.settle()
        before, order = await tied_up(venue), await order_of(venue, 0, order_id)
        await amend(venue, 0, order_id, 30, ticks + 5)  # post-only, and would take
        assert await tied_up(venue) != before
        await venue.settle()
        assert await tied_up(venue) == before
        refused = await order_of(venue, 0, order_id)
        assert refused.last_amendment is not None
        assert refused.last_amendment.answer is Reason.POST_ONLY_WOULD_TAKE
        assert replace(refused, last_amendment=None) == order

    at_the_venue(database_url, scenario)


def test_an_order_shows_what_came_of_its_newest_amendment(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        async def newest(order_id: int) -> tuple[int, Reason | None]:
            found = (await order_of(venue, 0, order_id)).last_amendment
            assert found is not None
            return found.accepted_at_ms, found.answer

        await venue.submit(1, venue.perp, Side.SELL, 10, PERP_TICKS + 5)
        order_id, other_id = [
            await venue.submit(0, venue.perp, Side.BUY, 10, PERP_TICKS, post_only=True) for _ in range(2)
        ]
        await venue.settle()
        assert (await order_of(venue, 0, order_id)).last_amendment is None
        # Each answer stands until the next amendment is accepted; of several at once the newest counts.
        await amend(venue, 0, order_id, 30)
        first_ms, answer = await newest(order_id)
        assert answer is None
        await venue.settle()
        assert await newest(order_id) == (first_ms, Reason.NONE)
        await amend(venue, 0, order_id, 20)
        assert (await newest(order_id))[1] is None
        await amend(venue, 0, order_id, ticks=PERP_TICKS + 5)  # post-only, and would take
        await venue.settle()
        assert (await newest(order_id))[1] is Reason.POST_ONLY_WOULD_TAKE
        assert (await order_of(venue, 0, order_id)).quantity_lots == 20
        # An order that ended before its amendment was decided says so, and an amendment may end it.
        await venue.desk.cancel(venue.traders[0], order_id)
        await amend(venue, 0, order_id, 10)
        await venue.settle()
        assert (await newest(order_id))[1] is Reason.ORDER_NOT_FOUND
        assert (await order_of(venue, 0, order_id)).status is OrderStatus.CANCELLED
        assert (await order_of(venue, 0, other_id)).last_amendment is None

    at_the_venue(database_url, scenario)


def test_an_order_that_ends_first_leaves_its_amendment_nothing_to_hold(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        empty = await tied_up(venue)
        for market, ticks in ((venue.spot, SPOT_TICKS), (venue.perp, PERP_TICKS)):
            order_id = await venue.submit(0, market, Side.BUY, 10, ticks)
            await venue.settle()
            await venue.desk.cancel(venue.traders[0], order_id)
            await amend(venue, 0, order_id, ticks=ticks + 3)
            # Settled one by one: in between, the order has ended and its amendment is under way.
            sequence = venue.engines[market].last_sequence
            await venue.settle(sequence + 1)
            assert (await order_of(venue, 0, order_id)).status is OrderStatus.CANCELLED
            assert await audited(venue.database) == {}
            await venue.settle()
        left = await tied_up(venue)
        assert left[0] == empty[0]
        assert all(not any(row[2:]) for row in left[1])

    at_the_venue(database_url, scenario)


def test_whose_order_and_which_field(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        order_id = await venue.submit(0, venue.perp, Side.BUY, 100, PERP_TICKS)
        with pytest.raises(OrderNotFound):
            await amend(venue, 1, order_id, 5)
        with pytest.raises(OrderNotFound):
            await amend(venue, 0, order_id + 1, 5)
        for values, field, nearest in (
            ((0, 0, 0), "quantity", None),
            ((-1, 0, 0), "quantity", "0.001"),
            ((0, -1, 0), "price", "0.1"),
            ((1 << 40, 0, 0), "quantity", "1099511627.775"),
            ((0, 1 << 40, 0), "price", "109951162777.5"),
            ((0, 0, 5), "triggerPrice", None),
        ):
            with pytest.raises(InvalidOrder) as refused:
                await amend(venue, 0, order_id, *values)
            assert (refused.value.field, refused.value.nearest) == (field, nearest)
        await venue.settle()
        await venue.desk.cancel(venue.traders[0], order_id)
        await venue.settle()
        with pytest.raises(OrderNotOpen):
            await amend(venue, 0, order_id, 5)
        market_order = await venue.submit(0, venue.perp, Side.BUY, 100, PERP_TICKS, OrderType.MARKET)
        with pytest.raises(InvalidOrder, match="MARKET"):
            await amend(venue, 0, market_order, 5)

    at_the_venue(database_url, scenario)


def test_a_waiting_order_gets_another_trigger_price(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        stop = OrderType.STOP_LIMIT
        order_id = await venue.submit(0, venue.spot, Side.BUY, 10, SPOT_TICKS, stop, trigger_price_ticks=SPOT_TICKS)
        await amend(venue, 0, order_id, trigger=SPOT_TICKS + 9)
        await venue.settle()
        assert (await order_of(venue, 0, order_id)).trigger_price_ticks == SPOT_TICKS + 9

    at_the_venue(database_url, scenario)


def test_too_many_at_once_are_told_to_wait(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        order_id = await venue.submit(0, venue.spot, Side.BUY, 10, SPOT_TICKS)
        for more in range(8):
            await amend(venue, 0, order_id, 11 + more)
        with pytest.raises(Overloaded):
            await amend(venue, 0, order_id, 30)
        await venue.settle()
        await amend(venue, 0, order_id, 30)
        await venue.settle()
        assert (await order_of(venue, 0, order_id)).quantity_lots == 30

    at_the_venue(database_url, scenario)


@pytest.mark.parametrize("kind", ["spot", "perp"])
def test_of_fifty_amendments_at_once_on_a_balance_for_nine_exactly_nine_are_accepted(
    database_url: str, kind: str
) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        market, ticks = (venue.spot, SPOT_TICKS) if kind == "spot" else (venue.perp, PERP_TICKS)
        orders = [await venue.submit(0, market, Side.BUY, 10, ticks) for _ in range(50)]
        await venue.settle()
        # Each order has 10 lots, and asks for 10 more of the same.
        if kind == "spot":
            each = 10 * ticks * 50 + 10 * ticks * 50 * 500 // 1_000_000
        else:
            each = 10 * ticks * 100 // 10 + 10 * ticks * 100 * 500 // 1_000_000
        await give(venue, 0, 59 * each + each - 1)
        answers = await asyncio.gather(*(amend(venue, 0, order_id, 20) for order_id in orders), return_exceptions=True)
        assert answers.count(None) == 9
        refused = InsufficientFunds if kind == "spot" else InsufficientMargin
        assert sum(isinstance(answer, refused) for answer in answers) == 41
        await venue.settle()
        found = await Queries(venue.database).orders(venue.traders[0], Page(100))
        assert sorted(order.quantity_lots for order in found) == [10] * 41 + [20] * 9

    at_the_venue(database_url, scenario)


def test_a_worse_price_is_checked_although_the_order_does_not_grow(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        order_id = await venue.submit(0, venue.perp, Side.SELL, 1000, PERP_TICKS + 10)
        await venue.settle()
        await give(venue, 0, 6_600 * UNIT)
        # A tenth below the mark: 6,500 of 65,000 would be lost to whoever buys there.
        with pytest.raises(InsufficientMargin):
            await amend(venue, 0, order_id, ticks=PERP_TICKS * 9 // 10)
        await amend(venue, 0, order_id, ticks=PERP_TICKS)
        await amend(venue, 0, order_id, 10)
        await venue.settle()
        assert (await order_of(venue, 0, order_id)).quantity_lots == 10

    at_the_venue(database_url, scenario)


@pytest.mark.parametrize("seed", range(6))
def test_random_amendments_keep_the_books_and_leave_nothing(database_url: str, seed: int) -> None:
    """Submits, amendments, cancels and crossings, settled in parts; the audit is clean after every part."""

    async def scenario(venue: AuditedVenue) -> None:
        choice = random.Random(seed)
        # Little money: what is not covered would be found by the schema, and stop the settlement.
        for trader in range(3):
            await give(venue, trader, 30_000 * UNIT)
        live: list[tuple[int, int, int]] = []
        for step in range(180):
            with contextlib.suppress(CrossbookError):
                await _one_step(venue, choice, live)
            if step % 6 == 5:
                market = choice.choice((venue.spot, venue.perp))
                await venue.settle(venue.engines[market].last_sequence + choice.randrange(1, 6))
                if step % 18 == 17:
                    assert await audited(venue.database) == {}
        await venue.settle()
        for trader in range(3):
            await venue.desk.cancel_all(venue.traders[trader])
        await venue.settle()
        balances, rows = await tied_up(venue)
        assert all(row[3] == 0 for row in balances)
        assert all(not any(row[4:]) for row in rows)
        amended = await stored(venue, "SELECT count(*) FROM commands WHERE get_byte(record, 0) = 5")
        assert amended[0][0] > 20

    at_the_venue(database_url, scenario)


async def _one_step(venue: AuditedVenue, choice: random.Random, live: list[tuple[int, int, int]]) -> None:
    what = choice.random()
    if live and what < 0.55:
        trader, order_id, ticks = choice.choice(live)
        lots = choice.choice((0, choice.randrange(10, 90), choice.randrange(10, 400)))
        asked = choice.choice((0, ticks + choice.randrange(-400, 400)))
        await amend(venue, trader, order_id, lots, asked)
    elif live and what < 0.65:
        trader, order_id, _ = choice.choice(live)
        await venue.desk.cancel(venue.traders[trader], order_id)
    else:
        trader, side = choice.randrange(3), choice.choice(list(Side))
        market, ticks = choice.choice(((venue.spot, SPOT_TICKS), (venue.perp, PERP_TICKS)))
        order_id = await venue.submit(
            trader,
            market,
            side,
            choice.randrange(10, 90),
            ticks + choice.randrange(-300, 300),
            self_trade_prevention=choice.choice(list(SelfTradePrevention)),
            time_in_force=choice.choice((TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC)),
        )
        live.append((trader, order_id, ticks))
