"""The documentation of the WebSockets: its examples have the shapes that it states, and it is served."""

import msgspec
import pytest

from crossbook.dialects.flux import socket_schemas
from crossbook.dialects.flux.socket_guide import GUIDE
from crossbook.dialects.reference import documentation_of
from crossbook.dialects.socket_page import SocketGuide, SocketMessage, asyncapi_of
from crossbook.dialects.truex.socket_guide import GUIDE as TRUEX_GUIDE
from tests.dialects.toy import toy

MESSAGES = [*GUIDE.sent, *GUIDE.received]
TRUEX_MESSAGES = [*TRUEX_GUIDE.sent, *TRUEX_GUIDE.received]


@pytest.mark.parametrize("message", [*MESSAGES, *TRUEX_MESSAGES], ids=lambda message: message.name)
def test_an_example_has_its_shape(message: SocketMessage) -> None:
    msgspec.json.decode(msgspec.json.encode(message.example), type=message.kind)
    assert message.summary


def test_every_message_is_described() -> None:
    parts = {"View", "Request", "BookData", "FundingData", "SocketErrorDetail"}
    kinds = {
        name
        for name, kind in vars(socket_schemas).items()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    }
    assert kinds - parts == {message.name for message in MESSAGES}


def test_the_page_has_a_section_and_a_document() -> None:
    dialect = type(toy())(**{**vars(toy()), "socket": GUIDE})
    served = documentation_of(dialect)
    page = (served["/docs/toy"].raw or b"").decode()
    assert 'id="websocket"' in page
    assert 'href="#websocket"' in page
    assert 'id="schema-BookMessage"' in page
    document = msgspec.json.decode(served["/docs/toy/asyncapi.json"].raw or b"")
    assert document["asyncapi"] == "3.0.0"
    assert document["channels"]["socket"]["address"] == "/ws"
    assert set(document["components"]["messages"]) == {message.name for message in MESSAGES}


@pytest.mark.parametrize("guide", [GUIDE, TRUEX_GUIDE], ids=["flux", "truex"])
def test_every_reference_of_the_document_leads_somewhere(guide: SocketGuide) -> None:
    document = asyncapi_of(guide, "A dialect", "1")
    references = [text for text in strings_of(document) if text.startswith("#/")]
    assert references
    for reference in references:
        found: object = document
        for step in reference.removeprefix("#/").split("/"):
            assert isinstance(found, dict)
            found = found[step]


def strings_of(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings_of(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in strings_of(each)]
    return [value] if isinstance(value, str) else []
