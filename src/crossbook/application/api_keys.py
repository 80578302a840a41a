"""Keys that sign requests: made, listed, revoked, and found again by whoever checks a signature."""

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from crossbook.application.clients import Client
from crossbook.application.clock import WallClock
from crossbook.application.errors import ApplicationError, InvalidOrder
from crossbook.security.sealing import Sealer, SealError, key_name
from crossbook.system import random_uuid, secret_token

MAX_NETWORKS: Final = 64
MAX_NAME: Final = 100
SECRET_BYTES: Final = 32
NOTE_USE_EVERY_MS: Final = 60_000
RESEAL_BATCH: Final = 500
FIRST_KEY_ID: Final = str(UUID(int=0))
"""Less than the id of any key."""


class KeyNotFound(ApplicationError):
    """No such key."""


class KeyScope(StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"
    TRANSFER = "transfer"


@dataclass(frozen=True)
class ApiKey:
    """A key without its secret. `networks` empty: from everywhere. Times in milliseconds, None for never."""

    key_id: str
    organization_id: int
    name: str
    scopes: frozenset[str]
    networks: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    last_used_at_ms: int | None

    def allows(self, address: str) -> bool:
        """Whether the key may be used from this address."""
        if not self.networks:
            return True
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in ipaddress.ip_network(network) for network in self.networks)


@dataclass(frozen=True)
class StoredKey:
    """A key as it is kept, with the clients of its organization."""

    key: ApiKey
    sealed_secret: str
    clients: tuple[Client, ...]


@dataclass(frozen=True)
class SigningKey:
    """A key that checks signatures: its secret is readable. `repr` shows none of it."""

    key: ApiKey
    secret: bytes
    clients: tuple[Client, ...]

    def __repr__(self) -> str:
        return f"SigningKey({self.key.key_id})"


@dataclass(frozen=True)
class IssuedKey:
    """A new key with its secret, which is told once and never again."""

    key: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"IssuedKey({self.key.key_id})"


@dataclass(frozen=True)
class SealedSecret:
    """The sealed secret of a key. `repr` shows none of it."""

    key_id: str
    sealed: str

    def __repr__(self) -> str:
        return f"SealedSecret({self.key_id})"


@dataclass(frozen=True)
class Resealed:
    """How many secrets were sealed anew, and how many could not be, by the name of the sealing key that is missing.

    A secret that does not open for another reason than a missing key is under the name of the key that it names.
    """

    done: int
    unopened: Mapping[str, int]


class KeyStore(Protocol):
    """Where keys are kept. `crossbook.storage.api_keys` is one."""

    async def create(self, key: ApiKey, sealed_secret: str) -> None:
        """Store a new key. Raises InvalidOrder when there is no such organization."""
        ...

    async def find(self, key_id: str) -> StoredKey | None:
        """A key that was not revoked and whose organization may sign in, or None."""
        ...

    async def of_organization(self, organization_id: int | None) -> list[ApiKey]:
        """The keys of an organization, or of all, oldest first."""
        ...

    async def revoke(self, key_id: str, now_ms: int) -> bool:
        """Refuse a key from now on. False when there is none, or it was revoked before."""
        ...

    async def note_use(self, key_id: str, now_ms: int, unless_after_ms: int) -> None:
        """Note when a key was used, unless a later use than `unless_after_ms` is noted."""
        ...

    async def sealed_otherwise(self, sealing_key: str, after_key_id: str, limit: int) -> list[SealedSecret]:
        """Secrets that another key than the one of this name sealed, by key id, of greater ids than `after_key_id`.

        Those of revoked keys are among them.
        """
        ...

    async def reseal(self, old: Sequence[SealedSecret], new: Sequence[SealedSecret]) -> int:
        """Put new seals in the place of old ones, all in one transaction; how many were still the old ones."""
        ...

    async def take_signature(self, signature: bytes, now_ms: int, expires_at_ms: int) -> bool:
        """Note a signature, for every process of the venue; False when it was noted before."""
        ...


class ApiKeys:
    """The use cases of keys."""

    def __init__(self, store: KeyStore, sealer: Sealer, clock: WallClock) -> None:
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._noted_ms: dict[str, int] = {}

    async def issue(
        self,
        organization_id: int,
        scopes: Sequence[str],
        *,
        name: str = "",
        networks: Sequence[str] = (),
        expires_at_ms: int | None = None,
    ) -> IssuedKey:
        """A new key. Raises InvalidOrder for a scope, a network or an expiry that can not be."""
        now_ms = self._clock.now_ms()
        key = ApiKey(
            random_uuid(),
            organization_id,
            _checked_name(name),
            _checked_scopes(scopes),
            _checked_networks(networks),
            now_ms,
            expires_at_ms,
            None,
            None,
        )
        if expires_at_ms is not None and expires_at_ms <= now_ms:
            raise InvalidOrder("expires_at", "must be later than now")
        secret = secret_token(SECRET_BYTES)
        await self._store.create(key, self._sealer.seal(secret, key.key_id))
        return IssuedKey(key, secret)

    async def list(self, organization_id: int | None = None) -> list[ApiKey]:
        """The keys of an organization, or of all, oldest first; the revoked among them."""
        return await self._store.of_organization(organization_id)

    async def revoke(self, key_id: str) -> None:
        """Refuse a key from now on; within seconds everywhere. Raises KeyNotFound."""
        if not _is_uuid(key_id) or not await self._store.revoke(key_id, self._clock.now_ms()):
            raise KeyNotFound(f"no key {key_id} that could be revoked")

    async def signing_key(self, key_id: str) -> SigningKey | None:
        """The key of this id, with its readable secret; None when there is none or it was revoked.

        Raises SealError when its secret does not open, which only a fault of the operator brings about.
        """
        if not _is_uuid(key_id):
            return None
        found = await self._store.find(key_id)
        if found is None:
            return None
        secret = self._sealer.open(found.sealed_secret, found.key.key_id)
        return SigningKey(found.key, secret.encode(), found.clients)

    async def reseal(self, batch: int = RESEAL_BATCH) -> Resealed:
        """Seal every secret under the newest sealing key that another one has sealed, `batch` at a time.

        Each batch is a transaction of its own, and a secret opens before it and after it: so this can be broken off
        at any moment, run again, and run beside a venue that knows both keys. A secret that does not open stays as
        it is, and is counted.
        """
        done = 0
        while (found := await self._reseal_once(batch)).done:  # until nothing came meanwhile
            done += found.done
        return Resealed(done, found.unopened)

    async def _reseal_once(self, batch: int) -> Resealed:
        done, after, unopened = 0, FIRST_KEY_ID, Counter[str]()
        while page := await self._store.sealed_otherwise(self._sealer.current, after, batch):
            after = page[-1].key_id
            old, new = [], []
            for each in page:
                try:
                    secret = self._sealer.open(each.sealed, each.key_id)
                except SealError:
                    unopened[key_name(each.sealed)] += 1
                    continue
                old.append(each)
                new.append(SealedSecret(each.key_id, self._sealer.seal(secret, each.key_id)))
            done += await self._store.reseal(old, new)
        return Resealed(done, unopened)

    async def note_use(self, key_id: str) -> None:
        """Note that a key is used now: in the store at most once a minute."""
        now_ms = self._clock.now_ms()
        if now_ms - self._noted_ms.get(key_id, 0) < NOTE_USE_EVERY_MS:
            return
        self._noted_ms[key_id] = now_ms
        await self._store.note_use(key_id, now_ms, now_ms - NOTE_USE_EVERY_MS)

    async def take_signature(self, signature: bytes, lifetime_ms: int) -> bool:
        """Whether this is the first use of a signature that is good for `lifetime_ms` more."""
        now_ms = self._clock.now_ms()
        return await self._store.take_signature(signature, now_ms, now_ms + lifetime_ms)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _checked_name(name: str) -> str:
    if len(name) > MAX_NAME or any(ord(character) < 32 for character in name):
        raise InvalidOrder("name", f"must be at most {MAX_NAME} characters, none of them a control character")
    return name


def _checked_scopes(scopes: Sequence[str]) -> frozenset[str]:
    known = {scope.value for scope in KeyScope}
    if not scopes or not set(scopes) <= known:
        raise InvalidOrder("scopes", f"must be one or more of {', '.join(KeyScope)}")
    return frozenset(scopes)


def _checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    if len(networks) > MAX_NETWORKS:
        raise InvalidOrder("networks", f"must be at most {MAX_NETWORKS}")
    try:
        return tuple(str(ipaddress.ip_network(network)) for network in networks)
    except ValueError:
        raise InvalidOrder("networks", "must be addresses or networks such as 10.0.0.0/8") from None
