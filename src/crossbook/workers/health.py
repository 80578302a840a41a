"""Whether a worker does its work, in words that a health page can show."""

from dataclasses import dataclass, field
from enum import StrEnum

from crossbook.system import Clock, SystemClock


class Condition(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    STANDBY = "standby"
    """Another worker has the lease."""
    RUNNING = "running"
    WAITING = "waiting"
    """The database or a stream is out of reach, or it crashed; it tries again."""
    FAILED = "failed"
    """It met what must not happen, and goes on no more."""
    STOPPED = "stopped"


@dataclass
class Health:
    """What a worker is doing, and why when that is no good news.

    Written by the worker, and by the supervisor that starts it again. How long a condition lasts is counted by the
    machine's clock, whatever clock the worker goes by.
    """

    condition: Condition = Condition.STARTING
    reason: str = ""
    clock: Clock = field(default_factory=SystemClock, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._since_s = self.clock.monotonic_s()

    def set(self, condition: Condition, reason: str = "") -> None:
        """The worker is in `condition` now."""
        if condition is not self.condition:
            self._since_s = self.clock.monotonic_s()
        self.condition = condition
        self.reason = reason

    @property
    def lasts_ms(self) -> int:
        """How long the worker has been in its condition."""
        return int((self.clock.monotonic_s() - self._since_s) * 1000)
