"""The mark over a real price path, against a second implementation in decimal arithmetic of sixty digits."""

import gzip
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from crossbook.domain.mark import MarkState, Top, next_mark

CANDLES: Final = Path(__file__).parents[2].parent / "shared/data/btc_usdt_minutes_2025-05-29/candles.csv.gz"
MINUTES: Final = 3 * 1440
BAND: Final = 500
STEP_MS: Final = 20_000


def path() -> list[tuple[int, Top]]:
    """Three looks a minute: the index goes through the candle, the market a little behind it, at times one-sided."""
    looks = []
    last = 0
    with gzip.open(CANDLES, "rt") as rows:
        next(rows)
        for number, row in zip(range(MINUTES), rows, strict=False):
            opened, high, low, close = (int(Decimal(text) * 10) for text in row.split(",")[1:5])
            last = last or opened
            for index_ticks in (low, high, close):
                spread = 1 + number % 40
                bid, ask = last - spread, last + spread + number % 3
                top = Top(0 if number % 50 == 7 else bid, 0 if number % 70 == 9 else ask, last)
                looks.append((index_ticks, top))
                last = opened if number % 2 else close
    return looks


class Ema:
    """The average, as the rule book has it."""

    def __init__(self, period_s: int) -> None:
        self.period_s = Decimal(period_s)
        self.numerator = self.denominator = Decimal(0)

    def add(self, sample: Decimal, elapsed_ms: int) -> None:
        kept = (-Decimal(elapsed_ms) / 1000 / self.period_s).exp()
        weight = Decimal(min(elapsed_ms, 10_000) if self.denominator else 1)
        self.numerator = self.numerator * kept + sample * weight
        self.denominator = self.denominator * kept + weight

    @property
    def value(self) -> Decimal:
        return self.numerator / self.denominator


@pytest.mark.skipif(not CANDLES.exists(), reason=f"needs {CANDLES}")
def test_three_days_of_minutes_give_the_marks_of_decimal_arithmetic() -> None:
    looks = path()
    state = MarkState()
    basis, price = Ema(150), Ema(30)
    far = 0
    with localcontext() as context:
        context.prec = 60
        for place, (index_ticks, top) in enumerate(looks):
            state, mark = next_mark(state, top, index_ticks, 1_000 + place * STEP_MS, BAND)
            elapsed_ms = STEP_MS if place else 0
            known = [Decimal(ticks) for ticks in (top.bid_ticks, top.ask_ticks, top.last_ticks) if ticks]
            if top.bid_ticks and top.ask_ticks:
                basis.add(Decimal(top.bid_ticks + top.ask_ticks) / 2 - index_ticks, elapsed_ms)
            own = median(known)
            price.add(own, elapsed_ms)
            premium = basis.value if basis.denominator else Decimal(0)
            exact = median([index_ticks + premium, own, price.value])
            width = index_ticks * BAND // 10_000
            rounded = int(exact.to_integral_value(ROUND_HALF_EVEN))
            expected = min(max(rounded, index_ticks - width), index_ticks + width)
            assert mark == expected, f"look {place}"
            far = max(far, abs(mark - index_ticks))
    assert len(looks) == 3 * MINUTES
    assert far > 100, "the path does move the mark away from the index"
