"""Lets one part of a process tell another that there is something to do, so that it need not wait for its next look."""

import asyncio

from crossbook.system import Clock


class Wake:
    """Set by any number of callers, waited for by one worker. A call that comes while nobody waits is not lost."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """There is something to do. Cheap, from the event loop's thread only."""
        self._event.set()

    async def wait(self, clock: Clock, limit_s: float) -> bool:
        """Return when somebody called `set` since the last wait, or after `limit_s` seconds; whether it was a call."""
        if not self._event.is_set():
            woken = asyncio.ensure_future(self._event.wait())
            slept = asyncio.ensure_future(clock.sleep(limit_s))
            try:
                await asyncio.wait((woken, slept), return_when=asyncio.FIRST_COMPLETED)
            finally:
                woken.cancel()
                slept.cancel()
                await asyncio.gather(woken, slept, return_exceptions=True)
        called = self._event.is_set()
        self._event.clear()
        return called
