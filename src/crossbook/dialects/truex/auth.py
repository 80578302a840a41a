"""Who sends a request: the key that signed it, its organization, and the client that is asked for.

401: no key of ours, a signature that does not fit, a timestamp out of the window, a signature seen before.
403: a key that may not do this, may not do it from there, or names a client that is not its organization's.

A key is read from the store once and believed for two seconds, so that a busy client does not cost a query for
each request. Signatures of requests that may change something are noted in the store, for all processes.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from crossbook.application.api_keys import ApiKey, SigningKey
from crossbook.application.clients import Client
from crossbook.dialects.call import AnyCall, Principal
from crossbook.dialects.market_ports import Clock
from crossbook.dialects.recent import CAPACITY, Recent
from crossbook.dialects.refusals import Fault, FaultKind
from crossbook.dialects.truex.errors import Kind, Problem
from crossbook.dialects.truex.signature import (
    NEWEST_S,
    OLDEST_S,
    SignatureRefused,
    digest_in,
    matches,
    request_payload,
    timestamp_s,
)

TIMESTAMP: Final = b"x-truex-auth-timestamp"
TOKEN: Final = b"x-truex-auth-token"
SIGNATURE: Final = b"x-truex-auth-signature"
CLIENT_NAMES: Final = (b"x-truex-auth-userid", b"x-truex-auth-user-id")
READING: Final = frozenset({"GET", "HEAD"})
ID: Final = re.compile(r"[1-9][0-9]{0,18}")
ALL_CLIENTS: Final = 0

SECURITY: Final[dict[str, Any]] = {
    "timestamp": {
        "type": "apiKey",
        "in": "header",
        "name": "x-truex-auth-timestamp",
        "description": f"Unix seconds, at most {OLDEST_S} s old and {NEWEST_S} s ahead.",
    },
    "token": {"type": "apiKey", "in": "header", "name": "x-truex-auth-token", "description": "The key's id."},
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "x-truex-auth-signature",
        "description": "The signature is the Base64 of an HMAC-SHA256, keyed by the secret, of timestamp + METHOD"
        " + path + body: the path with /api/v1 and without the query, the body byte by byte as it is sent. One that may"
        " have changed something is taken once.",
    },
}
"""The credentials as OpenAPI describes them; the client's id is optional and not signed."""


class Keys(Protocol):
    """The keys of the venue. `crossbook.application.api_keys.ApiKeys` is one."""

    async def signing_key(self, key_id: str) -> SigningKey | None:
        """The key of this id, with its secret; None when there is none or it was revoked."""
        ...

    async def note_use(self, key_id: str) -> None:
        """Note that a key is used now."""
        ...

    async def take_signature(self, signature: bytes, lifetime_ms: int) -> bool:
        """Whether this is the first use of a signature that is good for `lifetime_ms` more."""
        ...


@dataclass(frozen=True)
class Caller:
    """Who sends a signed request. `client_id` is the client that is asked for, 0 for all of the organization's."""

    key: ApiKey
    clients: Mapping[int, Client]
    client_id: int

    @property
    def organization_id(self) -> int:
        """The organization of the key."""
        return self.key.organization_id

    @property
    def account_ids(self) -> list[int]:
        """The accounts that the request is about: of the client asked for, or of all."""
        return [self.client_id] if self.client_id else list(self.clients)

    def client(self, client_id: int) -> Client:
        """One of the clients that the request is about. Raises Problem INVALID_CLIENT for any other."""
        found = self.clients.get(client_id)
        if found is None or self.client_id not in {ALL_CLIENTS, client_id}:
            raise Problem(Kind.INVALID_CLIENT, "Invalid client", field="client_id", rule="must be a client of the key")
        return found


def caller_of(call: AnyCall) -> Caller:
    """Who sends an authenticated request."""
    caller = call.principal.session
    assert isinstance(caller, Caller)
    return caller


class KeyAuth:
    """The authenticator of TrueX."""

    def __init__(self, keys: Keys, clock: Clock, capacity: int = CAPACITY) -> None:
        self._keys = keys
        self._clock = clock
        self._known: Recent[SigningKey] = Recent(clock, capacity)

    async def __call__(self, call: AnyCall) -> Principal:
        """The sender of a request; its `session` is the `Caller`. Raises `Fault` and `Problem`."""
        now_s = self._clock.now_ms() // 1000
        timestamp = _required(call, TIMESTAMP)
        try:
            sent_s = timestamp_s(timestamp, now_s)
            digest = digest_in(_required(call, SIGNATURE))
        except SignatureRefused as error:
            raise _unauthenticated(str(error)) from None
        key = await self.key_of(_required(call, TOKEN))
        method: str = call.scope["method"]
        payload = request_payload(timestamp, method, sent_path(call), call.raw_body)
        if not matches(key.secret, digest, payload):
            raise _unauthenticated(
                "x-truex-auth-signature must be the HMAC of timestamp + METHOD + path + body, with the path absolute"
                " (/api/v1 and on) and without the query, and the body as it was sent"
            )
        self.check_use(key, call.visit.address)
        if method not in READING:
            await self._take_once(digest, sent_s, now_s)
        await self._keys.note_use(key.key.key_id)
        caller = await self._caller(key, call)
        return Principal(str(caller.organization_id), key.key.scopes, f"key {key.key.key_id}", caller)

    async def key_of(self, token: bytes) -> SigningKey:
        """The key that a header names. Raises `Fault` UNAUTHENTICATED."""
        key_id = token.decode("latin-1").strip().lower()
        return self._known.get(key_id) or await self._look_up(key_id)

    async def key_with(self, key: SigningKey, client_ids: Collection[str]) -> SigningKey:
        """The key, read again when it does not know one of these clients: that may have been set up just now."""
        known = {str(client.account_id) for client in key.clients}
        return key if known.issuperset(client_ids) else await self._look_up(key.key.key_id)

    def check_use(self, key: SigningKey, address: str) -> None:
        """Refuse a key that has expired, or that may not be used from this address. Raises `Fault`."""
        expires_at_ms = key.key.expires_at_ms
        if expires_at_ms is not None and self._clock.now_ms() >= expires_at_ms:
            raise _unauthenticated("the key has expired")
        if not key.key.allows(address):
            raise Fault(FaultKind.FORBIDDEN, "the key may not be used from this address")

    async def _look_up(self, key_id: str) -> SigningKey:
        key = await self._keys.signing_key(key_id)
        if key is None:
            raise _unauthenticated("x-truex-auth-token must be the id of a key that is in force")
        self._known.put(key_id, key)
        return key

    async def _take_once(self, digest: bytes, sent_s: int, now_s: int) -> None:
        lifetime_s = OLDEST_S + NEWEST_S + sent_s - now_s + 1
        if not await self._keys.take_signature(digest, lifetime_s * 1000):
            raise _unauthenticated("the signature was used before: sign each request that changes something anew")

    async def _caller(self, key: SigningKey, call: AnyCall) -> Caller:
        client_id = asked_client(call)
        if client_id and all(client.account_id != client_id for client in key.clients):
            key = await self._look_up(key.key.key_id)  # it may have been set up just now
        clients = {client.account_id: client for client in key.clients}
        if client_id and client_id not in clients:
            raise Fault(FaultKind.FORBIDDEN, "the client is not one of the key's organization")
        return Caller(key.key, clients, client_id)


def asked_client(call: AnyCall) -> int:
    """The client that the headers ask for: 0 for none, or for the header `0`. Raises `Fault` INVALID."""
    given = {value.decode("latin-1").strip() for name in CLIENT_NAMES if (value := call.header(name)) is not None}
    given -= {"", "0"}
    if not given:
        return ALL_CLIENTS
    text = given.pop()
    if given or not ID.fullmatch(text):
        rule = "must be the id of a client, 0, or absent"
        raise Fault(FaultKind.INVALID, f"x-truex-auth-userid {rule}", field="x-truex-auth-userid", rule=rule)
    return int(text)


def sent_path(call: AnyCall) -> bytes:
    """The path as it was sent, escapes and all, without the query."""
    raw: bytes | None = call.scope.get("raw_path")
    return raw.partition(b"?")[0] if raw else str(call.scope["path"]).encode()


def _required(call: AnyCall, name: bytes) -> bytes:
    value = call.header(name)
    if not value:
        raise _unauthenticated(f"the header {name.decode()} is required")
    return value


def _unauthenticated(message: str) -> Fault:
    return Fault(FaultKind.UNAUTHENTICATED, message)
