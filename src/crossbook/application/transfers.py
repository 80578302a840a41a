"""Transfers: asked for by a client, driven by a worker, ended by a custodian's news (`domain.transfers`).

Every change is one transaction under the transfer's lock, and the custodian knows a transfer by its id. So whoever is
killed in the middle has done all of a change or nothing, and whoever goes on asks the custodian again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from crossbook.application.books import Books
from crossbook.application.clock import WallClock
from crossbook.application.errors import ApplicationError, InsufficientFunds, InvalidOrder
from crossbook.domain.ledger import Journal
from crossbook.domain.transfers import CustodyNews, Payment, TransferPlatform, TransferStatus, status_after

LOOK_EVERY_MS: Final = 250
"""How long to wait before the custodian is asked again about the same transfer."""
MAX_INSTRUCTIONS: Final = 4_096
"""Longest instructions, in characters of their JSON."""
MAX_CLIENT_ID: Final = 128
MAX_REASON: Final = 200


class TransferLimit(ApplicationError):
    """The account has as many open transfers as it may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} transfers of a client may be open")
        self.most = most


class DuplicateTransferId(ApplicationError):
    """The client's id belongs to another transfer of the account."""

    def __init__(self, client_transfer_id: str) -> None:
        super().__init__(f"transfer id {client_transfer_id} belongs to another transfer")
        self.client_transfer_id = client_transfer_id


class CustodianUnavailable(ApplicationError):
    """The custodian can not be asked now; it may have taken the transfer or not."""


@dataclass(frozen=True)
class TransferRequest:
    """What a client asks for. `instructions` is JSON text for the custodian, "" for none."""

    payment: Payment
    instructions: str = ""
    client_transfer_id: str | None = None

    def fingerprint(self) -> bytes | None:
        """32 bytes that differ when anything of the request differs; None without a client's id."""
        return None if self.client_transfer_id is None else hashlib.sha256(repr(self).encode()).digest()


@dataclass(frozen=True)
class Transfer:
    """A transfer as stored. `decimals` is the scale of its asset; `reason` says why it failed, "" for no reason."""

    transfer_id: int
    request: TransferRequest
    asset_id: int
    decimals: int
    status: TransferStatus
    reason: str
    created_at_ms: int
    updated_at_ms: int

    @property
    def payment(self) -> Payment:
        """What it moves."""
        return self.request.payment


@dataclass(frozen=True)
class Change:
    """What becomes of a transfer: its status, the journal that goes with it, what is freed, and when to look again."""

    status: TransferStatus
    reason: str = ""
    journal: Journal | None = None
    freed_units: int = 0
    look_at_ms: int = 0


@dataclass(frozen=True)
class News:
    """What the custodian says, and why."""

    news: CustodyNews
    reason: str = ""


class Custodian(Protocol):
    """Who moves money outside of the venue. It must know a transfer by its id, and take each id once only."""

    async def submit(self, transfer: Transfer) -> News:
        """Give it a transfer, or the same one again; what it says. Raises CustodianUnavailable."""
        ...

    async def look(self, transfer_id: int) -> News:
        """What became of a transfer that it took. Raises CustodianUnavailable."""
        ...


class TransferStore(Protocol):
    """Where transfers are kept. `crossbook.storage.transfers` is one."""

    async def enter(
        self, request: TransferRequest, decide: Callable[[Books, dict[str, int], int], Change], now_ms: int
    ) -> Transfer:
        """Store a transfer with what `decide` makes of the books, the asset ids and the number of open transfers.

        All in one transaction. Gives the earlier transfer of the same client id and body. Raises what `decide`
        raises, having done nothing; DuplicateTransferId for another body; InvalidOrder for a counterparty that is none.
        """
        ...

    async def change(self, transfer_id: int, decide: Callable[[Transfer], Change | None], now_ms: int) -> Transfer:
        """Do what `decide` makes of the transfer, under its lock, in one transaction; None is nothing."""
        ...

    async def due(self, now_ms: int, limit: int) -> list[Transfer]:
        """Open transfers that are to be looked at by now, longest due first."""
        ...


class Withdrawable(Protocol):
    """The rule of what may leave an account. `crossbook.application.funds.Funds` has it."""

    def withdrawable(self, books: Books, account_id: int, asset_id: int) -> int:
        """What may leave of an asset, in units."""
        ...


class Transfers:
    """The use cases of transfers. `open_limit` is how many of an account may be open at once."""

    def __init__(
        self, store: TransferStore, custodian: Custodian, funds: Withdrawable, clock: WallClock, open_limit: int
    ) -> None:
        self._store = store
        self._custodian = custodian
        self._funds = funds
        self._clock = clock
        self._open_limit = open_limit

    async def request(self, request: TransferRequest) -> Transfer:
        """Enter a transfer: an internal one is completed at once, a withdrawal holds its amount from now on.

        Raises InvalidOrder, InsufficientFunds, TransferLimit, DuplicateTransferId.
        """
        _check(request)
        payment = request.payment

        def decide(books: Books, asset_ids: dict[str, int], open_transfers: int) -> Change:
            if payment.payer_id:
                available = self._funds.withdrawable(books, payment.payer_id, asset_ids[payment.asset])
                if payment.amount_units > available:
                    raise InsufficientFunds(payment.asset, payment.amount_units, available)
            if payment.platform is TransferPlatform.INTERNAL:
                return Change(TransferStatus.COMPLETED, journal=payment.journal())
            if open_transfers >= self._open_limit:
                raise TransferLimit(self._open_limit)
            return Change(TransferStatus.INITIALIZED)

        return await self._store.enter(request, decide, self._clock.now_ms())

    async def due(self, limit: int) -> list[Transfer]:
        """The transfers that are to be driven now. Raises the store's errors."""
        return await self._store.due(self._clock.now_ms(), limit)

    async def drive(self, transfer: Transfer) -> Transfer:
        """Ask the custodian about an open transfer, and do what he says. Raises CustodianUnavailable."""
        if transfer.status is TransferStatus.INITIALIZED:
            news = await self._custodian.submit(transfer)
        else:
            news = await self._custodian.look(transfer.transfer_id)
        return await self.note(transfer.transfer_id, news)

    async def put_off(self, transfer: Transfer, pause_ms: int) -> None:
        """Leave an open transfer alone for a while."""
        now_ms = self._clock.now_ms()
        await self._store.change(
            transfer.transfer_id,
            lambda found: Change(found.status, look_at_ms=now_ms + pause_ms) if found.status.is_open else None,
            now_ms,
        )

    async def note(self, transfer_id: int, news: News) -> Transfer:
        """Do what the custodian's news means for a transfer; nothing for one that has ended."""
        now_ms = self._clock.now_ms()
        return await self._store.change(transfer_id, lambda found: _change(found, news, now_ms), now_ms)


def _change(transfer: Transfer, news: News, now_ms: int) -> Change | None:
    """What the news does to a transfer."""
    if not transfer.status.is_open:
        return None
    payment, status = transfer.payment, status_after(transfer.status, news.news)
    journal = payment.journal() if status is TransferStatus.COMPLETED else None
    freed = payment.held_units(transfer.status) - payment.held_units(status)
    reason = "" if status.is_open or journal is not None else news.reason[:MAX_REASON]
    return Change(status, reason, journal, freed, now_ms + LOOK_EVERY_MS)


def _check(request: TransferRequest) -> None:
    """Raise InvalidOrder for a request that no transfer may be made of."""
    payment = request.payment
    if payment.amount_units <= 0:
        raise InvalidOrder("amount", "must be more than 0")
    if (payment.platform is TransferPlatform.INTERNAL) != (payment.counterparty_id != 0):
        raise InvalidOrder("instructions.client_id", "names the other client of an INTERNAL transfer, and only of one")
    if payment.counterparty_id == payment.account_id:
        raise InvalidOrder("instructions.client_id", "must be another client")
    if len(request.instructions) > MAX_INSTRUCTIONS:
        raise InvalidOrder("instructions", f"must not be longer than {MAX_INSTRUCTIONS} characters")
    own_id = request.client_transfer_id
    if own_id is not None and not 1 <= len(own_id) <= MAX_CLIENT_ID:
        raise InvalidOrder("instructions.transfer_id", f"must have from 1 to {MAX_CLIENT_ID} characters")
