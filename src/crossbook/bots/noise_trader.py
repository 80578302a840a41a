"""The noise trader: now and then it buys or sells a little at the market, without a reason."""

from dataclasses import dataclass
from random import Random
from typing import Final

from crossbook.domain.money import MILLION
from crossbook.domain.orders import Side

LONGEST_PAUSE: Final = 14
"""Steps between two trades at most."""
PROTECTION_PPM: Final = 5_000
"""How much worse than the reference price it trades at most."""


@dataclass(frozen=True)
class Take:
    """One order that takes what is there, at `price_ticks` at worst."""

    side: Side
    price_ticks: int
    quantity_lots: int


class NoiseTrader:
    """Decides for one market: trades of 1 to `unit_lots` lots.

    Beyond a position of `most_lots` it only makes it smaller. The number of its random choices does not depend
    on its position.
    """

    def __init__(self, random: Random, unit_lots: int, most_lots: int) -> None:
        self._random = random
        self._unit_lots = unit_lots
        self._most_lots = most_lots
        self._pause = 0

    def decide(self, price_ticks: int, position_lots: int) -> Take | None:
        """The next step, with the reference price and the signed position that is known; None for doing nothing."""
        if self._pause > 0:
            self._pause -= 1
            return None
        self._pause = self._random.randint(1, LONGEST_PAUSE)
        side = self._random.choice((Side.BUY, Side.SELL))
        quantity_lots = self._random.randint(1, self._unit_lots)
        if abs(position_lots) >= self._most_lots:
            side = Side.SELL if position_lots > 0 else Side.BUY
        protection_ticks = max(1, price_ticks * PROTECTION_PPM // MILLION)
        worst_ticks = price_ticks + protection_ticks if side is Side.BUY else price_ticks - protection_ticks
        return Take(side, max(1, worst_ticks), quantity_lots)
