"""Why a request is refused before or instead of the exchange's own answer.

Refusal
├── Fault           raised by the framework, in words that every dialect translates
└── (a dialect's)   raised by its handlers, already in its own words
"""

from enum import Enum, unique


@unique
class FaultKind(Enum):
    """What the framework finds wrong, in the order in which it looks."""

    NOT_FOUND = "no such path"
    METHOD_NOT_ALLOWED = "the path has other methods"
    RATE_LIMITED = "too many requests"
    UNSUPPORTED_MEDIA_TYPE = "the body is not JSON"
    BODY_TOO_LARGE = "the body is too large"
    REQUEST_TIMEOUT = "the body did not arrive in time"
    UNAUTHENTICATED = "no valid credentials"
    FORBIDDEN = "a scope is missing"
    MALFORMED = "the body cannot be read as JSON"
    INVALID = "a field breaks a rule"
    UNAVAILABLE = "the venue cannot answer now; the outcome is unknown"
    INTERNAL = "a fault of the venue"


class Refusal(Exception):
    """Root of everything that ends a request with a documented error."""


class Fault(Refusal):
    """A refusal by the framework.

    `field` is the field's path in the request ("" for none), `rule` what it must be, `got` what came, all
    fit to be shown to the client. `retry_after_s` and `headers` go into the reply.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        field: str = "",
        rule: str = "",
        got: str = "",
        retry_after_s: int = 0,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.field = field
        self.rule = rule
        self.got = got
        self.retry_after_s = retry_after_s
        self.headers = headers

    def reply_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that the reply must carry, Retry-After among them."""
        if not self.retry_after_s:
            return self.headers
        return (*self.headers, (b"retry-after", b"%d" % self.retry_after_s))
