"""Transfers on a real database: nothing lost, nothing doubled, everything that failed given back."""

import asyncio
from dataclasses import dataclass
from typing import Final

import pytest

from crossbook.application.accounts import UserKind
from crossbook.application.errors import InsufficientFunds, InvalidOrder
from crossbook.application.funds import Funds
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.transfers import (
    CustodianUnavailable,
    DuplicateTransferId,
    News,
    Transfer,
    TransferLimit,
    TransferRequest,
    Transfers,
)
from crossbook.domain.errors import CrossbookError
from crossbook.domain.transfers import CustodyNews, Payment, TransferPlatform, TransferStatus, TransferType
from crossbook.storage import markets as stored_markets
from crossbook.storage.database import Database
from crossbook.storage.funds import FundsStore
from crossbook.storage.queries import Queries
from crossbook.storage.simulated_custodian import SimulatedCustodian
from crossbook.storage.transfers import TransferStore
from crossbook.storage.users import UserStore
from crossbook.system import ManualClock
from crossbook.workers.transfers import DriverSettings, TransferDriver
from tests.storage.audited import PERP, SPOT, audited
from tests.storage.support import using

DELAY_MS: Final = 1_000
RICH: Final = 10_000
DEPOSIT, WITHDRAW = TransferType
FIAT, CRYPTO, INTERNAL = TransferPlatform


@dataclass
class Bank:
    """Two clients with 10,000 units of BTC each, and transfers by a simulated custodian."""

    database: Database
    clock: ManualClock
    clients: list[int]
    custodian: SimulatedCustodian
    transfers: Transfers
    driver: TransferDriver
    funds: Funds

    def payment(
        self, amount: int, kind: TransferType = WITHDRAW, platform: TransferPlatform = CRYPTO, client: int = 0
    ) -> Payment:
        other = self.clients[1 - client] if platform is INTERNAL else 0
        return Payment(self.clients[client], "BTC", amount, kind, platform, other)

    async def ask(self, payment: Payment, client_id: str | None = None, instructions: str = "") -> Transfer:
        return await self.transfers.request(TransferRequest(payment, instructions, client_id))

    async def pass_time(self, duration_ms: int = DELAY_MS) -> None:
        """Let the driver look, before and after some time."""
        await self.driver.look()
        self.clock.advance(duration_ms)
        await self.driver.look()

    async def money(self, client: int = 0) -> tuple[int, int]:
        """Total and transfer hold of BTC."""
        held = (await Queries(self.database).holdings(self.clients[client])).balances
        return next((each.total_units, each.transfer_hold_units) for each in held if each.asset == "BTC")

    async def one(self, transfer: Transfer) -> Transfer:
        now_ms = self.clock.now_ms()
        return await TransferStore(self.database).change(transfer.transfer_id, lambda _: None, now_ms)


async def open_bank(database: Database, outcome: CustodyNews = CustodyNews.PAID, open_limit: int = 5) -> Bank:
    async with database.transaction() as transaction:
        markets = Markets([await stored_markets.put(transaction, instrument, 0) for instrument in (PERP, SPOT)])
    clock = ManualClock()
    funds = Funds(FundsStore(database), markets, Marks(), clock)
    users = UserStore(database)
    clients = []
    for _ in range(2):
        user = await users.create(UserKind.GUEST, 1, email=None, password_hash=None, name="", scopes=frozenset())
        await funds.deposit(user.account_id, "BTC", RICH)
        clients.append(user.account_id)
    custodian = SimulatedCustodian(database, clock, DELAY_MS, outcome)
    transfers = Transfers(TransferStore(database), custodian, funds, clock, open_limit)
    driver = TransferDriver(transfers, clock, DriverSettings())
    return Bank(database, clock, clients, custodian, transfers, driver, funds)


def test_a_withdrawal_holds_its_amount_until_it_is_paid_out_exactly(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        asked = await bank.ask(bank.payment(7_000))
        assert asked.status is TransferStatus.INITIALIZED
        assert await bank.money() == (RICH, 7_000)
        assert await audited(database) == {}
        await bank.driver.look()
        assert (await bank.one(asked)).status is TransferStatus.PENDING
        assert await bank.money() == (RICH, 7_000)
        assert await audited(database) == {}
        await bank.pass_time()
        assert (await bank.one(asked)).status is TransferStatus.COMPLETED
        assert await bank.money() == (3_000, 0)
        assert await audited(database) == {}
        assert await bank.driver.look() == 0

    using(database_url, scenario)


def test_a_deposit_arrives_when_the_custodian_says_so(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        await bank.ask(bank.payment(5, DEPOSIT, FIAT))
        await bank.driver.look()
        assert await bank.money() == (RICH, 0)
        await bank.pass_time()
        assert await bank.money() == (RICH + 5, 0)
        assert await audited(database) == {}

    using(database_url, scenario)


@pytest.mark.parametrize(
    ("outcome", "end"),
    [(CustodyNews.FAILED, TransferStatus.FAILED), (CustodyNews.REFUSED, TransferStatus.REJECTED)],
)
def test_a_failed_withdrawal_gives_everything_back(
    database_url: str, outcome: CustodyNews, end: TransferStatus
) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database, outcome)
        asked = await bank.ask(bank.payment(7_000))
        await bank.pass_time()
        ended = await bank.one(asked)
        assert ended.status is end
        assert "simulated custodian was told to" in ended.reason
        assert await bank.money() == (RICH, 0)
        assert await audited(database) == {}
        await bank.ask(bank.payment(RICH))  # all of it is free again

    using(database_url, scenario)


def test_held_money_is_neither_withdrawn_nor_moved_nor_traded(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        await bank.ask(bank.payment(7_000))
        for platform in (FIAT, INTERNAL):
            with pytest.raises(InsufficientFunds) as refused:
                await bank.ask(bank.payment(3_001, platform=platform))
            assert refused.value.available_units == 3_000
        with pytest.raises(InsufficientFunds):
            await bank.funds.withdraw(bank.clients[0], "BTC", 3_001)
        await bank.funds.withdraw(bank.clients[0], "BTC", 3_000)
        await bank.pass_time()
        assert await bank.money() == (0, 0)
        assert await audited(database) == {}

    using(database_url, scenario)


def test_of_concurrent_withdrawals_of_the_same_money_one_comes_through(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        asked = [bank.ask(bank.payment(6_000, platform=platform)) for platform in TransferPlatform for _ in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, Transfer) for answer in answers) == 1
        assert all(isinstance(answer, Transfer | InsufficientFunds) for answer in answers)
        await bank.pass_time()
        assert (await bank.money())[0] == 4_000
        assert await audited(database) == {}

    using(database_url, scenario)


def test_an_internal_transfer_moves_at_once_and_sums_to_zero(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        sent = await bank.ask(bank.payment(4_000, platform=INTERNAL))
        fetched = await bank.ask(bank.payment(500, DEPOSIT, INTERNAL))
        assert {sent.status, fetched.status} == {TransferStatus.COMPLETED}
        assert await bank.money(0) == (RICH - 3_500, 0)
        assert await bank.money(1) == (RICH + 3_500, 0)
        assert await bank.driver.look() == 0
        assert await audited(database) == {}

    using(database_url, scenario)


def test_internal_transfers_both_ways_at_once_do_not_block_each_other(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        await asyncio.gather(*(bank.ask(bank.payment(1, platform=INTERNAL, client=n % 2)) for n in range(40)))
        assert [await bank.money(0), await bank.money(1)] == [(RICH, 0), (RICH, 0)]
        assert await audited(database) == {}

    using(database_url, scenario)


def test_a_repeat_under_the_same_id_is_the_same_transfer(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        asked = await asyncio.gather(*(bank.ask(bank.payment(10), "mine") for _ in range(5)))
        assert len({transfer.transfer_id for transfer in asked}) == 1
        assert await bank.money() == (RICH, 10)
        with pytest.raises(DuplicateTransferId):
            await bank.ask(bank.payment(11), "mine")
        theirs = await bank.ask(bank.payment(11, client=1), "mine")
        assert theirs.transfer_id != asked[0].transfer_id
        await bank.pass_time()
        again = await bank.ask(bank.payment(10), "mine")
        assert (again.transfer_id, again.status) == (asked[0].transfer_id, TransferStatus.COMPLETED)
        assert await bank.money() == (RICH - 10, 0)

    using(database_url, scenario)


def test_only_so_many_may_be_open(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database, open_limit=2)
        asked = [bank.ask(bank.payment(1, DEPOSIT)) for _ in range(6)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(answer, TransferLimit) for answer in answers) == 4
        await bank.ask(bank.payment(1, client=1))
        await bank.pass_time()
        await bank.ask(bank.payment(1, DEPOSIT))

    using(database_url, scenario)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_units": 0}, "amount"),
        ({"amount_units": 2**63 - 1, "type": DEPOSIT}, None),
        ({"counterparty_id": 1}, "instructions.client_id"),
        ({"platform": INTERNAL}, "instructions.client_id"),
        ({"platform": INTERNAL, "counterparty_id": -1}, "instructions.client_id"),
        ({"platform": INTERNAL, "counterparty_id": 99}, "instructions.client_id"),
        ({"platform": INTERNAL, "counterparty_id": 1_000_099}, "instructions.client_id"),
        ({"platform": INTERNAL, "counterparty_id": "self"}, "instructions.client_id"),
    ],
)
def test_a_request_that_breaks_a_rule_leaves_nothing(
    database_url: str, change: dict[str, object], field: str | None
) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        first = bank.payment(5)
        values = {**vars(first), **change}
        if values["counterparty_id"] == "self":
            values["counterparty_id"] = first.account_id
        if field is None:
            # It fits as a request, and is more than the account can hold beside what it has: it fails when paid.
            entered = await bank.ask(Payment(**values))
            with pytest.raises(InvalidOrder, match="more than the venue can hold"):
                await bank.transfers.note(entered.transfer_id, News(CustodyNews.PAID))
            await bank.ask(bank.payment(3, client=1))
            await bank.pass_time()
            assert (await bank.money(1)) == (RICH - 3, 0)  # it stops nobody else
        else:
            with pytest.raises(InvalidOrder) as refused:
                await bank.ask(Payment(**values))
            assert refused.value.field == field
        assert await bank.money() == (RICH, 0)
        assert await audited(database) == {}

    using(database_url, scenario)


def test_an_operator_ends_one_transfer_and_not_another(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        first, second = [await bank.ask(bank.payment(units)) for units in (1, 2)]
        await bank.driver.look()
        await bank.custodian.tell(first.transfer_id, CustodyNews.FAILED)
        await bank.pass_time(300)
        assert [(await bank.one(each)).status.name for each in (first, second)] == ["FAILED", "PENDING"]
        for transfer_id, outcome in ((first.transfer_id, CustodyNews.PAID), (99, CustodyNews.PAID)):
            with pytest.raises(InvalidOrder, match="not ended"):
                await bank.custodian.tell(transfer_id, outcome)
        with pytest.raises(InvalidOrder, match="outcome"):
            await bank.custodian.tell(second.transfer_id, CustodyNews.TAKEN)
        await bank.custodian.tell(second.transfer_id, CustodyNews.PAID)
        await bank.pass_time(300)
        assert (await bank.one(second)).status is TransferStatus.COMPLETED
        assert await audited(database) == {}

    using(database_url, scenario)


class KilledCustodian(SimulatedCustodian):
    """A custodian whose venue dies right after it has answered."""

    async def submit(self, transfer: Transfer) -> News:
        await super().submit(transfer)
        raise KilledError

    async def look(self, transfer_id: int) -> News:
        await super().look(transfer_id)
        raise KilledError


class KilledError(Exception):
    """The venue is gone."""


def test_a_kill_between_the_custodian_and_the_venue_loses_and_doubles_nothing(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        asked = [await bank.ask(bank.payment(1_000 + n, kind)) for n, kind in enumerate(TransferType)]
        dying = Transfers(
            TransferStore(database),
            KilledCustodian(database, bank.clock, DELAY_MS, CustodyNews.PAID),
            bank.funds,
            bank.clock,
            5,
        )
        for _ in range(3):  # as a venue that is started again and again, and dies each time at the same place
            with pytest.raises(KilledError):
                await TransferDriver(dying, bank.clock).look()
            assert await audited(database) == {}
        await bank.driver.look()
        bank.clock.advance(DELAY_MS)
        with pytest.raises(KilledError):
            await TransferDriver(dying, bank.clock).look()
        # Two drivers at once, as after a restart that came too early.
        await asyncio.gather(bank.driver.look(), TransferDriver(bank.transfers, bank.clock).look())
        assert {(await bank.one(each)).status for each in asked} == {TransferStatus.COMPLETED}
        assert await bank.money() == (RICH + 1_000 - 1_001, 0)
        assert await audited(database) == {}

    using(database_url, scenario)


class SilentCustodian(SimulatedCustodian):
    """A custodian that does not answer."""

    async def submit(self, transfer: Transfer) -> News:
        raise CustodianUnavailable("no answer")


def test_a_custodian_who_does_not_answer_is_asked_again_later(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        asked = await bank.ask(bank.payment(9))
        silent = SilentCustodian(database, bank.clock, 0, CustodyNews.PAID)
        away = Transfers(TransferStore(database), silent, bank.funds, bank.clock, 5)
        assert await TransferDriver(away, bank.clock).look() == 1
        assert await bank.driver.look() == 0  # it was put off
        bank.clock.advance(2_000)
        await bank.pass_time()
        assert (await bank.one(asked)).status is TransferStatus.COMPLETED
        assert await bank.money() == (RICH - 9, 0)

    using(database_url, scenario)


def test_lists_give_only_the_own_transfers_newest_first(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        bank = await open_bank(database)
        own = []
        for units in range(1, 5):
            own.append((await bank.ask(bank.payment(units))).transfer_id)
            bank.clock.advance(1)
        await bank.ask(bank.payment(1, client=1))
        store, account = TransferStore(database), [bank.clients[0]]
        until = bank.clock.now_ms()

        def ids(found: list[Transfer]) -> list[int]:
            return [each.transfer_id for each in found]

        assert ids(await store.until(account, until, 10)) == own[::-1]
        assert ids(await store.until(account, until, 2, skip=1)) == [own[2], own[1]]
        assert ids(await store.until(account, until, 2, before=own[2])) == [own[1], own[0]]
        assert ids(await store.until(account, until - 3, 10)) == [own[1], own[0]]
        assert ids(await store.open_of(account)) == own[::-1]
        assert ids(await store.open_of(account, own[1])) == [own[1]]
        assert ids(await store.open_of([bank.clients[1]], own[1])) == []
        await bank.transfers.note(own[1], News(CustodyNews.PAID))
        assert ids(await store.open_of(account, own[1])) == []

    using(database_url, scenario)


def test_every_refusal_is_one_of_ours() -> None:
    assert all(issubclass(kind, CrossbookError) for kind in (TransferLimit, DuplicateTransferId, CustodianUnavailable))
