"""What the board of swaps shows: rows as they are read, in whole units, and the page of one user put together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from crossbook.application.swaps import PairTerms
from crossbook.domain.orders import MAX_TIME_MS, Side
from crossbook.domain.swap_tips import Counters, Own, reach_of, tips_of
from crossbook.domain.swaps import OfferStatus, Swap, opposite


class WalletView(NamedTuple):
    """A wallet as anybody may see it."""

    alias: str
    address: str
    created_at_ms: int
    updated_at_ms: int


class OfferView(msgspec.Struct, gc=False):
    """An offer as it is stored, and whose it is. Never changed once it is made; it may be kept, and shared.

    `shown` is for whoever shows it, to keep the form of it.
    """

    offer_id: int
    user_id: int
    pair_id: int
    side: Side
    price_units: int
    amount_units: int
    total_units: int
    left_units: int
    pending_units: int
    free_units: int
    status: OfferStatus
    has_notification: bool
    renewed_at_ms: int
    created_at_ms: int
    updated_at_ms: int
    wallet: WalletView
    shown: object = None


class FinaliserView(NamedTuple):
    """A pending swap that waits for the user's confirm: the user's offer, and that of the side that applied."""

    swap_id: int
    own: OfferView
    creator: OfferView
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
    entry: OfferView
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

    async def crossing(self, user_id: int, pair_id: int, side: Side, reach_units: int, limit: int) -> list[OfferView]:
        """Others' active offers on `side` with something free, up to the price `reach_units`.

        At most `limit` of them, those of the best prices; oldest first.
        """
        ...


async def user_page(reader: PageReader, terms: PairTerms, user_id: int, limit: int) -> UserPage:
    """A user's page: at most `limit` tips for each side, those of the best prices."""
    own = await reader.own_side(user_id, terms.pair_id)
    tips: list[PageTip] = []
    for side in Side:
        free = [
            Own(offer.offer_id, offer.price_units, offer.free_units)
            for offer in own.offers
            if offer.side is side and offer.free_units
        ]
        reach = reach_of(side, free)
        if reach is None:
            continue
        entries = await reader.crossing(user_id, terms.pair_id, opposite(side), reach, limit)
        counters = Counters(
            [each.offer_id for each in entries],
            [each.price_units for each in entries],
            [each.free_units for each in entries],
        )
        found = tips_of(side, free, counters, own.swapping, terms.first_decimals)
        other = opposite(side)
        tips += [PageTip(own_id, other, entries[place], left) for own_id, place, left in found]
    if len({tips[0].side, tips[-1].side} if tips else ()) > 1:  # both sides: own offers of both, oldest first
        tips.sort(key=lambda tip: tip.own_offer_id)
    return UserPage(terms, own.offers, tips, own.to_confirm)


@dataclass(frozen=True)
class HistoryFilter:
    """Which of a user's offers to list; None for any."""

    pair_id: int | None = None
    side: Side | None = None
    active: bool | None = None
    since_ms: int = 0
    until_ms: int = MAX_TIME_MS
