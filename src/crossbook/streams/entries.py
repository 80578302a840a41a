"""What travels on a stream, and the bounds of it that every adapter keeps in the same words."""

from collections.abc import Sequence
from typing import Final

Entry = tuple[int, bytes]
"""The sequence of an entry, and its payload."""

MAX_SEQUENCE: Final = 2**53 - 1
"""The highest sequence: a Redis server counts in doubles inside its scripts."""


def check_entries(entries: Sequence[Entry]) -> None:
    """Raise ValueError unless the sequences of `entries` rise by one, from 1 to MAX_SEQUENCE."""
    if not entries:
        return
    first = entries[0][0]
    if not 1 <= first <= MAX_SEQUENCE - len(entries) + 1:
        raise ValueError(f"sequence {first} is not between 1 and {MAX_SEQUENCE}")
    for expected, (sequence, _) in enumerate(entries, start=first):
        if sequence != expected:
            raise ValueError(f"sequence {sequence} stands where {expected} belongs: sequences rise by one")


def check_sequence(sequence: int) -> None:
    """Raise ValueError unless `sequence` is a position in a stream: 0, or the sequence of an entry."""
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise ValueError(f"sequence {sequence} is not between 0 and {MAX_SEQUENCE}")


def check_read(after_sequence: int, limit: int, block_ms: int) -> None:
    """Raise ValueError unless these are the terms of a read that a stream can do."""
    check_sequence(after_sequence)
    if limit < 1:
        raise ValueError(f"limit {limit} is not 1 or more")
    if block_ms < 0:
        raise ValueError(f"block_ms {block_ms} is negative")
