"""Answers about sessions that are still believed: so that a busy client does not cost a query for each request."""

from collections import OrderedDict
from typing import Final, Protocol

from crossbook.dialects.call import Principal

KEPT_S: Final = 2
"""How long a revoked session may still open: the age of an answer that is still believed."""
MAX_SESSIONS: Final = 10_000


class Monotonic(Protocol):
    """Measures time."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class KnownSessions:
    """Who a session's token speaks for, as it was found a moment ago."""

    def __init__(self, clock: Monotonic, capacity: int = MAX_SESSIONS, kept_s: float = KEPT_S) -> None:
        self._clock = clock
        self._capacity = capacity
        self._kept_s = kept_s
        self._known: OrderedDict[str, tuple[float, Principal]] = OrderedDict()

    def get(self, token_id: str) -> Principal | None:
        """Who it is, None when nobody asked lately."""
        found = self._known.get(token_id)
        if found is None or self._clock.monotonic_s() - found[0] >= self._kept_s:
            return None
        return found[1]

    def put(self, token_id: str, principal: Principal) -> None:
        """Remember who it is; the oldest are forgotten."""
        self._known.pop(token_id, None)
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        self._known[token_id] = (self._clock.monotonic_s(), principal)

    def forget(self, token_id: str) -> None:
        """The session was ended here: ask again."""
        self._known.pop(token_id, None)
