"""Ledger accounts: every id has one kind, and only contra accounts go below zero."""

import pytest
from hypothesis import strategies as st

from crossbook.domain.accounts import (
    BAD_DEBT,
    EXTERNAL,
    FEES,
    FIRST_USER,
    INSURANCE,
    AccountKind,
    InvalidAccount,
    clearing_account,
    kind_of,
    may_be_negative,
)
from crossbook.domain.orders import MAX_ID
from tests.domain.cases import holds_for

KINDS = [
    (EXTERNAL, AccountKind.EXTERNAL),
    (FEES, AccountKind.FEES),
    (INSURANCE, AccountKind.INSURANCE),
    (BAD_DEBT, AccountKind.BAD_DEBT),
    (clearing_account(1), AccountKind.CLEARING),
    (clearing_account(998_999), AccountKind.CLEARING),
    (FIRST_USER, AccountKind.USER),
    (MAX_ID, AccountKind.USER),
]


def test_the_numbers_of_kinds_are_for_ever() -> None:
    names = "USER EXTERNAL FEES INSURANCE CLEARING BAD_DEBT"
    assert [(kind.name, kind.value) for kind in AccountKind] == [
        (name, at + 1) for at, name in enumerate(names.split())
    ]


@pytest.mark.parametrize(("account_id", "kind"), KINDS)
def test_every_id_has_a_kind(account_id: int, kind: AccountKind) -> None:
    assert kind_of(account_id) is kind


@pytest.mark.parametrize("account_id", [-1, 0, 5, 1_000, MAX_ID + 1])
def test_other_ids_are_nobodys(account_id: int) -> None:
    with pytest.raises(InvalidAccount):
        kind_of(account_id)


@pytest.mark.parametrize("market_number", [-1, 0, 999_000])
def test_other_market_numbers_have_no_clearing_account(market_number: int) -> None:
    with pytest.raises(InvalidAccount, match="must be from 1 to 998999"):
        clearing_account(market_number)


def test_only_contra_accounts_go_below_zero_and_users_where_equity_decides() -> None:
    contra = [AccountKind.EXTERNAL, AccountKind.CLEARING, AccountKind.BAD_DEBT]
    assert [kind for kind in AccountKind if may_be_negative(kind)] == contra
    assert [kind for kind in AccountKind if may_be_negative(kind, is_margin_asset=True)] == [AccountKind.USER, *contra]


@holds_for(2000, a=st.integers(1, 998_999), b=st.integers(1, 998_999))
def test_markets_have_clearing_accounts_of_their_own(a: int, b: int) -> None:
    assert kind_of(clearing_account(a)) is AccountKind.CLEARING
    assert (clearing_account(a) == clearing_account(b)) == (a == b)
