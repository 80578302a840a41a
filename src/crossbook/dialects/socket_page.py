"""What the documentation says about a dialect's WebSocket: a section of its page, and an AsyncAPI 3.0 document."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import msgspec

from crossbook.dialects.html import pretty, rows, tag

ASYNCAPI_VERSION: Final = "3.0.0"
REF: Final = "#/components/schemas/{name}"


@dataclass(frozen=True)
class SocketMessage:
    """One kind of message: its shape, a msgspec Struct with a docstring, and an example."""

    kind: type[msgspec.Struct]
    example: object

    @property
    def name(self) -> str:
        """Its name in the document."""
        return self.kind.__name__

    @property
    def summary(self) -> str:
        """What it is for: the first paragraph of its docstring."""
        return " ".join((self.kind.__doc__ or "").strip().partition("\n\n")[0].split())


@dataclass(frozen=True)
class SocketGuide:
    """A WebSocket as it is documented. `rules` are paragraphs; `sent` comes from the client, `received` goes to it."""

    path: str
    title: str
    rules: Sequence[str]
    sent: Sequence[SocketMessage]
    received: Sequence[SocketMessage]

    def schemas(self) -> dict[str, Any]:
        """The JSON schemas of all messages and of what they consist of, by name."""
        kinds = [message.kind for message in (*self.sent, *self.received)]
        return dict(msgspec.json.schema_components(kinds, ref_template=REF)[1])


def socket_section(guide: SocketGuide) -> str:
    """The section of the page, as HTML."""
    rules = "".join(tag("p", escape(rule)) for rule in guide.rules)
    parts = [
        tag("h3", heading) + rows(("message", "meaning", "example"), (_row(message) for message in messages))
        for heading, messages in (("You send", guide.sent), ("You get", guide.received))
    ]
    return tag("section", tag("h2", escape(guide.title)) + rules + "".join(parts), id="websocket", class_="operation")


def _row(message: SocketMessage) -> tuple[str, str, str]:
    link = tag("a", escape(message.name), href=f"#schema-{message.name}")
    return link, escape(message.summary), tag("pre", escape(pretty(message.example)))


def asyncapi_of(guide: SocketGuide, title: str, version: str) -> dict[str, Any]:
    """The AsyncAPI document."""
    everything = [*guide.sent, *guide.received]
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {"title": title, "version": version, "description": "\n\n".join(guide.rules)},
        "channels": {
            "socket": {
                "address": guide.path,
                "messages": {message.name: {"$ref": f"#/components/messages/{message.name}"} for message in everything},
            }
        },
        "operations": {
            "send": _operation("receive", guide.sent),
            "hear": _operation("send", guide.received),
        },
        "components": {
            "messages": {message.name: _message(message) for message in everything},
            "schemas": guide.schemas(),
        },
    }


def _operation(action: str, messages: Sequence[SocketMessage]) -> dict[str, Any]:
    """AsyncAPI looks from the server's side: it receives what clients send."""
    return {
        "action": action,
        "channel": {"$ref": "#/channels/socket"},
        "messages": [{"$ref": f"#/channels/socket/messages/{message.name}"} for message in messages],
    }


def _message(message: SocketMessage) -> dict[str, Any]:
    return {
        "summary": message.summary,
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{message.name}"},
        "examples": [{"payload": msgspec.to_builtins(message.example)}],
    }
