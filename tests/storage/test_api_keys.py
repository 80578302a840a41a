"""Keys and clients in the database: who owns what, what is sealed, what is noted."""

import pytest

from crossbook.application.accounts import UserKind
from crossbook.application.api_keys import NOTE_USE_EVERY_MS, ApiKeys, KeyNotFound
from crossbook.application.clients import ClientNotFound, Clients, NewClient
from crossbook.application.errors import InvalidOrder
from crossbook.domain.orders import SelfTradePrevention
from crossbook.security.sealing import Sealer, SealError
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.clients import ClientStore
from crossbook.storage.database import Database
from crossbook.storage.users import UserStore
from crossbook.system import ManualClock
from tests.storage.support import using


class Office:
    """Keys and clients of one database."""

    def __init__(self, database: Database, sealing_key: bytes = b"k" * 32) -> None:
        self.database = database
        self.clock = ManualClock()
        self.keys = ApiKeys(KeyStore(database), Sealer([sealing_key]), self.clock)
        self.store = ClientStore(database)
        self.clients = Clients(self.store, self.clock)

    async def user(self, name: str) -> int:
        user = await UserStore(self.database).create(
            UserKind.GUEST, self.clock.now_ms(), email=None, password_hash=None, name=name, scopes=frozenset()
        )
        return user.user_id


def test_a_secret_is_told_once_and_stored_sealed(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        issued = await office.keys.issue(await office.user("alice"), ["read"], name="x")
        async with database.snapshot() as transaction:
            stored = await transaction.value("SELECT sealed_secret FROM api_keys")
        assert issued.secret not in stored
        assert issued.secret not in repr(issued)
        found = await office.keys.signing_key(issued.key.key_id)
        assert found is not None
        assert found.secret.decode() == issued.secret
        assert issued.secret not in repr(found)
        with pytest.raises(SealError):
            await Office(database, b"o" * 32).keys.signing_key(issued.key.key_id)

    using(database_url, scenario)


def test_the_use_of_a_key_is_written_once_a_minute(database_url: str) -> None:
    async def scenario(database: Database) -> list[int]:
        office = Office(database)
        issued = await office.keys.issue(await office.user("alice"), ["read"])
        found = []
        for pause_ms in (0, NOTE_USE_EVERY_MS - 1, 1):
            office.clock.advance(pause_ms)
            await office.keys.note_use(issued.key.key_id)
            (key,) = await office.keys.list()
            found.append((key.last_used_at_ms or 0) - key.created_at_ms)
        return found

    assert using(database_url, scenario) == [0, 0, NOTE_USE_EVERY_MS]


def test_a_key_is_revoked_once_and_then_unknown(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        issued = await office.keys.issue(await office.user("alice"), ["read"])
        await office.keys.revoke(issued.key.key_id)
        assert await office.keys.signing_key(issued.key.key_id) is None
        for name in (issued.key.key_id, "nonsense"):
            with pytest.raises(KeyNotFound):
                await office.keys.revoke(name)

    using(database_url, scenario)


def test_what_no_key_can_be(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        user = await office.user("alice")
        with pytest.raises(InvalidOrder, match="scopes"):
            await office.keys.issue(user, ["admin"])
        with pytest.raises(InvalidOrder, match="networks"):
            await office.keys.issue(user, ["read"], networks=["10.0.0.1/8"])
        with pytest.raises(InvalidOrder, match="name"):
            await office.keys.issue(user, ["read"], name="a\nb")
        with pytest.raises(InvalidOrder, match="organization_id"):
            await office.keys.issue(99, ["read"])
        with pytest.raises(InvalidOrder, match="expires_at"):
            await office.keys.issue(user, ["read"], expires_at_ms=office.clock.now_ms())
        assert await office.keys.list() == []

    using(database_url, scenario)


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "11.0.0.1", False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["10.0.0.0/8"], "", False),
        (["10.0.0.0/8"], "nonsense", False),
    ],
)
def test_where_a_key_is_good_from(database_url: str, networks: list[str], address: str, allowed: bool) -> None:
    async def scenario(database: Database) -> bool:
        office = Office(database)
        issued = await office.keys.issue(await office.user("alice"), ["read"], networks=networks)
        return issued.key.allows(address)

    assert using(database_url, scenario) is allowed


def test_clients_belong_to_their_organization(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        alice, bob = await office.user("alice"), await office.user("bob")
        first = await office.clients.ensure_first(alice, "ALICE")
        assert await office.clients.ensure_first(alice, "OTHER") == first
        second = await office.clients.create(NewClient(alice, "ALICE-2"))
        assert second.account_id != first.account_id
        assert await office.clients.of_organization(alice) == [first, second]
        assert await office.clients.of_organization(bob) == []
        with pytest.raises(InvalidOrder, match="belongs to another client"):
            await office.clients.create(NewClient(bob, "ALICE"))
        with pytest.raises(InvalidOrder, match="account of the organization"):
            await office.clients.create(NewClient(bob, "BOB", first.account_id))
        with pytest.raises(InvalidOrder, match="must be a user"):
            await office.clients.ensure_first(99)
        both = SelfTradePrevention.EXPIRE_BOTH
        assert (await office.clients.set_self_trade_prevention(alice, first.account_id, both)) != first
        with pytest.raises(ClientNotFound):
            await office.clients.set_self_trade_prevention(bob, first.account_id, both)
        with pytest.raises(InvalidOrder):
            await office.clients.set_self_trade_prevention(alice, first.account_id, SelfTradePrevention.DECREMENT)

    using(database_url, scenario)


def test_a_users_own_account_stays_the_first(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        office = Office(database)
        alice = await office.user("alice")
        before = await UserStore(database).by_id(alice)
        await office.clients.create(NewClient(alice, "ALICE-2"))
        assert await UserStore(database).by_id(alice) == before

    using(database_url, scenario)
