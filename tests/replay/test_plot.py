"""The picture of a replay."""

import pytest

pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")

from crossbook.domain.orders import DAY_MS
from crossbook.replay.plot import MOST_TIME_TICKS, tick_step_ms


@pytest.mark.parametrize(
    ("span_ms", "step_ms"),
    [
        (0, 1_000),
        (8_000, 1_000),
        (8_001, 2_000),
        (3_600_000, 600_000),
        (23_400_000, 3_600_000),
        (DAY_MS, 21_600_000),
        (30 * DAY_MS, 4 * DAY_MS),
    ],
)
def test_time_ticks_are_those_of_a_clock_and_few(span_ms: int, step_ms: int) -> None:
    assert tick_step_ms(span_ms) == step_ms
    assert span_ms / step_ms <= MOST_TIME_TICKS
