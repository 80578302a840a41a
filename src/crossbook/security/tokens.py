"""Bearer tokens: JWTs signed with HS256, issued and read by this venue only.

The algorithm is pinned: what a token says about itself is never believed. Time comes from the clock given.
A token carries an id (`jti`), by which the caller keeps a session and may revoke it: reading a token does
not look there.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import jwt

from crossbook.domain.errors import CrossbookError
from crossbook.security.signing_secret import SHORTEST_SECRET_BYTES
from crossbook.system import Clock, secret_token

ALGORITHM: Final = "HS256"
LONGEST_TOKEN: Final = 4_096
_REMEMBERED: Final = 4_096
"""How many tokens are kept with their claims. Checking a signature costs as much as a good part of an order."""
_SCOPE: Final = "scope"
_REQUIRED: Final = ("sub", "jti", "iat", "iss", "aud")
_END: Final = "exp"
NEVER_MS: Final = 253_402_300_799_000
"""When a token without an end ends: with the year 9999."""


class TokenError(CrossbookError):
    """A token that opens nothing. The message may be shown to the client."""


class TokenMalformed(TokenError):
    """Not a token, or one without what a token of ours has."""


class TokenForged(TokenError):
    """Signed with another key or another algorithm, or changed after it was signed."""


class TokenMisdirected(TokenError):
    """Signed with our key, but by another issuer or for another audience."""


class TokenExpired(TokenError):
    """Its time is over; the client logs in again."""


@dataclass(frozen=True)
class Claims:
    """What a token says: who, in which session, with which scopes, from when until when."""

    user_id: int
    token_id: str
    scopes: frozenset[str]
    issued_at_ms: int
    expires_at_ms: int


@dataclass(frozen=True)
class IssuedToken:
    """A new token: its text for the client, and its claims for the caller's record of sessions."""

    text: str
    claims: Claims

    def __repr__(self) -> str:
        return f"IssuedToken(claims={self.claims})"


class Tokens:
    """Issues tokens that are valid for `expiry_s` seconds, and reads them.

    `endless` lets some of them be valid until they are revoked; where it is false, a token without an end is none.
    Raises ValueError for a secret of less than SHORTEST_SECRET_BYTES or an expiry below one second.
    """

    def __init__(
        self,
        clock: Clock,
        secret: str,
        expiry_s: int,
        issuer: str = "crossbook",
        audience: str = "crossbook",
        *,
        endless: bool = False,
    ) -> None:
        if len(secret.encode()) < SHORTEST_SECRET_BYTES:
            raise ValueError(f"the secret of tokens needs at least {SHORTEST_SECRET_BYTES} bytes")
        if expiry_s < 1:
            raise ValueError(f"tokens must be valid for at least one second, not {expiry_s}")
        self._clock = clock
        self._secret = secret
        self._expiry_s = expiry_s
        self._issuer = issuer
        self._audience = audience
        self._required = list(_REQUIRED) if endless else [*_REQUIRED, _END]
        self._claims_of = lru_cache(_REMEMBERED)(self._verified_claims)

    def issue(
        self,
        user_id: int,
        scopes: frozenset[str] = frozenset(),
        token_id: str | None = None,
        *,
        never_expires: bool = False,
    ) -> IssuedToken:
        """A token for `user_id`. `token_id` is the caller's id of the session; unless given, a random one.

        One that never expires has no `exp`; only revoking its session ends it.

        A token counts whole seconds: `claims` holds the times as the token has them.
        Raises ValueError for a scope with a space in it, or an empty one, and for no end where that is not allowed.
        """
        if never_expires and _END in self._required:
            raise ValueError("these tokens must expire")
        if any(not scope or " " in scope for scope in scopes):
            raise ValueError("a scope is one word")
        issued_at_s = self._clock.now_ms() // 1000
        claims = Claims(
            user_id=user_id,
            token_id=secret_token(16) if token_id is None else token_id,
            scopes=scopes,
            issued_at_ms=issued_at_s * 1000,
            expires_at_ms=NEVER_MS if never_expires else (issued_at_s + self._expiry_s) * 1000,
        )
        return IssuedToken(jwt.encode(self._payload_of(claims), self._secret, ALGORITHM), claims)

    def read(self, text: str) -> Claims:
        """What the token `text` says, when it is ours, unchanged and not expired.

        Raises TokenMalformed, TokenForged, TokenMisdirected, TokenExpired: the first that holds.
        """
        if len(text) > LONGEST_TOKEN:
            raise TokenMalformed(f"a token has at most {LONGEST_TOKEN} characters")
        claims = self._claims_of(text)
        if self._clock.now_ms() >= claims.expires_at_ms:
            raise TokenExpired("the token has expired; log in again")
        return claims

    def _payload_of(self, claims: Claims) -> dict[str, object]:
        payload: dict[str, object] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(claims.user_id),
            "jti": claims.token_id,
            "iat": claims.issued_at_ms // 1000,
        }
        if claims.expires_at_ms != NEVER_MS:
            payload[_END] = claims.expires_at_ms // 1000
        if claims.scopes:
            payload[_SCOPE] = " ".join(sorted(claims.scopes))
        return payload

    def _verified_claims(self, text: str) -> Claims:
        """The claims of a token of ours, expired or not: its time is looked at each time, its signature once."""
        try:
            payload = jwt.decode(
                text,
                self._secret,
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": self._required,
                    # These would ask the machine's clock.
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError) as error:
            raise TokenForged("the token is not signed by this venue") from error
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as error:
            raise TokenMisdirected("the token is for another venue") from error
        except (jwt.PyJWTError, ValueError) as error:  # ValueError: text that is not Unicode
            raise TokenMalformed("the token can not be read") from error
        return _claims_in(payload)


def _claims_in(payload: dict[str, Any]) -> Claims:
    """The claims of a payload whose signature is ours. Raises TokenMalformed for wrong types."""
    subject, token_id, scope = payload["sub"], payload["jti"], payload.get(_SCOPE, "")
    times = (payload["iat"], payload.get(_END, NEVER_MS // 1000))
    texts_fit = isinstance(subject, str) and isinstance(token_id, str) and token_id and isinstance(scope, str)
    if not texts_fit or not subject.isascii() or not subject.isdigit() or any(type(time) is not int for time in times):
        raise TokenMalformed("the token lacks what a token of this venue has")
    return Claims(
        user_id=int(subject),
        token_id=token_id,
        scopes=frozenset(scope.split()),
        issued_at_ms=times[0] * 1000,
        expires_at_ms=times[1] * 1000,
    )
