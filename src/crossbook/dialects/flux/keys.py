"""The operator's keys for programs that sign their requests: made, listed and revoked with the scope admin."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from crossbook.application.api_keys import ApiKey, KeyNotFound
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.flux.errors import Code, ErrorBody, FluxError
from crossbook.dialects.flux.services import Services
from crossbook.dialects.rate_classes import READS

ADMIN: Final = frozenset({"admin"})
TAG: Final = "Keys"

UserId = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,18}$", description="the id of a user")]
Scope = Literal["read", "trade", "transfer"]
Text = Annotated[str, Meta(max_length=100, description="a text of at most 100 characters")]
Mnemonic = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,32}$", description="1 to 32 of A-Z, a-z, 0-9, _ and -")]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key to make. Without networks it is good from everywhere, without an end for ever."""

    user_id: UserId
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)]
    name: Text = ""
    networks: Annotated[list[Text], Meta(max_length=64)] = []
    expires_at: Annotated[int, Meta(ge=1, le=2**53 - 1, description="milliseconds since the epoch")] | None = None
    mnemonic: Mnemonic | None = None


class Key(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key without its secret. Times in milliseconds since the epoch, null for never."""

    key_id: str
    user_id: str
    name: str
    scopes: list[str]
    networks: list[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None


class MadeKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A new key. The secret is told here, and never again."""

    key_id: str
    secret: str
    user_id: str
    client_id: str
    mnemonic: str


class KeysQuery(msgspec.Struct, frozen=True, rename="camel"):
    """Whose keys; without an id, everybody's."""

    user_id: UserId | None = None


class Revoked(msgspec.Struct, frozen=True, rename="camel"):
    """The key that was revoked."""

    key_id: str


class KeyHandlers:
    """The handlers of `/admin/keys`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def make(self, call: Call[NewKey, None]) -> Reply:
        """Make a key, and the user's first client if there is none; 201."""
        body = call.body
        user_id = int(body.user_id)
        client = await self._services.clients.ensure_first(user_id, body.mnemonic or "")
        issued = await self._services.keys.issue(
            user_id, body.scopes, name=body.name, networks=body.networks, expires_at_ms=body.expires_at
        )
        made = MadeKey(
            key_id=issued.key.key_id,
            secret=issued.secret,
            user_id=body.user_id,
            client_id=str(client.account_id),
            mnemonic=client.mnemonic,
        )
        return Reply(201, made)

    async def find(self, call: Call[None, KeysQuery]) -> Reply:
        """Keys without their secrets, the revoked among them."""
        user_id = call.query.user_id
        found = await self._services.keys.list(None if user_id is None else int(user_id))
        return Reply(200, [_key(key) for key in found])

    async def revoke(self, call: Call[None, None]) -> Reply:
        """Refuse a key from now on."""
        key_id = call.path["keyId"]
        try:
            await self._services.keys.revoke(key_id)
        except KeyNotFound:
            raise FluxError(Code.NOT_FOUND, "no such key that could be revoked") from None
        return Reply(200, Revoked(key_id=key_id))


def _key(key: ApiKey) -> Key:
    return Key(
        key_id=key.key_id,
        user_id=str(key.organization_id),
        name=key.name,
        scopes=sorted(key.scopes),
        networks=list(key.networks),
        created_at=key.created_at_ms,
        expires_at=key.expires_at_ms,
        revoked_at=key.revoked_at_ms,
        last_used_at=key.last_used_at_ms,
    )


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    keys = KeyHandlers(services)
    return [
        Endpoint(
            "POST",
            "/admin/keys",
            "Make a key that signs requests.",
            keys.make,
            {201: MadeKey},
            Auth.REQUIRED,
            ADMIN,
            request=NewKey,
            rate_class=READS,
            tag=TAG,
            description="The secret is in this reply and nowhere else.",
            example=NewKey(user_id="1000", scopes=["read", "trade"], name="market maker", networks=["10.0.0.0/8"]),
        ),
        Endpoint(
            "GET",
            "/admin/keys",
            "The keys of a user, or of all.",
            keys.find,
            {200: list[Key]},
            Auth.REQUIRED,
            ADMIN,
            query=KeysQuery,
            rate_class=READS,
            tag=TAG,
        ),
        Endpoint(
            "DELETE",
            "/admin/keys/{keyId}",
            "Revoke a key.",
            keys.revoke,
            {200: Revoked, 404: ErrorBody},
            Auth.REQUIRED,
            ADMIN,
            rate_class=READS,
            tag=TAG,
            description="It is refused within seconds by every process of the venue.",
        ),
    ]
