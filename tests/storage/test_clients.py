"""What an operator does to clients: suspended, resumed, closed when empty, moved between fee tiers."""

import pytest

from crossbook.application.clients import (
    Client,
    ClientClosed,
    ClientInUse,
    ClientNotFound,
    ClientStatus,
    ClientType,
    FeeTier,
    NewClient,
)
from crossbook.application.errors import InvalidOrder
from crossbook.domain.orders import MAX_ID
from crossbook.storage.database import Database
from tests.storage.support import add_markets, using
from tests.storage.test_api_keys import Office


async def opened(office: Office, mnemonic: str = "ALICE") -> Client:
    """A client of a new user."""
    return await office.clients.ensure_first(await office.user(mnemonic.lower()), mnemonic)


def test_a_client_is_found_by_its_id_and_by_its_mnemonic(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        first, second = await opened(office), await opened(office, "BOB")
        # A mnemonic that is another's id does not hide that one.
        third = await office.clients.create(NewClient(first.organization_id, str(second.account_id)))
        assert await office.clients.called("ALICE") == first
        assert await office.clients.called(str(second.account_id)) == second
        assert await office.clients.called(str(third.account_id)) == third
        for name in ("alice", "0", str(MAX_ID + 1), "9" * 40, ""):
            with pytest.raises(ClientNotFound):
                await office.clients.called(name)
        assert await office.clients.of_organization(None) == [first, second, third]

    using(database_url, scenario)


def test_a_suspended_client_can_be_resumed_and_a_closed_one_can_not(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        client = await opened(office)
        with pytest.raises(ClientInUse, match="suspend it first"):
            await office.clients.close(client)
        suspended = await office.clients.suspend(client)
        assert suspended.status is ClientStatus.DISABLED
        assert await office.clients.resume(suspended) == client
        suspended = await office.clients.suspend(client)
        assert not await office.clients.is_closed(client.account_id)
        await office.clients.close(suspended)
        closed = await office.clients.called("ALICE")
        assert closed.status is ClientStatus.CLOSED
        assert await office.clients.is_closed(client.account_id)
        with pytest.raises(ClientClosed):
            await office.clients.resume(closed)
        with pytest.raises(ClientClosed):
            await office.clients.suspend(closed)
        with pytest.raises(ClientClosed):
            await office.clients.set_fee_tiers(closed, 0, 0)
        with pytest.raises(ClientClosed):
            await office.clients.close(closed)
        assert await office.clients.called("ALICE") == closed

    using(database_url, scenario)


def test_a_client_that_has_something_left_is_not_closed(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        client = await office.clients.suspend(await opened(office))
        async with database.transaction() as transaction:
            await add_markets(transaction)
            await transaction.execute(
                """
                INSERT INTO balances (account_id, asset_id, is_margin_asset, total_units)
                VALUES ($1, 1, false, 5), ($1, 2, false, 0)
                """,
                client.account_id,
            )
        with pytest.raises(ClientInUse, match=r"money in USDC$"):
            await office.clients.close(client)
        assert (await office.clients.called("ALICE")).status is ClientStatus.DISABLED
        async with database.transaction() as transaction:
            await transaction.execute("UPDATE balances SET total_units = 0")
            await transaction.execute(
                """
                INSERT INTO transfers (account_id, asset_id, type, platform, amount_units, status, look_at_ms,
                    created_at_ms, updated_at_ms)
                VALUES ($1, 1, 1, 1, 5, 2, 0, 0, 0)
                """,
                client.account_id,
            )
        with pytest.raises(ClientInUse, match=r"it has 1 open transfers$"):
            await office.clients.close(client)

    using(database_url, scenario)


def test_fee_tiers_are_kept(database_url: str) -> None:
    async def scenario(database: Database) -> list[FeeTier]:
        office = Office(database)
        for rate in (100, 200):
            await office.clients.put_fee_tier(FeeTier(1, -50, rate))
        return list(await office.clients.fee_tiers())

    assert using(database_url, scenario) == [FeeTier(1, -50, 200)]


@pytest.mark.parametrize(
    ("tier", "field"),
    [
        (FeeTier(0, 0, 0), "tier"),
        (FeeTier(32_768, 0, 0), "tier"),
        (FeeTier(1, 0, 1_000_001), "taker"),
        (FeeTier(1, 0, -1), "taker"),
        (FeeTier(1, 6, 5), "maker"),
        (FeeTier(1, -6, 5), "maker"),
    ],
)
def test_what_no_tier_can_be(database_url: str, tier: FeeTier, field: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        with pytest.raises(InvalidOrder, match=f"^{field} "):
            await office.clients.put_fee_tier(tier)
        assert await office.clients.fee_tiers() == []

    using(database_url, scenario)


def test_a_client_has_tiers_that_exist(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        client = await opened(office)
        await office.clients.put_fee_tier(FeeTier(3, -50, 200))
        changed = await office.clients.set_fee_tiers(client, 0, 3)
        assert (changed.maker_fee_tier, changed.taker_fee_tier) == (0, 3)
        assert await office.clients.set_fee_tiers(client, 0, 0) == client
        with pytest.raises(InvalidOrder, match="tier 2 does not exist: there are 0, 3"):
            await office.clients.set_fee_tiers(client, 3, 2)
        with pytest.raises(InvalidOrder, match="tier 2 does not exist"):
            await office.clients.create(NewClient(client.organization_id, "OTHER", maker_fee_tier=2))
        made = await office.clients.create(
            NewClient(client.organization_id, "OTHER", type=ClientType.APPLICATION, taker_fee_tier=3)
        )
        assert (made.type, made.maker_fee_tier, made.taker_fee_tier) == (ClientType.APPLICATION, 0, 3)

    using(database_url, scenario)
