"""What Flux's handlers need of the venue. Whoever builds the application fills it in, nobody else chooses."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from crossbook.application.accounts import Accounts
from crossbook.application.api_keys import ApiKeys
from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.funding_views import FundingReads
from crossbook.application.funds import Funds
from crossbook.application.liquidations import LiquidationDetails
from crossbook.application.margin_terms import MarginTerms
from crossbook.application.market_limits import LimitStore
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.operations import Operations
from crossbook.application.views import FillDetails, Holdings, OrderDetails, Page
from crossbook.dialects.feed_ports import AccountFeed, Funding, MarketFeeds, NoAccountFeed, NoFunding
from crossbook.dialects.flux.socket_history import ReplayLimits
from crossbook.dialects.market_ports import Clock
from crossbook.dialects.ports import Limiter, Unlimited
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.transfers import CustodyNews
from crossbook.security.tokens import Tokens
from crossbook.settings import RuntimeMode


class FillReads(Protocol):
    """Fills as stored. `crossbook.storage.queries` has them."""

    async def fills(self, account_id: int, page: Page, market_id: int = 0, order_id: int = 0) -> list[FillDetails]:
        """A page of the account's fills, newest first."""
        ...

    async def fills_after(self, account_id: int, market_id: int, fill_id: int, limit: int) -> list[FillDetails]:
        """The account's fills in a market after this one, the oldest first, `limit` at most."""
        ...


class Queries(FillReads, Protocol):
    """What has been stored. `crossbook.storage.queries` is one."""

    async def order(self, account_id: int, order_id: int) -> OrderDetails | None:
        """An order of the account, or None."""
        ...

    async def order_by_client_id(self, account_id: int, client_order_id: str) -> OrderDetails | None:
        """The order that the account gave this client id, or None."""
        ...

    async def orders(
        self, account_id: int, page: Page, market_id: int = 0, status: OrderStatus | None = None
    ) -> list[OrderDetails]:
        """A page of the account's orders, newest first."""
        ...

    async def holdings(self, account_id: int) -> Holdings:
        """The account's balances and positions, of one moment."""
        ...


class Liquidations(Protocol):
    """Liquidations as stored. `crossbook.storage.liquidation_queries` has one."""

    async def liquidations(self, page: Page, account_id: int = 0) -> list[LiquidationDetails]:
        """A page of them, newest first: of one account, or of all (0)."""
        ...


class Ranks(Protocol):
    """Places in the queue of auto-deleveraging. `crossbook.storage.liquidation_queries` has them."""

    async def of_market(self, market_id: int) -> Mapping[int, int]:
        """The rank, 1 to 5, of every position of a market, by account."""
        ...


class NoRanks:
    """Nobody has a rank: for a venue without positions."""

    async def of_market(self, market_id: int) -> Mapping[int, int]:
        """Always empty."""
        del market_id
        return {}


class CustodianControl(Protocol):
    """The simulated custodian's other side. `crossbook.storage.simulated_custodian` is one."""

    async def tell(self, transfer_id: int, outcome: CustodyNews) -> None:
        """End a transfer now, in this way. Raises InvalidOrder for one that is not open."""
        ...


class LoginBrake(Protocol):
    """Slows down who guesses passwords. `crossbook.server.limits.LoginThrottle` is one."""

    def wait_s(self, account: str, address: str) -> int:
        """Seconds until the next attempt is heard; 0 for now."""
        ...

    def failed(self, account: str, address: str) -> None:
        """Count a wrong password."""
        ...

    def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures from this address."""
        ...


class NoBrake:
    """Lets everybody guess."""

    def wait_s(self, account: str, address: str) -> int:
        """Always 0."""
        del account, address
        return 0

    def failed(self, account: str, address: str) -> None:
        """Count nothing."""

    def succeeded(self, account: str, address: str) -> None:
        """Forget nothing."""


@dataclass(frozen=True, kw_only=True)
class StreamServices:
    """What public data and the WebSocket need: no orders are taken with it.

    `unavailable` are the errors, besides the application's own, that mean "not now, try again": those of the
    database, of the streams and of public data. `socket_subscriptions` bounds what one WebSocket may follow, `replay`
    what private topics keep for those who come back.
    """

    accounts: Accounts
    tokens: Tokens
    markets: Markets
    marks: Marks
    market_data: MarketFeeds
    fills: FillReads
    clock: Clock
    unavailable: tuple[type[Exception], ...] = ()
    account_feed: AccountFeed = field(default_factory=NoAccountFeed)
    funding: Funding = field(default_factory=NoFunding)
    socket_subscriptions: int = 50
    replay: ReplayLimits = field(default_factory=ReplayLimits)
    ranks: Ranks = field(default_factory=NoRanks)


@dataclass(frozen=True, kw_only=True)
class Services(StreamServices):
    """The venue as Flux sees it.

    `drain` returns when everything that was accepted before the call is settled; production never calls it.
    `limiter` is asked for the orders of a batch.
    """

    keys: ApiKeys
    clients: Clients
    limits: LimitStore
    desk: Desk
    funds: Funds
    custodian: CustodianControl
    margin_terms: MarginTerms
    liquidations: Liquidations
    queries: Queries
    funding_reads: FundingReads
    operations: Operations
    runtime_mode: RuntimeMode
    drain: Callable[[], Awaitable[None]]
    login_brake: LoginBrake = field(default_factory=NoBrake)
    limiter: Limiter = field(default_factory=Unlimited)
