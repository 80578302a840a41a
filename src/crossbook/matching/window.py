"""The best levels of a book, for somebody who has them and wants to hear only what changes."""

from collections.abc import Iterable

from crossbook.domain.orders import Side
from crossbook.matching.depth import DepthBook

Level = tuple[int, int, int]
"""A price in ticks, what it shows in lots, and the number of orders there; both 0 for a level that is gone."""


class DepthWindow:
    """The best `depth` levels of each side of `book`, as they were at the last look.

    It keeps two prices only: the last level that is shown of each side. A look costs as many steps as levels changed,
    whatever the depth.
    """

    def __init__(self, book: DepthBook, depth: int) -> None:
        self.depth = depth
        self._book = book
        self._ends = {side: book.price_at(side, depth) for side in Side}

    def changes(self, side: Side, touched: Iterable[int]) -> list[Level]:
        """What became of the levels shown, when the levels at the prices `touched` changed since the last look.

        Levels that came into view, levels that changed, and, with nothing shown, levels that went or are out of view
        now. Applied to what was shown, in any order, they give what is shown.
        """
        old, new = self._ends[side], self._book.price_at(side, self.depth)
        self._ends[side] = new
        found: dict[int, Level] = {}
        for price in touched:
            if _within(side, price, new):
                found[price] = self._book.level(side, price)
            elif _within(side, price, old):
                found[price] = (price, 0, 0)
        if old != new:
            self._enter(side, old, found)
            self._leave(side, old, found)
        return list(found.values())

    def _enter(self, side: Side, old: int | None, found: dict[int, Level]) -> None:
        """Levels in view now that lay behind the old end."""
        rank = min(self.depth, self._book.depth_of(side))
        price = self._book.price_at(side, rank)
        while price is not None and not _within(side, price, old):
            found[price] = self._book.level(side, price)
            rank -= 1
            price = self._book.price_at(side, rank)

    def _leave(self, side: Side, old: int | None, found: dict[int, Level]) -> None:
        """Levels that are there, but behind the new end."""
        rank = self.depth + 1
        price = self._book.price_at(side, rank)
        while price is not None and _within(side, price, old):
            found[price] = (price, 0, 0)
            rank += 1
            price = self._book.price_at(side, rank)


def _within(side: Side, price: int, end: int | None) -> bool:
    """Whether a price is not worse than the last one shown; None means that there is room for any."""
    if end is None:
        return True
    return price >= end if side is Side.BUY else price <= end
