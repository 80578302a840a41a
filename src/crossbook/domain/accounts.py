"""Ledger accounts: one number line for users and for the venue's own accounts.

The venue's accounts are accounts like any other: their postings are in the same journals, and the sum
over all of them is zero per asset. Their ids are fixed here; users start above them all.
"""

from enum import IntEnum
from typing import Final

from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import MAX_ID

EXTERNAL: Final = 1
"""The world outside: the contra account of deposits and withdrawals."""
FEES: Final = 2
"""Fees received, rebates paid."""
INSURANCE: Final = 3
"""The insurance fund."""
BAD_DEBT: Final = 4
"""Losses that nobody could pay; its negative balance is their sum."""
FIRST_CLEARING: Final = 1_000
"""The clearing account of market number n is this plus n."""
FIRST_USER: Final = 1_000_000
"""The least id of a user's account."""


class InvalidAccount(InvalidValue):
    """An id that no account has, or a market number without a clearing account."""


class AccountKind(IntEnum):
    """Whose account it is."""

    USER = 1
    EXTERNAL = 2
    FEES = 3
    INSURANCE = 4
    CLEARING = 5
    BAD_DEBT = 6


_FIXED: Final = {
    EXTERNAL: AccountKind.EXTERNAL,
    FEES: AccountKind.FEES,
    INSURANCE: AccountKind.INSURANCE,
    BAD_DEBT: AccountKind.BAD_DEBT,
}


def clearing_account(market_number: int) -> int:
    """The account that stands opposite every position of one market: it pays and receives realised PnL.

    Raises InvalidAccount unless `market_number` is from 1 to 998,999.
    """
    account_id = FIRST_CLEARING + market_number
    if not FIRST_CLEARING < account_id < FIRST_USER:
        raise InvalidAccount("market_number", f"must be from 1 to {FIRST_USER - FIRST_CLEARING - 1}")
    return account_id


def kind_of(account_id: int) -> AccountKind:
    """Whose account this is. Raises InvalidAccount for an id that no account has."""
    if FIRST_USER <= account_id <= MAX_ID:
        return AccountKind.USER
    if FIRST_CLEARING < account_id < FIRST_USER:
        return AccountKind.CLEARING
    kind = _FIXED.get(account_id)
    if kind is None:
        raise InvalidAccount("account_id", "is neither a user's nor one of the venue's")
    return kind


def may_be_negative(kind: AccountKind, is_margin_asset: bool = False) -> bool:
    """Whether a balance of such an account may be below zero.

    Contra accounts may. The fee account and the insurance fund never. A user may only in an asset that
    settles perpetuals, where a realised loss can stand against an unrealised gain of another market;
    there equity decides, not the balance.
    """
    if kind is AccountKind.USER:
        return is_margin_asset
    return kind in (AccountKind.EXTERNAL, AccountKind.CLEARING, AccountKind.BAD_DEBT)
