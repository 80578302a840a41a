"""Swap offers and the handshake between two of them: one state machine, without a clock or a store.

An offer promises nothing: the wallets hold the funds. Two offers that cross may be swapped: one side *applies* with
a proposal, the other, the finaliser, *confirms* once its wallet has sent it to the chain.

    offer   ACTIVE -> FILLED | CANCELLED | EXPIRED
    swap    PENDING -> CONFIRMED | REJECTED | TIMED_OUT

What holds in every state: what an offer's pending swaps promise is its `pending_units`, never above `left_units`;
two offers have at most one pending swap; an ended offer has none; `left_units` falls at a confirm and nowhere else.

`Board` is the offers and pending swaps that one change needs, all of them locked by whoever stores them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from crossbook.domain.errors import CrossbookError
from crossbook.domain.orders import DAY_MS, Side
from crossbook.domain.swap_amounts import total_units

SWAP_TIMEOUT_MS: Final = 600_000
"""How long a swap may be pending, unless the venue says otherwise."""
OFFER_AGE_MS: Final = 30 * DAY_MS
"""How old an offer gets without a bot that renews it."""
BOT_ALIVE_MS: Final = 30_000
"""How long a renewal says that a bot stands behind an offer."""
RENEWALS_APART_MS: Final = 5_000


class OfferStatus(IntEnum):
    """Where an offer stands. Numbers are stored and never change meaning; all but ACTIVE are ends."""

    ACTIVE = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4


class SwapStatus(IntEnum):
    """Where a swap stands. Numbers are stored and never change meaning; all but PENDING are ends."""

    PENDING = 1
    CONFIRMED = 2
    REJECTED = 3
    TIMED_OUT = 4


# -- Why a change is refused -------------------------------------------------------------------------
class SwapError(CrossbookError):
    """A change of offers or swaps that is refused; nothing of it was done."""


class OfferUnusable(SwapError):
    """No such offer of the caller's, or the two can not be swapped now."""


class SwapNotFound(SwapError):
    """No swap has this id."""


class NotParticipant(SwapError):
    """The caller is not the side of the swap that may do this."""


class SwapNotPending(SwapError):
    """The swap is over."""


class NoneOwned(SwapError):
    """Neither of the offers that were asked about is the caller's."""


class RenewedTooSoon(SwapError):
    """The bot of the offer said that it is alive a moment ago; `alive_until_ms` still holds."""

    def __init__(self, alive_until_ms: int) -> None:
        super().__init__(f"renewed less than {RENEWALS_APART_MS // 1000} s ago")
        self.alive_until_ms = alive_until_ms


# -- Offers and swaps --------------------------------------------------------------------------------
@dataclass
class Offer:
    """One offer. Amounts are in units of the pair's first currency, the price in units of its second.

    `renewed_at_ms` is when its bot last said that it is alive, 0 for never.
    """

    offer_id: int
    user_id: int
    pair_id: int
    side: Side
    price_units: int
    amount_units: int
    left_units: int
    pending_units: int = 0
    status: OfferStatus = OfferStatus.ACTIVE
    created_at_ms: int = 0
    updated_at_ms: int = 0
    renewed_at_ms: int = 0
    has_notification: bool = False

    @property
    def is_active(self) -> bool:
        """Whether it may still be swapped."""
        return self.status is OfferStatus.ACTIVE

    @property
    def free_units(self) -> int:
        """What no pending swap has promised away."""
        return self.left_units - self.pending_units


@dataclass
class Swap:
    """A swap of two offers, at the finaliser's price: `creator` is the side that applied."""

    swap_id: int
    pair_id: int
    buy_id: int
    sell_id: int
    amount_units: int
    price_units: int
    total_units: int
    creator: Side
    proposal: str
    status: SwapStatus = SwapStatus.PENDING
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def offer_ids(self) -> tuple[int, int]:
        """Both offers, the buyer's first."""
        return self.buy_id, self.sell_id

    @property
    def creator_offer_id(self) -> int:
        """The offer of the side that applied."""
        return self.buy_id if self.creator is Side.BUY else self.sell_id

    @property
    def finaliser_offer_id(self) -> int:
        """The offer of the side that confirms."""
        return self.sell_id if self.creator is Side.BUY else self.buy_id


def opposite(side: Side) -> Side:
    """The other side."""
    return Side.SELL if side is Side.BUY else Side.BUY


def prices_cross(side: Side, price_units: int, other_price_units: int) -> bool:
    """Whether an offer on `side` meets one on the other side at these prices: the buyer pays what is asked."""
    return price_units >= other_price_units if side is Side.BUY else price_units <= other_price_units


def is_alive(renewed_at_ms: int, now_ms: int) -> bool:
    """Whether a bot stands behind an offer: it said so less than BOT_ALIVE_MS ago."""
    return renewed_at_ms > 0 and now_ms - renewed_at_ms < BOT_ALIVE_MS


def has_aged(created_at_ms: int, renewed_at_ms: int, now_ms: int) -> bool:
    """Whether an offer's time is over: OFFER_AGE_MS, unless its bot is alive."""
    return now_ms - created_at_ms >= OFFER_AGE_MS and not is_alive(renewed_at_ms, now_ms)


# -- The machine -------------------------------------------------------------------------------------
class Board:
    """Offers and pending swaps during one change. Whoever stores them writes `changed_offers` and `changed_swaps`.

    `notified` are the offers whose owners should be told.

    `first_decimals` are the decimals of each pair's first currency. Every method may raise SwapError; then nothing
    was changed.
    """

    def __init__(
        self,
        offers: Iterable[Offer],
        swaps: Iterable[Swap],
        first_decimals: Mapping[int, int],
        timeout_ms: int = SWAP_TIMEOUT_MS,
    ) -> None:
        self.offers = {offer.offer_id: offer for offer in offers}
        self.swaps = {swap.swap_id: swap for swap in swaps}
        self.changed_offers: dict[int, Offer] = {}
        self.changed_swaps: dict[int, Swap] = {}
        self.notified: list[Offer] = []
        self._first_decimals = first_decimals
        self._timeout_ms = timeout_ms

    def apply(self, user_id: int, one_id: int, other_id: int, proposal: str, swap_id: int, now_ms: int) -> Swap:
        """Start a swap of the caller's offer with another's, named in either order, for all that both have free.

        Raises OfferUnusable unless both are active, of one pair, of different users, cross, have something free
        that is worth something, and are not being swapped already.
        """
        own, other = self._own_and_other(user_id, one_id, other_id)
        if not own.is_active or not other.is_active or own.pair_id != other.pair_id or own.side is other.side:
            raise OfferUnusable("the offers can not be swapped")
        if not prices_cross(own.side, own.price_units, other.price_units):
            raise OfferUnusable("the offers do not cross")
        if self.pending_between(one_id, other_id) is not None:
            raise OfferUnusable("the offers are being swapped already")
        amount = min(own.free_units, other.free_units)
        total = total_units(amount, other.price_units, self._first_decimals[own.pair_id])
        if total == 0:
            raise OfferUnusable("nothing is left to swap")
        buy, sell = (own, other) if own.side is Side.BUY else (other, own)
        swap = Swap(
            swap_id,
            own.pair_id,
            buy.offer_id,
            sell.offer_id,
            amount,
            other.price_units,
            total,
            own.side,
            proposal,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        self.swaps[swap_id] = self.changed_swaps[swap_id] = swap
        for offer in (own, other):
            offer.pending_units += amount
            self._touch(offer, now_ms)
        self._notify(other)
        return swap

    def confirm(self, user_id: int, swap_id: int, now_ms: int) -> Swap:
        """The finaliser's word that the swap was made: both offers shrink, and end when nothing is left.

        Raises SwapNotFound, NotParticipant for anybody else, SwapNotPending.
        """
        swap = self._swap(swap_id)
        if self.offers[swap.finaliser_offer_id].user_id != user_id:
            raise NotParticipant("only the side that did not apply confirms")
        self._release(swap, SwapStatus.CONFIRMED, now_ms)
        for offer_id in swap.offer_ids:
            offer = self.offers[offer_id]
            offer.left_units -= swap.amount_units
            if offer.left_units == 0:
                offer.status = OfferStatus.FILLED
        self._notify(self.offers[swap.creator_offer_id])
        return swap

    def reject(self, user_id: int, swap_id: int, now_ms: int) -> Swap:
        """Call a swap off, by either side. Raises SwapNotFound, NotParticipant, SwapNotPending."""
        swap = self._swap(swap_id)
        if user_id not in [self.offers[offer_id].user_id for offer_id in swap.offer_ids]:
            raise NotParticipant("only the two sides call a swap off")
        self._release(swap, SwapStatus.REJECTED, now_ms)
        for offer_id in swap.offer_ids:
            if self.offers[offer_id].user_id != user_id:
                self._notify(self.offers[offer_id])
        return swap

    def cancel(self, user_id: int, offer_id: int, now_ms: int) -> Offer:
        """End the caller's offer; its pending swaps are rejected, and the other sides have their amounts back.

        Raises OfferUnusable for an unknown offer, another's, or one that has ended.
        """
        offer = self.offers.get(offer_id)
        if offer is None or offer.user_id != user_id or not offer.is_active:
            raise OfferUnusable("the caller has no such active offer")
        for swap in self._pending_of(offer_id):
            self._release(swap, SwapStatus.REJECTED, now_ms)
            other_id = next(each for each in swap.offer_ids if each != offer_id)
            self._notify(self.offers[other_id])
        offer.status = OfferStatus.CANCELLED
        self._touch(offer, now_ms)
        return offer

    def renew(self, user_id: int, offer_id: int, now_ms: int) -> int:
        """The bot of the caller's offer is alive; until when that holds. Raises OfferUnusable, RenewedTooSoon."""
        offer = self.offers.get(offer_id)
        if offer is None or offer.user_id != user_id or not offer.is_active:
            raise OfferUnusable("the caller has no such active offer")
        if offer.renewed_at_ms and 0 <= now_ms - offer.renewed_at_ms < RENEWALS_APART_MS:
            raise RenewedTooSoon(offer.renewed_at_ms + BOT_ALIVE_MS)
        offer.renewed_at_ms = now_ms
        self.changed_offers[offer_id] = offer
        return now_ms + BOT_ALIVE_MS

    def expire(self, now_ms: int) -> None:
        """End what has waited too long: swaps first, then offers, which a pending swap keeps until it is over."""
        for swap_id in sorted(self.swaps):
            swap = self.swaps[swap_id]
            if swap.status is SwapStatus.PENDING and now_ms - swap.created_at_ms >= self._timeout_ms:
                self._release(swap, SwapStatus.TIMED_OUT, now_ms)
        for offer_id in sorted(self.offers):
            offer = self.offers[offer_id]
            aged = has_aged(offer.created_at_ms, offer.renewed_at_ms, now_ms)
            if offer.is_active and aged and offer.pending_units == 0:
                offer.status = OfferStatus.EXPIRED
                self._touch(offer, now_ms)

    def pending_between(self, one_id: int, other_id: int) -> Swap | None:
        """The pending swap of two offers, named in either order; None without one."""
        wanted = {one_id, other_id}
        return next((swap for swap in self._pending_of(one_id) if set(swap.offer_ids) == wanted), None)

    def _pending_of(self, offer_id: int) -> list[Swap]:
        return [
            self.swaps[swap_id]
            for swap_id in sorted(self.swaps)
            if offer_id in self.swaps[swap_id].offer_ids and self.swaps[swap_id].status is SwapStatus.PENDING
        ]

    def _own_and_other(self, user_id: int, one_id: int, other_id: int) -> tuple[Offer, Offer]:
        """The caller's offer and the other's. Clients disagree on which they name first, so ownership decides."""
        one, other = self.offers.get(one_id), self.offers.get(other_id)
        if one is None or other is None or (one.user_id == user_id) == (other.user_id == user_id):
            raise OfferUnusable("one of the offers must be the caller's, and the other somebody else's")
        return (one, other) if one.user_id == user_id else (other, one)

    def _swap(self, swap_id: int) -> Swap:
        swap = self.swaps.get(swap_id)
        if swap is None:
            raise SwapNotFound("no such swap")
        return swap

    def _release(self, swap: Swap, status: SwapStatus, now_ms: int) -> None:
        """End a pending swap, and give both offers what it had promised."""
        if swap.status is not SwapStatus.PENDING:
            raise SwapNotPending("the swap is over")
        swap.status, swap.updated_at_ms = (
            status,
            max(swap.updated_at_ms, now_ms),
        )  # another process's clock may be ahead
        swap.proposal = ""  # nobody may use it any more
        self.changed_swaps[swap.swap_id] = swap
        for offer_id in swap.offer_ids:
            offer = self.offers[offer_id]
            offer.pending_units -= swap.amount_units
            self._touch(offer, now_ms)

    def _notify(self, offer: Offer) -> None:
        offer.has_notification = True
        self.notified.append(offer)

    def _touch(self, offer: Offer, now_ms: int) -> None:
        offer.updated_at_ms = max(offer.updated_at_ms, now_ms)
        self.changed_offers[offer.offer_id] = offer


# -- What must hold ----------------------------------------------------------------------------------
def breaches(offers: Iterable[Offer], swaps: Iterable[Swap]) -> list[str]:
    """Every rule of the first paragraph that these break, for audits and tests. They must be all there are."""
    found: list[str] = []
    by_id = {offer.offer_id: offer for offer in offers}
    promised = dict.fromkeys(by_id, 0)
    swapped = dict.fromkeys(by_id, 0)
    pairs: dict[tuple[int, int], int] = {}
    for swap in swaps:
        sums = {SwapStatus.PENDING: promised, SwapStatus.CONFIRMED: swapped}.get(swap.status)
        for offer_id in swap.offer_ids if sums is not None else ():
            assert sums is not None
            sums[offer_id] += swap.amount_units
        if swap.status is SwapStatus.PENDING:
            pairs[swap.offer_ids] = pairs.get(swap.offer_ids, 0) + 1
    found += [f"offers {pair} have {count} pending swaps" for pair, count in pairs.items() if count > 1]
    for offer in by_id.values():
        name = f"offer {offer.offer_id}"
        if offer.pending_units != promised[offer.offer_id]:
            found.append(f"{name} has {offer.pending_units} pending, its swaps say {promised[offer.offer_id]}")
        if offer.amount_units - offer.left_units != swapped[offer.offer_id]:
            found.append(f"{name} has {offer.left_units} left, its swaps took {swapped[offer.offer_id]}")
        if not 0 <= offer.pending_units <= offer.left_units:
            found.append(f"{name} has {offer.pending_units} pending of {offer.left_units} left")
        if not offer.is_active and offer.pending_units:
            found.append(f"{name} has ended, and something is pending")
        if (offer.status is OfferStatus.FILLED) != (offer.left_units == 0):
            found.append(f"{name} is {offer.status.name} with {offer.left_units} left")
    return found
