"""The page at `/`: the venue at a glance, complete in one file, for whoever opens the address in a browser."""

from collections.abc import Sequence
from html import escape
from typing import Final

from crossbook.dialects.call import Reply
from crossbook.dialects.endpoint import Dialect
from crossbook.dialects.html import tag
from crossbook.dialects.reference import HTML, asset, page_headers

TITLE: Final = "Crossbook"


def front_page(dialects: Sequence[Dialect], notes: Sequence[str] = ()) -> Reply:
    """The page: markets, one market's book and trades as they change, and where to read on.

    `notes` are further paragraphs, such as where the secrets of the demo users are.
    """
    style, script = asset("front.css"), asset("front.js")
    main = _market_table() + _panes() + _documents(dialects) + "".join(tag("p", escape(note)) for note in notes)
    status = tag("span", "connecting", id="status", data_state="waiting", role="status")
    header = tag("header", tag("h1", TITLE) + tag("span", "a self-hosted exchange") + status)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        + tag("title", TITLE)
        + tag("style", style)
    )
    body = header + tag("main", main) + tag("script", script)
    html = "<!doctype html>" + tag("html", tag("head", head) + tag("body", body), lang="en")
    return Reply(headers=page_headers(style, script), media_type=HTML, raw=html.encode())


def _market_table() -> str:
    heads = ("Market", "Last", "Mark", "Tick", "Lot", "Status")
    return tag("h2", "Markets") + tag("div", _table(heads, "markets"), class_="wide") + tag("p", "", id="note")


def _panes() -> str:
    chosen = tag("span", "", id="chosen")
    sides = _table(("Ask", "Quantity"), "asks") + _table(("Bid", "Quantity"), "bids")
    trades = _table(("Time", "Side", "Price", "Quantity"), "trades")
    book = tag("section", tag("h2", f"Order book {chosen}") + sides)
    return tag("div", book + tag("section", tag("h2", "Trades") + tag("div", trades, class_="wide")), class_="panes")


def _table(heads: Sequence[str], body_id: str) -> str:
    top = tag("tr", "".join(tag("th", head, scope="col") for head in heads))
    return tag("table", tag("thead", top) + tag("tbody", "", id=body_id))


def _documents(dialects: Sequence[Dialect]) -> str:
    items = "".join(
        tag("li", tag("a", escape(item.title), href=f"/docs/{item.name}") + " " + escape(item.description))
        for item in dialects
    )
    return tag("h2", "Documentation") + tag("ul", items)
