"""Names that owners give their orders: one live order each, and an amendment may change them."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from crossbook.application.errors import DuplicateClientOrderId
from crossbook.application.requests import AmendRequest, NewOrder
from crossbook.domain.orders import OrderType, Side
from crossbook.storage.database import Database
from crossbook.storage.queries import Queries
from tests.storage.audited import SPOT_TICKS, AuditedVenue, audited, open_venue
from tests.storage.support import using


def at_the_venue(url: str, scenario: Callable[[AuditedVenue], Awaitable[None]]) -> None:
    async def run(database: Database) -> None:
        venue, running, stop = await open_venue(database)
        async with asyncio.timeout(60):
            await scenario(venue)
        stop.set()
        await running
        assert await audited(database) == {}

    using(url, run)


def buy(venue: AuditedVenue, name: str | None, trader: int = 0, lots: int = 10) -> NewOrder:
    account = venue.traders[trader]
    return NewOrder(account, venue.spot, Side.BUY, OrderType.LIMIT, lots, SPOT_TICKS, external_id=name)


async def names(venue: AuditedVenue, order_id: int, trader: int = 0) -> tuple[str | None, str | None]:
    order = await Queries(venue.database).order(venue.traders[trader], order_id)
    assert order is not None
    return order.external_id, order.ref_external_id


async def commands(venue: AuditedVenue) -> int:
    async with venue.database.snapshot() as transaction:
        return int(await transaction.value("SELECT count(*) FROM commands"))


def test_a_name_is_one_live_orders_and_a_repeat_is_the_same_order(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        answers = await asyncio.gather(*(venue.desk.submit(buy(venue, "mine")) for _ in range(5)))
        assert len({answer.order_id for answer in answers}) == 1
        assert [answer.repeated for answer in answers] == [False, True, True, True, True]
        assert (await venue.desk.submit(buy(venue, "mine"))).repeated
        with pytest.raises(DuplicateClientOrderId):
            await venue.desk.submit(buy(venue, "mine", lots=11))
        assert not (await venue.desk.submit(buy(venue, "mine", trader=1))).repeated
        assert await names(venue, answers[0].order_id) == ("mine", None)

    at_the_venue(database_url, scenario)


def test_a_name_is_free_again_when_its_order_has_ended(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        first = await venue.desk.submit(buy(venue, "mine"))
        await venue.desk.cancel_all(venue.traders[0])
        await venue.settle()
        # The same body soon after is somebody who has not seen the answer.
        assert (await venue.desk.submit(buy(venue, "mine"))).order_id == first.order_id
        second = await venue.desk.submit(buy(venue, "mine", lots=11))
        assert second.order_id != first.order_id
        with pytest.raises(DuplicateClientOrderId):
            await venue.desk.submit(buy(venue, "mine"))

    at_the_venue(database_url, scenario)


def test_a_repeat_long_after_the_end_is_a_new_order(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        first = await venue.desk.submit(buy(venue, "mine"))
        await venue.desk.cancel_all(venue.traders[0])
        await venue.settle()
        venue.clock.advance(600_000)
        second = await venue.desk.submit(buy(venue, "mine"))
        assert second.order_id != first.order_id

    at_the_venue(database_url, scenario)


def test_a_rename_alone_needs_no_command_and_keeps_the_old_name_at_hand(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        placed = await venue.desk.submit(buy(venue, "first"))
        logged = await commands(venue)
        for _ in range(2):  # a repeat changes nothing more
            await venue.desk.amend(AmendRequest(venue.traders[0], placed.order_id, external_id="second"))
            assert await names(venue, placed.order_id) == ("second", "first")
        assert await commands(venue) == logged
        await venue.settle()
        assert await names(venue, placed.order_id) == ("second", "first")
        # The old name is free, the new one is taken.
        assert not (await venue.desk.submit(buy(venue, "first"))).repeated
        with pytest.raises(DuplicateClientOrderId):
            await venue.desk.submit(buy(venue, "second"))

    at_the_venue(database_url, scenario)


def test_terms_and_name_change_together_and_a_name_that_is_taken_changes_neither(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        placed = await venue.desk.submit(buy(venue, "first"))
        other = await venue.desk.submit(buy(venue, None, lots=20))
        with pytest.raises(DuplicateClientOrderId):
            await venue.desk.amend(AmendRequest(venue.traders[0], other.order_id, 30, external_id="first"))
        await venue.desk.amend(AmendRequest(venue.traders[0], other.order_id, 40, external_id="other"))
        await venue.settle()
        order = await Queries(venue.database).order(venue.traders[0], other.order_id)
        assert order is not None
        assert (order.quantity_lots, order.external_id, order.ref_external_id) == (40, "other", None)
        assert await names(venue, placed.order_id) == ("first", None)

    at_the_venue(database_url, scenario)


def test_orders_that_pass_a_name_on_in_one_batch_keep_it_unique(database_url: str) -> None:
    async def scenario(venue: AuditedVenue) -> None:
        first = await venue.desk.submit(buy(venue, "a"))
        second = await venue.desk.submit(buy(venue, "b", lots=11))
        _, _, third = await asyncio.gather(
            venue.desk.amend(AmendRequest(venue.traders[0], second.order_id, external_id="c")),
            venue.desk.amend(AmendRequest(venue.traders[0], first.order_id, external_id="b")),
            venue.desk.submit(buy(venue, "a", lots=12)),
        )
        assert await names(venue, first.order_id) == ("b", "a")
        assert await names(venue, second.order_id) == ("c", "b")
        assert await names(venue, third.order_id) == ("a", None)

    at_the_venue(database_url, scenario)
