"""What whoever follows the venue as it changes is told: why a subscription ends, and what an account's owner sees."""

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from crossbook.application.views import Holdings, OrderDetails
from crossbook.domain.errors import CrossbookError
from crossbook.domain.events import (
    CommandRejected,
    Event,
    ForcedTrade,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderReduced,
    OrderReplenished,
    OrderRested,
    OrdersCancelled,
    OrderTriggered,
    Trade,
    TradePrevented,
)

_OF_ONE_ORDER: Final = (
    OrderAccepted,
    OrderRested,
    OrderReduced,
    OrderReplenished,
    OrderAmended,
    OrderCancelled,
    OrderExpired,
    OrderTriggered,
    CommandRejected,
)


class DropReason(StrEnum):
    """Why a subscription ended before its owner ended it."""

    SLOW = "slow"
    """More updates waited than it may have."""
    RESYNC = "resync"
    """Something was missed or built anew: take a new subscription, and with it a new snapshot."""
    STOPPED = "stopped"
    """The venue stops."""


class SubscriptionDropped(CrossbookError):
    """The subscription gives nothing any more, for `reason`. Updates that still waited are lost."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(f"subscription dropped: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class AccountChange:
    """What is new in an account, as settled.

    The first of a subscription is the start: `orders` are the live ones, newest first, as many as a snapshot holds.
    Later ones have the orders that changed, as they are now. `holdings` is None when neither balances nor positions
    changed.
    """

    account_id: int
    orders: list[OrderDetails]
    holdings: Holdings | None
    is_start: bool = False


@dataclass(frozen=True)
class AccountStates:
    """What the store knows of some accounts at one moment.

    `settled` is the last settled sequence by market. `orders` are those asked for by id, `live` those of accounts that
    start, newest first, both by account.
    """

    settled: Mapping[int, int]
    orders: Mapping[int, list[OrderDetails]]
    live: Mapping[int, list[OrderDetails]]
    holdings: Mapping[int, Holdings]


class AccountSubscription:
    """An account at one moment, and every change from there on, in order."""

    def __init__(self, account_id: int, capacity: int) -> None:
        self.account_id = account_id
        self.has_started = False
        self._capacity = capacity
        self._changes: deque[AccountChange] = deque()
        self._changed = asyncio.Event()
        self._dropped: DropReason | None = None

    async def next(self) -> AccountChange:
        """The next change, when there is one. Raises SubscriptionDropped. One caller at a time."""
        while True:
            if self._dropped is not None:
                raise SubscriptionDropped(self._dropped)
            if self._changes:
                return self._changes.popleft()
            self._changed.clear()
            await self._changed.wait()

    def put(self, change: AccountChange) -> bool:
        """Give it a change; False, and it is dropped, when it already has as many as it may."""
        if len(self._changes) >= self._capacity:
            self.drop(DropReason.SLOW)
            return False
        self._changes.append(change)
        self._changed.set()
        return True

    def drop(self, reason: DropReason) -> None:
        """Let `next` raise from now on."""
        self._dropped = reason
        self._changes.clear()
        self._changed.set()


def orders_of(events: Iterable[Event], accounts: Collection[int]) -> dict[int, set[int]]:
    """The orders of these accounts that the events are about, by account; 0 stands for a command about none."""
    found: dict[int, set[int]] = {}
    for event in events:
        if isinstance(event, _OF_ONE_ORDER):
            if event.account_id in accounts:
                found.setdefault(event.account_id, set()).add(event.order_id)
        elif isinstance(event, Trade | TradePrevented):
            if event.maker_account_id in accounts:
                found.setdefault(event.maker_account_id, set()).add(event.maker_order_id)
            if event.taker_account_id in accounts:
                found.setdefault(event.taker_account_id, set()).add(event.taker_order_id)
        elif isinstance(event, ForcedTrade):
            for account_id in (event.buyer_account_id, event.seller_account_id):
                if account_id in accounts:
                    found.setdefault(account_id, set())
        elif isinstance(event, OrdersCancelled) and event.account_id in accounts:
            found.setdefault(event.account_id, set())
    return found
