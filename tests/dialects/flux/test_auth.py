"""Bearer tokens: who is let in, and how soon a revoked token is not."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from crossbook.application.accounts import User, UserKind
from crossbook.dialects.call import AnyCall, Call, Principal, Visit
from crossbook.dialects.flux.auth import SESSION_KEPT_S, BearerAuth, user_of
from crossbook.dialects.recent import GATHERED_S, OLD_S, Recent
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.domain.errors import CrossbookError
from crossbook.security.tokens import Tokens
from crossbook.system import ManualClock

ALICE = User(5, 1_000_005, UserKind.TRADER, "alice", "alice@example.com", None, frozenset({"admin"}), 0, False)


OLD_MS = round(OLD_S * 1_000)


class StoreAway(CrossbookError):
    """The store can not be asked."""


class Sessions:
    """Sessions in memory, which counts how often it is asked."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.asked = 0
        self.away = False

    async def user_of_token(self, token_id: str) -> User | None:
        self.asked += 1
        if self.away:
            raise StoreAway
        return self.users.get(token_id)


class Desk:
    """An authenticator with what it works on."""

    def __init__(self, capacity: int = 100) -> None:
        self.clock = ManualClock()
        self.sessions = Sessions()
        self.tokens = Tokens(self.clock, "k" * 40, 3_600)
        self.auth = BearerAuth(self.tokens, self.sessions, self.clock, capacity)

    def token(self, scopes: frozenset[str] = frozenset(), user: User = ALICE) -> str:
        issued = self.tokens.issue(user.user_id, scopes)
        self.sessions.users[issued.claims.token_id] = user
        return issued.text

    def ask(self, value: str | None) -> Principal:
        headers = [] if value is None else [(b"authorization", value.encode("latin-1"))]
        call: AnyCall = Call({"type": "http", "headers": headers}, Visit("", ""))
        principal = asyncio.run(self.auth(call))
        call.admit(principal)
        assert user_of(call) is principal.session
        return principal


@pytest.mark.parametrize("value", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer a.b.c", "Bearer " + "x" * 9_000])
def test_what_is_no_token_of_ours_is_refused(value: str | None) -> None:
    with pytest.raises(Fault) as refused:
        Desk().ask(value)
    assert refused.value.kind is FaultKind.UNAUTHENTICATED


def test_a_token_speaks_for_its_user() -> None:
    desk = Desk()
    principal = desk.ask(f"bearer {desk.token()}")
    assert (principal.subject, principal.limit_key, principal.session) == ("5", "user 5", ALICE)


def test_scopes_are_those_of_the_token_that_the_user_still_has() -> None:
    desk = Desk()
    assert desk.ask(f"Bearer {desk.token()}").scopes == frozenset()
    assert desk.ask(f"Bearer {desk.token(frozenset({'admin', 'funds'}))}").scopes == {"admin"}


def test_a_session_is_asked_for_once_in_a_while_and_a_revoked_one_is_found() -> None:
    desk = Desk()
    token = desk.token()
    for _ in range(5):
        desk.ask(f"Bearer {token}")
    assert desk.sessions.asked == 1
    desk.sessions.users.clear()
    desk.clock.advance(SESSION_KEPT_S * 1_000 - 1)
    desk.ask(f"Bearer {token}")
    desk.clock.advance(1)
    for asked in (2, 3):
        with pytest.raises(Fault) as refused:
            desk.ask(f"Bearer {token}")
        assert (refused.value.kind, desk.sessions.asked) == (FaultKind.UNAUTHENTICATED, asked)


def test_an_expired_token_is_refused_though_its_session_is_remembered() -> None:
    desk = Desk()
    token = desk.token()
    desk.ask(f"Bearer {token}")
    desk.clock.set_now(desk.clock.now_ms() + 3_600_000)
    with pytest.raises(Fault):
        desk.ask(f"Bearer {token}")


def test_a_session_of_another_user_opens_nothing() -> None:
    desk = Desk()
    token = desk.token()
    desk.sessions.users = dict.fromkeys(desk.sessions.users, replace(ALICE, user_id=6))
    with pytest.raises(Fault):
        desk.ask(f"Bearer {token}")


def test_no_more_sessions_are_remembered_than_there_is_room() -> None:
    desk = Desk(capacity=2)
    first, *others = [desk.token() for _ in range(3)]
    for token in (first, *others):
        desk.ask(f"Bearer {token}")
    desk.ask(f"Bearer {others[1]}")
    assert desk.sessions.asked == 3
    desk.ask(f"Bearer {first}")
    assert desk.sessions.asked == 4


def test_a_session_in_use_is_renewed_before_its_answer_is_too_old() -> None:
    async def scene() -> None:
        desk = Desk()
        tokens = [desk.token() for _ in range(3)]
        for token in tokens:
            await desk.auth.of_token(token)
        desk.clock.advance(OLD_MS)
        for token in tokens[:2] * 3:
            await desk.auth.of_token(token)
        assert desk.sessions.asked == 3  # nobody waits for it
        await asyncio.sleep(2 * GATHERED_S)
        assert desk.sessions.asked == 5
        desk.clock.advance(SESSION_KEPT_S * 1_000 - 1)
        await desk.auth.of_token(tokens[0])
        assert desk.sessions.asked == 5
        await desk.auth.of_token(tokens[2])  # nobody used it meanwhile: it is asked for when it is needed
        assert desk.sessions.asked == 6

    asyncio.run(scene())


def test_a_session_that_was_revoked_is_found_by_its_renewal() -> None:
    async def scene() -> None:
        desk = Desk()
        token = desk.token()
        await desk.auth.of_token(token)
        desk.sessions.users.clear()
        desk.clock.advance(OLD_MS)
        await desk.auth.of_token(token)
        await asyncio.sleep(2 * GATHERED_S)
        with pytest.raises(Fault):
            await desk.auth.of_token(token)

    asyncio.run(scene())


def test_a_renewal_while_the_store_is_away_changes_nothing() -> None:
    async def scene() -> None:
        desk = Desk()
        token = desk.token()
        await desk.auth.of_token(token)
        desk.sessions.away = True
        desk.clock.advance(OLD_MS)
        await desk.auth.of_token(token)
        await asyncio.sleep(2 * GATHERED_S)
        await desk.auth.of_token(token)
        desk.clock.advance(1_000)
        with pytest.raises(StoreAway):
            await desk.auth.of_token(token)

    asyncio.run(scene())


def test_a_session_that_ends_while_it_is_renewed_stays_ended() -> None:
    async def scene() -> None:
        clock, asking, answered = ManualClock(), asyncio.Event(), asyncio.Event()

        async def renew(old: Sequence[str]) -> None:
            asking.set()
            await answered.wait()
            for value in old:
                recent.replace("token", value)

        recent: Recent[str] = Recent(clock, renew=renew)
        recent.put("token", "somebody")
        clock.advance(OLD_MS)
        assert recent.get("token") == "somebody"
        await asking.wait()
        recent.forget("token")
        answered.set()
        await asyncio.sleep(0.01)
        assert recent.get("token") is None

    asyncio.run(scene())
