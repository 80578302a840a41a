"""The table: every route of the contract, plural and singular, what each asks for, and its documents."""

from datetime import date
from typing import Any

import pytest

from crossbook.dialects.endpoint import AnyEndpoint, Auth
from crossbook.dialects.openapi import document_of
from crossbook.dialects.reference import documentation_of
from crossbook.dialects.truex.endpoints import endpoints, truex_dialect
from crossbook.dialects.truex.versions import V2024, V2026, versions_of
from crossbook.dialects.versions import Retirement, Version
from tests.dialects.truex.table import built_for_reading

PUBLIC = """
GET /health
GET /versions
GET /assets /asset
GET /instruments /instrument
GET /markets/quote /market/quote
POST /markets/quote /market/quote
GET /markets/increment /market/increment
"""
SIGNED = """
GET /clients /client
PATCH /clients /client
GET /orders/active /order/active
GET /orders/list /order/list
GET /orders /order
GET /orders/status/{ref_id} /order/status/{ref_id}
GET /orders/trade /order/trade
GET /orders/activity /order/activity
POST /orders /order
PATCH /orders /order
DELETE /orders/{ref_id} /order/{ref_id}
GET /balances /balance
GET /transfers/active /transfer/active
GET /transfers /transfer
POST /transfers /transfer
"""
SERVICES = built_for_reading()
ROWS = {(row.method, row.path): row for row in endpoints(SERVICES)}


def operations(text: str) -> set[tuple[str, str]]:
    lines = [line.split() for line in text.splitlines() if line]
    return {(method, path) for method, *paths in lines for path in paths}


def test_the_table_has_the_routes_of_the_contract_and_no_others() -> None:
    assert set(ROWS) == operations(PUBLIC) | operations(SIGNED)


def test_what_is_signed_and_what_is_public() -> None:
    assert {key for key, row in ROWS.items() if row.auth is Auth.REQUIRED} == operations(SIGNED)


def test_old_paths_are_deprecated_and_nothing_else() -> None:
    old = {(line.split()[0], path) for line in (PUBLIC + SIGNED).splitlines() for path in line.split()[2:]}
    assert {key for key, row in ROWS.items() if row.deprecated} == old
    assert all((b"deprecation", b"Tue, 27 Jan 2026 00:00:00 GMT") in ROWS[key].headers for key in old)


def test_every_signed_row_asks_for_one_scope() -> None:
    def scope(row: AnyEndpoint) -> str:
        (found,) = row.scopes
        return found

    found = {key: scope(row) for key, row in ROWS.items() if row.auth is Auth.REQUIRED}
    for (method, path), name in found.items():
        changes = "transfer" if path.startswith("/transfer") else "trade"
        assert name == ("read" if method == "GET" else changes), path


def schema_of(document: dict[str, Any], path: str, status: str = "200", method: str = "get") -> dict[str, Any]:
    """The schema of a reply, with its reference followed."""
    (content,) = document["paths"][f"/api/v1{path}"][method]["responses"][status]["content"].values()
    schema: dict[str, Any] = content["schema"]
    name = schema.get("$ref", "").rpartition("/")[2]
    return dict(document["components"]["schemas"][name]) if name else schema


def document(version: Version) -> dict[str, Any]:
    return document_of(truex_dialect(SERVICES, "1"), version)


def test_the_plain_document_has_arrays_and_problems() -> None:
    (plain, _) = (document(version) for version in SERVICES.versions)
    assert schema_of(plain, "/assets")["type"] == "array"
    assert set(schema_of(plain, "/clients", "401")["properties"]) >= {"type", "title", "status"}
    assert set(schema_of(plain, "/markets/quote", method="post")["properties"]) == {"qty", "price"}


def test_the_enveloped_document_wraps_everything() -> None:
    (_, wrapped) = (document(version) for version in SERVICES.versions)
    assert set(schema_of(wrapped, "/assets")["properties"]) == {"data", "pagination"}
    assert set(schema_of(wrapped, "/health")["properties"]) == {"data"}
    assert set(schema_of(wrapped, "/clients", "401")["properties"]) == {"error"}
    quote = wrapped["components"]["schemas"]["ComputedQuoteV2026"]["properties"]
    assert set(quote) == {"qty", "price", "notional", "notional_residual"}


def test_the_documents_name_their_version_and_their_deprecations() -> None:
    for version, required in zip(SERVICES.versions, (False, True), strict=True):
        made = document(version)
        found = [
            parameter
            for methods in made["paths"].values()
            for operation in methods.values()
            for parameter in operation["parameters"]
            if parameter["name"] == "x-truex-version"
        ]
        assert len(found) == len(ROWS)
        assert all(each["required"] is required and each["schema"]["enum"] == [version.name] for each in found)
        old = made["paths"]["/api/v1/asset"]["get"]
        assert old["deprecated"] is True
        assert "Sunset" in old["responses"]["200"]["headers"]


def test_the_page_takes_a_key_and_a_secret_and_no_token() -> None:
    pages = documentation_of(truex_dialect(SERVICES, "1"))
    for path in ("/docs/truex", f"/docs/truex/{V2026}"):
        page = (pages[path].raw or b"").decode()
        assert 'id="signer"' in page
        assert 'data-signature="x-truex-auth-signature"' in page
        assert 'id="token"' not in page
        # A form of what is public sends no credentials; one of the newer version asks for it.
        assert '<form data-method="GET" data-path="/api/v1/assets">' in page
        assert '<form data-method="GET" data-path="/api/v1/clients" data-secured="yes">' in page
        assert (f'<input name="x-truex-version" data-in="header" value="{V2026}">' in page) is (V2026 in path)


def test_a_deprecated_version_says_so_in_every_reply() -> None:
    retired = versions_of({V2024: Retirement(date(2026, 6, 1), date(2027, 6, 1))})
    from crossbook.dialects.call import Reply

    scope = {"type": "http", "headers": []}
    made = retired.dressed(scope, Reply(200, {}), "application/problem+json")
    assert (b"deprecation", b"Mon, 01 Jun 2026 00:00:00 GMT") in made.headers
    assert (b"sunset", b"Tue, 01 Jun 2027 00:00:00 GMT") in made.headers
    newer = {"type": "http", "headers": [(b"x-truex-version", V2026.encode())]}
    assert retired.dressed(newer, Reply(200, {}), "application/problem+json").headers == ()


def test_an_unknown_version_can_not_be_deprecated() -> None:
    with pytest.raises(ValueError, match="no version v1"):
        versions_of({"v1": Retirement(date(2026, 6, 1))})
