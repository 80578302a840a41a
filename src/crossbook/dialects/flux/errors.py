"""How Flux says that something is wrong: `{"error": {"code", "message"}}`.

    Refusal
    └── FluxError      raised by Flux's handlers: a code, and a message for people

Codes are stable and are chosen where the error arises; none is read out of a message. Every reason of the
domain has a code, for a request that is refused at once, and a word, which an order shows as its `reason`.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum, unique
from typing import Final, NamedTuple

import msgspec

from crossbook.dialects.call import JSON, Header, Reply
from crossbook.dialects.refusals import Fault, FaultKind, Refusal
from crossbook.domain.errors import Reason


@unique
class Code(StrEnum):
    """The codes of Flux's contract first, then those of the wire."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    MARKET_NOT_FOUND = "MARKET_NOT_FOUND"
    INVALID_ORDER = "INVALID_ORDER"
    INSUFFICIENT_MARGIN = "INSUFFICIENT_MARGIN"
    DUPLICATE_CLIENT_ORDER_ID = "DUPLICATE_CLIENT_ORDER_ID"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    ORDER_NOT_OPEN = "ORDER_NOT_OPEN"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    RATE_LIMITED = "RATE_LIMITED"

    EMAIL_TAKEN = "EMAIL_TAKEN"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    UNAVAILABLE = "UNAVAILABLE"


STATUS: Final[Mapping[Code, int]] = {
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.MARKET_NOT_FOUND: 404,
    Code.INVALID_ORDER: 400,
    Code.INSUFFICIENT_MARGIN: 400,
    Code.DUPLICATE_CLIENT_ORDER_ID: 409,
    Code.ORDER_NOT_FOUND: 404,
    Code.ORDER_NOT_OPEN: 409,
    Code.INTERNAL_ERROR: 500,
    Code.RATE_LIMITED: 429,
    Code.EMAIL_TAKEN: 409,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.REQUEST_TIMEOUT: 408,
    Code.PAYLOAD_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.UNAVAILABLE: 503,
}

CODE_OF_FAULT: Final[Mapping[FaultKind, Code]] = {
    FaultKind.NOT_FOUND: Code.NOT_FOUND,
    FaultKind.METHOD_NOT_ALLOWED: Code.METHOD_NOT_ALLOWED,
    FaultKind.RATE_LIMITED: Code.RATE_LIMITED,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: Code.UNSUPPORTED_MEDIA_TYPE,
    FaultKind.BODY_TOO_LARGE: Code.PAYLOAD_TOO_LARGE,
    FaultKind.REQUEST_TIMEOUT: Code.REQUEST_TIMEOUT,
    FaultKind.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    FaultKind.FORBIDDEN: Code.FORBIDDEN,
    # The contract has one code for every body that cannot be read.
    FaultKind.MALFORMED: Code.INVALID_ORDER,
    FaultKind.INVALID: Code.INVALID_ORDER,
    FaultKind.UNAVAILABLE: Code.UNAVAILABLE,
    FaultKind.INTERNAL: Code.INTERNAL_ERROR,
}


class ErrorDetail(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What is wrong. `requestId` names the request in the venue's log, on faults of the venue."""

    code: Code
    message: str
    request_id: str = ""


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every error of Flux."""

    error: ErrorDetail


class FluxError(Refusal):
    """A refusal in Flux's words. `message` names the field, the rule and the nearest valid value."""

    def __init__(self, code: Code, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class Words(NamedTuple):
    """What Flux says for a reason: the code of a refused request, the `reason` shown on an order."""

    code: Code
    reason: str


def _invalid(reason: str) -> Words:
    return Words(Code.INVALID_ORDER, reason)


WORDS: Final[Mapping[Reason, Words]] = {
    Reason.NONE: _invalid(""),
    Reason.MALFORMED_COMMAND: _invalid("MALFORMED_ORDER"),
    Reason.ORDER_NOT_FOUND: Words(Code.ORDER_NOT_FOUND, "ORDER_NOT_FOUND"),
    # Another user's order is not told apart from one that does not exist.
    Reason.USER_MISMATCH: Words(Code.ORDER_NOT_FOUND, "USER_MISMATCH"),
    Reason.DUPLICATE_ORDER_ID: _invalid("DUPLICATE_ORDER_ID"),
    Reason.INVALID_QUANTITY: _invalid("INVALID_QUANTITY"),
    Reason.INVALID_BUDGET: _invalid("INVALID_BUDGET"),
    Reason.LIMIT_ORDER_MISSING_PRICE: _invalid("LIMIT_ORDER_MISSING_PRICE"),
    Reason.INVALID_PRICE: _invalid("INVALID_PRICE"),
    Reason.INVALID_TIME_IN_FORCE: _invalid("INVALID_TIME_IN_FORCE"),
    Reason.INVALID_EXPIRY: _invalid("INVALID_EXPIRY"),
    Reason.POST_ONLY_REQUIRES_LIMIT_ORDER: _invalid("POST_ONLY_REQUIRES_LIMIT_ORDER"),
    Reason.POST_ONLY_REQUIRES_GTC: _invalid("POST_ONLY_REQUIRES_GTC"),
    Reason.INVALID_DISPLAY_QUANTITY: _invalid("INVALID_DISPLAY_QUANTITY"),
    Reason.TOO_MANY_ICEBERG_PARTS: _invalid("TOO_MANY_ICEBERG_PARTS"),
    Reason.INVALID_TRIGGER: _invalid("INVALID_TRIGGER"),
    Reason.NO_TRIGGER_PRICE: _invalid("NO_TRIGGER_PRICE"),
    Reason.INVALID_OCO: _invalid("INVALID_OCO"),
    Reason.MARKET_PAUSED: _invalid("MARKET_PAUSED"),
    Reason.MARKET_SETTLEMENT_ONLY: _invalid("MARKET_SETTLEMENT_ONLY"),
    Reason.MARKET_CANCEL_ONLY: _invalid("MARKET_CANCEL_ONLY"),
    Reason.MARKET_IN_AUCTION: _invalid("MARKET_IN_AUCTION"),
    Reason.MARKET_POST_ONLY: _invalid("MARKET_POST_ONLY"),
    Reason.PRICE_OUTSIDE_BAND: _invalid("PRICE_OUTSIDE_BAND"),
    Reason.REDUCE_ONLY_WOULD_INCREASE: _invalid("REDUCE_ONLY_WOULD_INCREASE"),
    Reason.OPEN_ORDER_LIMIT: _invalid("OPEN_ORDER_LIMIT"),
    Reason.TRAILING_ORDER_LIMIT: _invalid("TRAILING_ORDER_LIMIT"),
    Reason.POSITION_LIMIT: _invalid("POSITION_LIMIT"),
    Reason.BOOK_FULL: _invalid("BOOK_FULL"),
    Reason.POST_ONLY_WOULD_TAKE: _invalid("POST_ONLY_WOULD_TAKE"),
    Reason.NOTHING_TO_REDUCE: _invalid("NOTHING_TO_REDUCE"),
    Reason.MARKET_NOT_SETTLING: _invalid("MARKET_NOT_SETTLING"),
    Reason.USER_REQUEST: Words(Code.ORDER_NOT_OPEN, "USER_REQUEST"),
    Reason.OPERATOR_REQUEST: Words(Code.ORDER_NOT_OPEN, "OPERATOR_REQUEST"),
    Reason.AMENDED_BELOW_FILLED: Words(Code.ORDER_NOT_OPEN, "AMENDED_BELOW_FILLED"),
    Reason.OCO_SIBLING: Words(Code.ORDER_NOT_OPEN, "OCO_SIBLING"),
    Reason.REDUCE_ONLY: Words(Code.ORDER_NOT_OPEN, "REDUCE_ONLY"),
    Reason.MARKET_SETTLEMENT: Words(Code.ORDER_NOT_OPEN, "MARKET_SETTLEMENT"),
    Reason.SELF_TRADE_PREVENTION: Words(Code.ORDER_NOT_OPEN, "SELF_TRADE_PREVENTION"),
    Reason.IOC_UNFILLED: Words(Code.ORDER_NOT_OPEN, "IOC_UNFILLED"),
    Reason.FOK_UNFILLED: Words(Code.ORDER_NOT_OPEN, "FOK_UNFILLED"),
    Reason.MARKET_LIQUIDITY_EXHAUSTED: Words(Code.ORDER_NOT_OPEN, "MARKET_LIQUIDITY_EXHAUSTED"),
    Reason.PROTECTION_PRICE: Words(Code.ORDER_NOT_OPEN, "PROTECTION_PRICE"),
    Reason.BUDGET_SPENT: Words(Code.ORDER_NOT_OPEN, "BUDGET_SPENT"),
    Reason.TIME_EXPIRED: Words(Code.ORDER_NOT_OPEN, "TIME_EXPIRED"),
}


def refusal_for(reason: Reason, message: str) -> FluxError:
    """The error of a request that the domain refuses with `reason`."""
    return FluxError(WORDS[reason].code, message)


def reason_word(reason: Reason) -> str | None:
    """What an order shows as its `reason`; None when there is nothing to say."""
    return WORDS[reason].reason or None


def detail_of(code: Code, message: str, request_id: str) -> ErrorDetail:
    """The error's body; a fault of the venue names the request instead of explaining itself."""
    if STATUS[code] < 500:
        return ErrorDetail(code, message)
    named = f"{message} (request {request_id})" if request_id else message
    return ErrorDetail(code, named, request_id)


def headers_of(code: Code, headers: tuple[Header, ...]) -> tuple[Header, ...]:
    """The reply's headers: a 401 says which credentials are wanted."""
    return (*headers, (b"www-authenticate", b"Bearer")) if code is Code.UNAUTHENTICATED else headers


class FluxErrors:
    """Flux's way of saying errors. `known` translates errors of the application; it may return None."""

    schema: object = ErrorBody
    media_type = JSON

    def __init__(self, known: Callable[[Exception], Refusal | None] = lambda error: None) -> None:
        self._known = known

    def status(self, kind: FaultKind) -> int:
        """The HTTP status of a fault."""
        return STATUS[CODE_OF_FAULT[kind]]

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        """The reply to a `Fault` or a `FluxError`. Raises TypeError for another dialect's refusal."""
        code, message, headers = _parts(refusal)
        body = ErrorBody(detail_of(code, message, request_id))
        return Reply(STATUS[code], body, headers_of(code, headers))

    def translate(self, error: Exception) -> Refusal | None:
        """The refusal that an application's error amounts to; None for an unexpected error."""
        return self._known(error)


def _parts(refusal: Refusal) -> tuple[Code, str, tuple[Header, ...]]:
    if isinstance(refusal, FluxError):
        wait = ((b"retry-after", b"%d" % refusal.retry_after_s),) if refusal.retry_after_s else ()
        return refusal.code, refusal.message, wait
    if isinstance(refusal, Fault):
        return CODE_OF_FAULT[refusal.kind], refusal.message, refusal.reply_headers()
    raise TypeError(f"Flux has no words for {type(refusal).__name__}")
