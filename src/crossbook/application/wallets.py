"""Users of wallets: signing in with the key of an address, and knowing who asks.

The signature proves the address, without a daemon. What the alias is worth depends: with a chain, it must be
registered to the address there; without one it is a display name, unique on the venue.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Protocol

from crossbook.application.accounts import session_hash
from crossbook.application.chain import Chain
from crossbook.application.clock import WallClock
from crossbook.application.errors import InvalidLogin
from crossbook.security.login_challenges import Challenges, Standing
from crossbook.security.tokens import Tokens
from crossbook.security.wallet_addresses import AddressRefused, WalletAddress, parse_address
from crossbook.security.wallet_signatures import verify_message

LONGEST_ALIAS: Final = 64
LONGEST_MESSAGE: Final = 512


@dataclass(frozen=True)
class Wallet:
    """A user of a wallet. `alias` is "" when the name went to another wallet."""

    user_id: int
    address: str
    alias: str
    created_at_ms: int
    updated_at_ms: int


class WalletStore(Protocol):
    """Where wallets are kept. `crossbook.storage.wallets` is one."""

    async def use_login(self, login_hash: bytes, now_ms: int) -> bool:
        """Note a signed message; False when it was used before."""
        ...

    async def sign_in(self, address: str, alias: str, *, take_alias: bool, now_ms: int) -> Wallet:
        """The wallet of an address, made if it is new, under this alias.

        `take_alias` takes the name from another wallet, to which it no longer belongs; else raises InvalidLogin
        when another wallet has it.
        """
        ...

    async def open_session(self, session: bytes, user_id: int, now_ms: int, expires_at_ms: int) -> None:
        """Note a token that was given out."""
        ...

    async def revoke_session(self, session: bytes, now_ms: int) -> None:
        """Refuse a token from now on."""
        ...

    async def session_wallet(self, session: bytes, now_ms: int) -> Wallet | None:
        """The wallet of a token that is neither revoked nor expired."""
        ...


class WalletLogins:
    """The use cases of signing in. `tags` are the kinds of addresses that the venue takes."""

    def __init__(
        self,
        store: WalletStore,
        tokens: Tokens,
        challenges: Challenges,
        clock: WallClock,
        *,
        tags: frozenset[int],
        chain: Chain | None = None,
        challenge_required: bool = False,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._challenges = challenges
        self._clock = clock
        self._tags = tags
        self._chain = chain
        self._challenge_required = challenge_required

    def challenge(self, address: str, alias: str) -> str:
        """A message to sign, good for five minutes and one login. Raises InvalidLogin."""
        _checked_alias(alias)
        return self._challenges.make(self._parsed(address).plain.text, alias, self._clock.now_ms())

    async def sign_in(self, address: str, alias: str, message: str, signature: str, *, never_expires: bool) -> str:
        """A token for who signed `message` with the key of `address`. A message is good once.

        Raises InvalidLogin, and ChainUnavailable when the alias can not be looked up.
        """
        now_ms = self._clock.now_ms()
        _checked_alias(alias)
        wallet = self._parsed(address)
        known_as = wallet.plain.text
        standing = self._challenges.standing(message, known_as, alias, now_ms)
        if standing is Standing.EXPIRED or (self._challenge_required and standing is not Standing.VALID):
            raise InvalidLogin("the message must be one that this venue gave out in the last five minutes")
        if not 0 < len(message) <= LONGEST_MESSAGE:
            raise InvalidLogin(f"the message must have 1 to {LONGEST_MESSAGE} characters")
        if verify_message(message.encode(), wallet.spend_key, signature) is None:
            raise InvalidLogin("the signature is not the address's")
        bound = await self._bound_by_chain(alias, wallet)
        # Whoever has the key has the wallet, so the message is used up for the key, not for one spelling of it.
        login_hash = hashlib.sha256(wallet.spend_key + message.encode()).digest()
        if not await self._store.use_login(login_hash, now_ms):
            raise InvalidLogin("the message was used before")
        user = await self._store.sign_in(known_as, alias, take_alias=bound, now_ms=now_ms)
        token = self._tokens.issue(user.user_id, never_expires=never_expires)
        session = session_hash(token.claims.token_id)
        await self._store.open_session(session, user.user_id, now_ms, token.claims.expires_at_ms)
        return token.text

    async def sign_out(self, token_id: str) -> None:
        """Refuse a token from now on."""
        await self._store.revoke_session(session_hash(token_id), self._clock.now_ms())

    async def wallet_of_token(self, token_id: str) -> Wallet | None:
        """Who a valid token's id speaks for, or None when it was revoked."""
        return await self._store.session_wallet(session_hash(token_id), self._clock.now_ms())

    async def _bound_by_chain(self, alias: str, wallet: WalletAddress) -> bool:
        """Whether the chain says that the alias is the wallet's; False when there is no chain to ask."""
        if self._chain is None:
            return False
        registered = await self._chain.address_of_alias(alias)
        try:
            owner = parse_address(registered or "").plain.text
        except AddressRefused:
            owner = ""
        if owner != wallet.plain.text:
            raise InvalidLogin("the alias is not registered to the address")
        return True

    def _parsed(self, address: str) -> WalletAddress:
        try:
            return parse_address(address, self._tags)
        except AddressRefused as error:
            raise InvalidLogin(str(error)) from error


def _checked_alias(alias: str) -> None:
    if not 0 < len(alias) <= LONGEST_ALIAS or not alias.isprintable() or alias != alias.strip():
        raise InvalidLogin(f"an alias has 1 to {LONGEST_ALIAS} printable characters")
