"""The time of day, as use cases ask for it."""

from typing import Protocol


class WallClock(Protocol):
    """Tells the time. `crossbook.system` has clocks."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...
