"""Messages for a wallet to sign at login, which the venue recognises without having kept them.

A challenge looks like a UUID and holds when it was made, a few random bits and a MAC over both, the address and the
alias. So nobody can fill a table by asking for challenges, and one that is too old is known as ours for ever.
"""

import hmac
from enum import Enum
from hashlib import sha256
from typing import Final
from uuid import UUID

from crossbook.system import random_bytes

VALID_MS: Final = 300_000
_TIME_BYTES: Final = 6
_HEAD_BYTES: Final = 8
_PURPOSE: Final = b"crossbook wallet login challenge"


class Standing(Enum):
    """What the venue makes of a signed message."""

    VALID = "valid"
    EXPIRED = "expired"
    FOREIGN = "not a challenge for this address and alias"


class Challenges:
    """Makes challenges and recognises them. `secret` is the venue's; the key is derived from it for this purpose."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    def make(self, address: str, alias: str, now_ms: int) -> str:
        """A challenge that is valid for VALID_MS."""
        head = now_ms.to_bytes(_TIME_BYTES, "big") + random_bytes(_HEAD_BYTES - _TIME_BYTES)
        return str(UUID(bytes=head + self._mac(head, address, alias)))

    def standing(self, text: str, address: str, alias: str, now_ms: int) -> Standing:
        """Whether `text` is a challenge of ours for this address and alias, and still good."""
        try:
            raw = UUID(text).bytes
        except ValueError:
            return Standing.FOREIGN
        head, mac = raw[:_HEAD_BYTES], raw[_HEAD_BYTES:]
        if not hmac.compare_digest(mac, self._mac(head, address, alias)):
            return Standing.FOREIGN
        age_ms = now_ms - int.from_bytes(head[:_TIME_BYTES], "big")
        return Standing.VALID if age_ms < VALID_MS else Standing.EXPIRED

    def _mac(self, head: bytes, address: str, alias: str) -> bytes:
        text = b"\0".join([head, address.encode(), alias.encode()])
        return hmac.new(self._key, text, sha256).digest()[:8]
