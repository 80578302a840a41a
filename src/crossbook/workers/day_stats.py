"""What a market did in the last 24 hours, kept by the minute."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crossbook.storage.market_history import SettledMinute

MINUTE_MS: Final = 60_000
DAY_MINUTES: Final = 1_440


@dataclass(frozen=True)
class DayStats:
    """The last 24 hours of trading, begun minute by minute: prices in ticks (None without a trade), volume in lots.

    `notional` is the sum of price times quantity, in ticks times lots.
    """

    open_ticks: int | None
    high_ticks: int | None
    low_ticks: int | None
    last_ticks: int | None
    volume_lots: int
    notional: int
    trades: int


class DayWindow:
    """Takes trades in order and sums up those of the last 1,440 minutes, the current one included."""

    def __init__(self, past: Iterable[SettledMinute] = ()) -> None:
        self._minutes: deque[SettledMinute] = deque(past)

    def add(self, time_ms: int, price_ticks: int, quantity_lots: int) -> None:
        """Count a trade. One whose time lies before the last one's counts in the last one's minute."""
        minute, notional = time_ms // MINUTE_MS, price_ticks * quantity_lots
        if not self._minutes or self._minutes[-1].minute < minute:
            self._drop_before(minute)
            self._minutes.append(
                SettledMinute(minute, price_ticks, price_ticks, price_ticks, price_ticks, quantity_lots, notional, 1)
            )
            return
        last = self._minutes[-1]
        self._minutes[-1] = SettledMinute(
            last.minute,
            last.open_ticks,
            max(last.high_ticks, price_ticks),
            min(last.low_ticks, price_ticks),
            price_ticks,
            last.lots + quantity_lots,
            last.notional + notional,
            last.trades + 1,
        )

    def stats(self, now_ms: int) -> DayStats:
        """The sums at `now_ms`."""
        self._drop_before(now_ms // MINUTE_MS)
        if not self._minutes:
            return DayStats(None, None, None, None, 0, 0, 0)
        return DayStats(
            self._minutes[0].open_ticks,
            max(minute.high_ticks for minute in self._minutes),
            min(minute.low_ticks for minute in self._minutes),
            self._minutes[-1].close_ticks,
            sum(minute.lots for minute in self._minutes),
            sum(minute.notional for minute in self._minutes),
            sum(minute.trades for minute in self._minutes),
        )

    def _drop_before(self, minute: int) -> None:
        while self._minutes and self._minutes[0].minute <= minute - DAY_MINUTES:
            self._minutes.popleft()
