"""Time limits for many short tasks: one look at all of them now and then, instead of a timer for each.

A timer per request costs more than what most requests do. Limits here are for clients that stall and for
handlers that hang, so they need not be exact: a limit is noticed up to `LOOK_S` late.
"""

import asyncio
from types import TracebackType
from typing import Final

LOOK_S: Final = 0.25


class Deadlines:
    """The limits in force in one event loop."""

    def __init__(self) -> None:
        self._entered: set[Limit] = set()
        self._look: asyncio.TimerHandle | None = None

    def add(self, limit: "Limit", loop: asyncio.AbstractEventLoop) -> None:
        """Watch a limit until it is removed."""
        self._entered.add(limit)
        if self._look is None:
            self._look = loop.call_later(LOOK_S, self._check, loop)

    def remove(self, limit: "Limit") -> None:
        """Watch it no more."""
        self._entered.discard(limit)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        for limit in [limit for limit in self._entered if limit.due_s <= now_s]:
            self._entered.discard(limit)
            limit.expire()
        self._look = loop.call_later(LOOK_S, self._check, loop) if self._entered else None


class Limit:
    """A context whose task is cancelled when it takes longer than `seconds`; it then raises TimeoutError.

    As `asyncio.timeout`, but for its precision; `expired` says whether it was this limit that ended the task.
    """

    __slots__ = ("_cancels_before", "_deadlines", "_loop", "_seconds", "_task", "due_s", "expired")

    def __init__(self, deadlines: Deadlines, seconds: float) -> None:
        self.expired = False
        self.due_s = 0.0
        self._deadlines = deadlines
        self._seconds = seconds
        self._task: asyncio.Task[object] | None = None
        self._cancels_before = 0

    def __enter__(self) -> "Limit":
        self._loop = loop = asyncio.get_running_loop()
        self._task = task = asyncio.current_task(loop)
        assert task is not None
        self._cancels_before = task.cancelling()
        self.due_s = loop.time() + self._seconds
        self._deadlines.add(self, loop)
        return self

    def renew(self, seconds: float) -> None:
        """From now on, `seconds` more."""
        self.due_s = self._loop.time() + seconds

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.remove(self)
        task, self._task = self._task, None
        if not self.expired:
            return
        assert task is not None
        # Somebody else's cancel goes on; only this limit's own becomes a TimeoutError.
        ours = task.uncancel() <= self._cancels_before
        if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """The time is over."""
        self.expired = True
        if self._task is not None:
            self._task.cancel()
