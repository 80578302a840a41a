"""The methods of the simulated daemon: aliases, assets, signatures."""

import base64
import binascii
import re
from typing import Any, Final

import msgspec

from crossbook.security.wallet_addresses import parse_address
from crossbook.security.wallet_signatures import verify_message
from crossbook.wallet_sim.chain import Asset, PretendChain
from crossbook.wallet_sim.errors import InvalidParams
from crossbook.wallet_sim.rpc import Answer, Method, Methods

OK: Final = "OK"
NOT_FOUND: Final = "NOT_FOUND"
FAIL: Final = "FAIL"
_KEY: Final = re.compile(r"[0-9a-fA-F]{64}")


class AliasParams(msgspec.Struct):
    """Which alias."""

    alias: str


class AddressParams(msgspec.Struct):
    """Which address."""

    address: str


class AssetParams(msgspec.Struct):
    """Which asset."""

    asset_id: str


class SignatureParams(msgspec.Struct):
    """A message in base64, its signature, and whose it should be."""

    buff: str
    sig: str
    pkey: str = ""
    alias: str = ""


def decoded(buff: str) -> bytes:
    """The bytes of a message in base64. Raises InvalidParams."""
    try:
        return base64.b64decode(buff, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParams("buff must be base64") from error


def descriptor_of(asset: Asset, supply_units: int) -> dict[str, Any]:
    """An asset as daemon and wallet describe it."""
    return {
        "current_supply": supply_units,
        "decimal_point": asset.decimal_point,
        "full_name": asset.full_name,
        "hidden_supply": False,
        "meta_info": "",
        "owner": "",
        "ticker": asset.ticker,
        "total_max_supply": asset.total_max_supply_units,
    }


class DaemonMethods:
    """What a daemon answers."""

    def __init__(self, chain: PretendChain) -> None:
        self._chain = chain
        self.methods: Methods = {
            "get_alias_details": Method(AliasParams, self._alias_details),
            "get_alias_by_address": Method(AddressParams | str, self._aliases),
            "get_asset_info": Method(AssetParams, self._asset_info),
            "validate_signature": Method(SignatureParams, self._validate),
        }

    def _alias_details(self, params: AliasParams) -> Answer:
        address = self._chain.address_of(params.alias)
        details = {"address": address or "", "comment": "", "tracking_key": ""}
        return {"alias_details": details, "status": OK if address else "Alias not found."}

    def _aliases(self, params: AddressParams | str) -> Answer:
        address = params if isinstance(params, str) else params.address
        found = [
            {"alias": alias, "address": address, "comment": "", "tracking_key": ""}
            for alias in self._chain.aliases_of(address)
        ]
        return {"alias_info_list": found, "status": OK} if found else {"status": NOT_FOUND}

    def _asset_info(self, params: AssetParams) -> Answer:
        asset = self._chain.asset(params.asset_id)
        if asset is None:
            return {"status": NOT_FOUND}
        descriptor = descriptor_of(asset, self._chain.supply(asset.asset_id))
        return {"asset_descriptor": descriptor, "asset_id": asset.asset_id, "status": OK}

    def _validate(self, params: SignatureParams) -> Answer:
        message = decoded(params.buff)
        if params.alias:
            address = self._chain.address_of(params.alias)
            if address is None:
                return {"status": NOT_FOUND}
            key = parse_address(address).spend_key
        elif _KEY.fullmatch(params.pkey):
            key = bytes.fromhex(params.pkey)
        else:
            raise InvalidParams("pkey must be 64 hexadecimal digits, or alias be given")
        return {"status": FAIL if verify_message(message, key, params.sig) is None else OK}
