"""Sealed secrets open for their own context and keys only."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security.sealing import Sealer, SealError, key_name, new_sealing_key, sealing_key

OLD, NEW = b"o" * 32, b"n" * 32


@given(secret=st.text(max_size=80), context=st.text(max_size=40))
def test_what_was_sealed_opens_again(secret: str, context: str) -> None:
    sealer = Sealer([NEW])
    assert sealer.open(sealer.seal(secret, context), context) == secret


def test_it_is_bound_to_its_context() -> None:
    sealer = Sealer([NEW])
    with pytest.raises(SealError, match="belongs elsewhere"):
        sealer.open(sealer.seal("secret", "row 1"), "row 2")


def test_two_seals_of_one_secret_differ_and_hold_nothing_of_it() -> None:
    sealer = Sealer([NEW])
    first, second = sealer.seal("secret", "row"), sealer.seal("secret", "row")
    assert first != second
    assert b"secret" not in base64.b64decode(first.partition(".")[2])


@pytest.mark.parametrize("place", [0, 20, 40, -1])
def test_a_changed_seal_does_not_open(place: int) -> None:
    sealer = Sealer([NEW])
    name, _, text = sealer.seal("secret", "row").partition(".")
    data = bytearray(base64.b64decode(text))
    data[place] ^= 1
    with pytest.raises(SealError):
        sealer.open(f"{name}.{base64.b64encode(data).decode()}", "row")


@pytest.mark.parametrize("text", ["", ".", "x", "x.y", "é.é"])
def test_nonsense_does_not_open(text: str) -> None:
    with pytest.raises(SealError):
        Sealer([NEW]).open(text, "row")


def test_a_key_is_rotated_by_putting_a_new_one_first() -> None:
    sealed = Sealer([OLD]).seal("secret", "row")
    both = Sealer([NEW, OLD])
    assert both.open(sealed, "row") == "secret"
    assert key_name(sealed) == Sealer([OLD]).current != both.current
    again = both.seal("secret", "row")
    assert key_name(again) == both.current
    assert Sealer([NEW]).open(again, "row") == "secret"
    with pytest.raises(SealError, match="not among those given"):
        Sealer([NEW]).open(sealed, "row")


def test_a_new_key_is_read_back() -> None:
    assert len(sealing_key(new_sealing_key())) == 32
    assert new_sealing_key() != new_sealing_key()
    assert sealing_key(base64.urlsafe_b64encode(b"\xff" * 32).decode()) == b"\xff" * 32


@pytest.mark.parametrize("text", ["", "short", "!" * 44, base64.b64encode(b"x" * 31).decode()])
def test_a_bad_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError, match="sealing key") as refused:
        sealing_key(text)
    assert not text or text not in str(refused.value)


def test_a_sealer_needs_a_key() -> None:
    with pytest.raises(ValueError, match="needs a key"):
        Sealer([])
