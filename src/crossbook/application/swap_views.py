"""What the board of swaps shows: rows as they are read, in whole units, and the page of one user put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crossbook.application.swaps import PairTerms
from crossbook.domain.candles import Candle, Period
from crossbook.domain.orders import MAX_TIME_MS, Side
from crossbook.domain.swap_tips import Counter, Own, Tip, reach_of, tips_of
from crossbook.domain.swaps import OfferStatus, Swap, SwapStatus, opposite


class WalletView(NamedTuple):
    """A wallet as anybody may see it."""

    alias: str
    address: str
    created_at_ms: int
    updated_at_ms: int


class OfferView(NamedTuple):
    """An offer as it is stored."""

    offer_id: int
    user_id: int
    pair_id: int
    side: Side
    price_units: int
    amount_units: int
    total_units: int
    left_units: int
    pending_units: int
    status: OfferStatus
    has_notification: bool
    renewed_at_ms: int
    created_at_ms: int
    updated_at_ms: int


class BookEntry(NamedTuple):
    """An active offer of the book, and whose it is."""

    offer_id: int
    price_units: int
    free_units: int
    total_units: int
    renewed_at_ms: int
    wallet: WalletView


class FinaliserView(NamedTuple):
    """A pending swap that waits for the user's confirm: by whom, and the offers of both."""

    swap_id: int
    own: OfferView
    creator: BookEntry
    amount_units: int
    proposal: str


@dataclass(frozen=True)
class OwnSide:
    """What a user's page is made of: the user's offers on a pair, and the pending swaps that they are in."""

    offers: Sequence[OfferView]
    swapping: frozenset[tuple[int, int]]
    """Own offer and other offer of every pending swap."""
    to_confirm: Sequence[FinaliserView]


class PageTip(NamedTuple):
    """A tip of a page: a counter-offer for the own offer, for so much."""

    own_offer_id: int
    side: Side
    entry: BookEntry
    left_units: int


@dataclass(frozen=True)
class UserPage:
    """A user's active offers on a pair, oldest first; what they may be swapped with; what waits for a confirm."""

    terms: PairTerms
    offers: Sequence[OfferView]
    tips: Sequence[PageTip]
    to_confirm: Sequence[FinaliserView]


class TradeView(NamedTuple):
    """A confirmed swap as anybody may see it. `taker_side` is the side that applied."""

    swap_id: int
    price_units: int
    amount_units: int
    total_units: int
    taker_side: Side
    time_ms: int
    buyer: WalletView
    seller: WalletView


class SwapView(NamedTuple):
    """A swap as its sides may see it; `side` is which of them asks."""

    swap: Swap
    side: Side
    terms: PairTerms


@dataclass(frozen=True)
class PairStatistics:
    """A pair over the last 24 hours; prices and volume in units of the second currency.

    `reference_units` is the price a day ago: the last trade before, else the first since; 0 without trades.
    """

    rate_units: int = 0
    reference_units: int = 0
    high_units: int = 0
    low_units: int = 0
    volume_units: int = 0


class PageReader(Protocol):
    """What a user's page reads, of one moment. `crossbook.storage.swap_pages` opens one."""

    async def own_side(self, user_id: int, pair_id: int) -> OwnSide:
        """The user's active offers on a pair, oldest first, and their pending swaps."""
        ...

    async def crossing(self, user_id: int, pair_id: int, side: Side, reach_units: int, limit: int) -> list[BookEntry]:
        """Others' active offers on `side` with something free, up to the price `reach_units`, best first."""
        ...


async def user_page(reader: PageReader, terms: PairTerms, user_id: int, limit: int) -> UserPage:
    """A user's page: at most `limit` tips for each side, those of the best prices."""
    own = await reader.own_side(user_id, terms.pair_id)
    tips: list[PageTip] = []
    for side in Side:
        free = [
            Own(offer.offer_id, offer.price_units, offer.left_units - offer.pending_units)
            for offer in own.offers
            if offer.side is side and offer.left_units > offer.pending_units
        ]
        reach = reach_of(side, free)
        if reach is None:
            continue
        entries = await reader.crossing(user_id, terms.pair_id, opposite(side), reach, limit)
        counters = [Counter(each[0], each[1], each[2], place) for place, each in enumerate(entries)]
        found = tips_of(side, free, counters, own.swapping, terms.first_decimals)
        tips += [_page_tip(tip, opposite(side), entries) for tip in found]
    place_of = {offer.offer_id: place for place, offer in enumerate(own.offers)}
    tips.sort(key=lambda tip: place_of[tip.own_offer_id])
    return UserPage(terms, own.offers, tips, own.to_confirm)


def _page_tip(tip: Tip, side: Side, entries: Sequence[BookEntry]) -> PageTip:
    return PageTip(tip.own_offer_id, side, entries[tip.counter.place], tip.left_units)


@dataclass(frozen=True)
class HistoryFilter:
    """Which of a user's offers to list; None for any."""

    pair_id: int | None = None
    side: Side | None = None
    active: bool | None = None
    since_ms: int = 0
    until_ms: int = MAX_TIME_MS


__all__ = [
    "BookEntry",
    "Candle",
    "FinaliserView",
    "HistoryFilter",
    "OfferView",
    "OwnSide",
    "PageReader",
    "PageTip",
    "PairStatistics",
    "Period",
    "SwapStatus",
    "SwapView",
    "TradeView",
    "UserPage",
    "WalletView",
    "user_page",
]
