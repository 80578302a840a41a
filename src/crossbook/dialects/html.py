"""The few pieces of HTML that the documentation is made of."""

from collections.abc import Iterable, Sequence
from html import escape

import msgspec


def tag(name: str, content: str, **attributes: str) -> str:
    """An element around `content`, which is HTML already; attribute values are escaped here."""
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{words}>{content}</{name}>"


def rows(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A table; cells are HTML already."""
    top = tag("tr", "".join(tag("th", escape(cell), scope="col") for cell in head))
    lines = "".join(tag("tr", "".join(tag("td", cell) for cell in line)) for line in body)
    return tag("table", tag("thead", top) + tag("tbody", lines)) if lines else ""


def pretty(value: object) -> str:
    """A value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
