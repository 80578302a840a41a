"""What dialects are given to follow: markets, accounts and funding as they change."""

from collections.abc import Sequence
from typing import Any, Protocol

from crossbook.application.feeds import AccountSubscription
from crossbook.application.funding_views import FundingState
from crossbook.application.markets import Market
from crossbook.dialects.market_ports import MarketData, PublicTrade
from crossbook.matching.depth import BookDelta, DepthBook


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


class MarketFeeds(MarketData, Protocol):
    """Every market's public data, to be read and to be followed. `crossbook.workers.market_data` is one."""

    def subscribe(self, market: str, depth: int) -> MarketSubscription:
        """The best `depth` levels now, and every change from now on. Raises as reads do."""
        ...

    def unsubscribe(self, market: str, subscription: Any) -> None:
        """End a subscription."""
        ...


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
