"""How long a user's private topics are followed when nobody listens, and what who comes back is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from msgspec import UNSET

from crossbook.application.accounts import User, UserKind
from crossbook.application.feeds import AccountChange, AccountSubscription
from crossbook.application.views import BalanceDetails, Holdings
from crossbook.dialects.flux.account_room import AccountRoom
from crossbook.dialects.flux.account_topics import Place
from crossbook.dialects.flux.services import NoRanks, StreamServices
from crossbook.dialects.flux.socket_history import ReplayLimits
from crossbook.system import ManualClock

ALICE, BOB, CAROL = (
    User(1_000 + place, 11 + place, UserKind.TRADER, name, None, None, frozenset(), 0, False)
    for place, name in enumerate(("alice", "bob", "carol"))
)


class Listener:
    """A connection, and what it was sent."""

    path, address = "/ws", "127.0.0.1"

    def __init__(self) -> None:
        self.got: list[Any] = []

    def send(self, message: str) -> None:
        self.got.append(json.loads(message))

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nobody closes it")

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.got]


class Feed:
    """A feed of accounts whose changes the test makes."""

    def __init__(self) -> None:
        self.followed: dict[int, AccountSubscription] = {}

    def follow(self, account_id: int) -> AccountSubscription:
        found = self.followed[account_id] = AccountSubscription(account_id, 100)
        found.put(AccountChange(account_id, [], money(account_id, 0), is_start=True))
        return found

    def unfollow(self, subscription: AccountSubscription) -> None:
        del self.followed[subscription.account_id]

    async def change(self, user: User, total_units: int) -> None:
        """Let the user's balance change, and be told."""
        account_id = user.account_id
        assert self.followed[account_id].put(AccountChange(account_id, [], money(account_id, total_units)))
        await asyncio.sleep(0.01)


def money(account_id: int, total_units: int) -> Holdings:
    return Holdings([BalanceDetails(account_id, "USDC", 6, total_units, 0)], [])


def play(limits: ReplayLimits, scene: Callable[[AccountRoom, Feed], Awaitable[None]]) -> None:
    class Services:
        clock, account_feed, replay = ManualClock(), Feed(), limits
        markets, marks, ranks, unavailable = (), None, NoRanks(), ()

    async def whole() -> None:
        async with asyncio.timeout(30):
            await scene(AccountRoom(cast("StreamServices", Services)), Services.account_feed)

    asyncio.run(whole())


async def visit(room: AccountRoom, user: User, place: Place | None = None) -> tuple[Listener, Place]:
    """Listen to the balances of a user for a moment; what was said, and where it ended."""
    listener = Listener()
    subscription = room.topics_of(user).join("balances", listener, UNSET, place)
    await asyncio.sleep(0.01)
    subscription.leave()
    ends = [message["sequence"] for message in listener.got if "sequence" in message]
    end = ends[-1] if ends or place is None else place.sequence
    return listener, Place(listener.got[0]["stream"], end)


def test_what_changed_while_nobody_listened_is_told_to_who_comes_back() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        first, place = await visit(room, ALICE)
        assert first.kinds == ["subscribed", "snapshot"]
        for total_units in (1_000_000, 2_000_000):
            await feed.change(ALICE, total_units)
        back, end = await visit(room, ALICE, place)
        assert back.kinds == ["subscribed", "update"]
        update = back.got[1]
        assert (update["previousSequence"], update["sequence"]) == (place.sequence, place.sequence + 2)
        assert [row["total"] for row in update["data"]] == ["1", "2"]
        again, _ = await visit(room, ALICE, end)
        assert again.kinds == ["subscribed"]

    play(ReplayLimits(), scene)


def test_a_long_replay_comes_in_several_messages() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        _, place = await visit(room, ALICE)
        for units in range(1, 6):
            await feed.change(ALICE, units * 1_000_000)
        back, _ = await visit(room, ALICE, place)
        updates = back.got[1:]
        assert len(updates) == 5
        assert [message["previousSequence"] for message in updates] == [place.sequence + step for step in range(5)]
        assert [row["total"] for message in updates for row in message["data"]] == ["1", "2", "3", "4", "5"]

    play(ReplayLimits(message_bytes=1), scene)


def test_what_was_dropped_for_want_of_room_is_not_replayed() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        _, place = await visit(room, ALICE)
        await feed.change(ALICE, 1_000_000)
        back, end = await visit(room, ALICE, place)
        assert back.kinds == ["subscribed", "resync", "snapshot"]
        assert back.got[2]["data"][0]["total"] == "1"
        assert end.sequence == place.sequence + 1
        again, _ = await visit(room, ALICE, end)
        assert again.kinds == ["subscribed"]

    play(ReplayLimits(topic_bytes=10), scene)


def test_after_a_while_a_user_is_followed_no_more() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        _, place = await visit(room, ALICE)
        assert list(feed.followed) == [ALICE.account_id]
        while feed.followed:
            await asyncio.sleep(0.01)
        back, after = await visit(room, ALICE, place)
        assert back.kinds == ["subscribed", "resync", "snapshot"]
        assert after.stream != place.stream

    play(ReplayLimits(linger_s=0.05), scene)


def test_who_listens_again_is_followed_on() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        await visit(room, ALICE)
        listener = Listener()
        room.topics_of(ALICE).join("orders", listener, UNSET)
        await asyncio.sleep(0.2)
        assert list(feed.followed) == [ALICE.account_id]

    play(ReplayLimits(linger_s=0.1), scene)


def test_above_the_limit_who_waits_longest_is_forgotten() -> None:
    async def scene(room: AccountRoom, feed: Feed) -> None:
        for user in (ALICE, BOB, ALICE, CAROL):
            await visit(room, user)
        await asyncio.sleep(0.01)
        assert sorted(feed.followed) == [ALICE.account_id, CAROL.account_id]

    play(ReplayLimits(lingering=2), scene)
