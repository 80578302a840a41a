"""The price that the bots believe in: a random walk in whole ticks, which never leaves for good."""

from random import Random
from typing import Final

from crossbook.domain.index import MICRO, Quote
from crossbook.domain.money import MILLION, trunc_div

STEP_PPM: Final = 25
"""The longest step, in parts per million of the home price."""
PULL: Final = 2_000
"""Of its distance from home, the walk goes back one part in so many at each step."""


WALK: Final = "walk"
"""The name of the walk among the sources of an index."""


class Walk:
    """A reference price around `home_ticks`, starting at `start_ticks`. It stays between half and twice its home.

    Raises ValueError unless both prices are positive.
    """

    def __init__(self, random: Random, home_ticks: int, start_ticks: int) -> None:
        if home_ticks < 1 or start_ticks < 1:
            raise ValueError("prices are positive")
        self._random = random
        self._home_ticks = home_ticks
        self._longest_ticks = max(1, home_ticks * STEP_PPM // MILLION)
        self.price_ticks = self._bounded(start_ticks)

    def step(self) -> int:
        """The next price, in ticks."""
        moved = self._random.randint(-self._longest_ticks, self._longest_ticks)
        pulled = trunc_div(self._home_ticks - self.price_ticks, PULL)
        self.price_ticks = self._bounded(self.price_ticks + moved + pulled)
        return self.price_ticks

    def _bounded(self, price_ticks: int) -> int:
        return min(max(price_ticks, self._home_ticks // 2, 1), 2 * self._home_ticks)


class WalkSource:
    """The walk as a source of the index: the price that the embedded venue's world believes in."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def quotes(self, now_ms: int) -> list[Quote]:
        """Where the walk is now."""
        return [Quote(WALK, self._walk.price_ticks * MICRO, now_ms)]
