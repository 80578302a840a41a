"""Requests made from the documents, good and bad, find no fault and no reply that a document does not know.

Two tables are tried: the toy dialect's, with a budget that runs dry, and one that only reads every request of
Flux, which proves that Flux's schemas say in the document what they do in the decoder.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from crossbook.dialects.endpoint import AnyCall, Dialect, Endpoint, Reply, Surroundings
from crossbook.dialects.flux import schemas
from crossbook.dialects.flux.errors import FluxErrors
from crossbook.dialects.openapi import document_of
from crossbook.server.limits import Budget, RateLimiter, RateLimits
from tests.dialects.toy import toy
from tests.server.running import Recorded, serving_dialects, setup_for

BODIES: list[type[msgspec.Struct]] = [
    schemas.SubmitOrder,
    schemas.SubmitBatch,
    schemas.AmendOrder,
    schemas.Transfer,
    schemas.Credentials,
    schemas.LoginCredentials,
]
QUERIES: list[type[msgspec.Struct]] = [
    schemas.OrdersQuery,
    schemas.FillsQuery,
    schemas.TradesQuery,
    schemas.OrderBookQuery,
    schemas.CancelAllQuery,
]


async def heard(call: AnyCall) -> Reply:
    """The handler of a table that only listens."""
    return Reply(body=schemas.Health())


def listening() -> Dialect:
    """Every request of Flux, read and thanked for."""
    health = {200: schemas.Health}
    bodies = [Endpoint("POST", f"/{kind.__name__}", "Hear.", heard, health, request=kind) for kind in BODIES]
    queries = [Endpoint("GET", f"/{kind.__name__}", "Hear.", heard, health, query=kind) for kind in QUERIES]
    return Dialect("flux", "Flux", "1", "", [*bodies, *queries], FluxErrors(), body_limit_bytes=1_000_000)


def holds_fraction(value: object) -> bool:
    """Whether a number in `value` is written with a point: 10.0 is an integer to JSON Schema, and not to us."""
    if isinstance(value, dict | list):
        return any(holds_fraction(item) for item in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


# A bad body may be a long one: the limit of size is another test's matter.
DIALECTS = {"toy": replace(toy(), body_limit_bytes=1_000_000), "flux": listening()}
DOCUMENTS = {name: schemathesis.openapi.from_dict(document_of(dialect)) for name, dialect in DIALECTS.items()}
TOKENS = st.sampled_from(["", "Bearer reader", "Bearer writer", "Bearer nobody"])
FEW = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def trials() -> Iterator[tuple[str, str, str, GenerationMode]]:
    """Every operation with good requests, and with bad ones where there is a body or query to get wrong."""
    for name, dialect in DIALECTS.items():
        for row in dialect.endpoints:
            yield name, dialect.prefix + row.path, row.method, GenerationMode.POSITIVE
            if row.request or row.query:
                yield name, dialect.prefix + row.path, row.method, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture(scope="module")
def address(recorded: Recorded) -> Iterator[str]:
    limits = RateLimits(by_key={"store": Budget(burst=20, refill_ms=100)}, by_address={})
    surroundings = Surroundings(limiter=RateLimiter(limits, lambda: 0))
    with serving_dialects(list(DIALECTS.values()), setup_for(recorded, surroundings)) as made:
        yield made


@pytest.mark.parametrize(("name", "path", "method", "mode"), list(trials()))
def test_no_request_finds_an_undocumented_reply(
    name: str, path: str, method: str, mode: GenerationMode, address: str, recorded: Recorded
) -> None:
    @FEW
    @given(case=DOCUMENTS[name][path][method].as_strategy(generation_mode=mode), token=TOKENS)
    def send(case: schemathesis.Case[Any], token: str) -> None:
        assume(mode is GenerationMode.NEGATIVE or not holds_fraction(case.body))
        headers = {"Authorization": token} if token else {}
        case.call_and_validate(base_url=address, headers=headers)

    send()
    assert recorded.crashes == []
