"""The ledger: tables of journals and balances, and journals that sum to zero whatever they settle.

In a table each line is an action and its terms; money is in USDC or PYUSD unless an asset is named.
`total` lines state a balance, `sum` that all accounts of an asset sum to zero.
"""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from crossbook.domain import ledger
from crossbook.domain.accounts import BAD_DEBT, EXTERNAL, FEES, FIRST_USER, INSURANCE, clearing_account
from crossbook.domain.instruments import BTC, USDC, Asset
from crossbook.domain.ledger import (
    Balances,
    Journal,
    LedgerType,
    NegativeBalance,
    Posting,
    TradeSide,
    UnbalancedJournal,
    check_balances,
    fold,
)
from crossbook.domain.money import InvalidValue
from crossbook.domain.orders import Side
from crossbook.domain.positions import Position, apply_fill
from tests.domain.cases import holds_for, prices

CLEARING = clearing_account(1)
NAMES = {
    "external": EXTERNAL,
    "fees": FEES,
    "insurance": INSURANCE,
    "bad-debt": BAD_DEBT,
    "clearing": CLEARING,
    "alice": FIRST_USER,
    "bob": FIRST_USER + 1,
    "carol": FIRST_USER + 2,
    "dave": FIRST_USER + 3,
}
ASSETS: dict[str, Asset] = {"USDC": USDC, "BTC": BTC}


def units(text: str, asset: str = "USDC") -> int:
    return ASSETS[asset].scale.parse(text)


class Table:
    """Runs the lines of one table."""

    def __init__(self) -> None:
        self.balances: Balances = {}

    def run(self, text: str) -> None:
        for line in text.strip().splitlines():
            words = line.partition("#")[0].split()
            if words:
                action: Callable[..., None] = getattr(self, words[0])
                action(*words[1:])

    def post(self, journal: Journal) -> None:
        self.balances = fold([journal], self.balances)

    def deposit(self, name: str, amount: str, asset: str = "USDC") -> None:
        self.post(ledger.deposit(NAMES[name], asset, units(amount, asset)))

    def withdraw(self, name: str, amount: str, asset: str = "USDC") -> None:
        self.post(ledger.withdrawal(NAMES[name], asset, units(amount, asset)))

    def fee(self, name: str, amount: str) -> None:
        self.post(ledger.fee(NAMES[name], "USDC", units(amount)))

    def perpetual(self, taker: str, pnl: str, fee: str, maker: str, maker_pnl: str, maker_fee: str) -> None:
        sides = (
            TradeSide(NAMES[taker], "USDC", units(fee), units(pnl)),
            TradeSide(NAMES[maker], "USDC", units(maker_fee), units(maker_pnl)),
        )
        self.post(ledger.perpetual_trade(CLEARING, "USDC", sides))

    def spot(self, buyer: str, fee: str, fee_asset: str, seller: str, seller_fee: str, base: str, quote: str) -> None:
        bought = TradeSide(NAMES[buyer], fee_asset, units(fee, fee_asset))
        sold = TradeSide(NAMES[seller], "USDC", units(seller_fee))
        self.post(ledger.spot_trade(bought, sold, "BTC", units(base, "BTC"), "USDC", units(quote)))

    def funding(self, *words: str) -> None:
        payments = [(NAMES[name], units(amount)) for name, amount in zip(words[::2], words[1::2], strict=True)]
        self.post(ledger.funding("USDC", payments))

    def liquidation(self, name: str, amount: str) -> None:
        self.post(ledger.liquidation_fee(NAMES[name], "USDC", units(amount)))

    def cover(self, name: str, amount: str) -> None:
        fund = self.balances.get((INSURANCE, "USDC"), 0)
        self.post(ledger.cover_loss(NAMES[name], "USDC", units(amount), fund))

    def total(self, name: str, amount: str, asset: str = "USDC") -> None:
        assert ASSETS[asset].scale.format(self.balances.get((NAMES[name], asset), 0)) == amount, name

    def sum(self, asset: str) -> None:
        assert sum(amount for (_, name), amount in self.balances.items() if name == asset) == 0


TABLES = {
    "deposit and withdrawal": """
        deposit alice 10000
        withdraw alice 2500.000001
        total alice 7499.999999
        total external -7499.999999
        sum USDC
    """,
    "fee and rebate": """
        deposit alice 100
        fee alice 0.75
        total fees 0.75
        fee alice -0.25
        total fees 0.5
        total alice 99.5
        sum USDC
    """,
    "a perpetual opens, and closes with a gain": """
        deposit alice 10000
        deposit bob 10000
        perpetual alice 0 40.625 bob 0 16.25       # the seed's order, as taker and as maker
        total alice 9959.375
        total bob 9983.75
        total clearing 0
        perpetual bob -125 40.7 alice 125 16.28
        total alice 10068.095
        total bob 9818.05
        total fees 113.855
        total clearing 0
        sum USDC
    """,
    "a gain against someone who only opened is the clearing account's to owe": """
        deposit alice 100
        perpetual alice 20 0 bob 0 0
        total alice 120
        total clearing -20
        sum USDC
    """,
    "spot with fees in quote": """
        deposit alice 66000
        deposit bob 1 BTC
        spot alice 32.5 USDC bob 13 1 65000
        total alice 967.5
        total alice 1 BTC
        total bob 64987
        total bob 0 BTC
        total fees 45.5
        sum USDC
        sum BTC
    """,
    "spot with the buyer's fee in what is received, and a rebate to the maker": """
        deposit alice 65000
        deposit bob 1 BTC
        spot alice 0.0005 BTC bob -6.5 1 65000
        total alice 0.9995 BTC
        total alice 0
        total bob 65006.5
        total fees 0.0005 BTC
        total fees -6.5
        sum USDC
        sum BTC
    """,
    "funding, golden: three longs of 0.333 pay a short of 0.999, dust to the fund": """
        funding alice -2.67208 bob -2.67208 carol -2.67208 dave 8.016238
        total alice -2.67208
        total dave 8.016238
        total insurance 0.000002
        sum USDC
    """,
    "a loss is covered by the fund down to zero, then it is bad debt": """
        deposit insurance 1000
        liquidation alice 500
        total insurance 1500
        cover bob 600
        total insurance 900
        total bad-debt 0
        cover carol 1000
        total carol 1000
        total insurance 0
        total bad-debt -100
        sum USDC
    """,
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_tables(text: str) -> None:
    Table().run(text)


def test_the_types_of_the_api_have_their_names() -> None:
    names = "DEPOSIT WITHDRAW TRADING_FEE REALIZED_PNL FUNDING_PAYMENT LIQUIDATION_LOSS INSURANCE_FUND_TRANSFER "
    names += "INSURANCE_FUND_CREDIT ADL_SETTLEMENT TRADE TRANSFER"
    assert [(kind.name, kind.value) for kind in LedgerType] == [(name, at + 1) for at, name in enumerate(names.split())]


def test_every_posting_says_why() -> None:
    journal = ledger.perpetual_trade(CLEARING, "USDC", (TradeSide(FIRST_USER, "USDC", 5, 7),))
    assert [(each.account_id, each.amount_units, each.type) for each in journal.postings] == [
        (CLEARING, -7, LedgerType.REALIZED_PNL),
        (FIRST_USER, 7, LedgerType.REALIZED_PNL),
        (FIRST_USER, -5, LedgerType.TRADING_FEE),
        (FEES, 5, LedgerType.TRADING_FEE),
    ]


def test_what_moves_nothing_makes_no_posting() -> None:
    assert ledger.fee(FIRST_USER, "USDC", 0) == Journal(())
    assert ledger.funding("USDC", [(FIRST_USER, 0)]) == Journal(())
    assert ledger.liquidation_fee(FIRST_USER, "USDC", 0) == Journal(())


def test_postings_sum_to_zero_in_each_asset_by_itself() -> None:
    with pytest.raises(UnbalancedJournal, match="postings in USDC sum to 1, not to 0") as caught:
        Journal((Posting(1, "USDC", 1, LedgerType.DEPOSIT),))
    assert (caught.value.asset, caught.value.sum_units) == ("USDC", 1)
    with pytest.raises(UnbalancedJournal):
        Journal((Posting(1, "USDC", 1, LedgerType.DEPOSIT), Posting(2, "BTC", -1, LedgerType.DEPOSIT)))


@pytest.mark.parametrize("amount", [0, -1])
def test_money_moves_in_positive_amounts(amount: int) -> None:
    for build in (ledger.deposit, ledger.withdrawal):
        with pytest.raises(InvalidValue):
            build(FIRST_USER, "USDC", amount)
    with pytest.raises(InvalidValue):
        ledger.cover_loss(FIRST_USER, "USDC", amount, 5)
    with pytest.raises(InvalidValue):
        ledger.cover_loss(FIRST_USER, "USDC", 5, -1)
    with pytest.raises(InvalidValue):
        ledger.liquidation_fee(FIRST_USER, "USDC", -1)


def test_an_empty_fund_leaves_the_whole_loss_as_bad_debt() -> None:
    assert fold([ledger.cover_loss(FIRST_USER, "USDC", 5, 0)]) == {(BAD_DEBT, "USDC"): -5, (FIRST_USER, "USDC"): 5}


def test_the_least_amount_moves() -> None:
    assert fold([ledger.deposit(FIRST_USER, "USDC", 1)]) == {(EXTERNAL, "USDC"): -1, (FIRST_USER, "USDC"): 1}


def test_only_designated_accounts_go_below_zero() -> None:
    nobody: frozenset[str] = frozenset()
    check_balances({(EXTERNAL, "USDC"): -5, (CLEARING, "USDC"): -1, (BAD_DEBT, "USDC"): -1}, nobody)
    check_balances({(FIRST_USER, "USDC"): -5}, frozenset({"USDC"}))
    check_balances({(FIRST_USER, "USDC"): 0, (FEES, "USDC"): 1}, nobody)
    with pytest.raises(NegativeBalance):
        check_balances({(INSURANCE, "USDC"): -1}, nobody)
    for account in (FEES, INSURANCE, FIRST_USER):
        with pytest.raises(NegativeBalance) as caught:
            check_balances({(account, "USDC"): -5}, nobody)
        assert (caught.value.account_id, caught.value.asset, caught.value.balance_units) == (account, "USDC", -5)


users = st.integers(FIRST_USER, FIRST_USER + 5)
amounts = st.integers(-(10**15), 10**15)
positive = st.integers(1, 10**15)
assets = st.sampled_from(["USDC", "BTC", "PYUSD"])
sides = st.builds(TradeSide, users, assets, amounts, amounts)
journals = st.one_of(
    st.builds(ledger.deposit, users, assets, positive),
    st.builds(ledger.withdrawal, users, assets, positive),
    st.builds(ledger.fee, users, assets, amounts),
    st.builds(ledger.perpetual_trade, st.just(CLEARING), assets, st.lists(sides, max_size=4).map(tuple)),
    st.builds(ledger.spot_trade, sides, sides, st.just("BTC"), positive, st.just("USDC"), positive),
    st.builds(ledger.funding, assets, st.lists(st.tuples(users, amounts), max_size=5)),
    st.builds(ledger.liquidation_fee, users, assets, positive),
    st.builds(ledger.cover_loss, users, assets, positive, positive),
)


@holds_for(1300, posted=st.lists(journals, max_size=8), at=st.integers(0, 8))
def test_every_journal_sums_to_zero_and_balances_fold_in_parts(posted: list[Journal], at: int) -> None:
    balances = fold(posted)
    for asset in ("USDC", "BTC", "PYUSD"):
        assert sum(units for (_, name), units in balances.items() if name == asset) == 0
    assert all(posting.amount_units for journal in posted for posting in journal.postings)
    assert fold(posted[at:], fold(posted[:at])) == balances
    assert fold(reversed(posted)) == balances


trades = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 50), prices), max_size=12)


@holds_for(700, history=trades)
def test_clearing_stands_against_all_open_cost(history: list[tuple[int, int, int, int]]) -> None:
    positions = [Position(), Position(), Position()]
    balances: Balances = {}
    for buyer, seller, quantity, price in history:
        settled: list[TradeSide] = []
        for account, side in ((buyer, Side.BUY), (seller, Side.SELL)):
            positions[account], realised = apply_fill(positions[account], side, quantity, price, 100)
            settled.append(TradeSide(FIRST_USER + account, "USDC", 3, realised))
        balances = fold([ledger.perpetual_trade(CLEARING, "USDC", tuple(settled))], balances)
    assert balances.get((CLEARING, "USDC"), 0) + sum(each.cost_units for each in positions) == 0
    assert balances.get((FEES, "USDC"), 0) == 6 * len(history)
    for account, position in enumerate(positions):
        fees = 3 * sum((buyer == account) + (seller == account) for buyer, seller, _, _ in history)
        assert balances.get((FIRST_USER + account, "USDC"), 0) == position.realised_units - fees
