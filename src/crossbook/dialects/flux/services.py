"""What Flux's handlers need of the venue. Whoever builds the application fills it in, nobody else chooses."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from crossbook.application.accounts import Accounts
from crossbook.application.desk import Desk
from crossbook.application.feeds import AccountSubscription
from crossbook.application.funds import Funds
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.views import FillDetails, Holdings, OrderDetails, Page
from crossbook.dialects.ports import Limiter, Unlimited
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import Side
from crossbook.matching.depth import BookDelta, DepthBook
from crossbook.security.tokens import Tokens
from crossbook.settings import RuntimeMode


class Clock(Protocol):
    """The time of day, and the time that passed."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class Queries(Protocol):
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

    async def fills(self, account_id: int, page: Page, market_id: int = 0, order_id: int = 0) -> list[FillDetails]:
        """A page of the account's fills, newest first."""
        ...

    async def holdings(self, account_id: int) -> Holdings:
        """The account's balances and positions, of one moment."""
        ...


class Book(Protocol):
    """The public book of a market after the command `sequence`.

    Levels are best first: price in ticks, quantity in lots, and the number of orders there.
    """

    @property
    def sequence(self) -> int:
        """The last command that the book has seen."""
        ...

    @property
    def bids(self) -> Sequence[tuple[int, int, int]]:
        """Who buys."""
        ...

    @property
    def asks(self) -> Sequence[tuple[int, int, int]]:
        """Who sells."""
        ...


class PublicTrade(Protocol):
    """A trade as anybody may see it."""

    @property
    def trade_id(self) -> int:
        """The trade's number in its market."""
        ...

    @property
    def price_ticks(self) -> int:
        """The maker's price."""
        ...

    @property
    def quantity_lots(self) -> int:
        """What traded."""
        ...

    @property
    def taker_side(self) -> Side:
        """Which way the taker went."""
        ...

    @property
    def time_ms(self) -> int:
        """When, in milliseconds since the epoch."""
        ...


class MarketUpdate(Protocol):
    """What one command changed in a market, as the public sees it."""

    @property
    def sequence(self) -> int:
        """The command."""
        ...

    @property
    def deltas(self) -> Sequence[BookDelta]:
        """The levels that changed, as they are now."""
        ...

    @property
    def trades(self) -> Sequence[PublicTrade]:
        """The trades it made."""
        ...


class MarketSubscription(Protocol):
    """Every update of a market from one moment on. Both calls raise SubscriptionDropped."""

    @property
    def book(self) -> DepthBook:
        """The market's own book, to be read only: right after `take` it is as the last update left it."""
        ...

    async def wait(self) -> None:
        """Return when there is an update."""
        ...

    def take(self) -> Sequence[MarketUpdate]:
        """Every update that waits, oldest first."""
        ...


class MarketData(Protocol):
    """Every market's public data, by symbol. `crossbook.workers.market_data` is one.

    Each read raises MarketNotFound, and one of `Services.unavailable` while the data are being built.
    """

    def orderbook(self, market: str, depth: int) -> Book:
        """The best `depth` levels of both sides."""
        ...

    def trades(self, market: str, limit: int) -> Sequence[PublicTrade]:
        """The last trades, newest first: `limit` of them, or as many as are kept."""
        ...

    def last_price_ticks(self, market: str) -> int | None:
        """The price of the last trade, None before the first."""
        ...

    def subscribe(self, market: str, depth: int) -> MarketSubscription:
        """The best `depth` levels now, and every change from now on."""
        ...

    def unsubscribe(self, market: str, subscription: Any) -> None:
        """End a subscription."""
        ...


@dataclass(frozen=True)
class FundingState:
    """A funding rate, in parts per billion of the position's value, and when it is paid next."""

    rate_ppb: int
    next_at_ms: int | None


class Funding(Protocol):
    """The funding of perpetual markets."""

    def current(self, market: Market) -> FundingState | None:
        """The funding of a market as it stands, None when there is none."""
        ...


class NoFunding:
    """A venue without funding."""

    def current(self, market: Market) -> FundingState | None:
        """Always None."""
        del market
        return None


class AccountFeed(Protocol):
    """What changes in accounts. `crossbook.workers.account_feed` is one."""

    def follow(self, account_id: int) -> AccountSubscription:
        """The account as it stands soon, and every change after that."""
        ...

    def unfollow(self, subscription: AccountSubscription) -> None:
        """End a subscription."""
        ...


class NoAccountFeed:
    """Tells nothing: for a venue without a WebSocket."""

    def follow(self, account_id: int) -> AccountSubscription:
        """A subscription that never begins."""
        return AccountSubscription(account_id, 1)

    def unfollow(self, subscription: AccountSubscription) -> None:
        """End a subscription."""
        del subscription


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


@dataclass(frozen=True)
class Services:
    """The venue as Flux sees it.

    `drain` returns when everything that was accepted before the call is settled; production never calls it.
    `unavailable` are the errors, besides the application's own, that mean "not now, try again": those of the
    database, of the streams and of public data. `limiter` is asked for the orders of a batch.
    `socket_subscriptions` bounds what one WebSocket may follow.
    """

    accounts: Accounts
    tokens: Tokens
    desk: Desk
    funds: Funds
    queries: Queries
    markets: Markets
    marks: Marks
    market_data: MarketData
    clock: Clock
    runtime_mode: RuntimeMode
    drain: Callable[[], Awaitable[None]]
    unavailable: tuple[type[Exception], ...] = ()
    login_brake: LoginBrake = field(default_factory=NoBrake)
    limiter: Limiter = field(default_factory=Unlimited)
    account_feed: AccountFeed = field(default_factory=NoAccountFeed)
    funding: Funding = field(default_factory=NoFunding)
    socket_subscriptions: int = 50
