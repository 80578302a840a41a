"""Signatures of wallets: both formats, the published vectors, and every way of bending a signature."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_sub,
    crypto_scalarmult_ed25519_base_noclamp,
)

from crossbook.security.keccak import keccak_256
from crossbook.security.wallet_addresses import parse_address
from crossbook.security.wallet_keys import SecretKeyRefused, WalletKeys, public_key_of, sign_digest
from crossbook.security.wallet_signatures import (
    GROUP_ORDER,
    LONGEST_MESSAGE_BYTES,
    SignatureFormat,
    check_signature,
    digest_of,
    hash_to_scalar,
    is_scalar,
    reduced,
    verify_message,
)
from tests.security.vectors import REFERENCE, WALLETS, needs_reference, needs_wallets

KEYS = WalletKeys.of_seed(b"a wallet that signs")
MESSAGE = b"0b7f1f0e-5c1c-4c6a-9d0e-0a3a5b1c2d3e"
NEUTRAL = b"\x01" + bytes(31)
SMALL_ORDER = {
    "order 1": NEUTRAL,
    "order 2": b"\xec" + b"\xff" * 30 + b"\x7f",
    "order 4": bytes(32),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
}

# Made by the signer of this project: secret, message, format, address, signature.
OWN_VECTORS = [
    (
        "c7deea297db89a807996963499348e75cc47dd15b2cb64eb5679ec25a137b70d",
        "",
        SignatureFormat.LEGACY,
        "iTHNSP567x1GSRU1WRJ8veja9ZPvdEiMkBriVmt8gxN2eaqXcvHRo8fKPAkVstpz7n7Z46iD7GrMzFc5ZYDjsNb21RrvAVzBHW",
        "1b5b25c4eab102babfa1e44a2bcf009ab5281a650bfbc3788c659596f40b3602"
        "b8adaa965a6ad050621a85302be5f9169a6e0333423107c735b4851da7b06f02",
    ),
    (
        "3cdebd416453920639169b6c5f43d48191429be067d607f90b6399e73cef5b0a",
        "d81c4b3c-0f3a-4a4e-8b1c-6f0f2b7a9f10",
        SignatureFormat.LEGACY,
        "iTHNScUpj5aVEerpFPQhbPLi7Z6KPTQuH8jYzuaNaK767YVt5eS8jVBTyy2PreqYtW6Assw3Jh2eCGnnWj8FP9XA6owV4CcFs4",
        "cba217ec727999e855ddd1c34a3f9196f443db55c061cfd345f273a3f3808b0c"
        "9a31787e3f272f386ae252d006c4fd37762fce4bfc88af1c287512820bcbb40f",
    ),
    (
        "3cdebd416453920639169b6c5f43d48191429be067d607f90b6399e73cef5b0a",
        "d81c4b3c-0f3a-4a4e-8b1c-6f0f2b7a9f10",
        SignatureFormat.V2,
        "ZxCSuEN6b1hbcdNyWrEgUccc1KcFwyrS1B8HRATTcPLi65AgYvYbeHnEXT4FiKouSug1wpdiKaLUmJ4wU21hNE6U1exsq4z2w",
        "d72f2e77dfee48758647d121dcf9f81fbee8ac67db80d951ee8749a5968e9805"
        "56e531c47680554f5f6ca0693d130ccfe786fc672b8af2e10537f676611cf203",
    ),
    (
        "bff0806cf0a3b66b7f7ddb5a51d9ae733750600f0a9b665c90a145496175a70a",
        "čaj",
        SignatureFormat.V2,
        "ZxD218XsJ22dtDjo3TxN5fejY9vALaFMe4PtiCgPiAqv3YLxaWZPTPqWg5daFWzwv22166nVWUjr3bhxJeWD7mhC2Jabgyuyc",
        "ddcbd97cb01ed0a662be665cc2caa8275df0c3db0ed0f9b6c0cad0937a701700"
        "adc839a4ae2f57eef9d977764d2971c6b23135e23bcf2ec5f3c575f41b26fe08",
    ),
]

any_format = pytest.mark.parametrize("format", SignatureFormat)


def reference_lines(kind: str) -> list[list[str]]:
    if not REFERENCE.exists():
        return []
    lines = [line.split() for line in REFERENCE.read_text().splitlines()]
    return [line[1:] for line in lines if line and line[0] == kind]


def scalar(number: int) -> bytes:
    return number.to_bytes(32, "little")


# -- Vectors -----------------------------------------------------------------------------------------
@needs_reference
def test_the_reference_has_as_many_lines_as_are_tested() -> None:
    count = len(reference_lines("check_signature")) + len(reference_lines("generate_signature"))
    assert count == len(REFERENCE.read_text().split("\n")) - 1 == 26


@needs_reference
@pytest.mark.parametrize(("digest", "key", "signature", "valid"), reference_lines("check_signature"))
def test_the_reference_checks_signatures_as_we_do(digest: str, key: str, signature: str, valid: str) -> None:
    parts = bytes.fromhex(digest), bytes.fromhex(key), bytes.fromhex(signature)
    assert check_signature(*parts) is (valid == "true")


@needs_reference
@pytest.mark.parametrize(("digest", "key", "secret", "signature"), reference_lines("generate_signature"))
def test_the_reference_signs_as_we_do_with_the_same_nonce(digest: str, key: str, secret: str, signature: str) -> None:
    challenge, response = bytes.fromhex(signature)[:32], bytes.fromhex(signature)[32:]
    product = crypto_core_ed25519_scalar_mul(challenge, bytes.fromhex(secret))
    nonce = crypto_core_ed25519_scalar_add(response, product)
    assert public_key_of(bytes.fromhex(secret)).hex() == key
    assert sign_digest(bytes.fromhex(digest), bytes.fromhex(secret), nonce).hex() == signature
    assert check_signature(bytes.fromhex(digest), bytes.fromhex(key), bytes.fromhex(signature))


@needs_wallets
@pytest.mark.parametrize("number", range(12))
def test_the_signatures_of_real_wallets_are_valid_in_their_format_only(number: int) -> None:
    vector = json.loads(WALLETS.read_text())[number]
    message, key = bytes.fromhex(vector["message_hex"]), bytes.fromhex(vector["public_spend"])
    format = SignatureFormat(vector["format"])
    assert verify_message(message, key, vector["signature"]) is format
    other = next(other for other in SignatureFormat if other is not format)
    assert not check_signature(digest_of(message, other), key, bytes.fromhex(vector["signature"]))
    assert verify_message(message + b"x", key, vector["signature"]) is None
    ours = WalletKeys.of_secret(bytes.fromhex(vector["secret_spend"]))
    assert verify_message(message, key, ours.sign(message, format)) is format


@pytest.mark.parametrize(("secret", "message", "format", "address", "signature"), OWN_VECTORS)
def test_own_vectors(secret: str, message: str, format: SignatureFormat, address: str, signature: str) -> None:
    keys = WalletKeys.of_secret(bytes.fromhex(secret))
    assert keys.address(parse_address(address).tag.number).text == address
    assert keys.sign(message.encode(), format) == signature
    assert verify_message(message.encode(), parse_address(address).spend_key, signature) is format


# -- Properties --------------------------------------------------------------------------------------
@any_format
@given(seed=st.binary(max_size=40), message=st.binary(max_size=300))
def test_what_is_signed_is_verified(format: SignatureFormat, seed: bytes, message: bytes) -> None:
    keys = WalletKeys.of_seed(seed)
    assert verify_message(message, keys.spend_key, keys.sign(message, format)) is format


@any_format
@given(bit=st.integers(0, 511))
def test_one_flipped_bit_of_the_signature_fails(format: SignatureFormat, bit: int) -> None:
    signature = bytearray.fromhex(KEYS.sign(MESSAGE, format))
    signature[bit // 8] ^= 1 << bit % 8
    assert verify_message(MESSAGE, KEYS.spend_key, signature.hex()) is None


@any_format
@given(bit=st.integers(0, 8 * len(MESSAGE) - 1))
def test_one_flipped_bit_of_the_message_fails(format: SignatureFormat, bit: int) -> None:
    message = bytearray(MESSAGE)
    message[bit // 8] ^= 1 << bit % 8
    assert verify_message(bytes(message), KEYS.spend_key, KEYS.sign(MESSAGE, format)) is None


@given(bit=st.integers(0, 255))
def test_one_flipped_bit_of_the_key_fails(bit: int) -> None:
    key = bytearray(KEYS.spend_key)
    key[bit // 8] ^= 1 << bit % 8
    assert verify_message(MESSAGE, bytes(key), KEYS.sign(MESSAGE)) is None


@given(digest=st.binary(max_size=70), key=st.binary(max_size=70), signature=st.binary(max_size=130))
def test_no_bytes_are_more_than_refused(digest: bytes, key: bytes, signature: bytes) -> None:
    assert check_signature(digest, key, signature) is False
    assert check_signature(digest[:32].ljust(32), key[:32].ljust(32), signature[:64].ljust(64)) is False


@given(st.text(max_size=140))
def test_no_text_is_more_than_refused(signature: str) -> None:
    assert verify_message(MESSAGE, KEYS.spend_key, signature) is None


# -- Bending -----------------------------------------------------------------------------------------
def test_only_128_digits_are_a_signature() -> None:
    signature = KEYS.sign(MESSAGE)
    assert verify_message(MESSAGE, KEYS.spend_key, signature.upper()) is SignatureFormat.LEGACY
    spaced = f"{signature[:64]} {signature[64:]}"
    for bent in (signature[:-2], signature + "00", spaced, "0x" + signature[2:], f" {signature}", signature + "\n"):
        assert verify_message(MESSAGE, KEYS.spend_key, bent) is None


def test_a_message_that_is_too_long_is_not_hashed() -> None:
    message = bytes(LONGEST_MESSAGE_BYTES)
    assert verify_message(message, KEYS.spend_key, KEYS.sign(message)) is SignatureFormat.LEGACY
    assert verify_message(message + b"x", KEYS.spend_key, KEYS.sign(message + b"x")) is None


@pytest.mark.parametrize("half", [0, 32], ids=["c", "r"])
def test_a_second_text_of_the_same_scalar_is_refused(half: int) -> None:
    """c + L and r + L are the same scalars, and would let anybody make a second valid signature."""
    signature = bytearray.fromhex(KEYS.sign(MESSAGE))
    number = int.from_bytes(signature[half : half + 32], "little")
    signature[half : half + 32] = scalar(number + GROUP_ORDER)
    assert check_signature(digest_of(MESSAGE, SignatureFormat.LEGACY), KEYS.spend_key, bytes(signature)) is False


@pytest.mark.parametrize("number", [0, GROUP_ORDER, GROUP_ORDER + 1, 2**256 - 1])
def test_scalars_out_of_range(number: int) -> None:
    assert not is_scalar(scalar(number))
    signature = bytes.fromhex(KEYS.sign(MESSAGE))
    digest = digest_of(MESSAGE, SignatureFormat.LEGACY)
    assert check_signature(digest, KEYS.spend_key, scalar(number) + signature[32:]) is False
    assert check_signature(digest, KEYS.spend_key, signature[:32] + scalar(number)) is False


def test_the_ends_of_the_range_are_scalars() -> None:
    assert is_scalar(scalar(1))
    assert is_scalar(scalar(GROUP_ORDER - 1))
    assert reduced(scalar(GROUP_ORDER)) == bytes(32)


@pytest.mark.parametrize("point", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_keys_of_small_order_sign_nothing(point: bytes) -> None:
    """For such a key c·P is neutral for every eighth c: anybody could sign with it."""
    digest, response = keccak_256(b"anything"), scalar(12345)
    commitment = crypto_scalarmult_ed25519_base_noclamp(response)
    challenge = hash_to_scalar(digest + point + commitment)
    assert check_signature(digest, point, challenge + response) is False


@pytest.mark.parametrize("order", ["order 2", "order 4", "order 8"])
def test_keys_of_mixed_order_sign_nothing(order: str) -> None:
    """A signature that the equation accepts, since c is a multiple of 8, for a second key of the same secret."""
    key = crypto_core_ed25519_add(KEYS.spend_key, SMALL_ORDER[order])
    digest = keccak_256(b"anything")
    for number in range(1, 1000):
        nonce = scalar(number)
        commitment = crypto_scalarmult_ed25519_base_noclamp(nonce)
        challenge = hash_to_scalar(digest + key + commitment)
        if challenge[0] % 8 == 0:
            break
    else:
        pytest.fail("no nonce was found")
    product = crypto_core_ed25519_scalar_mul(challenge, KEYS.spend_secret)
    response = crypto_core_ed25519_scalar_sub(nonce, product)
    assert check_signature(digest, key, challenge + response) is False


def test_a_neutral_commitment_is_refused() -> None:
    """c·P + r·G is neutral for r = -c·x: whoever knows x could find c for it."""
    digest = keccak_256(b"anything")
    challenge = hash_to_scalar(digest + KEYS.spend_key + NEUTRAL)
    product = crypto_core_ed25519_scalar_mul(challenge, KEYS.spend_secret)
    response = crypto_core_ed25519_scalar_sub(bytes(32), product)
    assert check_signature(digest, KEYS.spend_key, challenge + response) is False


# -- Keys --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(32), scalar(GROUP_ORDER), b"\xff" * 32, bytes(33)])
def test_what_is_no_secret_key_is_refused(secret: bytes) -> None:
    with pytest.raises(SecretKeyRefused):
        WalletKeys.of_secret(secret)


def test_secrets_are_not_shown() -> None:
    assert KEYS.spend_secret.hex() not in repr(KEYS)
    assert repr(KEYS.spend_secret) not in repr(KEYS)
    assert repr(KEYS.view_secret) not in repr(KEYS)


def test_no_two_digests_share_a_nonce() -> None:
    """Two signatures with one nonce would give the secret away: k = r + c·x."""
    nonces = set()
    for message in (MESSAGE, MESSAGE + b"x"):
        for format in SignatureFormat:
            signature = bytes.fromhex(KEYS.sign(message, format))
            product = crypto_core_ed25519_scalar_mul(signature[:32], KEYS.spend_secret)
            nonces.add(crypto_core_ed25519_scalar_add(signature[32:], product))
    assert len(nonces) == 4
