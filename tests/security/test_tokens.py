"""Tokens: ours, unchanged, in time; everything else is refused, each with its own error."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security.tokens import (
    LONGEST_TOKEN,
    Claims,
    TokenError,
    TokenExpired,
    TokenForged,
    TokenMalformed,
    TokenMisdirected,
    Tokens,
)
from crossbook.system import ManualClock

SECRET = "q9X2vB7nM4kL8jH3gF6dS1aZ5xC0wErTyU"
NOW_MS = 1_767_225_600_789
NOW_S = NOW_MS // 1000


def made(clock: ManualClock | None = None, **changed: Any) -> Tokens:
    return Tokens(clock or ManualClock(NOW_MS), **{"secret": SECRET, "expiry_s": 60, **changed})


def payload(**changed: object) -> dict[str, object]:
    usual: dict[str, object] = {
        "iss": "crossbook",
        "aud": "crossbook",
        "sub": "7",
        "jti": "s1",
        "iat": NOW_S,
        "exp": NOW_S + 60,
    }
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: object, header: object = None, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token made by hand: no library stands between a test and what it wants to say."""
    body = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    signature = hmac.new(secret.encode(), body.encode(), digest).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def test_what_is_issued_can_be_read() -> None:
    tokens = made()
    issued = tokens.issue(2**61, frozenset({"admin", "funds"}), "session-1")
    assert tokens.read(issued.text) == issued.claims
    assert issued.claims == Claims(
        user_id=2**61,
        token_id="session-1",
        scopes=frozenset({"admin", "funds"}),
        issued_at_ms=NOW_S * 1000,
        expires_at_ms=(NOW_S + 60) * 1000,
    )


def test_a_token_by_hand_is_the_same_as_an_issued_one() -> None:
    assert jwt.get_unverified_header(made().issue(7).text) == {"alg": "HS256", "typ": "JWT"}
    claims = made().read(signed(payload(scope="a b")))
    assert (claims.user_id, claims.token_id, claims.scopes) == (7, "s1", frozenset({"a", "b"}))
    assert made().read(signed(payload())).scopes == frozenset()


def test_every_token_has_an_id_of_its_own_unless_one_is_given() -> None:
    tokens = made()
    ids = {tokens.issue(7).claims.token_id for _ in range(50)}
    assert len(ids) == 50
    assert all(len(id_) >= 22 for id_ in ids)


def test_time_is_the_clock_s_and_is_looked_at_every_time() -> None:
    clock = ManualClock(NOW_MS)
    tokens = made(clock)
    issued = tokens.issue(7)
    clock.set_now(issued.claims.expires_at_ms - 1)
    assert tokens.read(issued.text) == issued.claims
    clock.advance(1)
    with pytest.raises(TokenExpired):
        tokens.read(issued.text)
    with pytest.raises(TokenExpired):
        made(clock).read(issued.text)


def test_the_machine_s_clock_plays_no_part() -> None:
    clock = ManualClock(0)
    tokens = made(clock)
    assert tokens.read(tokens.issue(7).text).user_id == 7
    clock.set_now(4_000_000_000_000)
    assert tokens.read(tokens.issue(8).text).user_id == 8


FORGED = {
    "another key": signed(payload(), secret=SECRET[::-1]),
    "no algorithm": signed(payload(), {"alg": "none"}),
    "no signature": f"{part({'alg': 'none'})}.{part(payload())}.",
    "another hash": signed(payload(), {"alg": "HS512"}, digest="sha512"),
    "a public key's algorithm": signed(payload(), {"alg": "RS256"}),
    "algorithm in small letters": signed(payload(), {"alg": "hs256"}),
    "changed": ".".join([*signed(payload()).split(".")[:1], part(payload(sub="8")), signed(payload()).split(".")[2]]),
    "cut signature": signed(payload())[:-8],
    "expired and forged": signed(payload(exp=1), secret=SECRET[::-1]),
}


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED.keys())
def test_forged_tokens(text: str) -> None:
    with pytest.raises(TokenForged):
        made().read(text)


@pytest.mark.parametrize("changed", [{"iss": "other"}, {"aud": "other"}, {"aud": ["other"]}])
def test_tokens_for_somebody_else(changed: dict[str, object]) -> None:
    with pytest.raises(TokenMisdirected):
        made().read(signed(payload(**changed)))


def test_issuer_and_audience_are_this_venue_s_own() -> None:
    text = made(issuer="venue-1", audience="venue-1").issue(7).text
    assert made(issuer="venue-1", audience="venue-1").read(text).user_id == 7
    with pytest.raises(TokenMisdirected):
        made(issuer="venue-2", audience="venue-1").read(text)
    with pytest.raises(TokenMisdirected):
        made(issuer="venue-1", audience="venue-2").read(text)


MALFORMED: dict[str, str] = {
    "empty": "",
    "a word": "token",
    "two parts": "a.b",
    "not base64": "a!.b!.c!",
    "not ASCII": "\u00e9.\u00e9.\u00e9",
    "not Unicode": "\ud800.b.c",
    "too long": "a" * (LONGEST_TOKEN + 1),
    "header is a list": f"{part([1])}.{part(payload())}.c2ln",
    "payload is a list": signed([1]),
    **{f"without {name}": signed(payload(**{name: None})) for name in ("sub", "jti", "iat", "exp", "iss", "aud")},
    **{f"subject {value!r}": signed(payload(sub=value)) for value in (7, "", "-7", "alice", "7.0", "\u0667", ["7"])},
    **{f"id {value!r}": signed(payload(jti=value)) for value in (7, "", ["s1"])},
    **{f"expiry {value!r}": signed(payload(exp=value)) for value in ("soon", "99999999999", 1e12, True, [1])},
    **{f"issued {value!r}": signed(payload(iat=value)) for value in ("now", 1.5, False)},
    "scope is a list": signed(payload(scope=["admin"])),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_tokens(text: str) -> None:
    with pytest.raises(TokenMalformed):
        made().read(text)


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_no_text_opens_anything_or_breaks_it(text: str) -> None:
    with pytest.raises(TokenError):
        made().read(text)


@given(st.integers(0, 500), st.integers(0, 63))
def test_one_changed_character_is_enough(place: int, other: int) -> None:
    text = made().issue(7, frozenset({"admin"}), "s1").text
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place %= len(text)
    changed = text[:place] + alphabet[other] + text[place + 1 :]
    # The last character has two bits that say nothing.
    if changed[:-1] != text[:-1]:
        with pytest.raises(TokenError):
            made().read(changed)


def test_no_error_repeats_the_token() -> None:
    for text in (*FORGED.values(), *(text for text in MALFORMED.values() if len(text) > 5)):
        with pytest.raises(TokenError) as caught:
            made().read(text)
        assert text not in str(caught.value)


def test_an_issued_token_does_not_show_itself() -> None:
    issued = made().issue(7)
    assert issued.text not in repr(issued)


def test_what_makes_no_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        made(secret=SECRET[:31])
    with pytest.raises(ValueError, match="one second"):
        made(expiry_s=0)
    for scope in ("", "a b"):
        with pytest.raises(ValueError, match="one word"):
            made().issue(7, frozenset({scope}))
