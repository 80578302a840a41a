"""Base58 as CryptoNote addresses use it: blocks of 8 bytes become 11 characters, each block by itself.

Only one text stands for given bytes, and every other text is refused, so an address can be compared as text.
"""

from typing import Final

from crossbook.domain.errors import CrossbookError

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BLOCK_BYTES: Final = 8
_LENGTHS: Final = (0, 2, 3, 5, 6, 7, 9, 10, 11)
"""Characters of a block of as many bytes as the index says."""
BLOCK_CHARACTERS: Final = _LENGTHS[BLOCK_BYTES]
_BYTES_OF: Final = {characters: count for count, characters in enumerate(_LENGTHS)}
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


class Base58Refused(CrossbookError, ValueError):
    """Text that no bytes have as their base58."""


def encode(data: bytes) -> str:
    """The text of `data`."""
    return "".join(_block_text(data[start : start + BLOCK_BYTES]) for start in range(0, len(data), BLOCK_BYTES))


def decode(text: str) -> bytes:
    """The bytes whose text is `text`. Raises Base58Refused."""
    blocks = (text[start : start + BLOCK_CHARACTERS] for start in range(0, len(text), BLOCK_CHARACTERS))
    return b"".join(map(_block_bytes, blocks))


def _block_text(block: bytes) -> str:
    value = int.from_bytes(block, "big")
    characters: list[str] = []
    for _ in range(_LENGTHS[len(block)]):
        value, digit = divmod(value, len(ALPHABET))
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))


def _block_bytes(block: str) -> bytes:
    count = _BYTES_OF.get(len(block))
    if count is None:
        raise Base58Refused(f"no block of base58 has {len(block)} characters")
    value = 0
    for character in block:
        digit = _VALUES.get(character)
        if digit is None:
            raise Base58Refused(f"{character!r} is no character of base58")
        value = value * len(ALPHABET) + digit
    if value >= 1 << 8 * count:
        raise Base58Refused("a block of base58 stands for more than its bytes can hold")
    return value.to_bytes(count, "big")
