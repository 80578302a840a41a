"""Pieces of which the modules of TrueX make their rows of the endpoint table."""

from collections.abc import Sequence
from typing import Any, Final

from crossbook.application.api_keys import KeyScope
from crossbook.dialects.call import Reply
from crossbook.dialects.cursors import cursor_of, id_in
from crossbook.dialects.endpoint import AnyEndpoint, alias
from crossbook.dialects.truex.errors import invalid
from crossbook.dialects.versions import Pagination, Retirement

PREFIX: Final = "/api/v1"
READ: Final = frozenset({str(KeyScope.READ)})
TRADE: Final = frozenset({str(KeyScope.TRADE)})
TRANSFER: Final = frozenset({str(KeyScope.TRANSFER)})


def with_old_paths(endpoint: AnyEndpoint, old_paths: Sequence[str], retirement: Retirement) -> list[AnyEndpoint]:
    """An operation and its old, singular paths."""
    return [endpoint, *(alias(endpoint, path, retirement, PREFIX) for path in old_paths)]


def listed(rows: Sequence[Any], size: int | None = None, next_id: int = 0) -> Reply:
    """The reply of a list, or of a page of it: `size` as asked for, `next_id` of the last row shown if more follow."""
    pagination = Pagination(len(rows) if size is None else size, cursor_of(next_id) if next_id else "")
    return Reply(200, list(rows), pagination=pagination)


def before(cursor: str | None) -> int:
    """The id that a cursor stands for, 0 for none. Raises Problem for a text that is no cursor of ours."""
    if cursor is None:
        return 0
    try:
        return id_in(cursor)
    except ValueError:
        raise invalid("cursor", "must be the next_cursor of the last page") from None
