"""Flux's words for everything that can be wrong."""

import msgspec
import pytest

from crossbook.dialects.flux.errors import (
    CODE_OF_FAULT,
    STATUS,
    WORDS,
    Code,
    FluxError,
    FluxErrors,
    reason_word,
    refusal_for,
)
from crossbook.dialects.refusals import Fault, FaultKind, Refusal
from crossbook.domain.errors import Reason

ERRORS = FluxErrors()

# From the contract page, word for word.
CONTRACT_CODES = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "MARKET_NOT_FOUND": 404,
    "INVALID_ORDER": 400,
    "INSUFFICIENT_MARGIN": 400,
    "DUPLICATE_CLIENT_ORDER_ID": 409,
    "ORDER_NOT_FOUND": 404,
    "ORDER_NOT_OPEN": 409,
    "INTERNAL_ERROR": 500,
    "RATE_LIMITED": 429,
}
CONTRACT_REASONS = [
    "INVALID_QUANTITY", "INVALID_PRICE", "LIMIT_ORDER_MISSING_PRICE", "POST_ONLY_REQUIRES_LIMIT_ORDER",
    "POST_ONLY_REQUIRES_GTC", "DUPLICATE_ORDER_ID", "POST_ONLY_WOULD_TAKE", "ORDER_NOT_FOUND", "USER_MISMATCH",
    "SELF_TRADE_PREVENTION", "MARKET_LIQUIDITY_EXHAUSTED", "IOC_UNFILLED",
]  # fmt: skip
WIRE_STATUS = {
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


def test_every_code_has_a_status_and_the_contracts_codes_have_theirs() -> None:
    assert set(STATUS) == set(Code)
    assert {code.value: status for code, status in STATUS.items() if code.value in CONTRACT_CODES} == CONTRACT_CODES


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_code_and_a_word(reason: Reason) -> None:
    words = WORDS[reason]
    assert words.code in STATUS
    assert bool(words.reason) == (reason is not Reason.NONE)


def test_no_two_reasons_share_a_word_and_no_word_is_without_a_reason() -> None:
    assert set(WORDS) == set(Reason)
    assert len({words.reason for words in WORDS.values()}) == len(WORDS)


@pytest.mark.parametrize("word", CONTRACT_REASONS)
def test_the_contracts_reasons_are_spoken(word: str) -> None:
    assert word in {words.reason for words in WORDS.values()}


def test_an_order_without_a_reason_shows_none() -> None:
    assert reason_word(Reason.NONE) is None
    assert reason_word(Reason.IOC_UNFILLED) == "IOC_UNFILLED"


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_of_the_framework_has_flux_form(kind: FaultKind) -> None:
    reply = ERRORS.reply(Fault(kind, "words", retry_after_s=3, headers=((b"allow", b"GET"),)), "id-1")
    body = msgspec.json.decode(msgspec.json.encode(reply.body))
    assert (reply.status, ERRORS.status(kind)) == (WIRE_STATUS[kind], WIRE_STATUS[kind])
    assert list(body) == ["error"]
    assert list(body["error"])[:2] == ["code", "message"]
    assert body["error"]["code"] == CODE_OF_FAULT[kind].value
    assert {(b"allow", b"GET"), (b"retry-after", b"3")} <= set(reply.headers)


def test_an_error_of_the_client_has_code_and_message_and_no_more() -> None:
    reply = ERRORS.reply(FluxError(Code.INSUFFICIENT_MARGIN, "Available margin is below required margin"), "id-1")
    assert msgspec.json.encode(reply.body) == (
        b'{"error":{"code":"INSUFFICIENT_MARGIN","message":"Available margin is below required margin"}}'
    )


def test_a_fault_of_the_venue_names_the_request() -> None:
    reply = ERRORS.reply(Fault(FaultKind.INTERNAL, "an unexpected fault of the venue"), "id-7")
    assert reply.status == 500
    assert msgspec.json.decode(msgspec.json.encode(reply.body))["error"] == {
        "code": "INTERNAL_ERROR",
        "message": "an unexpected fault of the venue (request id-7)",
        "requestId": "id-7",
    }


def test_missing_credentials_say_which_are_wanted() -> None:
    reply = ERRORS.reply(FluxError(Code.UNAUTHENTICATED, "no token"), "")
    assert (b"www-authenticate", b"Bearer") in reply.headers


def test_a_busy_venue_says_when_to_come_back() -> None:
    reply = ERRORS.reply(FluxError(Code.UNAVAILABLE, "starting", retry_after_s=2), "")
    assert (reply.status, reply.headers) == (503, ((b"retry-after", b"2"),))


def test_the_applications_errors_are_translated_by_what_is_given() -> None:
    def known(error: Exception) -> Refusal | None:
        return refusal_for(Reason.POST_ONLY_WOULD_TAKE, "would take") if isinstance(error, LookupError) else None

    found = FluxErrors(known).translate(KeyError("x"))
    assert isinstance(found, FluxError)
    assert (found.code, found.message) == (Code.INVALID_ORDER, "would take")
    assert FluxErrors(known).translate(ValueError("x")) is None
    assert ERRORS.translate(KeyError("x")) is None


def test_another_dialects_refusal_has_no_words_here() -> None:
    with pytest.raises(TypeError, match="no words for Refusal"):
        ERRORS.reply(Refusal("x"), "")
