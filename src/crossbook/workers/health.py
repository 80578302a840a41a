"""Whether a worker does its work, in words that a health page can show."""

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """What a worker is doing."""

    STARTING = "starting"
    STANDBY = "standby"
    """Another worker has the lease."""
    RUNNING = "running"
    WAITING = "waiting"
    """The database or a stream is out of reach; it tries again."""
    FAILED = "failed"
    """It met what must not happen, and goes on no more."""
    STOPPED = "stopped"


@dataclass
class Health:
    """What a worker is doing, and why when that is no good news. Written by the worker only."""

    condition: Condition = Condition.STARTING
    reason: str = ""

    def set(self, condition: Condition, reason: str = "") -> None:
        """The worker is in `condition` now."""
        self.condition = condition
        self.reason = reason
