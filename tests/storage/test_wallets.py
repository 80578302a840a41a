"""Signing in with a wallet, on a real database with real keys."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import pytest

from crossbook.application.chain import Chain, ChainUnavailable
from crossbook.application.errors import InvalidLogin
from crossbook.application.wallets import WalletLogins
from crossbook.security.login_challenges import VALID_MS, Challenges
from crossbook.security.tokens import Tokens
from crossbook.security.wallet_addresses import LETHEAN_TAGS
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import SignatureFormat
from crossbook.storage.database import Database
from crossbook.storage.wallets import WalletStore
from crossbook.system import ManualClock
from tests.storage.support import NOW_MS, using

ALICE, BOB = (WalletKeys.of_seed(bytes([number]) * 32) for number in (1, 2))
SECRET = "s" * 40


@dataclass
class Aliases:
    """A chain that knows aliases."""

    known: dict[str, str] = field(default_factory=dict)
    away: bool = False

    async def address_of_alias(self, alias: str) -> str | None:
        if self.away:
            raise ChainUnavailable("gone")
        return self.known.get(alias)


class Door:
    """The use cases, with a clock in the test's hands."""

    def __init__(self, database: Database, chain: Aliases | None = None, required: bool = False) -> None:
        self.clock = ManualClock(NOW_MS)
        self.tokens = Tokens(self.clock, SECRET, 3600, endless=True)
        self.logins = WalletLogins(
            WalletStore(database),
            self.tokens,
            Challenges(SECRET),
            self.clock,
            tags=LETHEAN_TAGS,
            chain=cast("Chain | None", chain),
            challenge_required=required,
        )

    async def enter(
        self, keys: WalletKeys, alias: str, message: str, *, signed: str | None = None, never: bool = False
    ) -> str:
        signature = keys.sign((message if signed is None else signed).encode())
        return await self.logins.sign_in(keys.address().text, alias, message, signature, never_expires=never)

    async def name(self, token: str) -> str | None:
        wallet = await self.logins.wallet_of_token(self.tokens.read(token).token_id)
        return None if wallet is None else wallet.alias


def test_a_captured_login_works_once_even_in_a_race(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        door = Door(database)
        answers = await asyncio.gather(*(door.enter(ALICE, "alice", "hello") for _ in range(8)), return_exceptions=True)
        assert [type(each) for each in answers].count(InvalidLogin) == 7
        (token,) = (each for each in answers if isinstance(each, str))
        assert await door.name(token) == "alice"
        assert await door.name(await door.enter(BOB, "bob", "hello")) == "bob"  # a message is used up for one key
        again = await door.enter(ALICE, "alice", "other", never=True)
        assert door.tokens.read(again).user_id == door.tokens.read(token).user_id
        await door.logins.sign_out(door.tokens.read(token).token_id)
        assert await door.name(token) is None
        assert await door.name(again) == "alice"
        door.clock.advance(366 * 86_400_000)
        assert await door.name(again) == "alice"

    using(database_url, scenario)


@pytest.mark.parametrize("format", list(SignatureFormat))
def test_both_formats_of_signatures_open(database_url: str, format: SignatureFormat) -> None:
    async def scenario(database: Database) -> None:
        signature = ALICE.sign(b"hello", format)
        token = await Door(database).logins.sign_in(
            ALICE.address().text, "alice", "hello", signature, never_expires=False
        )
        assert token

    using(database_url, scenario)


def test_what_proves_nothing_is_refused(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        door = Door(database)
        signature = ALICE.sign(b"m")
        good = {"address": ALICE.address().text, "alias": "alice", "message": "m", "signature": signature}
        changes = [
            {"address": ALICE.address().text[:-1] + "1"},
            {"address": ALICE.address(0xC5).text},
            {"address": BOB.address().text},
            {"alias": ""},
            {"alias": " a"},
            {"alias": "x" * 65},
            {"message": ""},
            {"message": "n"},
            {"signature": ""},
            {"signature": signature[:-1]},
            {"signature": signature[64:] + signature[:64]},
        ]
        for change in changes:
            with pytest.raises(InvalidLogin):
                await door.logins.sign_in(**{**good, **change}, never_expires=False)
        # None of them used the message up.
        assert await door.logins.sign_in(**good, never_expires=False)

    using(database_url, scenario)


def test_an_alias_is_unique_on_the_venue_whatever_its_case(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        door = Door(database)
        await door.enter(ALICE, "Alice", "1")
        with pytest.raises(InvalidLogin):
            await door.enter(BOB, "aLICE", "2")
        await door.enter(ALICE, "alicia", "3")
        assert await door.name(await door.enter(BOB, "alice", "4")) == "alice"

    using(database_url, scenario)


def test_the_chain_says_whose_an_alias_is(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        await Door(database).enter(BOB, "gold", "0")  # from a time without a chain
        chain = Aliases({"gold": ALICE.address().text})
        door = Door(database, chain)
        with pytest.raises(InvalidLogin):
            await door.enter(BOB, "gold", "1")
        with pytest.raises(InvalidLogin):
            await door.enter(ALICE, "unknown", "2")
        assert await door.name(await door.enter(ALICE, "gold", "3")) == "gold"
        chain.away = True
        with pytest.raises(ChainUnavailable):
            await door.enter(ALICE, "gold", "4")
        chain.away = False
        assert await door.enter(ALICE, "gold", "4")  # nothing was used up meanwhile

    using(database_url, scenario)


def test_a_challenge_is_good_once_for_five_minutes(database_url: str) -> None:
    async def scenario(database: Database) -> None:
        door = Door(database, required=True)
        with pytest.raises(InvalidLogin):
            await door.enter(ALICE, "alice", "a message of my own")
        challenge = door.logins.challenge(ALICE.address().text, "alice")
        with pytest.raises(InvalidLogin):
            await door.enter(BOB, "alice", challenge)
        assert await door.enter(ALICE, "alice", challenge)
        with pytest.raises(InvalidLogin):
            await door.enter(ALICE, "alice", challenge)
        late = door.logins.challenge(ALICE.address().text, "alice")
        door.clock.advance(VALID_MS)
        with pytest.raises(InvalidLogin):
            await door.enter(ALICE, "alice", late)
        plain = Door(database)
        plain.clock.advance(VALID_MS)
        with pytest.raises(InvalidLogin):  # an old challenge is no message of one's own, where these are good too
            await plain.enter(ALICE, "alice", late)
        assert await plain.enter(ALICE, "alice", "a message of my own")

    using(database_url, scenario)
