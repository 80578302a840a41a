"""What a secret for signing tokens must be like."""

import re
from itertools import pairwise
from typing import Final

SHORTEST_SECRET_BYTES: Final = 32
"""HS256 is as strong as its key up to 256 bits (RFC 7518, 3.2)."""
_FEWEST_CHARACTERS: Final = 8
"""32 random hexadecimal digits have fewer different ones about once in 25 million."""
# Found anywhere, however it is spelled: long enough that no random secret has one by chance.
_PLACEHOLDERS: Final = (
    "changeme",
    "crossbook",
    "default",
    "development",
    "example",
    "insecure",
    "password",
    "placeholder",
    "replaceme",
    "secret",
)
# Found between separators only: these are short enough to turn up in a random text.
_PLACEHOLDER_WORDS: Final = frozenset({"demo", "flux", "local", "sample", "test", "token"})


def weakness_of(secret: str) -> str:
    """Why `secret` can be guessed, as words that complete "JWT_SECRET ..."; "" when nothing speaks against it.

    A demo secret is one made of words, of a pattern, or of few characters. Never repeats the secret.
    """
    if len(secret.encode(errors="replace")) < SHORTEST_SECRET_BYTES:
        return f"is shorter than {SHORTEST_SECRET_BYTES} bytes"
    if _has_placeholder(secret.lower()):
        return "is a demo secret: it has the words of one"
    if len(set(secret)) < _FEWEST_CHARACTERS:
        return "is a demo secret: it has too few different characters"
    if secret in (secret + secret)[1:-1]:
        return "is a demo secret: it repeats itself"
    if _steps_of_one(secret) * 2 > len(secret):
        return "is a demo secret: it counts up or down"
    return ""


def _has_placeholder(lower: str) -> bool:
    letters = re.sub(r"[^a-z]", "", lower)
    words = re.split(r"[-_ .:]+", lower)
    return any(word in letters for word in _PLACEHOLDERS) or not _PLACEHOLDER_WORDS.isdisjoint(words)


def _steps_of_one(secret: str) -> int:
    return sum(abs(ord(a) - ord(b)) == 1 for a, b in pairwise(secret))
