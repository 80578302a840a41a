"""Opaque cursors of lists: each stands for a row's unique id, so nothing is lost or doubled while rows arrive."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64

from crossbook.domain.orders import MAX_ID


def cursor_of(row_id: int) -> str:
    """The cursor of the rows older than this one."""
    return urlsafe_b64encode(f"before {row_id}".encode()).decode().rstrip("=")


def id_in(cursor: str) -> int:
    """The id in a cursor. Raises ValueError for text that is no cursor of ours."""
    try:
        word, _, digits = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
    except (NotBase64, ValueError):
        word = digits = ""
    if word != "before" or not digits.isdigit() or not 1 <= int(digits) <= MAX_ID:
        raise ValueError("no cursor of this venue")
    return int(digits)
