"""The use cases of peer-to-peer swaps: post an offer, apply, confirm, call off, cancel, renew, and let time pass.

The rules are those of `crossbook.domain.swaps`. Each change is one transaction of the store; new offers that come at
the same time share one. Nothing here touches the ledger: the wallets hold the funds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from crossbook.application.clock import WallClock
from crossbook.application.errors import PairNotFound, TooManyOffers
from crossbook.application.group_commit import MAX_BATCH, MAX_WAITING, GroupCommit
from crossbook.application.swap_events import NoPublisher, SwapEvent, SwapEventKind, SwapPublisher, events_of
from crossbook.domain.errors import CrossbookError
from crossbook.domain.orders import Side
from crossbook.domain.swap_amounts import checked_total, parse_units
from crossbook.domain.swaps import SWAP_TIMEOUT_MS, Board, OfferUnusable

OPEN_OFFERS: Final = 10
"""Active offers for each user, pair and side, unless the venue says otherwise."""
DUE_AT_ONCE: Final = 200
"""Offers that one pass of `expire` looks at."""
CANCELS_AT_ONCE: Final = 500

T = TypeVar("T")


@dataclass(frozen=True)
class PairTerms:
    """What reading amounts and prices of a pair needs. It never changes."""

    pair_id: int
    first_decimals: int
    second_decimals: int


@dataclass(frozen=True)
class NewOffer:
    """An offer whose amounts were checked: units of the first currency, and of the second."""

    user_id: int
    pair_id: int
    side: Side
    price_units: int
    amount_units: int
    total_units: int

    @property
    def place(self) -> tuple[int, int, Side]:
        """What the limit of active offers counts by."""
        return self.user_id, self.pair_id, self.side


@dataclass(frozen=True)
class PlacedOffer:
    """An offer that is stored; `crosses` says that somebody's offer meets it already."""

    offer_id: int
    offer: NewOffer
    created_at_ms: int
    crosses: bool


@dataclass(frozen=True)
class Wanted:
    """What a change needs to see, locked: these offers, or the two of a swap, and whoever swaps with them.

    `new_swap` asks for the number of a swap to be made.
    """

    offer_ids: Sequence[int] = ()
    swap_id: int = 0
    new_swap: bool = False


@dataclass(frozen=True)
class CancelFilter:
    """Which of a user's active offers to cancel; None for any. `side` is the offer's."""

    pair_id: int | None = None
    side: Side | None = None


Counts = dict[tuple[int, int, Side], int]
"""Active offers by user, pair and side."""


class SwapStore(Protocol):
    """Where offers and swaps are kept. `crossbook.storage.swap_changes` is one."""

    async def pair_terms(self, pair_id: int) -> PairTerms | None:
        """The terms of a pair, or None."""
        ...

    async def place(
        self, offers: Sequence[NewOffer], decide: Callable[[Counts], list[bool]], now_ms: int
    ) -> list[PlacedOffer | None]:
        """Store those of the offers that `decide` takes, in one transaction; None for the others.

        It is given the active offers of their users, who are locked meanwhile. Raises StoreRefused.
        """
        ...

    async def change(self, wanted: Wanted, decide: Callable[[Board, int], T], now_ms: int) -> T:
        """Lock what is wanted, let `decide` change the board (it is given the new swap's number), write it, commit.

        All in one transaction; what `decide` raises undoes it. `decide` may run again when another was in the way.
        """
        ...

    async def due(self, now_ms: int, timeout_ms: int, limit: int) -> list[int]:
        """Offers whose time is over, or that take part in a pending swap whose time is, oldest first."""
        ...

    async def active_of(self, user_id: int, chosen: CancelFilter, limit: int) -> list[int]:
        """The user's active offers that the filter takes, oldest first."""
        ...


class Swaps:
    """The use cases. `limit` bounds a user's active offers on each side of a pair."""

    def __init__(
        self,
        store: SwapStore,
        clock: WallClock,
        publisher: SwapPublisher | None = None,
        *,
        limit: int = OPEN_OFFERS,
        timeout_ms: int = SWAP_TIMEOUT_MS,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._store = store
        self._clock = clock
        self._publisher = publisher or NoPublisher()
        self._limit = limit
        self._timeout_ms = timeout_ms
        self._terms: dict[int, PairTerms] = {}
        self._posting: GroupCommit[NewOffer, PlacedOffer] = GroupCommit(self._post, max_batch, max_waiting)

    async def terms(self, pair_id: int) -> PairTerms:
        """How amounts of a pair are read. Raises PairNotFound."""
        known = self._terms.get(pair_id)
        if known is None:
            known = await self._store.pair_terms(pair_id)
            if known is None:
                raise PairNotFound(f"no pair {pair_id}")
            self._terms[pair_id] = known
        return known

    async def create(self, user_id: int, pair_id: int, side: Side, price: str, amount: str) -> PlacedOffer:
        """Post an offer; price and amount as decimals.

        Raises PairNotFound, InvalidDecimal, TooManyOffers, Overloaded, and the store's errors.
        """
        terms = await self.terms(pair_id)
        price_units = parse_units(price, terms.second_decimals, "price")
        amount_units = parse_units(amount, terms.first_decimals, "amount")
        total = checked_total(amount_units, price_units, terms.first_decimals)
        return await self._posting.do(NewOffer(user_id, pair_id, side, price_units, amount_units, total))

    async def apply(self, user_id: int, one_id: int, other_id: int, proposal: str) -> int:
        """Start a swap of two offers, one of them the caller's; the swap's number. Raises OfferUnusable."""
        if not is_hex(proposal):
            raise OfferUnusable("the proposal must be bytes as hexadecimal digits, not empty")
        wanted = Wanted((one_id, other_id), new_swap=True)
        return await self._change(
            wanted, lambda board, number, now: board.apply(user_id, one_id, other_id, proposal, number, now).swap_id
        )

    async def confirm(self, user_id: int, swap_id: int) -> None:
        """The finaliser's word that a swap was made. Raises SwapNotFound, NotParticipant, SwapNotPending."""
        await self._change(Wanted(swap_id=swap_id), lambda board, _, now: board.confirm(user_id, swap_id, now))

    async def reject(self, user_id: int, swap_id: int) -> None:
        """Call a pending swap off. Raises SwapNotFound, NotParticipant, SwapNotPending."""
        await self._change(Wanted(swap_id=swap_id), lambda board, _, now: board.reject(user_id, swap_id, now))

    async def cancel(self, user_id: int, offer_id: int) -> None:
        """End an own offer. Raises OfferUnusable."""
        await self._change(Wanted((offer_id,)), lambda board, _, now: board.cancel(user_id, offer_id, now))

    async def cancel_all(self, user_id: int, chosen: CancelFilter) -> int:
        """End all own active offers that the filter takes, some hundreds at a time; how many."""
        ended = 0
        while True:
            offer_ids = await self._store.active_of(user_id, chosen, CANCELS_AT_ONCE)
            if not offer_ids:
                return ended

            def end(board: Board, _: int, now_ms: int, wanted: Sequence[int] = offer_ids) -> int:
                active = [each for each in wanted if each in board.offers and board.offers[each].is_active]
                for offer_id in active:
                    board.cancel(user_id, offer_id, now_ms)
                return len(active)

            ended += await self._change(Wanted(offer_ids), end)

    async def renew(self, user_id: int, offer_id: int) -> int:
        """The bot of an own offer is alive; until when that holds, in milliseconds.

        Raises OfferUnusable, RenewedTooSoon.
        """
        return await self._change(Wanted((offer_id,)), lambda board, _, now: board.renew(user_id, offer_id, now))

    async def expire(self) -> int:
        """End what has waited too long; how many offers were looked at. Readers call it too, so nothing is shown late.

        Nothing due costs one look at two indexes.
        """
        due = await self._store.due(self._clock.now_ms(), self._timeout_ms, DUE_AT_ONCE)
        if due:
            await self._change(Wanted(due), lambda board, _, now: None)
        return len(due)

    async def _change(self, wanted: Wanted, act: Callable[[Board, int, int], T]) -> T:
        """Run one change of the machine, after what is due on the same offers, and publish what came of it."""
        now_ms = self._clock.now_ms()
        events: list[SwapEvent] = []

        def decide(board: Board, number: int) -> T:
            board.expire(now_ms)
            outcome = act(board, number, now_ms)
            events[:] = events_of(board)
            return outcome

        outcome = await self._store.change(wanted, decide, now_ms)
        if events:
            self._publisher.publish(events)
        return outcome

    async def _post(self, offers: Sequence[NewOffer]) -> list[PlacedOffer | CrossbookError]:
        """Store a batch of offers, each within its user's limit."""

        def decide(counts: Counts) -> list[bool]:
            taken = []
            for offer in offers:
                count = counts.get(offer.place, 0)
                taken.append(count < self._limit)
                counts[offer.place] = count + taken[-1]
            return taken

        placed = await self._store.place(offers, decide, self._clock.now_ms())
        posted = [one for one in placed if one is not None]
        if posted:
            self._publisher.publish(posted_events(posted))
        refusal = f"at most {self._limit} active orders on each side of a pair"
        return [TooManyOffers(refusal) if one is None else one for one in placed]


def is_hex(text: str) -> bool:
    """Whether a text is one or more bytes as hexadecimal digits."""
    try:
        return text.isalnum() and len(bytes.fromhex(text)) > 0
    except ValueError:
        return False


def posted_events(placed: Sequence[PlacedOffer]) -> list[SwapEvent]:
    """The events of new offers. One that meets another changes the tips of both."""
    posted = [SwapEvent(SwapEventKind.OFFER_POSTED, each.offer.pair_id, each.offer_id) for each in placed]
    changed = dict.fromkeys(each.offer.pair_id for each in placed if each.crosses)
    return [*posted, *(SwapEvent(SwapEventKind.BOARD_CHANGED, pair_id) for pair_id in changed)]
