"""The market maker: quotes on both sides of the walk, and moves its quotes when the price has moved.

It is bounded by what it does, not by what it hopes for: all its quotes are taken out before new ones go in, and
beyond its largest position it quotes only the side that makes the position smaller.
"""

from dataclasses import dataclass
from typing import Final

from crossbook.bots.walk import Walk
from crossbook.domain.money import MILLION
from crossbook.domain.orders import Side

LEVELS: Final = 6
"""Quotes on each side."""
SPACING_PPM: Final = 100
"""Distance of the quotes from each other, in parts per million of the price; the spread is one of them."""
MOVED_PPM: Final = 40
"""The price has moved when it is so far from where the quotes stand."""
OLDEST_STEPS: Final = 12
"""Quotes that stand so long are put in anew: what was taken of them comes back."""


@dataclass(frozen=True)
class Quote:
    """One order to rest in the book."""

    side: Side
    price_ticks: int
    quantity_lots: int


@dataclass(frozen=True)
class MakerDecision:
    """What the price is, and the quotes that take the place of those before; None leaves them as they are."""

    price_ticks: int
    quotes: tuple[Quote, ...] | None


class MarketMaker:
    """Decides for one market. The quote next to the price is of `unit_lots`, the second of twice as much, and so on.

    Its position does not grow beyond `most_lots`, but for the quotes that stand at that moment.
    """

    def __init__(self, walk: Walk, unit_lots: int, most_lots: int) -> None:
        self._walk = walk
        self._unit_lots = unit_lots
        self._most_lots = most_lots
        self._quoted_ticks = 0
        self._age = 0

    def decide(self, position_lots: int) -> MakerDecision:
        """The next step, with the signed position that is known."""
        price_ticks = self._walk.step()
        self._age += 1
        moved = abs(price_ticks - self._quoted_ticks) * MILLION > price_ticks * MOVED_PPM
        if not moved and self._age < OLDEST_STEPS:
            return MakerDecision(price_ticks, None)
        self._quoted_ticks = price_ticks
        self._age = 0
        return MakerDecision(price_ticks, self._quotes(price_ticks, position_lots))

    def forget_quotes(self) -> None:
        """The last quotes did not get in, or not all of them: quote anew at the next step."""
        self._age = OLDEST_STEPS

    def _quotes(self, price_ticks: int, position_lots: int) -> tuple[Quote, ...]:
        quotes = []
        spacing_ticks = max(2, price_ticks * SPACING_PPM // MILLION)
        for level in range(1, LEVELS + 1):
            distance_ticks = spacing_ticks * level - spacing_ticks // 2
            if position_lots < self._most_lots and price_ticks > distance_ticks:
                quotes.append(Quote(Side.BUY, price_ticks - distance_ticks, self._unit_lots * level))
            if position_lots > -self._most_lots:
                quotes.append(Quote(Side.SELL, price_ticks + distance_ticks, self._unit_lots * level))
        return tuple(quotes)
