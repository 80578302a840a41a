"""Runs a venue until somebody asks it to stop: an interrupt from the keyboard, or a service manager."""

import asyncio
import gc
import signal
from collections.abc import Callable
from typing import Any, Final

from crossbook.venue import Venue

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
COLLECT_AFTER_OBJECTS: Final = 20_000


def run(make_venue: Callable[[], Venue], started: Callable[[Venue], None]) -> None:
    """Start the venue, call `started` when it is ready, and stop it in order at the first signal.

    A signal during the start ends the start. Raises CrossbookError when the venue can not start.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(make_venue, started))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The faster event loop, where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _spare_the_collector() -> None:
    """Let the collector of circular garbage pass over what lives as long as the process, and come by less often.

    Nearly all that a request makes is freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER_OBJECTS, 20, 20)


async def _run(make_venue: Callable[[], Venue], started: Callable[[Venue], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop.set)
    venue = make_venue()
    starting: asyncio.Task[Any] = asyncio.create_task(venue.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            started(venue)
            _spare_the_collector()
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        await venue.stop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
