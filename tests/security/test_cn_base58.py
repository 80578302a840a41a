"""CryptoNote's base58: every text stands for one value, every other text is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security.cn_base58 import ALPHABET, Base58Refused, decode, encode


@given(st.binary(max_size=100))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    assert decode(encode(data)) == data


@given(st.text(ALPHABET, max_size=40))
def test_a_text_that_is_decoded_is_the_only_one_of_its_bytes(text: str) -> None:
    try:
        data = decode(text)
    except Base58Refused:
        return
    assert encode(data) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", ""),
        ("00", "11"),
        ("39", "1z"),
        ("ff", "5Q"),
        ("ffff", "LUv"),
        ("0000000000000000", "11111111111"),
        ("ffffffffffffffff", "jpXCZedGfVQ"),
        ("ffffffffffffffffff", "jpXCZedGfVQ5Q"),
    ],
)
def test_known_texts(data: str, text: str) -> None:
    assert encode(bytes.fromhex(data)) == text
    assert decode(text) == bytes.fromhex(data)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1", "1 characters"),
        ("1111", "4 characters"),
        ("11111111", "8 characters"),
        ("111111111111", "1 characters"),
        ("10", "no character"),
        ("1é", "no character"),
        ("5R", "more than"),
        ("LUw", "more than"),
        ("jpXCZedGfVR", "more than"),
        ("zzzzzzzzzzz", "more than"),
    ],
)
def test_what_no_bytes_have_as_their_text_is_refused(text: str, why: str) -> None:
    with pytest.raises(Base58Refused, match=why):
        decode(text)
