"""Takes secrets out of what is shown or logged, by the names they go by."""

import re
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Final

HIDDEN: Final = "***"
_DEEPEST: Final = 6
_SECRET_WORDS: Final = (
    "apikey",
    "authorization",
    "cookie",
    "credential",
    "hmac",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "secret",
    "signature",
    "token",
)
_EXACT_BELOW: Final = 2**53
"""Up to here every JSON reader keeps an integer exact; ids are larger and are written as text."""

# Free text: what follows a secret's name, a scheme of authorization, the password in a URL, a whole JWT.
# Every repetition is bounded or can start only once in a word, so that no text makes them slow.
_SPELLINGS: Final = "|".join(_SECRET_WORDS).replace("key", "[_-]?key")
_SUSPECT: Final = re.compile(rf"{_SPELLINGS}|bearer|basic|eyJ|://", re.IGNORECASE)
_IN_URL: Final = re.compile(r"(://[^\s/:@?#]*):[^\s/]*@")
_SCHEME: Final = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*")
_NAME: Final = rf"""(?:{_SPELLINGS})[\w-]{{0,40}}\\?['"]?\s{{0,3}}[=:]\s{{0,3}}"""
_VALUE: Final = rf"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|{_SCHEME.pattern}|[^\s,;&)}}\]]+)"""
_NAMED: Final = re.compile(f"({_NAME}){_VALUE}", re.IGNORECASE)


@lru_cache(maxsize=1_024)
def is_secret_name(name: str) -> bool:
    """Whether a field, header or parameter of this name holds a secret, however it is spelled."""
    letters = "".join(filter(str.isalnum, name)).lower()
    return any(word in letters for word in _SECRET_WORDS)


def hide_in_text(text: str) -> str:
    """`text` without passwords in URLs, authorization values, JWTs, and what stands behind a secret's name."""
    if not _SUSPECT.search(text):
        return text
    text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1 {HIDDEN}", text)
    return _JWT.sub(HIDDEN, text)


def plain(value: object, name: str = "", depth: int = 0) -> object:
    """`value` made of what JSON has, with everything under a secret's name hidden, at any depth.

    A secret that is missing (None) or only a yes or no is shown: that tells nothing. Never raises.
    """
    if value is None or isinstance(value, bool):
        return value
    if is_secret_name(name):
        return HIDDEN
    if isinstance(value, Enum):
        return plain(value.value, depth=depth)
    return _plain_number(value) if isinstance(value, int | float) else _plain_whole(value, depth)


def _plain_number(value: float) -> object:
    """A number as JSON readers keep it: large integers, infinity and "not a number" become text."""
    exact = abs(value) <= _EXACT_BELOW if isinstance(value, int) else abs(value) < float("inf")
    return value if exact else str(value)


def _plain_whole(value: object, depth: int) -> object:
    """`plain` for texts, for what has parts, and for what is known by its text only."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth >= _DEEPEST and not isinstance(value, str):
        return "..."
    try:
        if isinstance(value, Mapping):
            return {_key(key): plain(item, _key(key), depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(item, depth=depth + 1) for item in value]
        return hide_in_text(str(value))
    except Exception:  # a line of the log must not fail because of what it tells about
        return f"<{type(value).__name__} that can not be shown>"


def _key(key: object) -> str:
    return str(key.value) if isinstance(key, Enum) else str(key)
