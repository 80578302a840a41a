"""What sockets are told about the board of swaps: its events, translated to those that clients know.

A room is what a socket can join: the room of a pair, or that of a user. What nobody watches is not read.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from crossbook.application.swap_events import SwapEvent, SwapEventKind
from crossbook.domain.errors import CrossbookError

MOST_ID: Final = 2**53 - 1
NEW_ORDER: Final = "new-order"
DELETE_ORDER: Final = "delete-order"
UPDATE_ORDERS: Final = "update-orders"
UPDATE_PAIR_STATS: Final = "update-pair-stats"
ORDER_NOTIFICATION: Final = "order-notification"


class NotSignedIn(CrossbookError):
    """A token that opens no session."""


class LivePages(Protocol):
    """Reads what messages show, in the form that the API has it."""

    async def orders(self, offer_ids: Sequence[int]) -> Mapping[int, object]:
        """Offers as everybody sees them, by id; unknown ones are left out."""
        ...

    async def pair_stats(self, pair_id: int) -> object:
        """The statistics of a pair; None for an unknown one."""
        ...

    async def user_of(self, token: str) -> int:
        """Whose session a token opens. Raises NotSignedIn."""
        ...


class Message(NamedTuple):
    """An event for everybody in a room; `payload` None for an event without one."""

    room: str
    event: str
    payload: Mapping[str, object] | None = None


def pair_room(pair_id: int) -> str:
    """The room of those who watch a pair."""
    return f"pair {pair_id}"


def user_room(user_id: int) -> str:
    """The room of a user's sockets."""
    return f"user {user_id}"


def id_in(data: object) -> int | None:
    """The id in `{"id": 7}` or `{"id": "7"}`; None when there is none."""
    value = data.get("id") if isinstance(data, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MOST_ID)):
        value = int(value)
    return value if type(value) is int and 0 < value <= MOST_ID else None


def token_in(data: object) -> str | None:
    """The token in `{"token": "..."}`; None when there is none."""
    value = data.get("token") if isinstance(data, dict) else None
    return value if isinstance(value, str) and value else None


class LiveBoard:
    """Makes messages of events."""

    def __init__(self, pages: LivePages) -> None:
        self._pages = pages

    async def messages(
        self, events: Sequence[SwapEvent], watched: Callable[[str], bool], pair_rooms: Iterable[str]
    ) -> list[Message]:
        """What to tell, in this order: new offers, ended ones, changed boards, statistics, notes to users.

        `watched` says whether anybody is in a room, `pair_rooms` are those of pairs that have somebody. Several
        changes of one board are told once. May raise what reading raises.
        """
        by_kind = {kind: [event for event in events if event.kind is kind] for kind in SwapEventKind}
        return [
            *await self._new_orders(by_kind[SwapEventKind.OFFER_POSTED], watched),
            *self._ended(by_kind[SwapEventKind.OFFER_ENDED], watched),
            *changed_boards(by_kind[SwapEventKind.BOARD_CHANGED], pair_rooms),
            *await self._statistics(by_kind[SwapEventKind.STATISTICS_CHANGED], watched),
            *await self._notes(by_kind[SwapEventKind.OFFER_NOTIFIED], watched),
        ]

    async def _new_orders(self, events: Iterable[SwapEvent], watched: Callable[[str], bool]) -> list[Message]:
        wanted = [event for event in events if watched(pair_room(event.pair_id))]
        orders = await self._orders(wanted)
        return [
            Message(pair_room(event.pair_id), NEW_ORDER, {"orderData": orders[event.offer_id]})
            for event in wanted
            if event.offer_id in orders
        ]

    @staticmethod
    def _ended(events: Iterable[SwapEvent], watched: Callable[[str], bool]) -> list[Message]:
        return [
            Message(pair_room(event.pair_id), DELETE_ORDER, {"orderId": event.offer_id})
            for event in events
            if watched(pair_room(event.pair_id))
        ]

    async def _statistics(self, events: Iterable[SwapEvent], watched: Callable[[str], bool]) -> list[Message]:
        pair_ids = dict.fromkeys(event.pair_id for event in events if watched(pair_room(event.pair_id)))
        found = [(pair_id, await self._pages.pair_stats(pair_id)) for pair_id in pair_ids]
        return [
            Message(pair_room(pair_id), UPDATE_PAIR_STATS, {"pairStats": stats})
            for pair_id, stats in found
            if stats is not None
        ]

    async def _notes(self, events: Iterable[SwapEvent], watched: Callable[[str], bool]) -> list[Message]:
        wanted = [event for event in events if watched(user_room(event.user_id))]
        orders = await self._orders(wanted)
        return [
            Message(user_room(event.user_id), ORDER_NOTIFICATION, {"orderData": orders[event.offer_id]})
            for event in wanted
            if event.offer_id in orders
        ]

    async def _orders(self, events: Sequence[SwapEvent]) -> Mapping[int, object]:
        offer_ids = list(dict.fromkeys(event.offer_id for event in events))
        return await self._pages.orders(offer_ids) if offer_ids else {}


def changed_boards(events: Iterable[SwapEvent], pair_rooms: Iterable[str]) -> list[Message]:
    """One `update-orders` for each pair that changed and is watched; pair 0 stands for all of them."""
    rooms = list(pair_rooms)
    pair_ids = {event.pair_id for event in events}
    changed = {pair_room(pair_id) for pair_id in pair_ids}
    return [Message(room, UPDATE_ORDERS) for room in rooms if 0 in pair_ids or room in changed]
