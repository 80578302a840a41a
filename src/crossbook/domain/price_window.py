"""The price-limit window: whether a price ran too far from what it was within the window before."""

from collections import deque

from crossbook.domain.orders import MAX_BASIS_POINTS


class PriceWindow:
    """Takes trades in order, and says of each whether the price moved by more than `basis_points` within `window_ms`.

    The move is measured from the lowest and from the highest price of the window, in parts of that price. Both are
    kept at hand, so a trade costs the same however many are in the window. Nothing moved in a window of one price.
    """

    def __init__(self, window_ms: int, basis_points: int) -> None:
        self._window_ms = window_ms
        self._basis_points = basis_points
        # Each holds what can still become the extreme: times rise, prices rise (lows) or fall (highs).
        self._lows: deque[tuple[int, int]] = deque()
        self._highs: deque[tuple[int, int]] = deque()

    def add(self, time_ms: int, price_ticks: int) -> bool:
        """Take the next trade. A time before the last one's counts as a trade of its own time."""
        oldest_ms = time_ms - self._window_ms
        for extremes in (self._lows, self._highs):
            while extremes and extremes[0][0] < oldest_ms:
                extremes.popleft()
        while self._lows and self._lows[-1][1] >= price_ticks:
            self._lows.pop()
        while self._highs and self._highs[-1][1] <= price_ticks:
            self._highs.pop()
        self._lows.append((time_ms, price_ticks))
        self._highs.append((time_ms, price_ticks))
        low, high = self._lows[0][1], self._highs[0][1]
        rose = (price_ticks - low) * MAX_BASIS_POINTS > low * self._basis_points
        fell = (high - price_ticks) * MAX_BASIS_POINTS > high * self._basis_points
        return rose or fell
