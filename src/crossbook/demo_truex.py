"""What a demo user needs for TrueX: a client, and a key with its secret in the file."""

from collections.abc import Mapping
from typing import Any

from crossbook.application.accounts import User
from crossbook.application.api_keys import ApiKeys, KeyScope
from crossbook.application.clients import Clients
from crossbook.security.sealing import SealError


class TruexKit:
    """Equips demo users."""

    def __init__(self, clients: Clients, keys: ApiKeys) -> None:
        self._clients = clients
        self._keys = keys

    async def __call__(self, user: User, before: Mapping[str, Any]) -> Mapping[str, Any]:
        """The entry `truex` of the user: the one of `before` while its key is in force. Raises StorageError."""
        client = await self._clients.ensure_first(user.user_id, user.name.upper())
        known = before.get("truex")
        if isinstance(known, dict) and await self._is_in_force(known, user.user_id):
            return {"truex": known}
        issued = await self._keys.issue(user.user_id, list(KeyScope), name="demo")
        entry = {
            "organization_id": str(user.user_id),
            "client_id": str(client.account_id),
            "mnemonic": client.mnemonic,
            "key_id": issued.key.key_id,
            "secret": issued.secret,
        }
        return {"truex": entry}

    async def _is_in_force(self, entry: Mapping[str, Any], user_id: int) -> bool:
        try:
            key = await self._keys.signing_key(str(entry.get("key_id", "")))
        except SealError:  # the key that sealed it is lost
            return False
        return key is not None and key.key.organization_id == user_id and key.secret.decode() == entry.get("secret")
