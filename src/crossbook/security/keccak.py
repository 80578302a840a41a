"""Keccak-256 as CryptoNote uses it: the original padding, not the one of the later SHA-3 standard."""

from typing import Final

from Crypto.Hash import keccak

HASH_BYTES: Final = 32


def keccak_256(data: bytes) -> bytes:
    """The hash of `data`, 32 bytes."""
    return keccak.new(digest_bits=8 * HASH_BYTES, data=data).digest()
