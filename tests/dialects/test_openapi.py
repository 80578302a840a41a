"""The document and the page of a table."""

import re
from html.parser import HTMLParser
from typing import Any

import msgspec

from crossbook.dialects.openapi import document_of
from crossbook.dialects.reference import content_hash, documentation_of, example_of, index_of
from tests.dialects.toy import toy

DOCUMENT = document_of(toy())
PAGE = documentation_of(toy())["/docs/toy"]


def operation(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][path][method]
    return found


def test_every_row_of_the_table_is_in_the_document() -> None:
    operations = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert operations == {(f"/toy{row.path}", row.method.lower()) for row in toy().endpoints}
    assert DOCUMENT["openapi"] == "3.1.0"


def test_the_faults_of_the_framework_are_documented() -> None:
    assert list(operation("/toy/crates", "post")["responses"]) == [
        "201", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503",
    ]  # fmt: skip
    assert list(operation("/toy/crates", "get")["responses"]) == ["200", "422", "429", "500", "503"]
    assert list(operation("/toy/crates/{crate}", "delete")["responses"]) == ["204", "401", "404", "429", "500", "503"]


def test_errors_have_their_schema_and_media_type() -> None:
    reply = operation("/toy/crates", "get")["responses"]["422"]
    assert reply["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "content" not in operation("/toy/crates/{crate}", "delete")["responses"]["204"]


def test_a_query_becomes_parameters_and_no_component() -> None:
    parameters = {item["name"]: item for item in operation("/toy/crates", "get")["parameters"]}
    assert parameters["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 50, "default": 10}
    assert parameters["colour"]["schema"] == {"enum": ["BLUE", "RED"]}
    assert not parameters["colour"]["required"]
    assert "Page" not in DOCUMENT["components"]["schemas"]


def test_parameters_of_the_path_and_credentials_are_named() -> None:
    found = operation("/toy/crates/{crate}", "delete")
    assert [item["name"] for item in found["parameters"]] == ["crate"]
    assert found["security"] == [{"bearer": []}]
    assert operation("/toy/crates", "post")["security"] == [{"bearer": ["store"]}]
    assert operation("/toy/login", "post")["security"] == []


def test_operation_ids_are_unique() -> None:
    ids = [item["operationId"] for methods in DOCUMENT["paths"].values() for item in methods.values()]
    assert len(ids) == len(set(ids))


def test_every_reference_leads_somewhere() -> None:
    for reference in re.findall(r'"\$ref":"#/([^"]+)"', msgspec.json.encode(DOCUMENT).decode()):
        place: Any = DOCUMENT
        for name in reference.split("/"):
            place = place[name]


def test_an_example_fits_its_schema() -> None:
    components = DOCUMENT["components"]["schemas"]
    assert example_of(components["Crate"], components) == {
        "colour": "BLUE",
        "size": "3",
        "note": "text",
        "parts": [{"size": "3"}],
    }


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids += [value for key, value in attrs if key == "id" and value]
        self.links += [named["href"] or ""] if "href" in named else []
        self.outside += [value for key, value in attrs if value and key in {"src", "action", "onclick", "style"}]
        if tag not in {"meta", "input", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_without_a_network() -> None:
    text = (PAGE.raw or b"").decode()
    elements = Elements()
    elements.feed(text)
    assert elements.open == []
    assert elements.outside == []
    assert all(link.startswith("#") and link[1:] in elements.ids for link in elements.links)
    assert "://" not in text
    for row in toy().endpoints:
        assert f"/toy{row.path}" in text
    assert "Crates &amp; &lt;boxes&gt;." in text


def test_the_pages_policy_allows_its_own_script_and_style_only() -> None:
    text = (PAGE.raw or b"").decode()
    policy = dict(PAGE.headers)[b"content-security-policy"].decode()
    for name in ("style", "script"):
        inline = re.findall(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert len(inline) == 1
        assert f"{name}-src {content_hash(inline[0])}" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_index_links_every_dialect() -> None:
    assert b'href="/docs/toy"' in (index_of([toy()]).raw or b"")
