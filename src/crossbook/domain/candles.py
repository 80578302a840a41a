"""Candles: what traded in one stretch of time, as whole numbers.

A stretch starts at a whole multiple of its period since the epoch; a week starts on Monday, UTC.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
_FIRST_MONDAY_MS: Final = 4 * DAY_MS
"""The epoch was a Thursday."""


class Period(Enum):
    """The lengths of candles. The value is in milliseconds."""

    MINUTE = MINUTE_MS
    FIVE_MINUTES = 5 * MINUTE_MS
    QUARTER = 15 * MINUTE_MS
    HALF_HOUR = 30 * MINUTE_MS
    HOUR = HOUR_MS
    FOUR_HOURS = 4 * HOUR_MS
    DAY = DAY_MS
    WEEK = 7 * DAY_MS

    def start_ms(self, time_ms: int) -> int:
        """When the stretch that `time_ms` lies in began."""
        first_ms = _FIRST_MONDAY_MS if self is Period.WEEK else 0
        return time_ms - (time_ms - first_ms) % self.value


@dataclass(frozen=True)
class Candle:
    """What traded from `start_ms` on: first, highest, lowest and last price, and both volumes, in units."""

    start_ms: int
    open_units: int
    high_units: int
    low_units: int
    close_units: int
    first_volume_units: int
    second_volume_units: int

    @staticmethod
    def of_trade(start_ms: int, price_units: int, first_units: int, second_units: int) -> "Candle":
        """The candle of one trade."""
        return Candle(start_ms, price_units, price_units, price_units, price_units, first_units, second_units)

    def then(self, later: "Candle") -> "Candle":
        """Both together, `later` traded after this one; the stretch begins where this one does."""
        return replace(
            self,
            high_units=max(self.high_units, later.high_units),
            low_units=min(self.low_units, later.low_units),
            close_units=later.close_units,
            first_volume_units=self.first_volume_units + later.first_volume_units,
            second_volume_units=self.second_volume_units + later.second_volume_units,
        )


def candles_of(trades: Iterable[Candle], period: Period) -> list[Candle]:
    """The candles of a period that these make, given in the order in which they traded."""
    made: list[Candle] = []
    for trade in trades:
        start_ms = period.start_ms(trade.start_ms)
        if made and made[-1].start_ms == start_ms:
            made[-1] = made[-1].then(trade)
        else:
            made.append(replace(trade, start_ms=start_ms))
    return made
