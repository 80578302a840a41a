"""Signatures of Lethean and Zano wallets: Schnorr signatures on ed25519, as CryptoNote defines them.

A signature is c and r, 32 bytes each, little endian. With e the digest of the message, P the public spend
key and Hs = Keccak-256 reduced mod L, it is valid when c = Hs(e, P, c·P + r·G). There is one text of each
valid signature: scalars of L and above, zero, and points outside the group of prime order are refused.
All arithmetic is libsodium's.
"""

import hmac
import re
from enum import Enum
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_reduce,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from nacl.exceptions import RuntimeError as SodiumError

from crossbook.security.keccak import HASH_BYTES, keccak_256

SCALAR_BYTES: Final = 32
KEY_BYTES: Final = 32
SIGNATURE_DIGITS: Final = 4 * SCALAR_BYTES
LONGEST_MESSAGE_BYTES: Final = 4_096
"""What a login may ask to have hashed; a message of wallets is an id of a few dozen characters."""
GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the group (RFC 8032, 5.1)."""
_NEUTRAL: Final = b"\x01" + bytes(KEY_BYTES - 1)
_V2_DOMAIN: Final = b"ZANO_HDS_WALLET_GENERIC_SIGN_SP\x00"
_SIGNATURE: Final = re.compile(rf"[0-9a-fA-F]{{{SIGNATURE_DIGITS}}}")


class SignatureFormat(Enum):
    """How a wallet makes the digest that it signs from a message."""

    LEGACY = "legacy"
    """The hash of the message: what Lethean's wallets sign."""
    V2 = "v2"
    """The hash of a domain and of the hash of the message: what newer Zano wallets sign."""


def digest_of(message: bytes, format: SignatureFormat) -> bytes:
    """The 32 bytes that a wallet signs for `message`."""
    digest = keccak_256(message)
    return digest if format is SignatureFormat.LEGACY else keccak_256(_V2_DOMAIN + digest)


def verify_message(message: bytes, spend_key: bytes, signature: str) -> SignatureFormat | None:
    """The format in which the owner of `spend_key` signed `message`; None when he did not.

    `signature` is 128 hexadecimal digits; whatever else is no signature. Costs two checks at most.
    """
    if len(message) > LONGEST_MESSAGE_BYTES or not _SIGNATURE.fullmatch(signature):
        return None
    parts = bytes.fromhex(signature)
    for format in SignatureFormat:
        if check_signature(digest_of(message, format), spend_key, parts):
            return format
    return None


def check_signature(digest: bytes, public_key: bytes, signature: bytes) -> bool:
    """Whether `signature` is the one that the owner of `public_key` gave to `digest`.

    False, and never an error, for lengths, scalars and keys that can not be.
    """
    if (len(digest), len(public_key), len(signature)) != (HASH_BYTES, KEY_BYTES, 2 * SCALAR_BYTES):
        return False
    challenge, response = signature[:SCALAR_BYTES], signature[SCALAR_BYTES:]
    if not (is_scalar(challenge) and is_scalar(response)):
        return False
    try:
        # Refuses keys that are not canonical, of small order, or outside the group of prime order.
        shared = crypto_scalarmult_ed25519_noclamp(challenge, public_key)
        commitment = crypto_core_ed25519_add(shared, crypto_scalarmult_ed25519_base_noclamp(response))
    except SodiumError:
        return False
    if commitment == _NEUTRAL:  # which no signer commits to
        return False
    return hmac.compare_digest(challenge, hash_to_scalar(digest + public_key + commitment))


def is_scalar(text: bytes) -> bool:
    """Whether these 32 bytes are a scalar from 1 to L - 1, in its only form."""
    return len(text) == SCALAR_BYTES and 0 < int.from_bytes(text, "little") < GROUP_ORDER


def hash_to_scalar(data: bytes) -> bytes:
    """Keccak-256 of `data` reduced mod L: Hs."""
    return reduced(keccak_256(data))


def reduced(number: bytes) -> bytes:
    """At most 64 bytes, a little-endian number, reduced mod L."""
    return crypto_core_ed25519_scalar_reduce(number.ljust(2 * SCALAR_BYTES, b"\x00"))
