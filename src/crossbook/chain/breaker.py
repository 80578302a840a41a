"""A circuit breaker: who did not answer several times in a row is left alone for a while.

Closed, everything goes through. After `failures` in a row it opens, and nothing does. When `open_ms` have
passed, one call goes through: if it succeeds the breaker closes, else it opens for another `open_ms`.
"""

from typing import Final

from crossbook.system import Clock

FAILURES: Final = 3
OPEN_MS: Final = 5_000


class CircuitBreaker:
    """Ask `allows` before each call, and tell `succeeded` or `failed` after it."""

    def __init__(self, clock: Clock, failures: int = FAILURES, open_ms: int = OPEN_MS) -> None:
        self._clock = clock
        self._failures = failures
        self._open_s = open_ms / 1000
        self._failed = 0
        self._closed_again_s = 0.0

    def allows(self) -> bool:
        """Whether a call may be made now. A call that tries an open breaker keeps others out meanwhile."""
        if self._failed < self._failures:
            return True
        now_s = self._clock.monotonic_s()
        if now_s < self._closed_again_s:
            return False
        self._closed_again_s = now_s + self._open_s
        return True

    def succeeded(self) -> None:
        """The other side answered."""
        self._failed = 0

    def failed(self) -> None:
        """The other side did not answer, or nothing that can be read."""
        self._failed += 1
        self._closed_again_s = self._clock.monotonic_s() + self._open_s
