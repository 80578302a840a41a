"""Signed requests to a live server: the wrong variants, replays, keys that may not."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from crossbook.storage.api_keys import KeyStore
from crossbook.storage.database import Database
from crossbook.system import SystemClock
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, Signer, SigningClient, signature
from tests.dialects.truex.venue import organization
from tests.storage.support import using

CLIENTS = "/api/v1/clients"


@pytest.fixture(scope="module")
def alice(venue: FluxVenue) -> Organization:
    return organization(venue, "auth-alice")


def ask(venue: FluxVenue, headers: dict[str, str], target: str = CLIENTS, method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, venue.addresses["embedded"] + target, headers=headers, timeout=30)


def headers_of(who: Organization, timestamp: str, signed: str) -> dict[str, str]:
    return {
        "x-truex-auth-timestamp": timestamp,
        "x-truex-auth-token": who.key_id,
        "x-truex-auth-signature": signed,
    }


def now() -> str:
    return str(int(time.time()))


def in_hex(who: Organization) -> dict[str, str]:
    import hashlib
    import hmac

    timestamp = now()
    payload = f"{timestamp}GET{CLIENTS}".encode()
    return headers_of(who, timestamp, hmac.new(who.secret.encode(), payload, hashlib.sha256).hexdigest())


def in_milliseconds(who: Organization) -> dict[str, str]:
    timestamp = now() + "000"
    return headers_of(who, timestamp, signature(who.secret, timestamp, "GET", CLIENTS))


def without_the_prefix(who: Organization) -> dict[str, str]:
    timestamp = now()
    return headers_of(who, timestamp, signature(who.secret, timestamp, "GET", "/clients"))


def with_the_query(who: Organization) -> dict[str, str]:
    timestamp = now()
    return headers_of(who, timestamp, signature(who.secret, timestamp, "GET", CLIENTS + "?id=5"))


def with_another_method(who: Organization) -> dict[str, str]:
    timestamp = now()
    return headers_of(who, timestamp, signature(who.secret, timestamp, "POST", CLIENTS))


def stale(who: Organization) -> dict[str, str]:
    timestamp = str(int(time.time()) - 17)
    return headers_of(who, timestamp, signature(who.secret, timestamp, "GET", CLIENTS))


def with_another_secret(who: Organization) -> dict[str, str]:
    return Signer(replace(who, secret="wrong")).headers("GET", CLIENTS)


def of_nobody(who: Organization) -> dict[str, str]:
    return Signer(replace(who, key_id="6398805c-f369-40f6-ac07-94ce683056e4")).headers("GET", CLIENTS)


def of_no_uuid(who: Organization) -> dict[str, str]:
    return Signer(replace(who, key_id="alice")).headers("GET", CLIENTS)


@pytest.mark.parametrize(
    ("variant", "rule"),
    [
        (in_hex, "standard Base64 with padding"),
        (in_milliseconds, "must be Unix seconds"),
        (without_the_prefix, "path absolute (/api/v1 and on)"),
        (with_the_query, "without the query"),
        (with_another_method, "timestamp + METHOD + path + body"),
        (stale, "at most 15 s old"),
        (with_another_secret, "must be the HMAC"),
        (of_nobody, "x-truex-auth-token"),
        (of_no_uuid, "x-truex-auth-token"),
    ],
)
def test_a_wrong_variant_is_told_its_rule_and_no_more(
    venue: FluxVenue, alice: Organization, variant: Callable[[Organization], dict[str, str]], rule: str
) -> None:
    sent = variant(alice)
    reply = ask(venue, sent, CLIENTS + "?id=5")
    assert (reply.status_code, reply.headers["content-type"]) == (401, "application/problem+json")
    problem: dict[str, Any] = reply.json()
    assert rule in problem["detail"]
    assert problem.keys() == {"type", "title", "status", "detail"}
    right = signature(alice.secret, sent["x-truex-auth-timestamp"], "GET", CLIENTS)
    assert right not in reply.text
    assert alice.secret not in reply.text


def test_the_query_is_not_signed_and_names_of_headers_have_no_case(venue: FluxVenue, alice: Organization) -> None:
    made = {name.upper(): value for name, value in Signer(alice).headers("GET", CLIENTS).items()}
    assert ask(venue, made, f"{CLIENTS}?id={alice.client_id}").json()[0]["id"] == str(alice.client_id)


@pytest.mark.parametrize("missing", ["timestamp", "token", "signature"])
def test_every_header_is_required(venue: FluxVenue, alice: Organization, missing: str) -> None:
    made = Signer(alice).headers("GET", CLIENTS)
    del made[f"x-truex-auth-{missing}"]
    reply = ask(venue, made)
    assert reply.status_code == 401
    assert reply.json()["detail"] == f"the header x-truex-auth-{missing} is required"


def test_a_reading_signature_may_come_again(venue: FluxVenue, alice: Organization) -> None:
    made = Signer(alice).headers("GET", CLIENTS)
    assert [ask(venue, made).status_code for _ in range(2)] == [200, 200]


def test_a_signature_is_taken_once_by_all_processes_and_forgotten_when_it_has_expired(database_url: str) -> None:
    async def scenario(database: Database) -> list[object]:
        other = await Database.connect(database_url, max_connections=2)
        try:
            here, there = KeyStore(database), KeyStore(other)
            found: list[object] = [
                await here.take_signature(b"s" * 32, 1_000, 16_000),
                await here.take_signature(b"s" * 32, 1_000, 16_000),
                await there.take_signature(b"s" * 32, 1_000, 16_000),
                await there.take_signature(b"t" * 32, 30_000, 45_000),
            ]
            async with database.transaction() as transaction:
                found.append(await transaction.value("SELECT count(*) FROM used_signatures"))
            return found
        finally:
            await other.close()

    assert using(database_url, scenario) == [True, False, False, True, 1]


def test_a_revoked_key_opens_nothing(venue: FluxVenue) -> None:
    who = organization(venue, "auth-revoked")
    venue.run(venue.parts.keys.revoke(who.key_id))
    reply = ask(venue, Signer(who).headers("GET", CLIENTS))
    assert (reply.status_code, "in force" in reply.json()["detail"]) == (401, True)


def test_an_expired_key_opens_nothing(venue: FluxVenue) -> None:
    who = organization(venue, "auth-expired")
    soon_ms = SystemClock().now_ms() + 1_000
    issued = venue.run(venue.parts.keys.issue(who.organization_id, ["read"], expires_at_ms=soon_ms))
    time.sleep(1.1)
    late = replace(who, key_id=issued.key.key_id, secret=issued.secret)
    reply = ask(venue, Signer(late).headers("GET", CLIENTS))
    assert (reply.status_code, reply.json()["detail"]) == (401, "the key has expired")


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", 200), ("10.0.0.0/8", 403)])
def test_a_key_is_good_from_its_networks_only(venue: FluxVenue, network: str, status: int) -> None:
    who = organization(venue, f"auth-net-{status}", networks=[network])
    assert ask(venue, Signer(who).headers("GET", CLIENTS)).status_code == status


def test_a_key_without_the_scope_is_forbidden(venue: FluxVenue) -> None:
    who = organization(venue, "auth-trader", scopes=["trade"])
    reply = ask(venue, Signer(who).headers("GET", CLIENTS))
    assert (reply.status_code, reply.json()["detail"]) == (403, "the scope read is missing")


def test_the_use_of_a_key_is_noted(venue: FluxVenue) -> None:
    who = organization(venue, "auth-used")
    (before,) = venue.run(venue.parts.keys.list(who.organization_id))
    client = SigningClient(venue.addresses["embedded"], who)
    assert client.send("GET", CLIENTS).status_code == 200
    client.close()
    (after,) = venue.run(venue.parts.keys.list(who.organization_id))
    assert before.last_used_at_ms is None
    assert after.last_used_at_ms is not None
