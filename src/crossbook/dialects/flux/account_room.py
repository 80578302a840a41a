"""The users whose private topics are followed: while somebody listens, and for a while after that."""

import asyncio
from collections import OrderedDict
from functools import partial

from crossbook.application.accounts import User
from crossbook.dialects.flux.account_ranks import RankWatch
from crossbook.dialects.flux.account_topics import AccountTopics
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_history import Shelf


class AccountRoom:
    """The private topics of one process, by account."""

    def __init__(self, services: StreamServices) -> None:
        self._services = services
        self._limits = services.replay
        self._shelf = Shelf(services.replay)
        self._watch = RankWatch(services)
        self._topics: dict[int, AccountTopics] = {}
        self._lingering: OrderedDict[int, asyncio.TimerHandle] = OrderedDict()

    def topics_of(self, user: User) -> AccountTopics:
        """The topics of a user, to be joined at once."""
        self._stop_timer(user.account_id)
        found = self._topics.get(user.account_id)
        if found is None:
            idle = partial(self._linger, user.account_id)
            found = self._topics[user.account_id] = AccountTopics(user, self._services, self._shelf, self._watch, idle)
        return found

    def _linger(self, account_id: int) -> None:
        """Nobody listens to the user's topics: follow them on for a while. Above the limit, who waits longest goes."""
        self._stop_timer(account_id)
        loop = asyncio.get_running_loop()
        self._lingering[account_id] = loop.call_later(self._limits.linger_s, self._forget, account_id)
        while len(self._lingering) > self._limits.lingering:
            self._forget(next(iter(self._lingering)))

    def _forget(self, account_id: int) -> None:
        self._stop_timer(account_id)
        self._topics.pop(account_id).close()

    def _stop_timer(self, account_id: int) -> None:
        timer = self._lingering.pop(account_id, None)
        if timer is not None:
            timer.cancel()
