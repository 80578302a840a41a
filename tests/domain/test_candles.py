"""Candles: where a stretch starts, and what its trades make of it."""

from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.candles import DAY_MS, Candle, Period, candles_of

MONDAY_MS = 1_763_337_600_000
"""2025-11-17T00:00:00Z."""


def test_a_stretch_starts_at_a_whole_multiple_and_a_week_on_monday() -> None:
    time_ms = MONDAY_MS + 3 * DAY_MS + 7_384_567
    assert Period.WEEK.start_ms(time_ms) == MONDAY_MS
    assert Period.WEEK.start_ms(MONDAY_MS - 1) == MONDAY_MS - 7 * DAY_MS
    assert Period.DAY.start_ms(time_ms) == MONDAY_MS + 3 * DAY_MS
    assert Period.MINUTE.start_ms(time_ms) == MONDAY_MS + 3 * DAY_MS + 7_380_000


@given(trades=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 120_000)), max_size=30))
def test_candles_of_minutes_make_the_candles_of_trades(trades: list[tuple[int, int, int]]) -> None:
    time_ms, made = 0, []
    for price, amount, passed in trades:
        time_ms += passed
        made.append(Candle.of_trade(time_ms, price, amount, price * amount))
    hours = candles_of(made, Period.HOUR)
    assert candles_of(candles_of(made, Period.MINUTE), Period.HOUR) == hours
    assert sum(candle.first_volume_units for candle in hours) == sum(amount for _, amount, _ in trades)
    for candle in hours:
        within = [each for each in made if candle.start_ms <= each.start_ms < candle.start_ms + Period.HOUR.value]
        prices = [each.open_units for each in within]
        assert (candle.open_units, candle.close_units) == (prices[0], prices[-1])
        assert (candle.high_units, candle.low_units) == (max(prices), min(prices))
