"""A dialect's table as an OpenAPI 3.1 document."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import msgspec

from crossbook.dialects.call import JSON, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Dialect, ErrorForm
from crossbook.dialects.refusals import FaultKind, Refusal
from crossbook.dialects.versions import Version, enveloped_type

OPENAPI_VERSION: Final = "3.1.0"
REF: Final = "#/components/schemas/{name}"

Document = dict[str, Any]

HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-Id": {"description": "Names this request in the venue's log.", "schema": {"type": "string"}},
    "X-RateLimit-Limit": {"description": "Size of the budget, in requests.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "Requests left now.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {"description": "Seconds until the budget is full again.", "schema": {"type": "integer"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "Deprecation": {"description": "Since when this is deprecated.", "schema": {"type": "string"}},
    "Sunset": {"description": "Until when this is served at least.", "schema": {"type": "string"}},
}
LIMIT_HEADERS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
RETRIED: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Schemas:
    """The JSON schemas of every type that a table names, each made once."""

    def __init__(self, dialect: Dialect) -> None:
        types = list(_types_of(dialect))
        schemas, self.components = msgspec.json.schema_components(types, ref_template=REF)
        self._by_type = list(zip(types, schemas, strict=True))

    def of(self, wanted: object) -> Document:
        """The schema of a type: a reference, or the schema itself."""
        return next(dict(schema) for kind, schema in self._by_type if kind is wanted or kind == wanted)

    def resolved(self, wanted: object) -> Document:
        """The schema of a Struct with its reference followed."""
        schema = self.of(wanted)
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        return dict(self.components[name]) if name else schema


def _types_of(dialect: Dialect) -> list[object]:
    found: list[object] = [dialect.errors.schema]
    for endpoint in dialect.endpoints:
        found += [endpoint.request, endpoint.query, *endpoint.responses.values()]
    unique: list[object] = []
    for kind in found:
        if kind is not None and kind not in unique:
            unique.append(kind)
    return unique


# -- The table as one version sees it ----------------------------------------------------------------
class EnvelopedErrors:
    """The errors of a dialect, with the schema that they have in an enveloped version."""

    def __init__(self, inner: ErrorForm, schema: object) -> None:
        self.schema = schema
        self.media_type = inner.media_type
        self._inner = inner

    def status(self, kind: FaultKind) -> int:
        """The HTTP status of a fault."""
        return self._inner.status(kind)

    def reply(self, refusal: Refusal, request_id: str) -> Reply:
        """The reply to a refusal, not yet wrapped."""
        return self._inner.reply(refusal, request_id)

    def translate(self, error: Exception) -> Refusal | None:
        """The refusal that an application's error amounts to."""
        return self._inner.translate(error)


def in_version(dialect: Dialect, version: Version) -> Dialect:
    """The dialect with the types of replies that `version` has."""
    endpoints = [
        replace(row, responses={**row.responses, **row.responses_in.get(version.name, {})}) for row in dialect.endpoints
    ]
    if not version.enveloped:
        return replace(dialect, endpoints=endpoints)
    problem = dialect.errors.schema
    made: list[tuple[object, object]] = []

    def wrapped(kind: object) -> object:
        if kind is None:
            return None
        known = next((other for each, other in made if each is kind or each == kind), None)
        if known is None:
            known = enveloped_type(kind, _envelope_name(kind), problem)
            made.append((kind, known))
        return known

    rows = [
        replace(row, responses={status: wrapped(kind) for status, kind in row.responses.items()}) for row in endpoints
    ]
    return replace(dialect, endpoints=rows, errors=EnvelopedErrors(dialect.errors, wrapped(problem)))


def _envelope_name(kind: Any) -> str:
    rows = getattr(kind, "__args__", ())
    return f"{rows[0].__name__}Page" if rows else f"{kind.__name__}Envelope"


def document_of(dialect: Dialect, version: Version | None = None) -> Document:
    """The OpenAPI 3.1 document of a dialect: of one version, or the default one, where it has several."""
    if dialect.versions is not None:
        version = version or dialect.versions.default
        dialect = in_version(dialect, version)
    schemas = Schemas(dialect)
    paths: dict[str, Document] = {}
    for endpoint in dialect.endpoints:
        operation = _operation(dialect, endpoint, schemas)
        operation["parameters"] += _version_parameters(dialect, version)
        paths.setdefault(dialect.prefix + endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": dialect.title, "version": dialect.version, "description": dialect.description},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(endpoint.tag for endpoint in dialect.endpoints) if tag],
        "paths": paths,
        "components": {
            "schemas": _without_queries(schemas, dialect.endpoints),
            "headers": dict(HEADERS),
            "securitySchemes": dict(dialect.security),
        },
    }


def _without_queries(schemas: Schemas, endpoints: Sequence[AnyEndpoint]) -> Document:
    """The components, without the structs that only stand for a query string."""
    queries = {schemas.of(item.query).get("$ref", "").rpartition("/")[2] for item in endpoints if item.query}
    return {name: schema for name, schema in schemas.components.items() if name not in queries}


def _operation(dialect: Dialect, endpoint: AnyEndpoint, schemas: Schemas) -> Document:
    operation: Document = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint, schemas)],
        "responses": _responses(dialect, endpoint, schemas),
        "security": _security(dialect, endpoint),
    }
    if endpoint.description:
        operation["description"] = endpoint.description
    if endpoint.tag:
        operation["tags"] = [endpoint.tag]
    if endpoint.deprecated:
        operation["deprecated"] = True
    if endpoint.rate_class:
        operation["x-rate-class"] = endpoint.rate_class
    if endpoint.request is not None:
        operation["requestBody"] = _request_body(endpoint, schemas)
    return operation


def operation_id(endpoint: AnyEndpoint) -> str:
    """A name for the operation, from its method and path: `get_orders_orderId`."""
    words = [word.strip("{}").partition(":")[0] for word in endpoint.path.split("/") if word]
    return "_".join([endpoint.method.lower(), *(word.replace("-", "_") for word in words)])


def _security(dialect: Dialect, endpoint: AnyEndpoint) -> list[Document]:
    """Every scheme of the dialect together; the scopes are those of the endpoint."""
    if endpoint.auth is Auth.PUBLIC:
        return []
    return [dict.fromkeys(dialect.security, sorted(endpoint.scopes))]


def _path_parameters(endpoint: AnyEndpoint) -> list[Document]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in endpoint.parameters
    ]


def _version_parameters(dialect: Dialect, version: Version | None) -> list[Document]:
    """The header that chooses the version; the default one needs none."""
    if dialect.versions is None or version is None:
        return []
    schema = {"type": "string", "enum": [version.name]}
    required = version.name != dialect.versions.default.name
    return [{"name": dialect.versions.header, "in": "header", "required": required, "schema": schema}]


def _query_parameters(endpoint: AnyEndpoint, schemas: Schemas) -> list[Document]:
    if endpoint.query is None:
        return []
    schema = schemas.resolved(endpoint.query)
    required = schema.get("required", [])
    return [_query_parameter(name, dict(kind), name in required) for name, kind in schema["properties"].items()]


def _query_parameter(name: str, schema: Document, required: bool) -> Document:
    schema = _without_null(schema)
    parameter: Document = {"name": name, "in": "query", "required": required}
    if description := schema.pop("description", ""):
        parameter["description"] = description
    return {**parameter, "schema": schema}


def _without_null(schema: Document) -> Document:
    """A query string cannot hold null: an optional field is one that may be left out."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) == 1:
        schema = {**{key: value for key, value in schema.items() if key != "anyOf"}, **kinds[0]}
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if schema.get("default", "") is None:
        del schema["default"]
    return schema


def _request_body(endpoint: AnyEndpoint, schemas: Schemas) -> Document:
    content: Document = {"schema": schemas.of(endpoint.request)}
    if endpoint.example is not None:
        content["example"] = msgspec.to_builtins(endpoint.example)
    return {"required": True, "content": {JSON: content}}


def _responses(dialect: Dialect, endpoint: AnyEndpoint, schemas: Schemas) -> Document:
    faults = {dialect.errors.status(kind) for kind in dialect.faults_of(endpoint)} - set(endpoint.responses)
    media_type = dialect.errors.media_type
    replies = {status: _response(status, kind, endpoint, schemas, JSON) for status, kind in endpoint.responses.items()}
    for status, kind in endpoint.responses.items():
        if kind is dialect.errors.schema:
            replies[status] = _response(status, kind, endpoint, schemas, media_type)
    for status in faults:
        replies[status] = _response(status, dialect.errors.schema, endpoint, schemas, media_type)
    return {str(status): replies[status] for status in sorted(replies)}


def _response(status: int, kind: object, endpoint: AnyEndpoint, schemas: Schemas, media_type: str) -> Document:
    names = ["X-Request-Id", *(LIMIT_HEADERS if endpoint.rate_class else ())]
    if status in RETRIED:
        names.append("Retry-After")
    if endpoint.deprecated:
        names += ["Deprecation", "Sunset"]
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    reply: Document = {"description": HTTPStatus(status).phrase, "headers": headers}
    if kind is not None:
        reply["content"] = {media_type: {"schema": schemas.of(kind)}}
    return reply
