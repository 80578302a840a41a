"""What Lethean's handlers need of the venue. Whoever builds the application fills it in, nobody else chooses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from crossbook.application.swap_registry import AssetPrices, NoPrices, Registry
from crossbook.application.swap_views import (
    HistoryFilter,
    OfferView,
    PairStatistics,
    SwapView,
    TradeView,
    UserPage,
)
from crossbook.application.swaps import PairTerms, Swaps
from crossbook.application.wallets import WalletLogins
from crossbook.dialects.lethean.auth import TokenAuth
from crossbook.domain.candles import Candle, Period
from crossbook.domain.swaps import Swap


class Clock(Protocol):
    """The time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class Pages(Protocol):
    """What the board shows. `crossbook.storage.swap_pages` is one."""

    async def user_page(self, user_id: int, terms: PairTerms, limit: int) -> UserPage:
        """The user's page of a pair, of one moment."""
        ...

    async def clear_notifications(self, user_id: int, pair_id: int) -> None:
        """The user has seen what happened on the pair."""
        ...

    async def notifications(self, user_id: int) -> int:
        """On how many of the user's offers something happened that the user has not seen."""
        ...

    async def book(self, pair_id: int, limit: int, offset: int) -> list[OfferView]:
        """Active offers of a pair: sellers from the lowest price, then buyers from the highest."""
        ...

    async def history(
        self, user_id: int, chosen: HistoryFilter, limit: int, offset: int
    ) -> list[tuple[OfferView, PairTerms]]:
        """A user's offers, newest first."""
        ...

    async def history_count(self, user_id: int, chosen: HistoryFilter) -> int:
        """How many offers the filter takes."""
        ...

    async def offers(self, offer_ids: Sequence[int]) -> list[OfferView]:
        """These offers, whatever their state."""
        ...

    async def owners(self, offer_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
        """User and pair of each of these offers."""
        ...

    async def pending_between(self, one_id: int, other_id: int) -> Swap | None:
        """The pending swap of two offers, with its proposal."""
        ...

    async def swaps_of(
        self, user_id: int, since_ms: int, until_ms: int, limit: int, *, pending: bool = False
    ) -> list[SwapView]:
        """A user's swaps, newest first."""
        ...

    async def trades(self, pair_id: int, limit: int) -> list[TradeView]:
        """The last confirmed swaps of a pair, newest first."""
        ...

    async def candles(self, pair_id: int, period: Period, limit: int) -> list[Candle]:
        """The last candles of a pair, oldest first."""
        ...

    async def statistics(self, pair_ids: Sequence[int], now_ms: int) -> dict[int, PairStatistics]:
        """Statistics of the last 24 hours, for the pairs that ever traded."""
        ...


@dataclass(frozen=True)
class Services:
    """The venue as Lethean sees it. `tips_limit` bounds the tips of a page for each side of it."""

    swaps: Swaps
    pages: Pages
    registry: Registry
    logins: WalletLogins
    auth: TokenAuth
    clock: Clock
    prices: AssetPrices = field(default_factory=NoPrices)
    tips_limit: int = 10_000
    unavailable: tuple[type[Exception], ...] = ()
