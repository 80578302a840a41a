"""The chain daemon of Lethean and Zano as the venue's `Chain`."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from crossbook.application.chain import ChainAsset, ChainUnavailable
from crossbook.chain.json_rpc import JsonRpc, RpcRefused

OK: Final = "OK"
MOST_DECIMALS: Final = 18
MOST_UNITS: Final = 2**64 - 1
LONGEST_TEXT: Final = 256
_ID: Final = re.compile(r"[0-9a-f]{64}")


class Daemon:
    """A `Chain` behind JSON-RPC. What the daemon says is looked at before it is believed."""

    def __init__(self, rpc: JsonRpc) -> None:
        self._rpc = rpc

    async def asset(self, asset_id: str) -> ChainAsset | None:
        """See `Chain`."""
        if not _ID.fullmatch(asset_id):
            return None
        found = await self._ask("get_asset_info", {"asset_id": asset_id})
        if found is None:
            return None
        descriptor = found.get("asset_descriptor")
        if not isinstance(descriptor, dict):
            raise ChainUnavailable("get_asset_info: no asset_descriptor")
        return ChainAsset(
            asset_id,
            ticker=_text(descriptor, "ticker"),
            full_name=_text(descriptor, "full_name"),
            decimal_point=_number(descriptor, "decimal_point", MOST_DECIMALS),
            current_supply_units=_number(descriptor, "current_supply", MOST_UNITS),
            total_max_supply_units=_number(descriptor, "total_max_supply", MOST_UNITS),
            meta_info=_text(descriptor, "meta_info"),
        )

    async def address_of_alias(self, alias: str) -> str | None:
        """See `Chain`."""
        found = await self._ask("get_alias_details", {"alias": alias})
        details = found.get("alias_details") if found is not None else None
        return (_text(details, "address") or None) if isinstance(details, dict) else None

    async def signed_by_alias(self, message: bytes, signature: str, alias: str) -> bool:
        """See `Chain`."""
        question = {"buff": base64.b64encode(message).decode(), "sig": signature, "alias": alias}
        return await self._ask("validate_signature", question) is not None

    def close(self) -> None:
        """Let go of the connection."""
        self._rpc.close()

    async def _ask(self, method: str, params: Mapping[str, object]) -> Mapping[str, Any] | None:
        """The result of a method, None when the daemon says that there is none."""
        try:
            result = await self._rpc.call(method, params)
        except RpcRefused as error:
            raise ChainUnavailable(str(error)) from error
        status = result.get("status")
        if status == "BUSY":
            raise ChainUnavailable("the daemon is busy")
        return result if status == OK else None


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name, "")
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def _number(document: Mapping[str, Any], name: str, most: int) -> int:
    """A whole number from 0 to `most`, as a number or as digits."""
    value = document.get(name, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:30])
    if type(value) is not int or not 0 <= value <= most:
        raise ChainUnavailable(f"the daemon's {name} is not a number from 0 to {most}")
    return value
