"""Who sends a request: the token in its body, and nowhere else.

Wallets sign in at `/api/auth`. The operator's calls take the token of an operator, from Flux's `/auth/login`; such a
token opens nothing else here, and a wallet's token opens nothing elsewhere.
"""

from typing import Protocol

import msgspec

from crossbook.application.accounts import User
from crossbook.application.wallets import Wallet
from crossbook.dialects.call import AnyCall, Principal
from crossbook.dialects.recent import Monotonic, Recent
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.security.tokens import Claims, TokenError, TokenMisdirected, Tokens

AUDIENCE = "lethean"
"""What wallets' tokens are for."""


class WalletSessions(Protocol):
    """Whose wallet a token's id speaks for. `crossbook.application.wallets.WalletLogins` is one."""

    async def wallet_of_token(self, token_id: str) -> Wallet | None:
        """The wallet, or None when the token was revoked."""
        ...


class OperatorSessions(Protocol):
    """Which user a token's id speaks for. `crossbook.application.accounts.Accounts` is one."""

    async def user_of_token(self, token_id: str) -> User | None:
        """The user, or None when the token was revoked."""
        ...


class _Body(msgspec.Struct):
    """As much of a body as says who sends it."""

    token: str


_decode = msgspec.json.Decoder(_Body).decode


class TokenAuth:
    """The authenticator of Lethean. Its principal's `session` is the `Wallet`, or an operator's `User`."""

    def __init__(
        self,
        tokens: Tokens,
        wallets: WalletSessions,
        operator_tokens: Tokens,
        operators: OperatorSessions,
        clock: Monotonic,
    ) -> None:
        self._tokens = tokens
        self._wallets = wallets
        self._operator_tokens = operator_tokens
        self._operators = operators
        self._known: Recent[Principal] = Recent(clock)

    async def __call__(self, call: AnyCall) -> Principal:
        """The sender of a request. Raises `Fault` UNAUTHENTICATED, or MALFORMED for a body that is no JSON."""
        return await self.principal_of(_token_in(call.raw_body))

    async def principal_of(self, token: str) -> Principal:
        """Who a token speaks for. Raises `Fault` UNAUTHENTICATED."""
        try:
            claims, of_wallet = self._tokens.read(token), True
        except TokenMisdirected:
            claims, of_wallet = self._operator_claims(token), False
        except TokenError as error:
            raise _unauthenticated() from error
        known = self._known.get(claims.token_id)
        if known is None:
            known = await (self._wallet(claims) if of_wallet else self._operator(claims))
            self._known.put(claims.token_id, known)
        return known

    def token_id(self, call: AnyCall) -> str:
        """The id of an authenticated request's token; who asks is about to end the session."""
        token_id = self._tokens.read(_token_in(call.raw_body)).token_id
        self._known.forget(token_id)
        return token_id

    def _operator_claims(self, token: str) -> Claims:
        try:
            return self._operator_tokens.read(token)
        except TokenError as error:
            raise _unauthenticated() from error

    async def _wallet(self, claims: Claims) -> Principal:
        wallet = await self._wallets.wallet_of_token(claims.token_id)
        if wallet is None or wallet.user_id != claims.user_id:
            raise _unauthenticated()
        return Principal(str(wallet.user_id), limit_key=f"user {wallet.user_id}", session=wallet)

    async def _operator(self, claims: Claims) -> Principal:
        user = await self._operators.user_of_token(claims.token_id)
        if user is None or user.user_id != claims.user_id:
            raise _unauthenticated()
        return Principal(str(user.user_id), user.scopes & claims.scopes, f"user {user.user_id}", user)


def _token_in(body: bytes) -> str:
    if not body:
        raise _unauthenticated()
    try:
        return _decode(body).token
    except msgspec.ValidationError as error:
        raise _unauthenticated() from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(FaultKind.MALFORMED, f"the body must be valid JSON: {error}") from error


def _unauthenticated() -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, "no valid token in the body")


def wallet_of(call: AnyCall) -> Wallet:
    """The wallet that sends an authenticated request. Raises `Fault` UNAUTHENTICATED for an operator's token."""
    wallet = call.principal.session
    if not isinstance(wallet, Wallet):
        raise _unauthenticated()
    return wallet
