"""What TrueX's handlers need of the venue. Whoever builds the application fills it in, nobody else chooses."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crossbook.application.activity import Activity, ActivityKind
from crossbook.application.assets import Assets
from crossbook.application.client_orders import ClientOrder, ClientTrade
from crossbook.application.clients import Clients
from crossbook.application.desk import Desk
from crossbook.application.market_limits import Limits
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.order_filters import Condition
from crossbook.application.transfers import Transfer, Transfers
from crossbook.application.views import BalanceDetails
from crossbook.dialects.feed_ports import AccountFeed, MarketFeeds, NoAccountFeed
from crossbook.dialects.market_ports import Clock
from crossbook.dialects.ports import Limiter, Unlimited
from crossbook.dialects.truex.auth import Keys
from crossbook.dialects.truex.versions import SINGULAR, versions_of
from crossbook.dialects.versions import Retirement, Versions


class ClientOrders(Protocol):
    """Orders and trades as their clients see them. `crossbook.storage.client_orders` is one."""

    async def one(self, accounts: Sequence[int], order_id: int) -> ClientOrder | None:
        """The order of this id, if it belongs to one of the accounts."""
        ...

    async def named(self, accounts: Sequence[int], external_id: str) -> ClientOrder | None:
        """The order that a client calls so now: a live one before those that have ended, the newest of those."""
        ...

    async def active(self, accounts: Sequence[int], order_id: int, limit: int) -> list[ClientOrder]:
        """The live orders of the accounts, newest first, or only the one of this id (0 for all)."""
        ...

    async def matching(
        self, accounts: Sequence[int], conditions: Sequence[Condition], limit: int, *, skip: int = 0, before: int = 0
    ) -> list[ClientOrder]:
        """The orders of the accounts that fulfil all conditions, newest first."""
        ...

    async def trades(
        self,
        accounts: Sequence[int],
        after_ms: int,
        until_ms: int,
        limit: int,
        *,
        skip: int = 0,
        before: int = 0,
        market_ids: Sequence[int],
    ) -> list[ClientTrade]:
        """What the accounts traded in these markets after `after_ms` and up to `until_ms`, newest first."""
        ...


class BalanceList(Protocol):
    """What accounts have. `crossbook.storage.queries` is one."""

    async def balances_of(self, account_ids: Sequence[int]) -> dict[int, list[BalanceDetails]]:
        """The balances of these accounts, each account's by asset name."""
        ...


class ActivityPages(Protocol):
    """The activity of orders. `crossbook.storage.activity` has one."""

    async def page(
        self,
        accounts: Sequence[int],
        after_ns: int,
        until_ns: int,
        limit: int,
        *,
        skip: int = 0,
        before: int = 0,
        order_ids: Sequence[int] = (),
        kinds: Sequence[ActivityKind] = (),
    ) -> list[Activity]:
        """What was written down after `after_ns` and up to `until_ns`, newest first."""
        ...


class TransferLists(Protocol):
    """Transfers by pages. `crossbook.storage.transfers` has one."""

    async def open_of(self, accounts: Sequence[int], transfer_id: int = 0) -> list[Transfer]:
        """The open transfers of these accounts, newest first, or only the one of this id."""
        ...

    async def until(
        self, accounts: Sequence[int], until_ms: int, limit: int, skip: int = 0, before: int = 0
    ) -> list[Transfer]:
        """Transfers of these accounts that were asked for at `until_ms` or earlier, newest first."""
        ...


@dataclass(frozen=True)
class Services:
    """The venue as TrueX sees it.

    `healthy` says whether database and matching work. `unavailable` are the errors, besides the application's own,
    that mean "not now, try again". `singular` is when the old paths were deprecated, and until when they are served.
    """

    keys: Keys
    clients: Clients
    desk: Desk
    assets: Assets
    markets: Markets
    limits: Limits
    marks: Marks
    market_data: MarketFeeds
    clock: Clock
    balances: BalanceList
    client_orders: ClientOrders
    activity: ActivityPages
    transfers: Transfers
    transfer_lists: TransferLists
    healthy: Callable[[], Awaitable[bool]]
    unavailable: tuple[type[Exception], ...] = ()
    limiter: Limiter = field(default_factory=Unlimited)
    account_feed: AccountFeed = field(default_factory=NoAccountFeed)
    versions: Versions = field(default_factory=versions_of)
    singular: Retirement = SINGULAR
