"""The ledger: journals of postings that sum to zero per asset, and balances folded from them.

Every movement of money is one journal. A posting is positive when the account's balance rises. The
builders below are the only shapes of journals; what comes out as zero is left out, so a journal may be
empty (a trade that opens two positions free of fees moves nothing).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from crossbook.domain.accounts import BAD_DEBT, EXTERNAL, FEES, INSURANCE, kind_of, may_be_negative
from crossbook.domain.errors import CrossbookError
from crossbook.domain.money import InvalidValue


class UnbalancedJournal(CrossbookError, ValueError):
    """Postings that do not sum to zero in `asset`; `sum_units` is what they sum to."""

    def __init__(self, asset: str, sum_units: int) -> None:
        super().__init__(f"postings in {asset} sum to {sum_units}, not to 0")
        self.asset = asset
        self.sum_units = sum_units


class NegativeBalance(CrossbookError, ValueError):
    """A balance below zero of an account that may have none."""

    def __init__(self, account_id: int, asset: str, balance_units: int) -> None:
        super().__init__(f"account {account_id} would hold {balance_units} units of {asset}")
        self.account_id = account_id
        self.asset = asset
        self.balance_units = balance_units


class LedgerType(IntEnum):
    """Why money moved. Names are part of the API; numbers are stored and never change meaning."""

    DEPOSIT = 1
    WITHDRAW = 2
    TRADING_FEE = 3
    REALIZED_PNL = 4
    FUNDING_PAYMENT = 5
    LIQUIDATION_LOSS = 6
    INSURANCE_FUND_TRANSFER = 7
    INSURANCE_FUND_CREDIT = 8
    ADL_SETTLEMENT = 9
    TRADE = 10
    TRANSFER = 11


class Posting(NamedTuple):
    """`amount_units` of `asset` (its name) more on the account, or less when negative, and why."""

    account_id: int
    asset: str
    amount_units: int
    type: LedgerType


@dataclass(frozen=True)
class Journal:
    """Postings that stand together. Raises UnbalancedJournal unless they sum to zero in every asset."""

    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        sums: dict[str, int] = {}
        for posting in self.postings:
            sums[posting.asset] = sums.get(posting.asset, 0) + posting.amount_units
        for asset, total in sums.items():
            if total:
                raise UnbalancedJournal(asset, total)


Balances = dict[tuple[int, str], int]
"""Units by account id and asset name."""


def _move(source: int, target: int, asset: str, amount_units: int, type_: LedgerType) -> tuple[Posting, ...]:
    """`amount_units` from one account to another; a negative amount goes the other way, zero not at all."""
    if amount_units == 0:
        return ()
    return Posting(source, asset, -amount_units, type_), Posting(target, asset, amount_units, type_)


def _positive(amount_units: int, field: str) -> int:
    if amount_units <= 0:
        raise InvalidValue(field, "must be more than 0")
    return amount_units


def deposit(account_id: int, asset: str, amount_units: int) -> Journal:
    """Money from outside onto an account. Raises InvalidValue unless the amount is positive."""
    return Journal(_move(EXTERNAL, account_id, asset, _positive(amount_units, "amount"), LedgerType.DEPOSIT))


def withdrawal(account_id: int, asset: str, amount_units: int) -> Journal:
    """Money from an account to the outside. Raises InvalidValue unless the amount is positive."""
    return Journal(_move(account_id, EXTERNAL, asset, _positive(amount_units, "amount"), LedgerType.WITHDRAW))


def internal_transfer(payer_id: int, payee_id: int, asset: str, amount_units: int) -> Journal:
    """Money from one account of the venue to another. Raises InvalidValue unless the amount is positive."""
    return Journal(_move(payer_id, payee_id, asset, _positive(amount_units, "amount"), LedgerType.TRANSFER))


def fee_postings(account_id: int, asset: str, fee_units: int) -> tuple[Posting, ...]:
    """A fee to the fee account, or, negative, a rebate from it."""
    return _move(account_id, FEES, asset, fee_units, LedgerType.TRADING_FEE)


def fee(account_id: int, asset: str, fee_units: int) -> Journal:
    """A fee, or a rebate when negative, by itself."""
    return Journal(fee_postings(account_id, asset, fee_units))


class TradeSide(NamedTuple):
    """One side of a trade as the ledger sees it: who, the fee in units of `fee_asset`, and realised PnL.

    `realised_units` is in the settlement asset of a perpetual; it is 0 for spot.
    """

    account_id: int
    fee_asset: str
    fee_units: int
    realised_units: int = 0


def perpetual_trade(clearing_id: int, asset: str, sides: tuple[TradeSide, ...]) -> Journal:
    """Settle a trade of a perpetual: realised PnL against the market's clearing account, fees to the fee account."""
    postings: tuple[Posting, ...] = ()
    for side in sides:
        postings += _move(clearing_id, side.account_id, asset, side.realised_units, LedgerType.REALIZED_PNL)
        postings += fee_postings(side.account_id, side.fee_asset, side.fee_units)
    return Journal(postings)


def forced_trade(clearing_id: int, asset: str, sides: tuple[TradeSide, ...]) -> Journal:
    """Settle a forced trade (3.7): what both sides realise, against the clearing account; there is no fee."""
    postings: tuple[Posting, ...] = ()
    for side in sides:
        postings += _move(clearing_id, side.account_id, asset, side.realised_units, LedgerType.ADL_SETTLEMENT)
    return Journal(postings)


def spot_trade(
    buyer: TradeSide, seller: TradeSide, base: str, base_units: int, quote: str, notional_units: int
) -> Journal:
    """Settle a spot trade: base to the buyer, quote to the seller, and both fees, in one journal."""
    return Journal(
        _move(seller.account_id, buyer.account_id, base, base_units, LedgerType.TRADE)
        + _move(buyer.account_id, seller.account_id, quote, notional_units, LedgerType.TRADE)
        + fee_postings(buyer.account_id, buyer.fee_asset, buyer.fee_units)
        + fee_postings(seller.account_id, seller.fee_asset, seller.fee_units)
    )


def funding(asset: str, payments: Iterable[tuple[int, int]]) -> Journal:
    """One funding period of one market: (account id, units received) each, the dust to the insurance fund (3.11)."""
    postings = tuple(Posting(account, asset, units, LedgerType.FUNDING_PAYMENT) for account, units in payments if units)
    dust = -sum(posting.amount_units for posting in postings)
    if dust:
        postings += (Posting(INSURANCE, asset, dust, LedgerType.FUNDING_PAYMENT),)
    return Journal(postings)


def liquidation_fee(account_id: int, asset: str, amount_units: int) -> Journal:
    """What a liquidated account leaves to the insurance fund (3.6). Raises InvalidValue for a negative amount."""
    if amount_units < 0:
        raise InvalidValue("amount", "must not be negative", "0")
    return Journal(_move(account_id, INSURANCE, asset, amount_units, LedgerType.INSURANCE_FUND_CREDIT))


def cover_loss(account_id: int, asset: str, loss_units: int, fund_units: int) -> Journal:
    """Cover an account's loss: by the insurance fund down to zero, and the rest as explicit bad debt (3.6, 3.7).

    `fund_units` is what the fund holds. Raises InvalidValue for a loss that is not positive or a
    negative fund.
    """
    if fund_units < 0:
        raise InvalidValue("fund", "must not be negative", "0")
    paid = min(_positive(loss_units, "loss"), fund_units)
    return Journal(
        _move(INSURANCE, account_id, asset, paid, LedgerType.INSURANCE_FUND_TRANSFER)
        + _move(BAD_DEBT, account_id, asset, loss_units - paid, LedgerType.LIQUIDATION_LOSS)
    )


def fund_postings(account_id: int, asset: str, flow_units: int) -> tuple[Posting, ...]:
    """What the insurance fund receives from a liquidated account for a fill, or pays it when negative (3.6)."""
    type_ = LedgerType.INSURANCE_FUND_CREDIT if flow_units > 0 else LedgerType.INSURANCE_FUND_TRANSFER
    return _move(account_id, INSURANCE, asset, flow_units, type_)


def repay_bad_debt(asset: str, amount_units: int) -> Journal:
    """Money of the insurance fund against open bad debt. Raises InvalidValue unless the amount is positive."""
    return Journal(
        _move(INSURANCE, BAD_DEBT, asset, _positive(amount_units, "amount"), LedgerType.INSURANCE_FUND_TRANSFER)
    )


def fold(journals: Iterable[Journal], start: Mapping[tuple[int, str], int] | None = None) -> Balances:
    """The balances after `journals`, from `start` or from nothing. Balances are never anything but this."""
    balances: Balances = dict(start or {})
    for journal in journals:
        for posting in journal.postings:
            key = (posting.account_id, posting.asset)
            balances[key] = balances.get(key, 0) + posting.amount_units
    return balances


def check_balances(balances: Mapping[tuple[int, str], int], margin_assets: frozenset[str]) -> None:
    """Raise NegativeBalance for the first account, by id, that is below zero and may not be.

    `margin_assets` names the assets that settle perpetuals.
    """
    for (account_id, asset), units in sorted(balances.items()):
        if units < 0 and not may_be_negative(kind_of(account_id), asset in margin_assets):
            raise NegativeBalance(account_id, asset, units)
