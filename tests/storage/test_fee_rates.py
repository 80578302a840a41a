"""Fee rates are an order's own, fixed when it is accepted: holds, reserves, fills and the audit agree on them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from crossbook.application.errors import InvalidOrder
from crossbook.application.requests import NewOrder
from crossbook.domain.orders import OrderType, Side
from crossbook.storage.database import Database
from tests.storage.audited import PERP_TICKS, SPOT_TICKS, AuditedVenue, audited, open_venue
from tests.storage.support import using

BUY = NewOrder(1, 1, Side.BUY, OrderType.LIMIT, 5, 100, client_order_id="mine")


def at_the_venue(url: str, scenario: Callable[[AuditedVenue], Awaitable[None]]) -> None:
    async def run(database: Database) -> None:
        venue, running, stop = await open_venue(database)
        async with asyncio.timeout(60):
            await scenario(venue)
        stop.set()
        await running
        assert await audited(database) == {}

    using(url, run)


async def fills(venue: AuditedVenue) -> list[tuple[int, ...]]:
    """Side, role, notional, fee and rate of every fill."""
    statement = "SELECT side, role, notional_units, fee_units, fee_ppm FROM fills ORDER BY market_id, trade_id, side"
    async with venue.database.snapshot() as transaction:
        return [tuple(row) for row in await transaction.rows(statement)]


@pytest.mark.parametrize("kind", ["spot", "perp"])
def test_each_side_pays_its_own_rate(database_url: str, kind: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        market, ticks = (venue.spot, SPOT_TICKS) if kind == "spot" else (venue.perp, PERP_TICKS)
        notional = 100 * ticks * (50 if kind == "spot" else 100)
        await venue.submit(0, market, Side.SELL, 100, ticks, maker_fee_ppm=100, taker_fee_ppm=900)
        await venue.submit(1, market, Side.BUY, 200, ticks, maker_fee_ppm=-300, taker_fee_ppm=2_000)
        await venue.settle()
        maker, taker = (2, 1, notional, notional // 10_000, 100), (1, 2, notional, notional // 500, 2_000)
        assert await fills(venue) == [taker, maker]
        assert await audited(venue.database) == {}
        # The rest of the buy rests now, and earns its rebate from the other's fee.
        await venue.submit(0, market, Side.SELL, 100, ticks, maker_fee_ppm=100, taker_fee_ppm=900)
        await venue.settle()
        assert (await fills(venue))[2] == (1, 1, notional, -notional * 3 // 10_000, -300)

    at_the_venue(database_url, scenario)


@pytest.mark.parametrize("kind", ["spot", "perp"])
def test_a_rebate_is_never_more_than_the_takers_fee(database_url: str, kind: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        market, ticks = (venue.spot, SPOT_TICKS) if kind == "spot" else (venue.perp, PERP_TICKS)
        notional = 100 * ticks * (50 if kind == "spot" else 100)
        await venue.submit(0, market, Side.SELL, 100, ticks, maker_fee_ppm=-500, taker_fee_ppm=500)
        await venue.submit(1, market, Side.BUY, 100, ticks, maker_fee_ppm=0, taker_fee_ppm=200)
        await venue.settle()
        rebate = notional // 5_000
        assert await fills(venue) == [(1, 2, notional, rebate, 200), (2, 1, notional, -rebate, -200)]

    at_the_venue(database_url, scenario)


def test_an_order_holds_at_its_own_rate_and_keeps_it_when_the_market_changes(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        await venue.submit(0, venue.spot, Side.BUY, 100, SPOT_TICKS, maker_fee_ppm=0, taker_fee_ppm=10_000)
        notional = 100 * SPOT_TICKS * 50
        async with venue.database.transaction() as transaction:
            assert await transaction.value("SELECT held_units FROM orders") == notional * 101 // 100
            await transaction.execute("UPDATE markets SET taker_fee_ppm = 700 WHERE kind = 1")
        await venue.settle()
        await venue.submit(1, venue.spot, Side.SELL, 40, SPOT_TICKS)
        await venue.settle()
        assert await audited(venue.database) == {}
        await venue.desk.cancel_all(venue.traders[0])
        await venue.settle()
        async with venue.database.snapshot() as transaction:
            assert await transaction.value("SELECT sum(held_units) FROM balances") == 0

    at_the_venue(database_url, scenario)


def test_rates_that_no_order_may_have_are_refused(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        for maker, taker in ((501, 500), (0, -1), (0, 1_000_001), (-1_000_001, 0)):
            with pytest.raises(InvalidOrder, match="feeRate"):
                await venue.submit(0, venue.spot, Side.BUY, 1, SPOT_TICKS, maker_fee_ppm=maker, taker_fee_ppm=taker)

    at_the_venue(database_url, scenario)


def test_a_repeat_is_the_same_order_whatever_rates_hold_by_then() -> None:
    assert BUY.fingerprint() == replace(BUY, maker_fee_ppm=3, taker_fee_ppm=9).fingerprint()
    assert BUY.fingerprint() != replace(BUY, quantity_lots=6).fingerprint()
    assert BUY.fingerprint() != replace(BUY, post_only=True).fingerprint()
