"""Who sends a request: the bearer token, and the session behind it.

The signature and the end of a token are looked at on every request. Whether it was revoked is asked of the
store, and the answer is kept for two seconds, so that a busy client does not cost a query for each request.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from crossbook.application.accounts import User
from crossbook.dialects.call import AnyCall, Principal
from crossbook.dialects.recent import CAPACITY, KEPT_S, Monotonic, Recent
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.domain.errors import CrossbookError
from crossbook.security.tokens import Claims, TokenError, Tokens

SESSION_KEPT_S: Final = KEPT_S
SECURITY: Final[dict[str, Any]] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
"""The credentials as OpenAPI describes them."""


class Sessions(Protocol):
    """Who a token's id speaks for. `crossbook.application.accounts.Accounts` is one."""

    async def user_of_token(self, token_id: str) -> User | None:
        """The user, or None when the token was revoked."""
        ...


class _Known(NamedTuple):
    """Who a token speaks for, and what it says itself."""

    principal: Principal
    claims: Claims


class BearerAuth:
    """The authenticator of Flux: `Authorization: Bearer <jwt>`."""

    def __init__(self, tokens: Tokens, sessions: Sessions, clock: Monotonic, capacity: int = CAPACITY) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._known: Recent[_Known] = Recent(clock, capacity, renew=self._renew)

    async def __call__(self, call: AnyCall) -> Principal:
        """The sender of a request; its `session` is the `User`. Raises `Fault` UNAUTHENTICATED."""
        return await self.of_token(_token_of(call))

    async def of_token(self, token: str) -> Principal:
        """Who a token speaks for; its `session` is the `User`. Raises `Fault` UNAUTHENTICATED."""
        try:
            claims = self._tokens.read(token)
        except TokenError as error:
            raise Fault(FaultKind.UNAUTHENTICATED, str(error)) from error
        known = self._known.get(claims.token_id)
        return known.principal if known is not None else await self._look_up(claims)

    async def _renew(self, old: Sequence[_Known]) -> None:
        """Ask for sessions again that are in use; the store is asked for all of them together."""
        await asyncio.gather(*(self._renew_one(known.claims) for known in old))

    async def _renew_one(self, claims: Claims) -> None:
        try:
            self._known.replace(claims.token_id, await self._find(claims))
        except Fault:
            self._known.forget(claims.token_id)
        except CrossbookError:
            return  # the store is away: who asks when the answer is too old will hear it

    async def _look_up(self, claims: Claims) -> Principal:
        found = await self._find(claims)
        self._known.put(claims.token_id, found)
        return found.principal

    async def _find(self, claims: Claims) -> _Known:
        user = await self._sessions.user_of_token(claims.token_id)
        if user is None or user.user_id != claims.user_id:
            raise Fault(FaultKind.UNAUTHENTICATED, "the token was revoked; log in again")
        # A scope that was taken from the user is gone at once; one that was given needs a new token.
        principal = Principal(str(user.user_id), user.scopes & claims.scopes, f"user {user.user_id}", user)
        return _Known(principal, claims)


def _token_of(call: AnyCall) -> str:
    value = call.header(b"authorization")
    if value is None:
        raise Fault(FaultKind.UNAUTHENTICATED, "the header Authorization: Bearer <token> is required")
    scheme, _, token = value.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Fault(FaultKind.UNAUTHENTICATED, "the header Authorization must be: Bearer <token>")
    return token.strip()


def user_of(call: AnyCall) -> User:
    """The user who sends an authenticated request."""
    user = call.principal.session
    assert isinstance(user, User)
    return user
