"""The watch of ranks: whom it tells what, and when it reads nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import cast

import pytest

from crossbook.dialects.flux import account_ranks
from crossbook.dialects.flux.account_ranks import RankWatch
from crossbook.dialects.flux.services import StreamServices

BTC, ETH = 1, 2


class Away(Exception):
    """The database is away."""


class Ranks:
    """Ranks as stored, and what was asked."""

    def __init__(self) -> None:
        self.stored: dict[int, dict[int, int]] = {BTC: {11: 2, 12: 5}, ETH: {11: 4}}
        self.asked: list[int] = []
        self.away: set[int] = set()

    async def of_market(self, market_id: int) -> Mapping[int, int]:
        self.asked.append(market_id)
        if market_id in self.away:
            raise Away
        return self.stored[market_id]


class Positions:
    """Somebody's positions, and what was told of them."""

    def __init__(self, account_id: int, *markets: int) -> None:
        self.account_id = account_id
        self.told: list[Mapping[int, int | None]] = []
        self._markets = markets

    def open_markets(self) -> Collection[int]:
        return self._markets

    def ranked(self, ranks: Mapping[int, int | None]) -> None:
        self.told.append(ranks)


def play(scene: Callable[[RankWatch, Ranks], Awaitable[None]]) -> None:
    class Services:
        ranks, unavailable = Ranks(), (Away,)

    async def whole() -> None:
        async with asyncio.timeout(30):
            await scene(RankWatch(cast("StreamServices", Services)), Services.ranks)

    asyncio.run(whole())


def test_each_is_told_its_own_ranks_and_a_market_is_read_once() -> None:
    async def scene(watch: RankWatch, ranks: Ranks) -> None:
        alice, bob, carol = Positions(11, BTC, ETH), Positions(12, BTC), Positions(13, BTC)
        await watch.tell([alice, bob, carol])
        assert (alice.told, bob.told, carol.told) == ([{BTC: 2, ETH: 4}], [{BTC: 5}], [{BTC: None}])
        assert ranks.asked == [BTC, ETH]

    play(scene)


def test_a_market_that_can_not_be_read_is_left_out() -> None:
    async def scene(watch: RankWatch, ranks: Ranks) -> None:
        alice = Positions(11, BTC, ETH)
        ranks.away.add(BTC)
        await watch.tell([alice])
        assert alice.told == [{ETH: 4}]

    play(scene)


def test_it_looks_while_somebody_listens_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_ranks, "LOOK_S", 0.01)

    async def scene(watch: RankWatch, ranks: Ranks) -> None:
        alice, bob = Positions(11, BTC), Positions(12, BTC)
        watch.join(alice)
        watch.join(bob)
        watch.join(bob)
        while len(bob.told) < 2:
            await asyncio.sleep(0.01)
        watch.leave(bob)
        told = len(bob.told)
        ranks.stored[BTC][11] = 1
        while {BTC: 1} not in alice.told:
            await asyncio.sleep(0.01)
        assert len(bob.told) == told
        watch.leave(alice)
        watch.leave(alice)
        asked = len(ranks.asked)
        await asyncio.sleep(0.05)
        assert len(ranks.asked) == asked

    play(scene)
