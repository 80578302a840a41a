"""What private topics told lately, kept for those who come back after a lost connection.

Each topic keeps its newest messages' rows, and all topics together no more than a budget: who comes back too late is
told so. Nothing here is durable. A restart, or another process of the same venue, begins another stream.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from msgspec import Raw


@dataclass(frozen=True)
class ReplayLimits:
    """How much may be kept, and for how long after nobody listens any more.

    `topic_bytes` bounds what one topic keeps, `all_bytes` all topics of the process, `message_bytes` one message of a
    replay. A user's topics are kept for `linger_s` after the last listener left, those of at most `lingering` users.
    """

    linger_s: float = 300.0
    lingering: int = 200
    topic_bytes: int = 1024 * 1024
    all_bytes: int = 64 * 1024 * 1024
    message_bytes: int = 256 * 1024


@dataclass(frozen=True)
class Told:
    """The rows of the message `sequence`, as they were sent."""

    number: int
    sequence: int
    rows: Sequence[Raw]
    size_bytes: int


class Shelf:
    """What all topics of a process keep: over the budget, the oldest of all goes first."""

    def __init__(self, limits: ReplayLimits) -> None:
        self.limits = limits
        self.size_bytes = 0
        self._owners: OrderedDict[int, History] = OrderedDict()
        self._numbers = count(1)

    def put(self, owner: "History", sequence: int, rows: Sequence[Raw]) -> Told:
        """Number what a topic told, and count it."""
        told = Told(next(self._numbers), sequence, rows, sum(len(memoryview(row)) for row in rows))
        self._owners[told.number] = owner
        self.size_bytes += told.size_bytes
        return told

    def remove(self, told: Told) -> None:
        """Count it no more."""
        del self._owners[told.number]
        self.size_bytes -= told.size_bytes

    def trim(self) -> None:
        """Let the oldest go until the rest is within the budget."""
        while self.size_bytes > self.limits.all_bytes:
            next(iter(self._owners.values())).drop_oldest()


class History:
    """What one topic told after `floor`, without a gap; its sequences rise by one."""

    def __init__(self, shelf: Shelf) -> None:
        self.floor = 0
        self._shelf = shelf
        self._told: deque[Told] = deque()
        self._size_bytes = 0

    def keep(self, sequence: int, rows: Sequence[Raw]) -> None:
        """Add the newest message; the oldest go when there is too much."""
        told = self._shelf.put(self, sequence, rows)
        self._told.append(told)
        self._size_bytes += told.size_bytes
        while self._size_bytes > self._shelf.limits.topic_bytes:
            self.drop_oldest()
        self._shelf.trim()

    def drop_oldest(self) -> None:
        """Forget the oldest message."""
        told = self._told.popleft()
        self.floor = told.sequence
        self._size_bytes -= told.size_bytes
        self._shelf.remove(told)

    def restart(self, sequence: int) -> None:
        """Forget all: what was told up to `sequence` leads nowhere."""
        while self._told:
            self.drop_oldest()
        self.floor = sequence

    def since(self, sequence: int) -> list[tuple[int, list[Raw]]] | None:
        """Everything after the message `sequence`, as few messages: where each ends, and its rows in their order.

        None when that is not known: it is too old, or was never told.
        """
        missed = sequence - self.floor
        if not 0 <= missed <= len(self._told):
            return None
        return list(self._messages(islice(self._told, missed, None)))

    def _messages(self, missed: Iterator[Told]) -> Iterator[tuple[int, list[Raw]]]:
        rows: list[Raw] = []
        size_bytes, end = 0, 0
        for told in missed:
            if rows and size_bytes + told.size_bytes > self._shelf.limits.message_bytes:
                yield end, rows
                rows, size_bytes = [], 0
            rows.extend(told.rows)
            size_bytes += told.size_bytes
            end = told.sequence
        if rows:
            yield end, rows
