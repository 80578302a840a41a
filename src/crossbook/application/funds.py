"""Deposits and withdrawals: money in from outside and out again, each one journal."""

from collections.abc import Callable
from typing import Protocol

from crossbook.application.books import Balance, Books
from crossbook.application.clock import WallClock
from crossbook.application.errors import InsufficientFunds, InvalidOrder, WithdrawalsStopped
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.risk_rows import risk_of, rows_of
from crossbook.domain import ledger
from crossbook.domain.ledger import Journal, LedgerType


class FundsStore(Protocol):
    """Where money moves. `crossbook.storage.funds` is one."""

    async def move(
        self, account_id: int, kind: LedgerType, decide: Callable[[Books, dict[str, int]], Journal], now_ms: int
    ) -> dict[str, Balance]:
        """Read the account's rows under lock, post what `decide` makes of them and the asset ids, commit.

        Returns the account's balances by asset name. Raises what `decide` raises, having done nothing.
        """
        ...

    async def assets(self) -> dict[str, int]:
        """The decimals of every asset, by name."""
        ...


class Funds:
    """The use cases that move money across the venue's border."""

    def __init__(self, store: FundsStore, markets: Markets, marks: Marks, clock: WallClock) -> None:
        self._store = store
        self._markets = markets
        self._marks = marks
        self._clock = clock

    async def decimals_of(self, asset: str) -> int:
        """How many decimals an asset has. Raises InvalidOrder for an asset that is not known."""
        assets = await self._store.assets()
        if asset not in assets:
            raise InvalidOrder("asset", f"must be one of {', '.join(sorted(assets))}")
        return assets[asset]

    async def deposit(self, account_id: int, asset: str, amount_units: int) -> Balance:
        """Add money from outside; gives the new balance. Raises InvalidOrder unless the amount is positive."""
        _require_positive(amount_units)

        def decide(books: Books, asset_ids: dict[str, int]) -> Journal:
            return ledger.deposit(account_id, asset, amount_units)

        balances = await self._store.move(account_id, LedgerType.DEPOSIT, decide, self._clock.now_ms())
        return balances[asset]

    async def withdraw(self, account_id: int, asset: str, amount_units: int) -> Balance:
        """Send money outside; gives the new balance. Raises InvalidOrder and InsufficientFunds."""
        _require_positive(amount_units)

        def decide(books: Books, asset_ids: dict[str, int]) -> Journal:
            available = self.withdrawable(books, account_id, asset_ids[asset])
            if amount_units > available:
                raise InsufficientFunds(asset, amount_units, available)
            return ledger.withdrawal(account_id, asset, amount_units)

        balances = await self._store.move(account_id, LedgerType.WITHDRAW, decide, self._clock.now_ms())
        return balances[asset]

    def withdrawable(self, books: Books, account_id: int, asset_id: int) -> int:
        """What may leave of an asset (3.1): wallet and equity, less all margin; for spot assets what is not held.

        Nothing leaves an account while a position of it is being liquidated. Raises WithdrawalsStopped while bad
        debt is open in the asset.
        """
        if books.bad_debts.get(asset_id, 0) < 0:
            raise WithdrawalsStopped(self._asset_named(asset_id))
        rows = rows_of(books.positions, account_id, asset_id, self._markets)
        if any(row.in_liquidation for _, row in rows):
            return 0
        return risk_of(books, account_id, asset_id, self._markets, self._marks).withdrawable_units

    def _asset_named(self, asset_id: int) -> str:
        names = [market.instrument.quote.name for market in self._markets if market.quote_asset_id == asset_id]
        return names[0] if names else str(asset_id)


def _require_positive(amount_units: int) -> None:
    if amount_units <= 0:
        raise InvalidOrder("amount", "must be more than 0")
