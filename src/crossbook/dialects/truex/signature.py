"""The signature of a request: Base64(HMAC-SHA256(secret, timestamp + METHOD + path + body)).

The path is the one that was sent, with `/api/v1` and without the query; the body is the bytes as received.
"""

import base64
import hashlib
import hmac
import re
from binascii import Error as NotBase64
from typing import Final

OLDEST_S: Final = 15
"""How old a timestamp may be."""
NEWEST_S: Final = 1
"""How far ahead of the venue's clock a timestamp may be."""
TIMESTAMP: Final = re.compile(rb"[0-9]{1,11}")
DIGEST_BYTES: Final = 32
SOCKET_WORD: Final = b"TRUEXWS"


class SignatureRefused(Exception):
    """A timestamp or a signature that breaks a rule; the text names the rule, and tells nothing else."""


def timestamp_s(value: bytes, now_s: int) -> int:
    """The timestamp in a header, when it is within the window around `now_s`. Raises SignatureRefused."""
    if not TIMESTAMP.fullmatch(value):
        raise SignatureRefused("x-truex-auth-timestamp must be Unix seconds, in digits")
    sent_s = int(value)
    age_s = now_s - sent_s
    if age_s > OLDEST_S or age_s < -NEWEST_S:
        skew = f"{age_s} s old" if age_s > 0 else f"{-age_s} s ahead"
        raise SignatureRefused(
            f"x-truex-auth-timestamp must be at most {OLDEST_S} s old and at most {NEWEST_S} s ahead;"
            f" the server time is {now_s}, the timestamp is {skew}"
        )
    return sent_s


def digest_in(value: bytes) -> bytes:
    """The HMAC in a header. Raises SignatureRefused unless it is 32 bytes in standard Base64 with padding."""
    try:
        digest = base64.b64decode(value, validate=True)
    except (NotBase64, ValueError):
        digest = b""
    if len(digest) != DIGEST_BYTES or base64.b64encode(digest) != value:
        raise SignatureRefused("x-truex-auth-signature must be an HMAC-SHA256 in standard Base64 with padding")
    return digest


def request_payload(timestamp: bytes, method: str, path: bytes, body: bytes) -> bytes:
    """What the signature of a request covers."""
    return b"".join((timestamp, method.encode("ascii"), path, body))


def socket_payloads(timestamp: bytes, key: bytes, path: bytes) -> tuple[bytes, ...]:
    """What the signature of a WebSocket subscription may cover: no path, `/`, or the path that was dialled."""
    start = timestamp + SOCKET_WORD + key
    return (start, start + b"/", start + path)


def digest_of(secret: bytes, payload: bytes) -> bytes:
    """The HMAC of a payload."""
    return hmac.digest(secret, payload, hashlib.sha256)


def matches(secret: bytes, digest: bytes, *payloads: bytes) -> bool:
    """Whether `digest` is that of one of the payloads, in a time that does not depend on where they differ."""
    found = False
    for payload in payloads:
        found |= hmac.compare_digest(digest_of(secret, payload), digest)
    return found
