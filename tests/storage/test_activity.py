"""Activity: every step of an order that keeps it, written by the transactions that accept and settle, and no other."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from crossbook.application.activity import KEPT_MS, NS_PER_MS, Activity, ActivityKind
from crossbook.application.requests import AmendRequest
from crossbook.domain.errors import Reason
from crossbook.domain.orders import OrderType, Side, TimeInForce
from crossbook.storage import activity
from crossbook.storage.activity import ActivityReader
from crossbook.storage.database import Database
from crossbook.system import ManualClock
from crossbook.workers.activity_cleaner import ActivityCleaner, CleanerSettings
from tests.storage.audited import SPOT_TICKS, AuditedVenue, audited, open_venue
from tests.storage.support import using

EVER = 2**62
Kind = ActivityKind


def playing(url: str, play: Callable[[AuditedVenue, ActivityReader], Awaitable[None]]) -> None:
    """Run a play on a venue whose desk is open."""

    async def scenario(database: Database) -> None:
        venue, running, stop = await open_venue(database)
        await play(venue, ActivityReader(database))
        assert await audited(database) == {}
        stop.set()
        await running

    using(url, scenario)


async def all_of(venue: AuditedVenue, reader: ActivityReader, trader: int) -> list[Activity]:
    """The activity of a trader, oldest first."""
    return (await reader.page([venue.traders[trader]], -1, EVER, 1_000))[::-1]


def test_every_kind_of_step_is_written_with_its_terms(database_url: str) -> None:
    async def play(venue: AuditedVenue, reader: ActivityReader) -> None:
        async def buy(lots: int, ticks: int, name: str, **terms: Any) -> int:
            return await venue.submit(
                1, venue.spot, Side.BUY, lots, ticks, external_id=name, keeps_activity=True, **terms
            )

        rests = await buy(10, SPOT_TICKS, "rests")
        await venue.settle()
        await venue.desk.amend(AmendRequest(venue.traders[1], rests, 8, SPOT_TICKS - 1))
        await venue.settle()
        await venue.submit(0, venue.spot, Side.SELL, 3, SPOT_TICKS - 1)  # keeps none
        await venue.settle()
        await venue.desk.cancel(venue.traders[1], rests)
        await venue.desk.cancel(venue.traders[1], rests)  # refused by the engine: it has ended by then
        await venue.settle()
        refused = await buy(1, SPOT_TICKS, "refused", post_only=True)
        await venue.submit(0, venue.spot, Side.SELL, 1, SPOT_TICKS + 1)
        passing = await buy(5, SPOT_TICKS + 2, "passing", time_in_force=TimeInForce.IOC)
        await venue.settle()
        del refused, passing
        steps = await all_of(venue, reader, 1)
        assert [(s.kind, s.external_id, s.price_ticks, s.quantity_lots, s.reason) for s in steps] == [
            (Kind.REQUEST_NEW, "rests", SPOT_TICKS, 10, 0),
            (Kind.REPORT_CONFIRM, "rests", SPOT_TICKS, 10, 0),
            (Kind.REQUEST_MODIFY, "rests", SPOT_TICKS - 1, 8, 0),
            (Kind.REPORT_MODIFIED, "rests", SPOT_TICKS - 1, 8, 0),
            (Kind.REPORT_TRADE, "rests", SPOT_TICKS - 1, 3, 0),
            (Kind.REQUEST_CANCEL, "rests", 0, 0, 0),
            (Kind.REQUEST_CANCEL, "rests", 0, 0, 0),
            (Kind.REPORT_CANCELED, "rests", SPOT_TICKS - 1, 8, Reason.USER_REQUEST),
            (Kind.REPORT_REJECT, "rests", SPOT_TICKS - 1, 8, Reason.ORDER_NOT_FOUND),
            (Kind.REQUEST_NEW, "refused", SPOT_TICKS, 1, 0),
            (Kind.REQUEST_NEW, "passing", SPOT_TICKS + 2, 5, 0),
            (Kind.REPORT_CONFIRM, "refused", SPOT_TICKS, 1, 0),
            (Kind.REPORT_CONFIRM, "passing", SPOT_TICKS + 2, 5, 0),
            (Kind.REPORT_TRADE, "passing", SPOT_TICKS + 1, 1, 0),
            (Kind.REPORT_CANCELED, "passing", SPOT_TICKS + 2, 5, Reason.IOC_UNFILLED),
        ]
        trade = next(step for step in steps if step.kind is Kind.REPORT_TRADE)
        assert (trade.order_id, trade.role, trade.fee_ppm, trade.trade_id) == (rests, 1, 200, 1)
        assert await all_of(venue, reader, 0) == []
        times = [step.recorded_at_ns for step in steps]
        assert len({step.activity_id for step in steps}) == len(times)

    playing(database_url, play)


def test_a_market_order_has_no_price_and_cancel_all_asks_for_each(database_url: str) -> None:
    async def play(venue: AuditedVenue, reader: ActivityReader) -> None:
        keeping: dict[str, Any] = {"keeps_activity": True}
        await venue.submit(0, venue.spot, Side.SELL, 1, SPOT_TICKS)
        await venue.submit(1, venue.spot, Side.BUY, 1, SPOT_TICKS + 9, OrderType.MARKET, **keeping)
        for ticks in (1, 2):
            await venue.submit(1, venue.spot, Side.BUY, 1, ticks, **keeping)
        await venue.submit(1, venue.spot, Side.BUY, 1, 3)
        await venue.desk.cancel_all(venue.traders[1])
        await venue.settle()
        steps = await all_of(venue, reader, 1)
        assert [(step.kind, step.price_ticks) for step in steps[:1]] == [(Kind.REQUEST_NEW, 0)]
        traded = next(step for step in steps if step.kind is Kind.REPORT_TRADE)
        assert (traded.price_ticks, traded.role, traded.fee_ppm) == (SPOT_TICKS, 2, 500)
        kinds = [step.kind for step in steps]
        # The market order is live, as far as is settled, when all are cancelled.
        assert (kinds.count(Kind.REQUEST_CANCEL), kinds.count(Kind.REPORT_CANCELED)) == (3, 2)

    playing(database_url, play)


def test_pages_stand_still_while_rows_arrive(database_url: str) -> None:
    async def play(venue: AuditedVenue, reader: ActivityReader) -> None:
        account = [venue.traders[1]]

        async def add(ticks: int) -> None:
            await venue.submit(1, venue.spot, Side.BUY, 1, ticks, keeps_activity=True)
            await venue.settle()

        for ticks in range(1, 9):
            await add(ticks)
        until_ns = max(step.recorded_at_ns for step in await reader.page(account, -1, EVER, 100))
        venue.clock.advance(1)
        whole = [step.activity_id for step in await reader.page(account, -1, until_ns, 100)]
        by_skip: list[int] = []
        by_cursor: list[int] = []
        while len(by_cursor) < len(whole):
            skipped = await reader.page(account, -1, until_ns, 3, skip=len(by_skip))
            by_skip += [step.activity_id for step in skipped]
            walked = await reader.page(account, -1, until_ns, 3, before=by_cursor[-1] if by_cursor else 0)
            by_cursor += [step.activity_id for step in walked]
            await add(20 + len(by_skip))
        assert by_skip == whole
        assert by_cursor == whole
        # A row that is another's, or that is not there, is no place to go on from.
        assert await reader.page([venue.traders[0]], -1, EVER, 3, before=whole[0]) == []
        assert await reader.page(account, -1, EVER, 3, before=2**40) == []

    playing(database_url, play)


def test_filters_and_windows(database_url: str) -> None:
    async def play(venue: AuditedVenue, reader: ActivityReader) -> None:
        account = [venue.traders[1]]
        first = await venue.submit(1, venue.spot, Side.BUY, 1, 5, keeps_activity=True)
        await venue.settle()
        middle_ns = venue.clock.now_ms() * NS_PER_MS + NS_PER_MS - 1
        venue.clock.advance(10)
        second = await venue.submit(1, venue.spot, Side.BUY, 1, 6, keeps_activity=True)
        await venue.settle()

        async def orders(**terms: object) -> list[int]:
            window = {"after_ns": -1, "until_ns": EVER, **terms}
            return [step.order_id for step in await reader.page(account, limit=100, **window)]  # type: ignore[arg-type]

        assert await orders() == [second, second, first, first]
        assert await orders(until_ns=middle_ns) == [first, first]
        assert await orders(after_ns=middle_ns) == [second, second]
        assert await orders(order_ids=[first]) == [first, first]
        assert await orders(kinds=[Kind.REPORT_CONFIRM]) == [second, first]
        assert await orders(order_ids=[first], kinds=[Kind.REPORT_TRADE]) == []
        assert await reader.page([venue.traders[0]], -1, EVER, 100, order_ids=[first]) == []

    playing(database_url, play)


def test_old_rows_are_removed_a_part_at_a_time(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        clock = ManualClock()
        old_ns = (clock.now_ms() - KEPT_MS) * NS_PER_MS
        async with database.transaction() as transaction:
            await transaction.execute(
                """
                INSERT INTO activity (account_id, order_id, market_id, kind, side, sequence, recorded_at_ns)
                SELECT 1000000, 1, 1, 1, 1, 1, $1::bigint + number FROM generate_series(-5, 4) AS number
                """,
                old_ns,
            )
        cleaner = ActivityCleaner(database, clock, CleanerSettings(batch=2))
        assert [await cleaner.clean() for _ in range(4)] == [2, 2, 1, 0]
        left = await ActivityReader(database).page([1_000_000], -1, EVER, 100)
        assert [step.recorded_at_ns - old_ns for step in left] == [4, 3, 2, 1, 0]
        await asyncio.gather(cleaner.clean(), cleaner.clean())

    using(database_url, scenario)


def test_nothing_is_written_for_those_who_keep_none(database_url: str) -> None:
    async def play(venue: AuditedVenue, reader: ActivityReader) -> None:
        await venue.trade()
        assert await reader.page(venue.traders, -1, EVER, 100) == []
        async with venue.database.transaction() as transaction:
            await activity.write(transaction, [], 0)

    playing(database_url, play)
