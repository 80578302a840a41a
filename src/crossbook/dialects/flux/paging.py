"""Pages of a list: an opaque cursor on the rows' unique ids, and the Link header that leads to the next page."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from crossbook.application.views import Page
from crossbook.dialects.call import AnyCall, Header
from crossbook.dialects.flux.known_errors import invalid
from crossbook.domain.orders import MAX_ID

Row = TypeVar("Row")


def cursor_of(row_id: int) -> str:
    """The cursor of the rows older than this one."""
    return urlsafe_b64encode(f"before {row_id}".encode()).decode().rstrip("=")


def id_of(cursor: str) -> int:
    """The id in a cursor. Raises FluxError for text that is no cursor of ours."""
    try:
        word, _, digits = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
    except (NotBase64, ValueError):
        word = digits = ""
    if word != "before" or not digits.isdigit() or not 1 <= int(digits) <= MAX_ID:
        raise invalid("cursor", "must be the cursor of the last page's Link header")
    return int(digits)


def page_of(limit: int, cursor: str | None) -> Page:
    """The page to read, with one row more than was asked for: it tells whether there is a next page."""
    return Page(limit + 1, 0 if cursor is None else id_of(cursor))


def link(call: AnyCall, rows: Sequence[Row], limit: int, id_of_row: Callable[[Row], int]) -> tuple[Header, ...]:
    """The Link header of a page, when `rows` hold more than it."""
    if len(rows) <= limit:
        return ()
    query = call.scope.get("query_string", b"").decode("ascii", "replace")
    fields = [pair for pair in parse_qsl(query) if pair[0] != "cursor"]
    fields.append(("cursor", cursor_of(id_of_row(rows[limit - 1]))))
    target = f"{quote(call.scope['path'])}?{urlencode(fields)}"
    return ((b"link", f'<{target}>; rel="next"'.encode("ascii")),)
