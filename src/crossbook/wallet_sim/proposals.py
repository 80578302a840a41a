"""Proposals of swaps: opaque to everybody but the wallet to which they are addressed.

A proposal is its terms as JSON, signed with the initiator's spend key, padded, and sealed for the finaliser: a fresh
key and the finaliser's view key give a shared point, whose hash seals the text (XSalsa20-Poly1305). A single
changed bit makes it unreadable.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp, crypto_scalarmult_ed25519_noclamp
from nacl.exceptions import CryptoError
from nacl.exceptions import RuntimeError as SodiumError
from nacl.secret import SecretBox

from crossbook.domain.errors import CrossbookError
from crossbook.security.keccak import keccak_256
from crossbook.security.wallet_addresses import AddressRefused, WalletAddress, parse_address
from crossbook.security.wallet_keys import WalletKeys
from crossbook.security.wallet_signatures import reduced, verify_message
from crossbook.system import secret_token
from crossbook.wallet_sim.chain import MOST_UNITS, Funds, Swap

POINT_BYTES: Final = 32
LONGEST_ID: Final = 64
MOST_FUNDS: Final = 8
"""Amounts for each side."""
LONGEST_HEX: Final = 1 << 20


class ProposalRefused(CrossbookError):
    """Not a proposal for this wallet, or one that was changed."""


@dataclass(frozen=True)
class Proposal:
    """The terms of a swap, until when they hold, and the number of inputs that hide the true ones."""

    swap: Swap
    expires_at_ms: int
    mixins: int = 10


def new_proposal_id() -> str:
    """An id that no other proposal has."""
    return secret_token(16)


def seal(proposal: Proposal, initiator: WalletKeys, finalizer: WalletAddress, least_bytes: int = 0) -> str:
    """The hexadecimal text of a proposal, at least `least_bytes` bytes long, as real ones are many kilobytes."""
    terms = json.dumps(_document(proposal), separators=(",", ":"))
    text = json.dumps({"terms": terms, "signature": initiator.sign(terms.encode())}).encode()
    secret = reduced(hashlib.sha512(secret_token(64).encode()).digest())
    shared = crypto_scalarmult_ed25519_noclamp(secret, finalizer.view_key)
    sealed = SecretBox(keccak_256(shared)).encrypt(text.ljust(least_bytes))
    return (crypto_scalarmult_ed25519_base_noclamp(secret) + bytes(sealed)).hex()


def unseal(text: str, finalizer: WalletKeys) -> Proposal:
    """The proposal, as its finaliser reads it. Raises ProposalRefused."""
    try:
        data = bytes.fromhex(text[:LONGEST_HEX])
        shared = crypto_scalarmult_ed25519_noclamp(finalizer.view_secret, data[:POINT_BYTES])
        document = json.loads(SecretBox(keccak_256(shared)).decrypt(data[POINT_BYTES:]))
        terms: str = document["terms"]
        proposal = _proposal_of(json.loads(terms))
        initiator = parse_address(proposal.swap.initiator)
    except (ValueError, KeyError, TypeError, CryptoError, SodiumError, AddressRefused) as error:
        raise ProposalRefused("the proposal can not be opened by this wallet") from error
    if verify_message(terms.encode(), initiator.spend_key, document["signature"]) is None:
        raise ProposalRefused("the proposal is not signed by its initiator")
    return proposal


def _document(proposal: Proposal) -> dict[str, object]:
    swap = proposal.swap
    return {
        "id": swap.proposal_id,
        "initiator": swap.initiator,
        "finalizer": swap.finalizer,
        "to_finalizer": _plain(swap.to_finalizer),
        "to_initiator": _plain(swap.to_initiator),
        "fee": swap.fee_units,
        "expires_at_ms": proposal.expires_at_ms,
        "mixins": proposal.mixins,
    }


def _plain(funds: Sequence[Funds]) -> list[list[object]]:
    return [[each.asset_id, each.amount_units] for each in funds]


def _proposal_of(document: dict[str, Any]) -> Proposal:
    """The proposal in a document that anybody may have written. Raises ValueError, KeyError and TypeError."""

    def funds(name: str) -> tuple[Funds, ...]:
        found = tuple(Funds(_text(asset_id), _number(units, 1)) for asset_id, units in document[name])
        if not 1 <= len(found) <= MOST_FUNDS:
            raise ValueError(f"each side gets 1 to {MOST_FUNDS} amounts")
        return found

    if len(_text(document["id"])) > LONGEST_ID:
        raise ValueError(f"an id has {LONGEST_ID} characters at most")
    swap = Swap(
        document["id"],
        _text(document["initiator"]),
        _text(document["finalizer"]),
        funds("to_finalizer"),
        funds("to_initiator"),
        _number(document["fee"], 0),
    )
    return Proposal(swap, _number(document["expires_at_ms"], 0), _number(document["mixins"], 0))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object, least: int) -> int:
    if type(value) is not int or not least <= value <= MOST_UNITS:
        raise ValueError(f"not a 64-bit number of at least {least}")
    return value
