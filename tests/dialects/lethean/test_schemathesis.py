"""Requests made from Lethean's document, good and bad, against the real venue: no 5xx, no undocumented reply."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from crossbook.dialects.lethean.endpoints import lethean_dialect
from crossbook.dialects.openapi import document_of
from tests.dialects.flux.test_schemathesis import holds_fraction
from tests.dialects.lethean.test_table import NOTHING
from tests.dialects.lethean.venue import LetheanVenue

TABLE = lethean_dialect(NOTHING, "1")
DOCUMENT = schemathesis.openapi.from_dict(document_of(TABLE))
FEW = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# A request of the right form may still be about an order that is not there.
NOT_ASKED: list[Any] = [CHECKS.get_one(name) for name in ("positive_data_acceptance",)]


def trials() -> Iterator[tuple[str, str, GenerationMode]]:
    """Every operation with good requests, and with bad ones where there is a body to get wrong."""
    for row in TABLE.endpoints:
        yield row.path, row.method, GenerationMode.POSITIVE
        if row.request:
            yield row.path, row.method, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def known(venue: LetheanVenue) -> dict[str, Any]:
    """Tokens, and numbers of things that are there."""
    alice, pair = venue.wallet("alice"), int(venue.pair()["pair"])
    data = {"type": "buy", "side": "limit", "price": "2", "amount": "10", "pairId": pair}
    order = venue.post("/orders/create", {"token": alice.token, "orderData": data}).json()["data"]["id"]
    real = {"pairId": pair, "id": pair, "orderId": order, "firstOrderId": order, "connected_order_id": order}
    return {"tokens": ["", alice.token, alice.token, venue.operator()], "real": real}


def made_real(value: object, real: dict[str, int]) -> None:
    """Put numbers of things that are there where generated ones stand."""
    if isinstance(value, dict):
        value.update({name: real[name] for name in real.keys() & value.keys()})
    for item in value.values() if isinstance(value, dict) else ():
        made_real(item, real)


@pytest.mark.parametrize(("path", "method", "mode"), list(trials()))
def test_no_request_finds_a_fault_or_an_undocumented_reply(
    path: str, method: str, mode: GenerationMode, venue: LetheanVenue, known: dict[str, Any]
) -> None:
    @FEW
    @given(
        case=DOCUMENT[f"/api{path}"][method].as_strategy(generation_mode=mode),
        token=st.sampled_from(known["tokens"]),
        real=st.booleans(),
    )
    def send(case: schemathesis.Case[Any], token: str, real: bool) -> None:
        if mode is GenerationMode.POSITIVE:
            assume(not holds_fraction(case.body))
            if real:
                made_real(case.body, known["real"])
        body: Any = case.body
        given_token = body.get("token") if isinstance(body, dict) else None
        if isinstance(given_token, str) and token and not path.endswith("sign-out"):
            body["token"] = token
        case.call_and_validate(base_url=venue.addresses["embedded"], excluded_checks=NOT_ASKED, timeout=30)

    send()
    assert venue.recorded.crashes == []
