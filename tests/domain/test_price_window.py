"""The price-limit window finds what a look at all trades of the window finds."""

from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.price_window import PriceWindow

TRADES = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 200)), max_size=60)


@given(trades=TRADES, window_ms=st.integers(1, 1_000), basis_points=st.integers(1, 10_000))
def test_it_agrees_with_looking_at_every_trade(
    trades: list[tuple[int, int]], window_ms: int, basis_points: int
) -> None:
    window, seen, now_ms = PriceWindow(window_ms, basis_points), list[tuple[int, int]](), 0
    for step_ms, price in trades:
        now_ms += step_ms
        seen.append((now_ms, price))
        prices = [each for time_ms, each in seen if time_ms >= now_ms - window_ms]
        moved = any(abs(price - each) * 10_000 > each * basis_points for each in prices)
        assert window.add(now_ms, price) is moved


def test_five_percent_are_still_allowed() -> None:
    up, down = PriceWindow(300_000, 500), PriceWindow(300_000, 500)
    assert [up.add(time_ms, price) for time_ms, price in ((0, 100), (1, 105), (2, 106))] == [False, False, True]
    assert [down.add(time_ms, price) for time_ms, price in ((0, 100), (1, 95), (2, 94))] == [False, False, True]


def test_what_left_the_window_does_not_count() -> None:
    window = PriceWindow(300, 500)
    assert [window.add(time_ms, price) for time_ms, price in ((0, 100), (301, 110), (601, 116))] == [
        False,
        False,
        True,
    ]
