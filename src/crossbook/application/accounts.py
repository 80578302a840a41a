"""Registering, signing in, and knowing who asks."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from crossbook.application.clock import WallClock
from crossbook.application.errors import InvalidOrder, WrongCredentials
from crossbook.domain.orders import MAX_ID
from crossbook.security.passwords import PasswordRefused, Passwords
from crossbook.security.tokens import Tokens

MAX_EMAIL_LENGTH: Final = 254


class UserKind(IntEnum):
    """Who a user is. Numbers are stored and never change meaning."""

    TRADER = 1
    GUEST = 2
    BOT = 3
    ADMINISTRATOR = 4
    WALLET = 5


@dataclass(frozen=True)
class User:
    """One user, and the account that the user trades with."""

    user_id: int
    account_id: int
    kind: UserKind
    name: str
    email: str | None
    password_hash: str | None
    scopes: frozenset[str]
    created_at_ms: int
    disabled: bool


class UserStore(Protocol):
    """Where users and their sessions are kept. `crossbook.storage.users` is one."""

    async def create(
        self,
        kind: UserKind,
        now_ms: int,
        *,
        email: str | None,
        password_hash: str | None,
        name: str,
        scopes: frozenset[str],
    ) -> User:
        """A new user with an account. Raises EmailTaken."""
        ...

    async def by_email(self, email: str) -> User | None:
        """The user registered under this email."""
        ...

    async def by_id(self, user_id: int) -> User | None:
        """The user of this id."""
        ...

    async def set_password_hash(self, user_id: int, password_hash: str) -> None:
        """Store a fresh hash of the same password."""
        ...

    async def open_session(self, session_hash: bytes, user_id: int, now_ms: int, expires_at_ms: int) -> None:
        """Note a token that was given out."""
        ...

    async def session_user(self, session_hash: bytes, now_ms: int) -> User | None:
        """The user of a token that is neither revoked nor expired."""
        ...


@dataclass(frozen=True)
class SignedIn:
    """A user and the token that now speaks for the user."""

    user: User
    token: str


class Accounts:
    """The use cases of registering and signing in."""

    def __init__(self, store: UserStore, passwords: Passwords, tokens: Tokens, clock: WallClock) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._clock = clock

    async def register(
        self,
        email: str,
        password: str,
        *,
        name: str = "",
        kind: UserKind = UserKind.TRADER,
        scopes: frozenset[str] = frozenset(),
    ) -> User:
        """A new user. Raises EmailTaken, and InvalidOrder for an email or a password that can not be."""
        address = _checked_email(email)
        try:
            password_hash = await self._passwords.hash(password)
        except PasswordRefused as error:
            raise InvalidOrder("password", str(error)) from error
        now_ms = self._clock.now_ms()
        return await self._store.create(
            kind, now_ms, email=address, password_hash=password_hash, name=name, scopes=scopes
        )

    async def login(self, email: str, password: str) -> SignedIn:
        """Sign in. Raises WrongCredentials, the same for an unknown email and a wrong password."""
        user = await self._store.by_email(email.strip().lower())
        usable = user is not None and not user.disabled
        verdict = await self._passwords.verify(password, user.password_hash if user is not None and usable else None)
        if user is None or not usable or not verdict.accepted:
            raise WrongCredentials("email or password is wrong")
        if verdict.rehash:
            await self._store.set_password_hash(user.user_id, await self._passwords.hash(password))
        return await self._sign_in(user)

    async def guest(self) -> SignedIn:
        """A new user without a login, signed in at once."""
        now_ms = self._clock.now_ms()
        user = await self._store.create(
            UserKind.GUEST, now_ms, email=None, password_hash=None, name="guest", scopes=frozenset()
        )
        return await self._sign_in(user)

    async def user_of_token(self, token_id: str) -> User | None:
        """Who a valid token's id speaks for, or None when it was revoked or the user may not sign in."""
        return await self._store.session_user(session_hash(token_id), self._clock.now_ms())

    async def user_numbered(self, user_id: int) -> User | None:
        """The user of this id, None for nobody. Who asks must be allowed to know."""
        return await self._store.by_id(user_id) if 0 < user_id <= MAX_ID else None

    async def _sign_in(self, user: User) -> SignedIn:
        now_ms = self._clock.now_ms()
        token = self._tokens.issue(user.user_id, user.scopes)
        await self._store.open_session(
            session_hash(token.claims.token_id), user.user_id, now_ms, token.claims.expires_at_ms
        )
        return SignedIn(user, token.text)


def session_hash(token_id: str) -> bytes:
    """What is stored of a token's id: a stolen table opens no door."""
    return hashlib.sha256(token_id.encode()).digest()


def _checked_email(email: str) -> str:
    address = email.strip().lower()
    name, _, domain = address.partition("@")
    if not name or not domain or len(address) > MAX_EMAIL_LENGTH or any(c.isspace() for c in address):
        raise InvalidOrder("email", f"must be name@domain of at most {MAX_EMAIL_LENGTH} characters")
    return address
