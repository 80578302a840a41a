"""Requests made from Flux's document, good and bad, against the real venue: no 5xx, no undocumented reply."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from crossbook.dialects.flux.endpoints import flux_dialect
from crossbook.dialects.flux.services import Services
from crossbook.dialects.openapi import document_of
from crossbook.settings import RuntimeMode
from tests.dialects.flux.venue import FluxVenue

# A table is built without touching what its handlers need.
TABLE = flux_dialect(
    cast(
        "Services",
        SimpleNamespace(runtime_mode=RuntimeMode.EMBEDDED, unavailable=(), tokens=None, accounts=None, clock=None),
    ),
    "1",
)
DOCUMENT = schemathesis.openapi.from_dict(document_of(TABLE))
FEW = settings(
    max_examples=12,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A well-formed order may still be off the tick, or too large for its account.
NOT_ASKED: list[Any] = [CHECKS.get_one(name) for name in ("positive_data_acceptance",)]
REAL = {"marketId": "BTC-PERP", "market": "BTC-PERP", "asset": "USDC"}


def holds_fraction(value: object) -> bool:
    """Whether a number in `value` is written with a point: 10.0 is an integer to JSON Schema, and not to us."""
    if isinstance(value, dict | list):
        return any(holds_fraction(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


def made_real(value: object) -> None:
    """Put a market and an asset that exist where a generated name stands."""
    if isinstance(value, dict):
        value.update({name: REAL[name] for name in REAL.keys() & value.keys()})
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        made_real(item)


def trials() -> Iterator[tuple[str, str, GenerationMode]]:
    """Every operation with good requests, and with bad ones where there is a body or query to get wrong."""
    for row in TABLE.endpoints:
        yield row.path, row.method, GenerationMode.POSITIVE
        if row.request or row.query:
            yield row.path, row.method, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def tokens(venue: FluxVenue) -> list[str]:
    """Nobody, a trader with money, and an operator."""
    with httpx2.Client(base_url=venue.addresses["embedded"]) as client:
        trader = client.post("/auth/guest").json()["token"]
        headers = {"authorization": f"Bearer {trader}"}
        client.post("/deposits", headers=headers, json={"asset": "USDC", "amount": "1000000000"})
    venue.set_mark("BTC-PERP", "65000")
    return ["", trader, venue.operator(frozenset({"admin"}))]


@pytest.mark.parametrize(("path", "method", "mode"), list(trials()))
def test_no_request_finds_a_fault_or_an_undocumented_reply(
    path: str, method: str, mode: GenerationMode, venue: FluxVenue, tokens: list[str]
) -> None:
    @FEW
    @given(
        case=DOCUMENT[path][method].as_strategy(generation_mode=mode),
        token=st.sampled_from([*tokens, tokens[1], tokens[1]]),
        real=st.sampled_from([True, True, False]),
    )
    def send(case: schemathesis.Case[Any], token: str, real: bool) -> None:
        if mode is GenerationMode.POSITIVE:
            assume(not holds_fraction(case.body))
            if real:
                made_real(case.body)
                made_real(case.query)
                made_real(case.path_parameters)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        case.call_and_validate(
            base_url=venue.addresses["embedded"], headers=headers, excluded_checks=NOT_ASKED, timeout=30
        )

    send()
    assert venue.recorded.crashes == []
