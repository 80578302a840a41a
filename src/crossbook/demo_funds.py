"""What demo users start with: enough of every asset to trade at once, on either side, in each demo market."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from crossbook.application.accounts import User
from crossbook.application.funds import Funds
from crossbook.application.views import BalanceDetails
from crossbook.domain.money import Scale

AMOUNTS: Final[Mapping[str, str]] = {"USDC": "250000", "PYUSD": "250000", "BTC": "2", "ETH": "50"}
"""What a demo user gets of each asset, once."""


class Balances(Protocol):
    """What accounts own. `crossbook.storage.queries` has them."""

    async def balances(self, account_id: int) -> list[BalanceDetails]:
        """The account's balances, those of zero too."""
        ...


class StartingFunds:
    """Equips demo users with money, by the deposits that everybody makes."""

    def __init__(self, funds: Funds, balances: Balances) -> None:
        self._funds = funds
        self._balances = balances

    async def __call__(self, user: User, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """Deposit what the user never had; adds nothing to the file. Raises StorageError and ApplicationError."""
        del before
        had = {balance.asset for balance in await self._balances.balances(user.account_id)}
        for asset, amount in AMOUNTS.items():
            if asset not in had:
                units = Scale(await self._funds.decimals_of(asset)).parse(amount, asset)
                await self._funds.deposit(user.account_id, asset, units)
        return {}
