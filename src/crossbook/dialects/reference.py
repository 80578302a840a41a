"""The documentation page of a dialect: one HTML file with everything in it, made from the OpenAPI document.

The page is complete without scripts and without a network. Its script only fills the forms that send a
request to the venue that served the page. Script and style are allowed by their hashes and nothing else is.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any, Final

import msgspec

from crossbook.dialects.call import Header, Reply
from crossbook.dialects.endpoint import Dialect
from crossbook.dialects.html import pretty, rows, tag
from crossbook.dialects.openapi import Document, document_of
from crossbook.dialects.socket_page import SocketGuide, asyncapi_of, socket_section

PAGE: Final = files("crossbook.dialects") / "page"
HTML: Final = "text/html; charset=utf-8"
MAX_EXAMPLE_DEPTH: Final = 6
SIGNING: Final = frozenset({"timestamp", "token", "signature"})


def asset(name: str) -> str:
    """The text of a file of the page."""
    return (PAGE / name).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """The source expression that allows exactly this inline text."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def page_headers(style: str, script: str) -> tuple[Header, ...]:
    """What a browser may do with the page: run this script, use this style, ask this venue."""
    policy = (
        f"default-src 'none'; style-src {content_hash(style)}; script-src {content_hash(script)}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return ((b"content-security-policy", policy.encode("ascii")), (b"cache-control", b"no-cache"))


# -- Examples ----------------------------------------------------------------------------------------
def example_of(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int = 0) -> Any:
    """A value that fits a schema, from its examples where it has some."""
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components, depth)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if depth > MAX_EXAMPLE_DEPTH:
        return None
    return _example_of_kind(schema, components, depth)


def _example_of_kind(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    for kind in schema.get("anyOf", []):
        if kind.get("type") != "null":
            return example_of(kind, components, depth + 1)
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        return {name: example_of(item, components, depth + 1) for name, item in properties.items()}
    if schema.get("type") == "array":
        return _example_of_array(schema, components, depth)
    plain: Mapping[Any, Any] = {"integer": schema.get("minimum", 1), "number": 1, "boolean": False, "string": "text"}
    return schema.get("default") if schema.get("default") is not None else plain.get(schema.get("type"))


def _example_of_array(schema: Mapping[str, Any], components: Mapping[str, Any], depth: int) -> Any:
    if "prefixItems" in schema:
        return [example_of(item, components, depth + 1) for item in schema["prefixItems"]]
    items = schema.get("items", {})
    return [example_of(items, components, depth + 1)] if items else []


def kind_of(schema: Mapping[str, Any]) -> str:
    """A schema's type in a few words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return tag("a", escape(name), href=f"#schema-{name}")
    if "anyOf" in schema:
        return " or ".join(kind_of(item) for item in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(tag("code", escape(str(value))) for value in schema["enum"])
    if schema.get("type") == "array":
        inner = schema.get("prefixItems")
        return "array of " + (", ".join(map(kind_of, inner)) if inner else kind_of(schema.get("items", {}) or {}))
    return escape(str(schema.get("type", "any")))


def limits_of(schema: Mapping[str, Any]) -> str:
    """A schema's description and limits, as HTML."""
    described = [str(item["description"]) for item in (schema, *schema.get("anyOf", [])) if "description" in item]
    names = {"minimum": "≥", "maximum": "≤", "minLength": "length ≥", "maxLength": "length ≤", "pattern": "pattern"}
    limits = [f"{word} {schema[key]}" for key, word in names.items() if key in schema]
    if schema.get("default") is not None:
        limits.append(f"default {schema['default']}")
    return escape("; ".join(described + limits))


def schema_section(name: str, schema: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    """One type: its fields and an example."""
    required = schema.get("required", [])
    fields = rows(
        ("field", "type", "", "rule"),
        (
            (tag("code", escape(key)), kind_of(item), "required" if key in required else "", limits_of(item))
            for key, item in schema.get("properties", {}).items()
        ),
    )
    example = tag("pre", escape(pretty(example_of(schema, components))))
    return tag("section", tag("h3", escape(name)) + fields + example, id=f"schema-{name}", class_="schema")


def parameters_table(operation: Mapping[str, Any]) -> str:
    """The parameters of an operation."""
    return rows(
        ("parameter", "in", "type", "", "rule"),
        (
            (
                tag("code", escape(item["name"])),
                escape(item["in"]),
                kind_of(item["schema"]),
                "required" if item.get("required") else "",
                escape(item.get("description", "")) + limits_of(item["schema"]),
            )
            for item in operation["parameters"]
        ),
    )


def _content_kind(reply: Mapping[str, Any]) -> str:
    return ", ".join(kind_of(item["schema"]) for item in reply.get("content", {}).values())


def responses_table(operation: Mapping[str, Any]) -> str:
    """The replies of an operation."""
    return rows(
        ("status", "meaning", "body"),
        ((code, escape(reply["description"]), _content_kind(reply)) for code, reply in operation["responses"].items()),
    )


def request_example(operation: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    """The example of an operation's body as JSON; "" when it has none."""
    if "requestBody" not in operation:
        return ""
    content = next(iter(operation["requestBody"]["content"].values()))
    return pretty(content["example"] if "example" in content else example_of(content["schema"], components))


def _input_of(parameter: Mapping[str, Any]) -> str:
    """The field of a parameter. A header that there is but one value for has it, such as that of a version."""
    name, place, known = escape(parameter["name"]), escape(parameter["in"]), parameter["schema"].get("enum", [])
    value = f' value="{escape(known[0])}"' if place == "header" and len(known) == 1 else ""
    return tag("label", f'{name} <input name="{name}" data-in="{place}"{value}>')


def credentials_of(schemes: Mapping[str, Any]) -> str:
    """The fields for what requests are sent with: a token, or a key and the secret that signs. "" where it is neither.

    A dialect whose requests are signed describes three headers, `timestamp`, `token` (the key's id) and `signature`.
    The script signs timestamp, METHOD, path and body by HMAC-SHA256.
    """
    if any(scheme.get("scheme") == "bearer" for scheme in schemes.values()):
        return tag("label", 'token <input id="token" type="password" autocomplete="off">', class_="token")
    if not schemes.keys() >= SIGNING:
        return ""
    fields = "".join(
        tag("label", f'{name} <input id="{id_}" type="{kind}" autocomplete="off" spellcheck="false">')
        for name, id_, kind in (("key id", "key", "text"), ("secret", "secret", "password"))
    )
    rule = tag("p", escape(schemes["signature"].get("description", "")))
    kept = tag("p", "The secret stays in this page, which signs what its forms send; it is neither kept nor sent.")
    headers = {f"data_{name}": schemes[name]["name"] for name in sorted(SIGNING)}
    return tag("fieldset", tag("legend", "Signed requests") + fields + rule + kept, id="signer", **headers)


def try_form(method: str, path: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    """The form that sends the operation to this venue. The script adds token, body and reply."""
    inputs = "".join(map(_input_of, operation["parameters"]))
    example = request_example(operation, components)
    body = tag("label", "body" + tag("textarea", escape(example), rows="8", spellcheck="false")) if example else ""
    controls = inputs + body + tag("button", "Send", type="submit") + tag("output", "")
    secured = {"data_secured": "yes"} if operation["security"] else {}
    form = tag("form", controls, data_method=method, data_path=path, **secured)
    return tag("details", tag("summary", "Try it") + form, class_="try")


def operation_section(method: str, path: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    """One operation: what it does, takes and answers."""
    badge = tag("span", method, class_=f"method {method.lower()}")
    lock = tag("span", "needs credentials", class_="lock") if operation["security"] else ""
    title = tag("h3", f"{badge} {tag('code', escape(path))} {lock}")
    text = tag("p", escape(operation["summary"]))
    if "description" in operation:
        text += tag("p", escape(operation["description"]))
    body = operation.get("requestBody", {}).get("content", {})
    wanted = tag("p", "Body: " + ", ".join(kind_of(item["schema"]) for item in body.values())) if body else ""
    tables = parameters_table(operation) + wanted + responses_table(operation)
    form = try_form(method, path, operation, components)
    return tag("section", title + text + tables + form, id=operation["operationId"], class_="operation")


def contents(operations: Iterable[tuple[str, str, Mapping[str, Any]]], socket: SocketGuide | None) -> str:
    """The list of operations at the side."""
    items = "".join(
        tag("li", tag("a", f"{tag('span', method, class_='method')} {escape(path)}", href=f"#{item['operationId']}"))
        for method, path, item in operations
    )
    if socket is not None:
        items += tag("li", tag("a", f"{tag('span', 'WS', class_='method')} {escape(socket.path)}", href="#websocket"))
    return tag("nav", tag("ul", items))


def page_of(document: Document, socket: SocketGuide | None = None) -> str:
    """The whole page of an OpenAPI document, and of the WebSocket beside it."""
    components = {**(socket.schemas() if socket else {}), **document["components"]["schemas"]}
    operations = [
        (method.upper(), path, item) for path, methods in document["paths"].items() for method, item in methods.items()
    ]
    info = document["info"]
    credentials = credentials_of(document["components"]["securitySchemes"])
    header = tag("header", tag("h1", escape(info["title"])) + tag("p", escape(info["description"])) + credentials)
    sections = "".join(operation_section(*item, components) for item in operations)
    types = "".join(schema_section(name, components[name], components) for name in sorted(components))
    if socket is not None:
        sections += socket_section(socket)
    main = tag("main", header + tag("h2", "Operations") + sections + tag("h2", "Schemas", id="schemas") + types)
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        + tag("title", escape(info["title"]))
        + tag("style", asset("reference.css"))
    )
    body = contents(operations, socket) + main + tag("script", asset("reference.js"))
    return "<!doctype html>" + tag("html", tag("head", head) + tag("body", body), lang="en")


# -- What is served ----------------------------------------------------------------------------------
def documentation_of(dialect: Dialect) -> dict[str, Reply]:
    """The page and the document of a dialect by path, encoded once; of each version where it has several."""
    socket = dialect.socket
    found = _documented(f"/docs/{dialect.name}", document_of(dialect), socket)
    for version in dialect.versions or ():
        found.update(_documented(f"/docs/{dialect.name}/{version.name}", document_of(dialect, version), socket))
    if socket is not None:
        document = asyncapi_of(socket, dialect.title, dialect.version)
        found[f"/docs/{dialect.name}/asyncapi.json"] = Reply(raw=msgspec.json.encode(document))
    return found


def _documented(path: str, document: Document, socket: SocketGuide | None) -> dict[str, Reply]:
    headers = page_headers(asset("reference.css"), asset("reference.js"))
    return {
        path: Reply(headers=headers, media_type=HTML, raw=page_of(document, socket).encode()),
        f"{path}/openapi.json": Reply(raw=msgspec.json.encode(document)),
    }


def index_of(dialects: Sequence[Dialect]) -> Reply:
    """The page that lists the dialects' pages."""
    style = asset("reference.css")
    items = "".join(
        tag("li", tag("a", escape(item.title), href=f"/docs/{item.name}") + " " + escape(item.description))
        for item in dialects
    )
    head = '<meta charset="utf-8">' + tag("title", "Crossbook: documentation") + tag("style", style)
    body = tag("main", tag("h1", "Crossbook speaks") + tag("ul", items))
    html = "<!doctype html>" + tag("html", tag("head", head) + tag("body", body), lang="en")
    return Reply(headers=page_headers(style, ""), media_type=HTML, raw=html.encode())
