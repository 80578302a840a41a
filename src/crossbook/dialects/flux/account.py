"""An account's money, positions and fills, and the operator's drain."""

from typing import Final

from crossbook.application.accounts import User
from crossbook.application.errors import InvalidOrder, OrderNotFound
from crossbook.application.portfolio import Portfolio
from crossbook.application.views import FillDetails, Holdings
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.flux import schemas, translate
from crossbook.dialects.flux.auth import user_of
from crossbook.dialects.flux.paging import link, page_of
from crossbook.dialects.flux.services import Services
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.settings import RuntimeMode

FUNDS: Final = "funds"
"""The scope of whoever moves money for others."""


class AccountHandlers:
    """The handlers of balances, positions, fills, deposits, withdrawals and the drain."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def deposit(self, call: Call[schemas.Deposit, None]) -> Reply:
        """Add money from outside, to the caller or to whom the caller names; 201 with the new balance."""
        user = await self._receiver(call)
        amount_units = await self._amount_units(call.body)
        await self._services.funds.deposit(user.account_id, call.body.asset, amount_units)
        return Reply(201, await self._balance(user, call.body.asset))

    async def withdraw(self, call: Call[schemas.Transfer, None]) -> Reply:
        """Send money outside; 201 with the new balance."""
        amount_units = await self._amount_units(call.body)
        await self._services.funds.withdraw(user_of(call).account_id, call.body.asset, amount_units)
        return Reply(201, await self._balance(user_of(call), call.body.asset))

    async def balances(self, call: Call[None, None]) -> Reply:
        """Every balance of the account."""
        return Reply(200, await self._balances(user_of(call)))

    async def positions(self, call: Call[None, None]) -> Reply:
        """Every position of the account that is open or has realised anything."""
        user_id, holdings = str(user_of(call).user_id), await self._holdings(user_of(call))
        portfolio, account_id = self._portfolio(holdings), user_of(call).account_id
        views = []
        for row in holdings.positions:
            if row.position_lots or row.realised_pnl_units:
                market = self._services.markets.numbered(row.market_id)
                ranks = await self._services.ranks.of_market(row.market_id) if row.position_lots else {}
                views.append(translate.position_view(row, market, portfolio, user_id, ranks.get(account_id)))
        return Reply(200, views)

    async def fills(self, call: Call[None, schemas.FillsQuery]) -> Reply:
        """A page of own fills, newest first."""
        query, user = call.query, user_of(call)
        market_id = translate.market_number(self._services.markets, query.market)
        page = page_of(query.limit, query.cursor)
        try:
            order_id = 0 if query.order_id is None else translate.order_number(query.order_id)
        except OrderNotFound:  # no order has such an id, so it has no fills
            return Reply(200, [])
        found = await self._services.queries.fills(user.account_id, page, market_id, order_id)
        user_id = str(user.user_id)
        views = [
            translate.fill_view(fill, self._services.markets.numbered(fill.market_id), user_id)
            for fill in found[: query.limit]
        ]
        return Reply(200, views, link(call, found, query.limit, _fill_id))

    async def drain(self, call: Call[None, None]) -> Reply:
        """Answer when all that was accepted is settled; in production at once, since its workers are elsewhere."""
        del call
        if self._services.runtime_mode is not RuntimeMode.PRODUCTION:
            await self._services.drain()
        return Reply(200, schemas.Drained(drained=True))

    async def _receiver(self, call: Call[schemas.Deposit, None]) -> User:
        """Whose balance a deposit goes to. Raises `Fault` FORBIDDEN without the scope, InvalidOrder for nobody."""
        caller, user_id = user_of(call), call.body.user_id
        if user_id is None or user_id == str(caller.user_id):
            return caller
        if FUNDS not in call.principal.scopes:
            raise Fault(FaultKind.FORBIDDEN, f"userId of another user needs the scope {FUNDS}")
        user = await self._services.accounts.user_numbered(int(user_id))
        if user is None:
            raise InvalidOrder("userId", "names no user")
        return user

    async def _amount_units(self, body: schemas.Transfer) -> int:
        return translate.transfer_units(body.amount, await self._services.funds.decimals_of(body.asset))

    async def _holdings(self, user: User) -> Holdings:
        return await self._services.queries.holdings(user.account_id)

    def _portfolio(self, holdings: Holdings) -> Portfolio:
        return Portfolio(holdings, self._services.markets, self._services.marks)

    async def _balances(self, user: User) -> list[schemas.Balance]:
        holdings = await self._holdings(user)
        portfolio = self._portfolio(holdings)
        return [translate.balance_view(balance, portfolio, str(user.user_id)) for balance in holdings.balances]

    async def _balance(self, user: User, asset: str) -> schemas.Balance:
        return next(balance for balance in await self._balances(user) if balance.asset == asset)


def _fill_id(fill: FillDetails) -> int:
    return fill.fill_id
