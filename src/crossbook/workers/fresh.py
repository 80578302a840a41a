"""Commands that this process has just committed, kept until the relay takes them.

What was committed a moment ago need not be read back from the database to be carried on. This is a short cut only:
whatever is not here, because another process committed it or too much came, is read from the log as always.
"""

from collections import deque
from typing import Final

from crossbook.streams.entries import Entry

KEPT: Final = 20_000


class FreshCommands:
    """The newest commands of one market, as far as they follow each other without a gap."""

    def __init__(self, kept: int = KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._taken_up_to = -1

    def add(self, sequence: int, record: bytes) -> None:
        """A command is durable. One that does not follow the last makes a new beginning."""
        if self._entries and self._entries[-1][0] + 1 != sequence:
            self._entries.clear()
        self._entries.append((sequence, record))

    def forget(self) -> None:
        """Somebody else of this process committed: what comes next must be read from the log."""
        self._entries.clear()
        self._taken_up_to = -1

    def take_after(self, sequence: int, limit: int) -> list[Entry] | None:
        """Up to `limit` commands right after `sequence`, then forgotten here; None where the log must be read.

        Empty when all that is here was taken up to `sequence`: then there is nothing new, unless another process
        commits too, which only a look at the log can tell.
        """
        entries = self._entries
        while entries and entries[0][0] <= sequence:
            entries.popleft()
        if not entries:
            return [] if sequence == self._taken_up_to else None
        if entries[0][0] != sequence + 1:
            return None
        taken = [entries.popleft() for _ in range(min(limit, len(entries)))]
        self._taken_up_to = taken[-1][0]
        return taken
