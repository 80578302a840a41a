"""Keys of a wallet, and signing with them: for the simulated wallet, demo users, bots and tests.

A venue never needs a secret key of its users.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_sub,
    crypto_scalarmult_ed25519_base_noclamp,
)

from crossbook.domain.errors import CrossbookError
from crossbook.security.wallet_addresses import WalletAddress, address_of_keys
from crossbook.security.wallet_signatures import (
    SignatureFormat,
    digest_of,
    hash_to_scalar,
    is_scalar,
    reduced,
)

_NONCE_DOMAIN: Final = b"crossbook wallet nonce\x00"


class SecretKeyRefused(CrossbookError, ValueError):
    """Bytes that are no secret key; the message does not repeat them."""


@dataclass(frozen=True)
class WalletKeys:
    """The keys of one wallet. The view key follows from the spend key, as in every wallet of these chains."""

    spend_secret: bytes = field(repr=False)
    spend_key: bytes
    view_secret: bytes = field(repr=False)
    view_key: bytes

    @classmethod
    def of_secret(cls, spend_secret: bytes) -> "WalletKeys":
        """The keys of the wallet with this secret spend key: 32 bytes, a scalar below L.

        Raises SecretKeyRefused.
        """
        if not is_scalar(spend_secret):
            raise SecretKeyRefused("a secret spend key is a scalar of 32 bytes, above zero and below the group's order")
        view_secret = hash_to_scalar(spend_secret)
        return cls(spend_secret, public_key_of(spend_secret), view_secret, public_key_of(view_secret))

    @classmethod
    def of_seed(cls, seed: bytes) -> "WalletKeys":
        """The keys of the wallet that `seed` leads to, always the same for the same seed."""
        return cls.of_secret(reduced(hashlib.sha512(seed).digest()))

    def address(self, tag_number: int = 0x1EAF7) -> WalletAddress:
        """The address of this wallet; an ordinary one of Lethean unless another tag is given."""
        return address_of_keys(self.spend_key, self.view_key, tag_number)

    def sign(self, message: bytes, format: SignatureFormat = SignatureFormat.LEGACY) -> str:
        """The signature of `message`, 128 hexadecimal digits."""
        return sign_digest(digest_of(message, format), self.spend_secret).hex()


def public_key_of(secret: bytes) -> bytes:
    """The public key of a secret one."""
    return crypto_scalarmult_ed25519_base_noclamp(secret)


def sign_digest(digest: bytes, secret: bytes, nonce: bytes | None = None) -> bytes:
    """The signature of a digest of 32 bytes.

    The nonce is a hash of the secret and the digest unless one is given (a scalar, for test vectors): the same
    digest gives the same signature, and no two digests share a nonce.
    """
    if nonce is None:
        nonce = reduced(hashlib.sha512(_NONCE_DOMAIN + secret + digest).digest())
    commitment = crypto_scalarmult_ed25519_base_noclamp(nonce)
    challenge = hash_to_scalar(digest + public_key_of(secret) + commitment)
    return challenge + crypto_core_ed25519_scalar_sub(nonce, crypto_core_ed25519_scalar_mul(challenge, secret))
