"""No key sees or touches another organization: every signed endpoint of the table, with everything of a stranger's.

The walk is made from the table. A new row is walked too; a field that nothing is known of makes the test fail.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import urlencode

import msgspec
import pytest

from crossbook.dialects.endpoint import AnyEndpoint, Auth
from crossbook.dialects.truex.endpoints import endpoints
from crossbook.dialects.truex.table import PREFIX
from crossbook.system import SystemClock
from tests.dialects.flux.venue import FluxVenue
from tests.dialects.truex.signing import Organization, SigningClient
from tests.dialects.truex.venue import organization
from tests.venue_process import eventually

EXTERNAL_ID = "alices-own-id"
TRANSFER_ID = "alices-transfer"


@dataclass(frozen=True)
class Property:
    """What Alice has, and what of it a stranger may know and name."""

    alice: Organization
    order_id: str
    transfer_id: str
    instrument_id: str
    asset_id: str

    def values(self, subject: str) -> dict[str, Any]:
        """A value for each field of the table's requests; `subject` stands for the field that names whose thing."""
        return {
            "id": subject,
            "client_id": str(self.alice.client_id),
            "order_id": self.order_id,
            "external_id": EXTERNAL_ID,
            "ref_id": subject,
            "id_type": "client" if subject == EXTERNAL_ID else "exchange",
            "instrument_id": self.instrument_id,
            "asset_id": self.asset_id,
            "asset_name": "PYUSD",
            "mnemonic": self.alice.mnemonic,
            "timestamp": str((SystemClock().now_ms() + 1_000) * 1_000_000),
            "msg_type": "REQUEST_NEW",
            "query": json.dumps({"columns": [{"name": "external_id", "filter": [{"$eq": EXTERNAL_ID}]}]}),
            "size": 100,
            "skip": 0,
            "qty": "0.001",
            "price": "61000",
            "amount": "1",
            "new_qty": "0.002",
            "new_price": "61000.5",
            "instructions": {"transfer_id": TRANSFER_ID, "client_id": str(self.alice.client_id)},
        }

    @property
    def marks(self) -> set[str]:
        """Texts by which a reply would tell of Alice."""
        return {
            str(self.alice.client_id),
            str(self.alice.organization_id),
            self.alice.mnemonic,
            self.order_id,
            EXTERNAL_ID,
            self.alice.key_id,
        }

    @property
    def subjects(self) -> list[str]:
        """What a stranger may put where an id is asked for."""
        return [self.order_id, str(self.alice.client_id), EXTERNAL_ID, self.transfer_id]


LEFT_OUT = {"cursor", "request", "new_type", "tif", "exec_inst_flags", "stp"}
"""Fields that name nobody; `request` is the other form of the body, which is walked by itself."""


def filled(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """A body or query of this type, from what is known of its fields."""
    made: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        options = get_args(field.type) if get_origin(field.type) in {Union, type(int | str)} else (field.type,)
        struct = next((each for each in options if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)
        literal = next((each for each in options if get_origin(each) is Literal), None)
        if field.encode_name in LEFT_OUT:
            continue
        if field.encode_name in values:
            made[field.encode_name] = values[field.encode_name]
        elif struct is not None:
            made[field.encode_name] = filled(struct, values)
        elif literal is not None:
            made[field.encode_name] = get_args(literal)[0]
        else:
            raise AssertionError(f"say in `values` what a stranger puts into {field.encode_name} of {kind.__name__}")
    return made


def requests_of(row: AnyEndpoint, known: Property) -> Iterator[tuple[str, bytes]]:
    """Requests of a row with Alice's things: the address and the body."""
    for subject in known.subjects:
        values = known.values(subject)
        path = PREFIX + row.path.format(**{name: values[name] for name in row.parameters})
        queries = [""]
        if row.query is not None:
            fields = filled(row.query, values)
            required = {f.encode_name for f in msgspec.structs.fields(row.query) if f.required}
            queries = [urlencode(fields), urlencode({key: fields[key] for key in required})]
            if subject == known.order_id:
                queries += [urlencode({key: fields[key] for key in {*required, one}}) for one in fields]
        bodies = [b""]
        if row.request is not None:
            whole = filled(row.request, values)
            bodies = [json.dumps(whole).encode(), json.dumps({"request": whole}).encode()]
        for query in queries:
            for body in bodies:
                yield (f"{path}?{query}" if query else path), body


def state_of(venue: FluxVenue, alice: SigningClient, known: Property) -> list[Any]:
    """What Alice sees of her own."""
    venue.settle()
    now = known.values("")["timestamp"]
    paths = ["clients", "balances", "orders/active", "orders", "transfers/active", f"transfers?timestamp={now}"]
    paths += [f"orders/activity?size=100&timestamp={now}", f"orders/trade?timestamp={now}"]
    return [alice.send("GET", f"{PREFIX}/{path}").json() for path in paths]


def active(client: SigningClient) -> list[dict[str, Any]]:
    """The open transfers."""
    found: list[dict[str, Any]] = client.send("GET", f"{PREFIX}/transfers/active").json()
    return found


@pytest.fixture(scope="module")
def known(venue: FluxVenue) -> Property:
    alice = organization(venue, "isolated-alice", {"PYUSD": "10000", "BTC": "1"})
    client = SigningClient(venue.addresses["embedded"], alice)
    market = venue.parts.markets.named("BTC-PYUSD")
    info = {
        "client_id": str(alice.client_id),
        "instrument_id": str(market.number),
        "qty": "0.01",
        "price": "60000",
        "side": "BUY",
        "type": "LIMIT",
    }
    order = client.send("POST", f"{PREFIX}/orders", json.dumps({"external_id": EXTERNAL_ID, "info": info}).encode())
    body = {
        "amount": "5",
        "asset_id": str(market.quote_asset_id),
        "client_id": str(alice.client_id),
        "type": "WITHDRAW",
        "platform": "FIAT",
        "instructions": {"transfer_id": TRANSFER_ID},
    }
    transfer = client.send("POST", f"{PREFIX}/transfers", json.dumps(body).encode())
    assert (order.status_code, transfer.status_code) == (200, 200), order.text + transfer.text
    # The custodian takes an hour, so from here on nothing changes by itself.
    assert eventually(lambda: [each["status"] for each in active(client)] == ["PENDING"])
    client.close()
    venue.settle()
    ids = order.json()["id"], transfer.json()["id"]
    return Property(alice, *ids, str(market.number), str(market.quote_asset_id))


def signed_rows(venue: FluxVenue) -> list[AnyEndpoint]:
    return [row for row in endpoints(venue.parts.truex) if row.auth is Auth.REQUIRED]


def test_every_signed_endpoint_keeps_a_stranger_out(venue: FluxVenue, known: Property) -> None:
    mallory = organization(venue, "mallory", {"PYUSD": "10000", "BTC": "1"})
    stranger = SigningClient(venue.addresses["embedded"], mallory)
    owner = SigningClient(venue.addresses["embedded"], known.alice)
    before = state_of(venue, owner, known)
    walked = set()
    for row in signed_rows(venue):
        for target, body in requests_of(row, known):
            reply = stranger.send(row.method, target, body)
            where = f"{row.method} {target} {body!r}: {reply.status_code} {reply.text}"
            assert reply.status_code in {200, 400, 403, 404}, where
            told = reply.text
            if reply.status_code >= 400:  # what was sent may be said back
                told = told.replace(EXTERNAL_ID, "").replace(known.order_id, "").replace(str(known.alice.client_id), "")
            assert not [mark for mark in known.marks if f'"{mark}"' in told], where
            if row.method != "GET":
                assert reply.status_code >= 400, where
            as_alice = {"x-truex-auth-userid": str(known.alice.client_id)}
            assert stranger.send(row.method, target, body, as_alice).status_code == 403, where
            walked.add((row.method, row.path))
    assert len(walked) == len(signed_rows(venue)) >= 20
    assert state_of(venue, owner, known) == before
    assert venue.recorded.crashes == []
    stranger.close()
    owner.close()


def test_the_walk_finds_alices_things_when_she_walks_herself(venue: FluxVenue, known: Property) -> None:
    """Else the test above could pass because it asks for nothing."""
    owner = SigningClient(venue.addresses["embedded"], known.alice)
    found = {row.path for row in signed_rows(venue) if row.method == "GET" and _tells(owner, row, known)}
    owner.close()
    assert {"/clients", "/balances", "/orders", "/orders/active", "/orders/list", "/orders/activity"} <= found
    assert {"/orders/status/{ref_id}", "/transfers", "/transfers/active"} <= found


def _tells(owner: SigningClient, row: AnyEndpoint, known: Property) -> bool:
    replies = [owner.send("GET", target) for target, _ in requests_of(row, known)]
    return any(reply.status_code == 200 and any(mark in reply.text for mark in known.marks) for reply in replies)
