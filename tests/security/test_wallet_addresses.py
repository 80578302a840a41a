"""Addresses of wallets: every tag, read and written; whatever is changed in one is refused."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossbook.security import cn_base58
from crossbook.security.keccak import keccak_256
from crossbook.security.wallet_addresses import (
    ALL_TAGS,
    LETHEAN_TAGS,
    LONGEST_ADDRESS,
    LONGEST_PAYMENT_ID_BYTES,
    TAGS,
    ZANO_TAGS,
    AddressRefused,
    AddressTag,
    WalletAddress,
    address_of_keys,
    parse_address,
)
from crossbook.security.wallet_keys import WalletKeys
from tests.security.vectors import WALLETS, needs_wallets

KEYS = WalletKeys.of_seed(b"a wallet for addresses")
ORDINARY = KEYS.address().text
EIGHTH_ORDER_POINT = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")

every_tag = pytest.mark.parametrize("tag", TAGS.values(), ids=lambda tag: f"{tag.number:#x}")


def of(tag: AddressTag, keys: WalletKeys = KEYS, payment_id: bytes = b"12345678") -> WalletAddress:
    flags = int(tag.auditable) if tag.flagged else None
    return WalletAddress(tag, keys.spend_key, keys.view_key, flags, payment_id if tag.integrated else b"")


def sealed(data: bytes) -> str:
    """`data` as an address whose checksum is right."""
    return cn_base58.encode(data + keccak_256(data)[:4])


def data_of(text: str) -> bytes:
    """What stands in an address before its checksum."""
    return cn_base58.decode(text)[:-4]


@every_tag
def test_every_tag_is_read_as_it_was_written(tag: AddressTag) -> None:
    address = of(tag)
    assert address.text.startswith(tag.prefix)
    assert parse_address(address.text) == address


@every_tag
@given(st.binary(min_size=1, max_size=40), st.binary(min_size=1, max_size=LONGEST_PAYMENT_ID_BYTES))
def test_prefixes_and_parts_hold_for_all_wallets(tag: AddressTag, seed: bytes, payment_id: bytes) -> None:
    address = of(tag, WalletKeys.of_seed(seed), payment_id)
    assert address.text.startswith(tag.prefix)
    assert len(address.text) <= LONGEST_ADDRESS
    assert parse_address(address.text) == address


@needs_wallets
def test_the_published_addresses_are_those_of_their_keys() -> None:
    vectors = json.loads(WALLETS.read_text())
    assert len(vectors) == 12
    for vector in vectors:
        keys = WalletKeys.of_secret(bytes.fromhex(vector["secret_spend"]))
        for number, text in ((0x1EAF7, vector["lethean_address"]), (0xC5, vector["zano_address"])):
            assert keys.address(number).text == text
            assert parse_address(text).spend_key.hex() == vector["public_spend"]
            assert parse_address(text).view_key.hex() == vector["public_view"]


def test_addresses_of_one_wallet_have_one_plain_address() -> None:
    tags = {number: tag for number, tag in TAGS.items() if tag.chain == "lethean" and not tag.auditable}
    assert {of(tag).plain.text for tag in tags.values()} == {ORDINARY}
    with_flags = replace(KEYS.address(0xC5), flags=0)
    assert parse_address(with_flags.text) == with_flags
    assert with_flags.plain == KEYS.address(0xC5)
    assert of(TAGS[0x36F8]).plain == of(TAGS[0x3678]).plain == KEYS.address(0xC5)
    assert of(TAGS[0x8A49]).plain == KEYS.address(0x98C8)


@every_tag
def test_a_tag_that_is_not_accepted_is_refused(tag: AddressTag) -> None:
    with pytest.raises(AddressRefused, match="not of a chain or kind"):
        parse_address(of(tag).text, ALL_TAGS - {tag.number})
    assert parse_address(of(tag).text, {tag.number}) == of(tag)


def test_the_chains_share_all_tags() -> None:
    assert LETHEAN_TAGS | ZANO_TAGS == ALL_TAGS == frozenset(TAGS)
    assert (len(LETHEAN_TAGS), len(ZANO_TAGS)) == (4, 5)


@given(st.integers(0, len(ORDINARY) - 1), st.sampled_from(cn_base58.ALPHABET))
def test_one_wrong_character_is_found(place: int, character: str) -> None:
    changed = ORDINARY[:place] + character + ORDINARY[place + 1 :]
    if changed == ORDINARY:
        return
    with pytest.raises(AddressRefused):
        parse_address(changed)


@given(st.text(max_size=200))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(AddressRefused):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1 to"),
        ("i" * (LONGEST_ADDRESS + 1), "1 to"),
        (ORDINARY[:-1], "base58|checksum"),
        (ORDINARY + "1", "base58|checksum"),
        (" " + ORDINARY, "base58"),
        (sealed(b""), "checksum"),
        (sealed(b"\x80"), "begin with a tag"),
        (sealed(b"\x80\x80\x80\x80\x80\x01"), "begin with a tag"),
        (sealed(b"\xf7\xd5\x87\x00" + data_of(ORDINARY)[3:]), "begin with a tag"),
        (sealed(b"\x12" + data_of(ORDINARY)[3:]), "chain or kind"),
        (sealed(data_of(ORDINARY)[:-1]), "length"),
        (sealed(data_of(ORDINARY) + b"\x00\x01"), "length"),
        (sealed(data_of(ORDINARY) + b"\x01"), "flags"),
        (of(TAGS[0xDEAF7], payment_id=b"").text, "length"),
        (of(TAGS[0xDEAF7], payment_id=b"p" * 129).text, "length"),
        (of(TAGS[0x8B077], payment_id=b"").text, "length"),
        (sealed(data_of(of(TAGS[0x3CEFF7]).text)[:-1]), "length"),
        (sealed(data_of(of(TAGS[0x3CEFF7]).text)[:-1] + b"\x00"), "flags"),
        (sealed(data_of(of(TAGS[0x36F8]).text)[:66] + b"\x01" + b"12345678"), "flags"),
    ],
)
def test_what_is_not_an_address_is_refused(text: str, why: str) -> None:
    with pytest.raises(AddressRefused, match=why):
        parse_address(text)


@pytest.mark.parametrize(
    "key",
    [b"\x01" + bytes(31), bytes(32), b"\xff" * 32, EIGHTH_ORDER_POINT, b"\xec" + b"\xff" * 30 + b"\x7f"],
    ids=["neutral", "order 4", "not canonical", "order 8", "order 2"],
)
@pytest.mark.parametrize("which", ["spend", "view"])
def test_keys_that_are_no_points_of_prime_order_are_refused(key: bytes, which: str) -> None:
    keys = (key, KEYS.view_key) if which == "spend" else (KEYS.spend_key, key)
    with pytest.raises(AddressRefused, match="prime order"):
        parse_address(address_of_keys(*keys).text)


@pytest.mark.parametrize("number", [0xDEAF7, 0x36F8, 1])
def test_an_address_of_keys_alone_has_no_payment_id(number: int) -> None:
    with pytest.raises(AddressRefused, match="payment id"):
        KEYS.address(number)
