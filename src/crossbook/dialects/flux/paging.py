"""Pages of a list: an opaque cursor on the rows' unique ids, and the Link header that leads to the next page."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from crossbook.application.views import Page
from crossbook.dialects.call import AnyCall, Header
from crossbook.dialects.cursors import cursor_of, id_in
from crossbook.dialects.flux.known_errors import invalid

Row = TypeVar("Row")


def id_of(cursor: str) -> int:
    """The id in a cursor. Raises FluxError for text that is no cursor of ours."""
    try:
        return id_in(cursor)
    except ValueError:
        raise invalid("cursor", "must be the cursor of the last page's Link header") from None


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
