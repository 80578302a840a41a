"""Requests made from TrueX's documents, good and bad, signed or not: no 5xx, no undocumented reply."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.auth import AuthBase
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from crossbook.dialects.endpoint import AnyEndpoint, Auth
from crossbook.dialects.openapi import document_of
from crossbook.dialects.truex.endpoints import truex_dialect
from crossbook.dialects.truex.table import PREFIX
from crossbook.dialects.truex.versions import V2024, V2026
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, signature
from tests.dialects.truex.table import built_for_reading
from tests.dialects.truex.venue import organization

SERVICES = built_for_reading()
TABLE = truex_dialect(SERVICES, "1")


def unsigned(document: dict[str, Any]) -> dict[str, Any]:
    """The document without its credentials: requests get theirs from `Signature`, or none, and then 401."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation["security"] = []
    return document


DOCUMENTS = {
    version.name: schemathesis.openapi.from_dict(unsigned(document_of(TABLE, version))) for version in SERVICES.versions
}
FEW = settings(
    max_examples=8,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A well-formed order may still be off the tick, or its instrument unknown. Credentials are signatures, made here.
NOT_ASKED: list[Any] = [CHECKS.get_one(name) for name in ("positive_data_acceptance", "ignored_auth")]


class Signature(AuthBase):
    """Signs what is sent, each time as a request of its own."""

    def __init__(self, who: Organization) -> None:
        self._who = who
        self._age_s = 0

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        body = request.body or b""
        sent = body.encode() if isinstance(body, str) else body
        assert isinstance(sent, bytes)
        self._age_s = (self._age_s + 1) % 12
        timestamp = str(int(time.time()) - self._age_s)
        assert request.url is not None
        assert request.method is not None
        made = signature(self._who.secret, timestamp, request.method, urlsplit(request.url).path, sent)
        request.headers["x-truex-auth-timestamp"] = timestamp
        request.headers["x-truex-auth-token"] = self._who.key_id
        request.headers["x-truex-auth-signature"] = made
        return request


def trials() -> Iterator[tuple[str, str, str, GenerationMode]]:
    """Good requests to every operation of both versions, and bad ones where there is something to get wrong."""
    for row in TABLE.endpoints:
        if row.deprecated and row.parameters:
            continue  # the old path of an operation with a parameter is the same row
        yield V2026, row.path, row.method, GenerationMode.POSITIVE
        if not row.deprecated:
            yield V2024, row.path, row.method, GenerationMode.POSITIVE
        if not row.deprecated and (row.request or row.query):
            yield V2024, row.path, row.method, GenerationMode.NEGATIVE


def made_real(value: object, real: dict[str, str]) -> None:
    """Put ids that exist where generated ones stand."""
    if isinstance(value, dict):
        value.update({name: real[name] for name in real.keys() & value.keys()})
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        made_real(item, real)


@pytest.fixture(scope="module")
def trader(venue: FluxVenue) -> Organization:
    return organization(venue, "schemathesis", {"PYUSD": "1000000000", "BTC": "1000"})


def row_of(path: str, method: str) -> AnyEndpoint:
    return next(row for row in TABLE.endpoints if (row.path, row.method) == (path, method))


@pytest.mark.parametrize(("version", "path", "method", "mode"), list(trials()))
def test_no_request_finds_a_fault_or_an_undocumented_reply(
    version: str, path: str, method: str, mode: GenerationMode, venue: FluxVenue, trader: Organization
) -> None:
    market = venue.parts.markets.named("BTC-PYUSD")
    ids = {"client_id": str(trader.client_id), "instrument_id": str(market.number)}
    ids |= {"asset_id": str(market.quote_asset_id), "timestamp": str((int(time.time()) + 1) * 10**9)}
    signed = row_of(path, method).auth is Auth.REQUIRED

    @FEW
    @given(
        case=DOCUMENTS[version][PREFIX + path][method].as_strategy(generation_mode=mode),
        known=st.sampled_from([True, True, True, False]),
        real=st.sampled_from([True, True, False]),
    )
    def send(case: schemathesis.Case[Any], known: bool, real: bool) -> None:
        if mode is GenerationMode.POSITIVE and real:
            for part in (case.body, case.query, case.path_parameters):
                made_real(part, ids)
        auth = Signature(trader) if known and signed else None
        case.call_and_validate(base_url=venue.addresses["embedded"], auth=auth, excluded_checks=NOT_ASKED, timeout=30)

    send()
    assert venue.recorded.crashes == []
