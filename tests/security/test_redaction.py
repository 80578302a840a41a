"""No secret gets into what is written down."""

from enum import Enum, IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security.redaction import HIDDEN, hide_in_text, is_secret_name, plain

SECRET = "hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "newPassword",
        "PASSWORD_HASH",
        "Authorization",
        "proxy-authorization",
        "token",
        "x-truex-auth-token",
        "x-truex-auth-signature",
        "jwt_secret",
        "clientSecret",
        "api_key",
        "X-API-Key",
        "privateKey",
        "Set-Cookie",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert plain({name: SECRET}) == {name: HIDDEN}
    assert plain({name: {"a": [SECRET]}}) == {name: HIDDEN}


@pytest.mark.parametrize("name", ["market", "user_id", "order_id", "clientOrderId", "key_id", "author", "pass", "host"])
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)
    assert plain({name: "x"}) == {name: "x"}


def test_whether_there_was_a_secret_may_be_known() -> None:
    assert plain({"password": None, "has_token": True}) == {"password": None, "has_token": True}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
        ("sent bearer abc, twice", "sent bearer ***, twice"),
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://u:hunter2@h/d?x=1", "postgresql://u:***@h/d?x=1"),
        ("http://127.0.0.1:8000/a@b", "http://127.0.0.1:8000/a@b"),
        ("GET /ws?token=hunter2&market=x", "GET /ws?token=***&market=x"),
        ('{"email":"a","password": "hun\\"ter2 x"}', '{"email":"a","password": ***}'),
        ("{'secret': 'hunter2', 'b': 1}", "{'secret': ***, 'b': 1}"),
        ('"{\\"password\\":\\"hunter2\\"}"', '"{\\"password\\":***}"'),
        ("Login(email='a', password='hunter2')", "Login(email='a', password=***)"),
        ("jwt eyJhbGciOi.eyJzdWIi.c2ln done", "jwt *** done"),
        ("signature=hunter2;x", "signature=***;x"),
        ("wrong password for a", "wrong password for a"),
        ("order 7 accepted", "order 7 accepted"),
    ],
)
def test_secrets_in_free_text(text: str, shown: str) -> None:
    assert hide_in_text(text) == shown
    assert hide_in_text(shown) == shown


@given(st.text(max_size=60), st.sampled_from(["password", "api_key", "jwt", "X-Signature"]), st.text(max_size=20))
def test_a_named_secret_never_stays(before: str, name: str, after: str) -> None:
    assert SECRET not in hide_in_text(f"{before} {name}={SECRET} {after}")


@pytest.mark.parametrize("piece", ["token", "eyJ-", "://:", "password=", "Bearer ", '"secret":"', "\\", "jwt.eyJa."])
def test_no_text_is_slow(piece: str) -> None:
    """Ten million steps would be seconds; a pattern that walks back over its input takes that here and hangs."""
    assert len(hide_in_text(piece * 20_000)) <= len(piece) * 20_000 + len(HIDDEN) * 20_000


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


def test_values_become_what_json_has() -> None:
    given_values = [Colour.RED, Number.ONE, {3}, (1,), 1.5, float("inf"), -(2**53), -(2**53) - 1, bytearray(b"ab")]
    expected = ["red", 1, [3], [1], 1.5, "inf", -(2**53), str(-(2**53) - 1), "<2 bytes>"]
    assert plain(given_values) == expected
    assert plain({Colour.RED: ValueError("password=x")}) == {"red": "password=***"}
