"""What changes in the accounts that somebody follows: orders, positions, balances, as settled.

It hears of events from the market feeds of its process, notes which orders of followed accounts they are about, waits
until settlement has passed them, and reads those orders and accounts, all of them by the same few statements. Besides,
it looks at the money of followed accounts now and then: deposits, withdrawals, funding and whatever else moves money
without an order need not announce themselves. So it works the same in one process and in many, and with nobody
following it does nothing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from crossbook.application.feeds import AccountChange, AccountStates, AccountSubscription, DropReason, orders_of
from crossbook.application.views import Holdings
from crossbook.domain.events import Event
from crossbook.logs import Log
from crossbook.system import Clock
from crossbook.workers.health import Condition, Health
from crossbook.workers.metrics import Metrics, NoMetrics
from crossbook.workers.pauses import TRANSIENT_LOG, Backoff, pause
from crossbook.workers.wake import Wake

_log: Final = Log("account_feed")
ALL_MARKETS: Final = "all"


@dataclass(frozen=True)
class AccountFeedSettings:
    """How often money is looked at, how soon settlement is asked again, and what may wait.

    `live_orders` is how many orders a start holds at most, the newest. `noted_orders` bounds what waits for
    settlement: above it, everybody starts anew.
    """

    look_every_ms: int = 250
    settlement_every_ms: int = 10
    capacity: int = 1_000
    live_orders: int = 1_000
    noted_orders: int = 200_000


class AccountStore(Protocol):
    """Reads accounts. `crossbook.storage.queries.Queries` is one. Raises StorageError."""

    async def settled_sequences(self) -> dict[int, int]:
        """The last settled sequence of every market, by number."""
        ...

    async def account_states(
        self, account_ids: Sequence[int], order_ids: Sequence[int], starting: Sequence[int], live_limit: int
    ) -> AccountStates:
        """These orders and holdings, and the live orders of the accounts `starting`, all of one moment."""
        ...


@dataclass
class _Account:
    """An account that is followed."""

    subscriptions: list[AccountSubscription] = field(default_factory=list)
    holdings: Holdings | None = None


@dataclass(frozen=True)
class _Noted:
    """Orders of followed accounts that the events of a market up to `sequence` were about."""

    market_id: int
    sequence: int
    orders: dict[int, set[int]]


class AccountFeed:
    """The worker, and the subscriptions of one process. It is the `EventTap` of the process's market feeds."""

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        *,
        metrics: Metrics | None = None,
        settings: AccountFeedSettings | None = None,
    ) -> None:
        self.health = Health()
        self._store = store
        self._clock = clock
        self._metrics = metrics or NoMetrics()
        self._settings = settings or AccountFeedSettings()
        self._accounts: dict[int, _Account] = {}
        self._noted: list[_Noted] = []
        self._noted_orders = 0
        self._heard: dict[int, int] = {}
        self._wake = Wake()
        self._backoff = Backoff(first_ms=20, limit_ms=1_000)
        self._patience = Backoff(self._settings.settlement_every_ms, 10 * self._settings.settlement_every_ms)
        self._looked_s = 0.0

    # -- Subscriptions -------------------------------------------------------------------------------
    def follow(self, account_id: int) -> AccountSubscription:
        """The account as it stands soon, and every change after that; end it with `unfollow`."""
        subscription = AccountSubscription(account_id, self._settings.capacity)
        self._accounts.setdefault(account_id, _Account()).subscriptions.append(subscription)
        self._wake.set()
        return subscription

    def unfollow(self, subscription: AccountSubscription) -> None:
        """End a subscription; nothing happens if it is gone already."""
        account = self._accounts.get(subscription.account_id)
        if account is None or subscription not in account.subscriptions:
            return
        account.subscriptions.remove(subscription)
        if not account.subscriptions:
            del self._accounts[subscription.account_id]

    # -- What the market feeds tell ------------------------------------------------------------------
    def note(self, market_id: int, sequence: int, entries: Sequence[tuple[int, Sequence[Event]]]) -> None:
        """Note the orders of followed accounts in these events."""
        self._heard[market_id] = sequence
        if not self._accounts:
            return
        found = orders_of((event for _, events in entries for event in events), self._accounts)
        if found:
            self._keep(_Noted(market_id, sequence, found))

    def gap(self, market_id: int, sequence: int) -> None:
        """Events of a market may have been missed: everybody starts anew."""
        self._heard[market_id] = sequence
        self._drop_all(DropReason.RESYNC)

    def _keep(self, noted: _Noted) -> None:
        self._noted.append(noted)
        self._noted_orders += sum(map(len, noted.orders.values()))
        self._wake.set()
        if self._noted_orders > self._settings.noted_orders:
            _log.warning("too many orders wait for settlement: followers start anew", orders=self._noted_orders)
            self._drop_all(DropReason.RESYNC)

    def _drop_all(self, reason: DropReason) -> None:
        for account in self._accounts.values():
            for subscription in account.subscriptions:
                subscription.drop(reason)
        self._accounts.clear()
        self._noted.clear()
        self._noted_orders = 0

    # -- Work ----------------------------------------------------------------------------------------
    async def run(self, stop: asyncio.Event) -> None:
        """Tell followers what changes, until `stop`."""
        while not stop.is_set():
            try:
                await self._turn()
                self._backoff.reset()
                self.health.set(Condition.RUNNING)
            except TRANSIENT_LOG as error:
                _log.warning("account feed waits", error=str(error))
                self.health.set(Condition.WAITING, str(error))
                await pause(self._clock, stop, self._backoff.next_ms())
        self._drop_all(DropReason.STOPPED)
        self.health.set(Condition.STOPPED)

    async def _turn(self) -> None:
        """One look, when there is a reason for one, and a pause."""
        settings = self._settings
        if self._accounts:
            settled = await self._store.settled_sequences() if self._noted else {}
            due = [noted for noted in self._noted if settled.get(noted.market_id, 0) >= noted.sequence]
            starting = [number for number, account in self._accounts.items() if _starts(account)]
            looks_at_all = (self._clock.monotonic_s() - self._looked_s) * 1000 >= settings.look_every_ms
            if due or starting or looks_at_all:
                self._patience.reset()
                await self._look(due, starting, everybody=looks_at_all)
        if self._noted:
            await self._clock.sleep(self._patience.next_ms() / 1000)
        else:
            self._patience.reset()
            # A moment in which changes gather, so that one read serves many.
            await self._clock.sleep(settings.settlement_every_ms / 1000)
            await self._wake.wait(self._clock, settings.look_every_ms / 1000)

    async def _look(self, due: Sequence[_Noted], starting: Sequence[int], *, everybody: bool) -> None:
        """Read and tell. Nothing is forgotten before it was told."""
        asked: dict[int, set[int]] = {}
        for noted in due:
            for account_id, named in noted.orders.items():
                if account_id in self._accounts:
                    asked.setdefault(account_id, set()).update(named)
        wanted = list(self._accounts) if everybody else sorted({*asked, *starting})
        order_ids = sorted({order_id for ids in asked.values() for order_id in ids if order_id})
        heard = dict(self._heard)
        states = await self._store.account_states(wanted, order_ids, starting, self._settings.live_orders)
        self._forget(due)
        if everybody:
            self._looked_s = self._clock.monotonic_s()
        for account_id in wanted:
            account = self._accounts.get(account_id)
            if account is not None:
                self._tell(account_id, account, states, starts=account_id in starting)
        self._note_unsettled(states, starting, heard)
        self._metrics.gauge("accounts_followed", ALL_MARKETS, len(self._accounts))

    def _forget(self, due: Sequence[_Noted]) -> None:
        told = {id(noted) for noted in due}
        self._noted = [noted for noted in self._noted if id(noted) not in told]
        self._noted_orders = sum(len(ids) for noted in self._noted for ids in noted.orders.values())

    def _tell(self, account_id: int, account: _Account, states: AccountStates, *, starts: bool) -> None:
        holdings = states.holdings.get(account_id, Holdings([], []))
        changed = holdings if holdings != account.holdings else None
        account.holdings = holdings
        orders = states.orders.get(account_id, [])
        change = AccountChange(account_id, orders, changed)
        for subscription in list(account.subscriptions):
            if subscription.has_started:
                if orders or changed is not None:
                    self._put(account, subscription, change)
            elif starts:
                subscription.has_started = True
                live = states.live.get(account_id, [])
                self._put(account, subscription, AccountChange(account_id, live, holdings, is_start=True))
        if not account.subscriptions:
            self._accounts.pop(account_id, None)

    def _put(self, account: _Account, subscription: AccountSubscription, change: AccountChange) -> None:
        if not subscription.put(change):
            account.subscriptions.remove(subscription)
            self._metrics.count("followers_dropped", ALL_MARKETS)

    def _note_unsettled(self, states: AccountStates, starting: Sequence[int], heard: Mapping[int, int]) -> None:
        """Look again at orders of a start whose last events were heard before it, and were not settled in it."""
        for market_id, sequence in heard.items():
            if states.settled.get(market_id, 0) >= sequence:
                continue
            unsettled = {
                account_id: {
                    order.order_id for order in states.live.get(account_id, []) if order.market_id == market_id
                }
                for account_id in starting
            }
            waiting = {account_id: ids for account_id, ids in unsettled.items() if ids}
            if waiting:
                self._keep(_Noted(market_id, sequence, waiting))


def _starts(account: _Account) -> bool:
    return any(not subscription.has_started for subscription in account.subscriptions)
