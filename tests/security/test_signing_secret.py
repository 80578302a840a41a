"""What a secret for signing tokens must be like."""

import base64
import secrets

import pytest

from crossbook.security.signing_secret import SHORTEST_SECRET_BYTES, weakness_of
from crossbook.system import random_for


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("", "shorter"),
        ("q9X2vB7nM4kL8jH3gF6dS1aZ5xC0wEr", "shorter"),
        ("My-Super-SECRET-4f7Kq02Lz9XcVb81MnPw", "words"),
        ("c.h.a.n.g.e.m.e-4f7Kq02Lz9XcVb81MnPw", "words"),
        ("4f7Kq02Lz9XcVb81MnPw-Test-4f7Kq02Lz9", "words"),
        ("abcabcaabbccabcabccbaabcbacbacbacbab", "few different"),
        ("4f7Kq02Lz9XcVb814f7Kq02Lz9XcVb81", "repeats"),
        ("zyxwvutsrqponmlkjihgfedcba987654", "counts"),
    ],
)
def test_weak_secrets(secret: str, reason: str) -> None:
    assert reason in weakness_of(secret)


def test_length_is_counted_in_bytes() -> None:
    assert "shorter" not in weakness_of("\u00e9\u00e0\u00fc\u00f1\u00f8\u00e5\u00e6\u0153" * 2)
    assert SHORTEST_SECRET_BYTES == 32


def test_random_secrets_are_strong() -> None:
    assert weakness_of(secrets.token_urlsafe(32)) == ""
    source = random_for(1, "secrets")
    for _ in range(5_000):
        raw = source.randbytes(32)
        for secret in (
            raw.hex(),
            raw[:16].hex(),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
        ):
            assert weakness_of(secret) == "", secret
