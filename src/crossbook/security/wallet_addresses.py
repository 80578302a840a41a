"""Addresses of Lethean and Zano wallets: reading, checking and writing them.

An address is base58 of a tag, the public spend key, the public view key, for some tags a byte of flags, for
integrated addresses a payment id, and the first four bytes of the Keccak-256 of all that. The tag is a
little-endian base-128 number; it gives an address its first letters.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point

from crossbook.domain.errors import CrossbookError
from crossbook.security import cn_base58
from crossbook.security.keccak import keccak_256

KEY_BYTES: Final = 32
CHECKSUM_BYTES: Final = 4
LONGEST_PAYMENT_ID_BYTES: Final = 128
LONGEST_ADDRESS: Final = 300
"""No address of any tag has more characters; nothing longer is looked at."""
AUDITABLE_FLAG: Final = 1
_LONGEST_TAG_BYTES: Final = 4


class AddressRefused(CrossbookError, ValueError):
    """Text that is no address of a wallet; the message says why."""


@dataclass(frozen=True)
class AddressTag:
    """What the first bytes of an address say about it.

    `flagged` None means that a byte of flags may be there or not, as an ordinary address has it.
    """

    number: int
    chain: str
    prefix: str
    integrated: bool = False
    auditable: bool = False
    flagged: bool | None = False


_ALL_TAGS: Final = (
    AddressTag(0x1EAF7, "lethean", "iTHN", flagged=None),
    AddressTag(0xDEAF7, "lethean", "iTHn", integrated=True),
    AddressTag(0x3CEFF7, "lethean", "iThN", auditable=True, flagged=True),
    AddressTag(0x8B077, "lethean", "iThn", integrated=True, auditable=True, flagged=True),
    AddressTag(0xC5, "zano", "Zx", flagged=None),
    AddressTag(0x3678, "zano", "iZ", integrated=True),
    AddressTag(0x36F8, "zano", "iZ", integrated=True, flagged=True),
    AddressTag(0x98C8, "zano", "aZx", auditable=True, flagged=True),
    AddressTag(0x8A49, "zano", "aiZ", integrated=True, auditable=True, flagged=True),  # most begin with aiZX
)
TAGS: Final[Mapping[int, AddressTag]] = MappingProxyType({tag.number: tag for tag in _ALL_TAGS})
LETHEAN_TAGS: Final = frozenset(tag.number for tag in _ALL_TAGS if tag.chain == "lethean")
ZANO_TAGS: Final = frozenset(tag.number for tag in _ALL_TAGS if tag.chain == "zano")
ALL_TAGS: Final = frozenset(TAGS)


@dataclass(frozen=True)
class WalletAddress:
    """An address in its parts. `flags` None means that the address has no byte of flags."""

    tag: AddressTag
    spend_key: bytes
    view_key: bytes
    flags: int | None = None
    payment_id: bytes = b""

    @property
    def text(self) -> str:
        """The address as people write it."""
        return _with_checksum(_varint(self.tag.number) + self._body())

    @property
    def plain(self) -> "WalletAddress":
        """The one address of this wallet by which it is known: no payment id, no byte of flags that says nothing."""
        standard = next(
            tag
            for tag in _ALL_TAGS
            if tag.chain == self.tag.chain and tag.auditable == self.tag.auditable and not tag.integrated
        )
        return WalletAddress(standard, self.spend_key, self.view_key, self.flags or None)

    def _body(self) -> bytes:
        flags = b"" if self.flags is None else bytes([self.flags])
        return self.spend_key + self.view_key + flags + self.payment_id


def parse_address(text: str, accepted: Collection[int] = ALL_TAGS) -> WalletAddress:
    """The address `text`, whose tag must be one of `accepted` (numbers of tags).

    Refused are wrong characters, lengths, checksums, tags and flags, and keys that are no points of prime order.
    Raises AddressRefused.
    """
    if not 0 < len(text) <= LONGEST_ADDRESS:
        raise AddressRefused(f"an address has 1 to {LONGEST_ADDRESS} characters, not {len(text)}")
    number, body = _split(_checked(text))
    tag = TAGS.get(number)
    if tag is None or number not in accepted:
        raise AddressRefused("the address is not of a chain or kind that is accepted here")
    address = _address_of(tag, body)
    for key in (address.spend_key, address.view_key):
        if not crypto_core_ed25519_is_valid_point(key):
            raise AddressRefused("a key of the address is no point of prime order")
    return address


def address_of_keys(spend_key: bytes, view_key: bytes, tag_number: int = 0x1EAF7) -> WalletAddress:
    """The ordinary or auditable address of a wallet with these public keys.

    Raises AddressRefused for a tag that needs a payment id, or is unknown.
    """
    tag = TAGS.get(tag_number)
    if tag is None or tag.integrated:
        raise AddressRefused(f"{tag_number:#x} is no tag of an address without a payment id")
    return WalletAddress(tag, spend_key, view_key, AUDITABLE_FLAG if tag.auditable else None)


# -- Bytes -------------------------------------------------------------------------------------------
def _with_checksum(data: bytes) -> str:
    return cn_base58.encode(data + keccak_256(data)[:CHECKSUM_BYTES])


def _checked(text: str) -> bytes:
    """What stands before the checksum of `text`, which is right."""
    try:
        data = cn_base58.decode(text)
    except cn_base58.Base58Refused as error:
        raise AddressRefused(f"the address is not base58: {error}") from error
    body, checksum = data[:-CHECKSUM_BYTES], data[-CHECKSUM_BYTES:]
    if len(data) <= CHECKSUM_BYTES or keccak_256(body)[:CHECKSUM_BYTES] != checksum:
        raise AddressRefused("the checksum of the address is wrong: a character may be mistyped")
    return body


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _split(data: bytes) -> tuple[int, bytes]:
    """The tag of an address, and what follows it."""
    number = 0
    for index, byte in enumerate(data[:_LONGEST_TAG_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if data[: index + 1] != _varint(number):
                break  # zeros at the end: a second text of the same address
            return number, data[index + 1 :]
    raise AddressRefused("the address does not begin with a tag")


def _address_of(tag: AddressTag, body: bytes) -> WalletAddress:
    spend_key, view_key, rest = body[:KEY_BYTES], body[KEY_BYTES : 2 * KEY_BYTES], body[2 * KEY_BYTES :]
    flagged = bool(rest) if tag.flagged is None else tag.flagged
    flags = rest[0] if flagged and rest else None
    payment_id = rest[1:] if flagged else rest
    shortest, longest = (1, LONGEST_PAYMENT_ID_BYTES) if tag.integrated else (0, 0)
    if len(view_key) != KEY_BYTES or flagged != (flags is not None) or not shortest <= len(payment_id) <= longest:
        raise AddressRefused("the address has a wrong length")
    if flags is not None and flags != (AUDITABLE_FLAG if tag.auditable else 0):
        raise AddressRefused("the flags of the address do not fit its tag")
    return WalletAddress(tag, spend_key, view_key, flags, payment_id)
