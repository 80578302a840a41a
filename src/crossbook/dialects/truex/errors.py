"""How TrueX says that something is wrong: problem details (RFC 7807), `application/problem+json`.

    Refusal
    └── Problem      raised by TrueX's handlers: a kind, and a sentence for people

The kind is chosen where the error arises. A fault of the venue names the request and explains nothing.
"""

from collections.abc import Callable, Mapping
from enum import Enum, unique
from typing import Final

import msgspec

from crossbook.dialects.call import Header, Reply
from crossbook.dialects.refusals import Fault, FaultKind, Refusal

PROBLEM_JSON: Final = "application/problem+json"
TYPE: Final = "urn:crossbook:truex:{name}"


@unique
class Kind(Enum):
    """What can be wrong: the last part of the problem's type, its status and its title."""

    BAD_REQUEST = ("bad-request", 400, "Bad request")
    INVALID_CLIENT = ("invalid-client", 400, "Invalid client")
    INVALID_EXTERNAL_ID = ("invalid-external-id", 400, "Invalid ClOrdID")
    INSUFFICIENT_FUNDS = ("insufficient-funds", 400, "Insufficient funds")
    NOT_ENOUGH_DEPTH = ("not-enough-depth", 400, "Not enough depth")
    ORDER_NOT_OPEN = ("order-not-open", 400, "Order not open")
    MARKET_NOT_OPEN = ("market-not-open", 400, "Instrument not open")
    UNAUTHENTICATED = ("unauthenticated", 401, "Unauthenticated")
    FORBIDDEN = ("forbidden", 403, "Forbidden")
    NOT_FOUND = ("not-found", 404, "Not found")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Method not allowed")
    REQUEST_TIMEOUT = ("request-timeout", 408, "Request timeout")
    BODY_TOO_LARGE = ("body-too-large", 413, "Body too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "Unsupported media type")
    RATE_LIMITED = ("rate-limited", 429, "Too many requests")
    INTERNAL = ("internal-error", 500, "Internal error")
    UNAVAILABLE = ("unavailable", 503, "Unavailable")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title


KIND_OF_FAULT: Final[Mapping[FaultKind, Kind]] = {
    FaultKind.NOT_FOUND: Kind.NOT_FOUND,
    FaultKind.METHOD_NOT_ALLOWED: Kind.METHOD_NOT_ALLOWED,
    FaultKind.RATE_LIMITED: Kind.RATE_LIMITED,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: Kind.UNSUPPORTED_MEDIA_TYPE,
    FaultKind.BODY_TOO_LARGE: Kind.BODY_TOO_LARGE,
    FaultKind.REQUEST_TIMEOUT: Kind.REQUEST_TIMEOUT,
    FaultKind.UNAUTHENTICATED: Kind.UNAUTHENTICATED,
    FaultKind.FORBIDDEN: Kind.FORBIDDEN,
    FaultKind.MALFORMED: Kind.BAD_REQUEST,
    FaultKind.INVALID: Kind.BAD_REQUEST,
    FaultKind.UNAVAILABLE: Kind.UNAVAILABLE,
    FaultKind.INTERNAL: Kind.INTERNAL,
}


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem as RFC 7807 writes it. `extensions` name the field, the rule, what came and what would do."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    extensions: dict[str, str] = {}


class Problem(Refusal):
    """A refusal in TrueX's words. `field` is the field's path, `rule` what it must be, `nearest` a valid value."""

    def __init__(
        self, kind: Kind, detail: str, *, field: str = "", rule: str = "", nearest: str = "", retry_after_s: int = 0
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.extensions = {
            name: text for name, text in (("field", field), ("rule", rule), ("nearest", nearest)) if text
        }
        self.retry_after_s = retry_after_s


def invalid(field: str, rule: str, nearest: str | None = None) -> Problem:
    """The refusal that names the field, the rule and, where there is one, the nearest valid value."""
    hint = "" if nearest is None else f"; the nearest valid value is {nearest}"
    return Problem(Kind.BAD_REQUEST, f"{field} {rule}{hint}", field=field, rule=rule, nearest=nearest or "")


def not_found(what: str, name: str) -> Problem:
    """The refusal of something that is not there, or not the caller's."""
    return Problem(Kind.NOT_FOUND, f"no {what} {name}")


class TruexErrors:
    """TrueX's way of saying errors. `known` translates errors of the application; it may return None."""

    schema: object = ProblemDetails
    media_type = PROBLEM_JSON

    def __init__(self, known: Callable[[Exception], Refusal | None] = lambda error: None) -> None:
        self._known = known

    def status(self, kind: FaultKind) -> int:
        """The HTTP status of a fault."""
        return KIND_OF_FAULT[kind].status

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        """The reply to a `Fault` or a `Problem`. Raises TypeError for another dialect's refusal."""
        kind, detail, extensions, headers = _parts(refusal)
        instance = f"urn:crossbook:request:{request_id}" if kind.status >= 500 and request_id else ""
        body = ProblemDetails(TYPE.format(name=kind.slug), kind.title, kind.status, detail, instance, extensions)
        return Reply(kind.status, body, headers, PROBLEM_JSON)

    def translate(self, error: Exception) -> Refusal | None:
        """The refusal that an application's error amounts to; None for an unexpected error."""
        return self._known(error)


def _parts(refusal: Refusal) -> tuple[Kind, str, dict[str, str], tuple[Header, ...]]:
    if isinstance(refusal, Problem):
        wait = ((b"retry-after", b"%d" % refusal.retry_after_s),) if refusal.retry_after_s else ()
        return refusal.kind, refusal.detail, refusal.extensions, wait
    if isinstance(refusal, Fault):
        named = (("field", refusal.field), ("rule", refusal.rule), ("got", refusal.got))
        extensions = {name: text for name, text in named if text}
        return KIND_OF_FAULT[refusal.kind], refusal.message, extensions, refusal.reply_headers()
    raise TypeError(f"TrueX has no words for {type(refusal).__name__}")
