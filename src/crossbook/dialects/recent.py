"""Answers of the store that are still believed: so that a busy client does not cost a query for each request.

Who asks all the time never waits for the store: what grows old and is still asked for is renewed beforehand, many
at once. So an answer is never believed longer than `KEPT_S`, and the store hears a few questions a second.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

KEPT_S: Final = 2
"""How long what was revoked may still open: the age of an answer that is still believed."""
OLD_S: Final = 1.4
"""From which age on an answer is renewed, when somebody asks for it."""
GATHERED_S: Final = 0.25
"""How long names are gathered before they are renewed."""
CAPACITY: Final = 10_000

T = TypeVar("T")


class Monotonic(Protocol):
    """Measures time."""

    def monotonic_s(self) -> float:
        """Seconds since some moment; never steps back."""
        ...


class Recent(Generic[T]):
    """What a token or a key stands for, as it was found a moment ago.

    `renew`, where it is given, asks the store for values again, and puts what it finds or forgets what is gone. It
    must not raise.
    """

    def __init__(
        self,
        clock: Monotonic,
        capacity: int = CAPACITY,
        kept_s: float = KEPT_S,
        renew: Callable[[Sequence[T]], Awaitable[None]] | None = None,
    ) -> None:
        self._clock = clock
        self._capacity = capacity
        self._kept_s = kept_s
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._renew = renew
        self._old: dict[str, T] = {}
        self._renewal: asyncio.Task[None] | None = None

    def get(self, name: str) -> T | None:
        """What it stands for, None when nobody asked lately."""
        found = self._known.get(name)
        if found is None:
            return None
        age_s = self._clock.monotonic_s() - found[0]
        if age_s >= self._kept_s:
            del self._known[name]
            return None
        if age_s >= OLD_S and self._renew is not None:
            self._old[name] = found[1]
            if self._renewal is None:
                self._renewal = asyncio.get_running_loop().create_task(self._renew_old(self._renew))
        return found[1]

    def put(self, name: str, value: T) -> None:
        """Remember what it stands for; the oldest are forgotten."""
        self._known.pop(name, None)
        while len(self._known) >= self._capacity:
            self._known.popitem(last=False)
        self._known[name] = (self._clock.monotonic_s(), value)

    def replace(self, name: str, value: T) -> None:
        """Remember what was found anew, unless it was forgotten while it was asked for."""
        if name in self._known:
            self.put(name, value)

    def forget(self, name: str) -> None:
        """It was revoked here: ask again."""
        self._known.pop(name, None)
        self._old.pop(name, None)

    async def _renew_old(self, renew: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        try:
            await asyncio.sleep(GATHERED_S)
            await renew(list(self._old.values()))
        finally:
            self._old.clear()
            self._renewal = None
