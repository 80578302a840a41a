"""Lethean's way of saying errors: `{"success": false, "data": "<message>"}`.

`data` holds the message that clients know; `detail`, where there is one, names the field, the rule and the nearest
valid value.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from crossbook.application.chain import ChainError
from crossbook.application.errors import (
    InvalidLogin,
    InvalidOrder,
    OutcomeUnknown,
    Overloaded,
    PairNotFound,
    TooManyOffers,
)
from crossbook.application.swap_registry import CurrencyNotFound
from crossbook.dialects.call import JSON, Header, Reply
from crossbook.dialects.refusals import Fault, FaultKind, Refusal
from crossbook.domain.money import InvalidValue
from crossbook.domain.swaps import NoneOwned, NotParticipant, OfferUnusable, SwapNotFound, SwapNotPending

UNAUTHORIZED: Final = "Unauthorized (JWT)"
INVALID_AUTH: Final = "Invalid auth data"
INVALID_ORDER: Final = "Invalid order data"
INVALID_PAIR: Final = "Invalid pair data"
PAIR_NOT_FOUND: Final = "Pair not found"
RETRY_AFTER_S: Final = 1

STATUS: Final[Mapping[FaultKind, int]] = {
    FaultKind.NOT_FOUND: 404,
    FaultKind.METHOD_NOT_ALLOWED: 405,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.UNSUPPORTED_MEDIA_TYPE: 415,
    FaultKind.BODY_TOO_LARGE: 413,
    FaultKind.REQUEST_TIMEOUT: 408,
    FaultKind.UNAUTHENTICATED: 401,
    FaultKind.FORBIDDEN: 403,
    FaultKind.MALFORMED: 400,
    FaultKind.INVALID: 400,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.INTERNAL: 500,
}

_MESSAGES: Final[Mapping[type[Exception], str]] = {
    OfferUnusable: INVALID_ORDER,
    TooManyOffers: INVALID_ORDER,
    PairNotFound: INVALID_PAIR,
    InvalidLogin: INVALID_AUTH,
    SwapNotFound: "Transaction doesn't exist.",
    NotParticipant: "You are not a participant of this transaction",
    SwapNotPending: "Transaction is not pending",
    NoneOwned: "None of the orders belong to this user",
}


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error."""

    success: bool
    data: str
    detail: str = ""


class LetheanError(Refusal):
    """A refusal in Lethean's words."""

    def __init__(self, status: int, message: str, detail: str = "", *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.detail = detail
        self.retry_after_s = retry_after_s


def invalid_login(fault: Fault) -> LetheanError:
    """What a login says whose fields are missing or wrong."""
    return LetheanError(400, INVALID_AUTH, fault.message)


class LetheanErrors:
    """The error form of the dialect. `unavailable` are errors that pass, besides the application's own."""

    schema: object = Failure
    media_type = JSON

    def __init__(self, unavailable: tuple[type[Exception], ...] = ()) -> None:
        self._unavailable = (*unavailable, Overloaded, OutcomeUnknown, ChainError)

    def status(self, kind: FaultKind) -> int:
        """The HTTP status of a fault."""
        return STATUS[kind]

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        """The reply to a `Fault` or a `LetheanError`. Raises TypeError for another dialect's refusal."""
        if isinstance(refusal, LetheanError):
            headers: tuple[Header, ...] = ()
            if refusal.retry_after_s:
                headers = ((b"retry-after", b"%d" % refusal.retry_after_s),)
            return Reply(refusal.status, Failure(False, refusal.message, refusal.detail), headers)
        if not isinstance(refusal, Fault):
            raise TypeError(f"Lethean has no words for {type(refusal).__name__}")
        if refusal.kind is FaultKind.UNAUTHENTICATED:
            return Reply(STATUS[refusal.kind], Failure(False, UNAUTHORIZED), refusal.reply_headers())
        message = refusal.message
        if STATUS[refusal.kind] >= 500 and request_id:
            message = f"{message} (request {request_id})"
        return Reply(STATUS[refusal.kind], Failure(False, message), refusal.reply_headers())

    def translate(self, error: Exception) -> Refusal | None:
        """The refusal that an application's error amounts to; None for an unexpected error."""
        message = _MESSAGES.get(type(error))
        if message is not None:
            return LetheanError(400, message, str(error))
        if isinstance(error, InvalidValue | InvalidOrder):
            return LetheanError(400, str(error))
        if isinstance(error, CurrencyNotFound):
            return LetheanError(404, "Currency not found", str(error))
        if isinstance(error, self._unavailable):
            text = "the venue cannot answer now; whether it was done is unknown, look before you try again"
            return LetheanError(503, text, retry_after_s=RETRY_AFTER_S)
        return None


Translate = Callable[[Exception], Refusal | None]
