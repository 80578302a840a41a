"""What happened on the board of swaps, for those who watch: sockets, in this process and in others.

Each use case of `crossbook.application.swaps` calls `SwapPublisher.publish` with its events, once, right after its
commit. An event holds numbers only; whoever shows it reads what it names (`crossbook.storage.swap_pages`), and so
needs nothing when nobody watches.

With several processes: the same transaction that changes the board sends its events with PostgreSQL's NOTIFY, on the
channel of `crossbook.storage.swap_events`. `SwapListener` there calls the same publisher in every other process, and
leaves out what its own process has published already. After a lost connection it publishes BOARD_CHANGED with pair 0:
anything may have happened, on any pair.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from crossbook.domain.swaps import Board, SwapStatus


class SwapEventKind(StrEnum):
    """What happened. The values are sent between processes."""

    OFFER_POSTED = "posted"
    """`offer_id` is new on the pair: the socket event new-order."""
    OFFER_ENDED = "ended"
    """`offer_id` is filled, cancelled or expired: delete-order."""
    BOARD_CHANGED = "changed"
    """A swap of the pair began or ended, or offers met, so tips changed: update-orders. Pair 0: on any pair."""
    STATISTICS_CHANGED = "statistics"
    """The pair traded: update-pair-stats."""
    OFFER_NOTIFIED = "notified"
    """Somebody did something to `offer_id` of `user_id`: order-notification, to that user."""


class SwapEvent(NamedTuple):
    """One event. `offer_id` and `user_id` are 0 where the kind has none."""

    kind: SwapEventKind
    pair_id: int
    offer_id: int = 0
    user_id: int = 0


class SwapPublisher(Protocol):
    """Takes events after their commit. It must return at once, and must not raise."""

    def publish(self, events: Sequence[SwapEvent]) -> None:
        """These things happened, in this order."""
        ...


class NoPublisher:
    """Nobody watches."""

    def publish(self, events: Sequence[SwapEvent]) -> None:
        """Tell nobody."""
        del events


def events_of(board: Board) -> list[SwapEvent]:
    """The events of one change."""
    found = [
        SwapEvent(SwapEventKind.OFFER_ENDED, offer.pair_id, offer.offer_id)
        for offer in board.changed_offers.values()
        if not offer.is_active
    ]
    swaps = board.changed_swaps.values()
    found += [SwapEvent(SwapEventKind.BOARD_CHANGED, pair_id) for pair_id in sorted({swap.pair_id for swap in swaps})]
    traded = sorted({swap.pair_id for swap in swaps if swap.status is SwapStatus.CONFIRMED})
    found += [SwapEvent(SwapEventKind.STATISTICS_CHANGED, pair_id) for pair_id in traded]
    found += [
        SwapEvent(SwapEventKind.OFFER_NOTIFIED, offer.pair_id, offer.offer_id, offer.user_id)
        for offer in board.notified
    ]
    return found
