"""Answers of the store that are still believed: so that a busy client does not cost a query for each request."""

from collections import OrderedDict
from typing import Final, Generic, Protocol, TypeVar

KEPT_S: Final = 2
"""How long what was revoked may still open: the age of an answer that is still believed."""
CAPACITY: Final = 10_000

T = TypeVar("T")


class Monotonic(Protocol):
    """Measures time."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class Recent(Generic[T]):
    """What a token or a key stands for, as it was found a moment ago."""

    def __init__(self, clock: Monotonic, capacity: int = CAPACITY, kept_s: float = KEPT_S) -> None:
        self._clock = clock
        self._capacity = capacity
        self._kept_s = kept_s
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def get(self, name: str) -> T | None:
        """What it stands for, None when nobody asked lately."""
        found = self._known.get(name)
        if found is None:
            return None
        if self._clock.monotonic_s() - found[0] >= self._kept_s:
            del self._known[name]
            return None
        return found[1]

    def put(self, name: str, value: T) -> None:
        """Remember what it stands for; the oldest are forgotten."""
        self._known.pop(name, None)
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        self._known[name] = (self._clock.monotonic_s(), value)

    def forget(self, name: str) -> None:
        """It was revoked here: ask again."""
        self._known.pop(name, None)
