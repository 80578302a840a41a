"""The life of a transfer, and what it moves and holds."""

import itertools

import pytest

from crossbook.domain.accounts import EXTERNAL
from crossbook.domain.ledger import fold
from crossbook.domain.money import InvalidValue
from crossbook.domain.transfers import (
    CustodyNews,
    Payment,
    TransferPlatform,
    TransferStatus,
    TransferType,
    status_after,
)

CLIENT, OTHER = 1_000_000, 1_000_001
INITIALIZED, PENDING, COMPLETED, FAILED, REJECTED = TransferStatus


@pytest.mark.parametrize(
    ("status", "news", "after"),
    [
        (INITIALIZED, CustodyNews.TAKEN, PENDING),
        (INITIALIZED, CustodyNews.PAID, COMPLETED),
        (INITIALIZED, CustodyNews.FAILED, FAILED),
        (INITIALIZED, CustodyNews.REFUSED, REJECTED),
        (PENDING, CustodyNews.TAKEN, PENDING),
        (PENDING, CustodyNews.PAID, COMPLETED),
        (PENDING, CustodyNews.FAILED, FAILED),
        (PENDING, CustodyNews.REFUSED, FAILED),
    ],
)
def test_news_lead_from_one_status_to_the_next(
    status: TransferStatus, news: CustodyNews, after: TransferStatus
) -> None:
    assert status_after(status, news) is after


def test_an_end_is_an_end_whatever_comes_later() -> None:
    for first, *others in itertools.product(CustodyNews, repeat=3):
        end = status_after(PENDING, first)
        if not end.is_open:
            assert {status_after(end, news) for news in others} == {end}


@pytest.mark.parametrize("kind", TransferType)
@pytest.mark.parametrize("platform", TransferPlatform)
def test_only_an_open_withdrawal_by_a_custodian_holds_its_amount(
    kind: TransferType, platform: TransferPlatform
) -> None:
    payment = Payment(CLIENT, "BTC", 7, kind, platform, OTHER if platform is TransferPlatform.INTERNAL else 0)
    holds = kind is TransferType.WITHDRAW and platform is not TransferPlatform.INTERNAL
    assert [payment.held_units(status) for status in TransferStatus] == [7 if holds else 0] * 2 + [0] * 3


@pytest.mark.parametrize(
    ("kind", "platform", "payer", "payee"),
    [
        (TransferType.DEPOSIT, TransferPlatform.FIAT, EXTERNAL, CLIENT),
        (TransferType.WITHDRAW, TransferPlatform.CRYPTO, CLIENT, EXTERNAL),
        (TransferType.DEPOSIT, TransferPlatform.INTERNAL, OTHER, CLIENT),
        (TransferType.WITHDRAW, TransferPlatform.INTERNAL, CLIENT, OTHER),
    ],
)
def test_a_journal_moves_the_amount_from_the_payer_to_the_payee(
    kind: TransferType, platform: TransferPlatform, payer: int, payee: int
) -> None:
    payment = Payment(CLIENT, "BTC", 7, kind, platform, OTHER if platform is TransferPlatform.INTERNAL else 0)
    assert fold([payment.journal()]) == {(payer, "BTC"): -7, (payee, "BTC"): 7}
    assert payment.payer_id == (0 if payer == EXTERNAL else payer)


def test_nothing_is_no_transfer() -> None:
    with pytest.raises(InvalidValue, match="amount"):
        Payment(CLIENT, "BTC", 0, TransferType.WITHDRAW, TransferPlatform.INTERNAL, OTHER).journal()
