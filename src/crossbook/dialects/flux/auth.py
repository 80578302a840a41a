"""Who sends a request: the bearer token, and the session behind it.

The signature and the end of a token are looked at on every request. Whether it was revoked is asked of the
store, and the answer is kept for two seconds, so that a busy client does not cost a query for each request.
"""

from collections import OrderedDict
from typing import Any, Final, Protocol

from crossbook.application.accounts import User
from crossbook.dialects.call import AnyCall, Principal
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.security.tokens import Claims, TokenError, Tokens

SESSION_KEPT_S: Final = 2
"""How long a revoked token may still open: the age of an answer that is still believed."""
MAX_SESSIONS: Final = 10_000
SECURITY: Final[dict[str, Any]] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
"""The credentials as OpenAPI describes them."""


class Sessions(Protocol):
    """Who a token's id speaks for. `crossbook.application.accounts.Accounts` is one."""

    async def user_of_token(self, token_id: str) -> User | None:
        """The user, or None when the token was revoked."""
        ...


class Monotonic(Protocol):
    """Measures time."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class BearerAuth:
    """The authenticator of Flux: `Authorization: Bearer <jwt>`."""

    def __init__(self, tokens: Tokens, sessions: Sessions, clock: Monotonic, capacity: int = MAX_SESSIONS) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    async def __call__(self, call: AnyCall) -> Principal:
        """The sender of a request; its `session` is the `User`. Raises `Fault` UNAUTHENTICATED."""
        return await self.of_token(_token_of(call))

    async def of_token(self, token: str) -> Principal:
        """Who a token speaks for; its `session` is the `User`. Raises `Fault` UNAUTHENTICATED."""
        try:
            claims = self._tokens.read(token)
        except TokenError as error:
            raise Fault(FaultKind.UNAUTHENTICATED, str(error)) from error
        found = self._known.get(claims.token_id)
        now_s = self._clock.monotonic_s()
        if found is not None and now_s - found[0] < SESSION_KEPT_S:
            return found[1]
        return await self._look_up(claims, now_s)

    async def _look_up(self, claims: Claims, now_s: float) -> Principal:
        self._known.pop(claims.token_id, None)
        user = await self._sessions.user_of_token(claims.token_id)
        if user is None or user.user_id != claims.user_id:
            raise Fault(FaultKind.UNAUTHENTICATED, "the token was revoked; log in again")
        # A scope that was taken from the user is gone at once; one that was given needs a new token.
        principal = Principal(str(user.user_id), user.scopes & claims.scopes, f"user {user.user_id}", user)
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        self._known[claims.token_id] = (now_s, principal)
        return principal


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
