"""Transfers: money that crosses the venue's border by way of a custodian, or moves between two of its accounts.

    INITIALIZED ──taken──> PENDING ──paid──> COMPLETED
         │                    └────failed──> FAILED
         └──refused──> REJECTED

The custodian's news may come twice, or late, and may skip a step: a transfer that has ended stays as it is. A
withdrawal holds its amount from the request until its end, so the same money can not be spent meanwhile. A transfer
between two accounts of the venue needs no custodian and is completed at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from crossbook.domain import ledger
from crossbook.domain.ledger import Journal


class TransferType(IntEnum):
    """Which way the money goes, seen from the account. Numbers are stored and never change meaning."""

    DEPOSIT = 1
    WITHDRAW = 2


class TransferPlatform(IntEnum):
    """By which way the money goes. Numbers are stored and never change meaning."""

    FIAT = 1
    CRYPTO = 2
    INTERNAL = 3


class TransferStatus(IntEnum):
    """Where a transfer stands. Numbers are stored and never change meaning; 3 and above are ends."""

    INITIALIZED = 1
    PENDING = 2
    COMPLETED = 3
    FAILED = 4
    REJECTED = 5

    @property
    def is_open(self) -> bool:
        """Whether the custodian may still have news of it."""
        return self <= TransferStatus.PENDING


class CustodyNews(IntEnum):
    """What a custodian says of a transfer. Numbers are stored and never change meaning."""

    TAKEN = 1
    """It works on it."""
    PAID = 2
    """The money has arrived where it was to go."""
    FAILED = 3
    """It had taken it, and the money did not arrive."""
    REFUSED = 4
    """It will not try."""


_NEXT: Final[Mapping[CustodyNews, TransferStatus]] = MappingProxyType(
    {
        CustodyNews.TAKEN: TransferStatus.PENDING,
        CustodyNews.PAID: TransferStatus.COMPLETED,
        CustodyNews.FAILED: TransferStatus.FAILED,
        CustodyNews.REFUSED: TransferStatus.REJECTED,
    }
)


def status_after(status: TransferStatus, news: CustodyNews) -> TransferStatus:
    """Where a transfer stands after the custodian's news. One that has ended stays; nobody refuses what he took."""
    if not status.is_open:
        return status
    if status is TransferStatus.PENDING and news is CustodyNews.REFUSED:
        return TransferStatus.FAILED
    return _NEXT[news]


def held_units(type_: TransferType, platform: TransferPlatform, amount_units: int, status: TransferStatus) -> int:
    """What a transfer holds of its account's balance: a withdrawal its whole amount while it is open, else nothing."""
    holds = type_ is TransferType.WITHDRAW and platform is not TransferPlatform.INTERNAL and status.is_open
    return amount_units if holds else 0


@dataclass(frozen=True)
class Payment:
    """What a transfer moves: `amount_units` of `asset` (its name) of `account_id`.

    `counterparty_id` is the other account of an INTERNAL transfer, 0 for the other platforms.
    """

    account_id: int
    asset: str
    amount_units: int
    type: TransferType
    platform: TransferPlatform
    counterparty_id: int = 0

    @property
    def payer_id(self) -> int:
        """The account that gives the money; 0 for the world outside."""
        return self.account_id if self.type is TransferType.WITHDRAW else self.counterparty_id

    def journal(self) -> Journal:
        """The movement of the completed transfer. Raises InvalidValue for an amount that is not positive."""
        if self.platform is TransferPlatform.INTERNAL:
            payee_id = self.counterparty_id if self.type is TransferType.WITHDRAW else self.account_id
            return ledger.internal_transfer(self.payer_id, payee_id, self.asset, self.amount_units)
        if self.type is TransferType.DEPOSIT:
            return ledger.deposit(self.account_id, self.asset, self.amount_units)
        return ledger.withdrawal(self.account_id, self.asset, self.amount_units)

    def held_units(self, status: TransferStatus) -> int:
        """What the transfer holds of its account's balance in this status."""
        return held_units(self.type, self.platform, self.amount_units, status)
