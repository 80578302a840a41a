"""The ranks of followed positions in the queue of deleveraging: looked at now and then, while somebody listens.

A rank depends on everybody's positions in a market, so no order of the account's own announces its change. They are
those of `GET /positions`, which the venue orders anew every few seconds at most.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.socket import keep_going

LOOK_S: Final = 1.0


class Ranked(Protocol):
    """Somebody's positions."""

    @property
    def account_id(self) -> int:
        """Whose they are."""
        ...

    def open_markets(self) -> Collection[int]:
        """The markets in which a position is open."""
        ...

    def ranked(self, ranks: Mapping[int, int | None]) -> None:
        """Take the ranks, by market, as they are now."""


class RankWatch:
    """Tells the positions that somebody listens to their ranks. With nobody listening it does nothing."""

    def __init__(self, services: StreamServices) -> None:
        self._ranks = services.ranks
        self._unavailable = services.unavailable
        self._followed: dict[Ranked, None] = {}
        self._looking: asyncio.Task[None] | None = None

    def join(self, positions: Ranked) -> None:
        """Look at these positions too, if they are not looked at yet."""
        self._followed[positions] = None
        if self._looking is None:
            self._looking = asyncio.create_task(keep_going("ranks", self._look))

    def leave(self, positions: Ranked) -> None:
        """Look at them no more, if they were looked at."""
        self._followed.pop(positions, None)
        if not self._followed and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def tell(self, positions: Collection[Ranked]) -> None:
        """Read the ranks of the markets that these positions are in, and tell each its own."""
        markets = sorted({market_id for each in positions for market_id in each.open_markets()})
        found = {}
        for market_id in markets:
            try:
                found[market_id] = await self._ranks.of_market(market_id)
            except self._unavailable:
                continue  # what was told last stands until there is something better
        for each in positions:
            own = [market_id for market_id in each.open_markets() if market_id in found]
            each.ranked({market_id: found[market_id].get(each.account_id) for market_id in own})

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self.tell(list(self._followed))
