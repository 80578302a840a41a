"""Sealing of secrets that must be readable again: authenticated encryption, under keys that can be rotated.

A sealed secret is `<name of the key>.<Base64 of nonce and ciphertext>`, by XChaCha20-Poly1305. It is bound to a
context, such as the id of the row that it stands in: moved to another row, it does not open.
"""

import base64
import hashlib
from binascii import Error as NotBase64
from collections.abc import Sequence
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from crossbook.domain.errors import CrossbookError
from crossbook.system import random_bytes

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
_NAME_CHARACTERS: Final = 12


class SealError(CrossbookError):
    """A sealed secret that does not open. The message holds nothing of it."""


def sealing_key(text: str) -> bytes:
    """The key in Base64 text. Raises ValueError unless it is 32 bytes; the message does not repeat it."""
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_" if "-" in text or "_" in text else None, validate=True)
    except (NotBase64, ValueError):
        raise ValueError("a sealing key is Base64") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"a sealing key is {KEY_BYTES} bytes in Base64")
    return key


def new_sealing_key() -> str:
    """A new random key, as `sealing_key` reads it."""
    return base64.b64encode(random_bytes(KEY_BYTES)).decode("ascii")


class Sealer:
    """Seals by the first of its keys and opens by any of them. Raises ValueError without a key."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("a sealer needs a key")
        self._keys = {_name_of(key): key for key in keys}
        self._current = _name_of(keys[0])

    @property
    def current(self) -> str:
        """The name of the first key, which sealed secrets begin with."""
        return self._current

    def seal(self, secret: str, context: str) -> str:
        """`secret` sealed for `context`."""
        nonce = random_bytes(NONCE_BYTES)
        key = self._keys[self._current]
        box = crypto_aead_xchacha20poly1305_ietf_encrypt(secret.encode(), context.encode(), nonce, key)
        return f"{self._current}.{base64.b64encode(nonce + box).decode('ascii')}"

    def open(self, sealed: str, context: str) -> str:
        """The secret in `sealed`. Raises SealError for another context, an unknown key, or a changed text."""
        name, _, text = sealed.partition(".")
        key = self._keys.get(name)
        if key is None:
            raise SealError(f"the sealing key {key_name(sealed)} is not among those given")
        try:
            data = base64.b64decode(text, validate=True)
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                data[NONCE_BYTES:], context.encode(), data[:NONCE_BYTES], key
            ).decode()
        except (CryptoError, NotBase64, ValueError, TypeError) as error:
            raise SealError("a sealed secret was changed, or belongs elsewhere") from error


def key_name(sealed: str) -> str:
    """The name of the key that sealed a secret."""
    return sealed.partition(".")[0][:_NAME_CHARACTERS]


def _name_of(key: bytes) -> str:
    """A key's name: it tells keys apart and tells nothing about them."""
    return hashlib.sha256(b"name of a sealing key" + key).hexdigest()[:_NAME_CHARACTERS]
