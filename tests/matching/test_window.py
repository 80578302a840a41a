"""A window's changes, applied to what was shown, give the best levels of the book, at any depth and pace of looking."""

from hypothesis import given
from hypothesis import strategies as st

from crossbook.domain.errors import Reason
from crossbook.domain.events import OrderCancelled, OrderRested
from crossbook.domain.orders import Side
from crossbook.matching.depth import DepthBook
from crossbook.matching.window import DepthWindow

PRICES = st.integers(1, 12)
STEP = st.tuples(st.sampled_from(Side), PRICES, st.integers(1, 5), st.booleans(), st.booleans())


@given(st.integers(1, 6), st.lists(STEP, max_size=60))
def test_the_window_follows_the_book(depth: int, steps: list[tuple[Side, int, int, bool, bool]]) -> None:
    book = DepthBook()
    window = DepthWindow(book, depth)
    shown: dict[Side, dict[int, tuple[int, int]]] = {side: {} for side in Side}
    touched: dict[Side, set[int]] = {side: set() for side in Side}
    standing: list[tuple[int, Side, int]] = []
    for number, (side, price, lots, leaves, looks) in enumerate(steps, start=1):
        if leaves and standing:
            order_id, own_side, own_price = standing.pop(price % len(standing))
            deltas = book.apply(OrderCancelled(number, 0, order_id, 1, own_side, own_price, 1, Reason.USER_REQUEST))
        else:
            standing.append((number, side, price))
            deltas = book.apply(OrderRested(number, 0, number, 1, side, price, lots, lots))
        for delta in deltas:
            touched[delta.side].add(delta.price_ticks)
        if looks:
            for each in Side:
                for at, visible, orders in window.changes(each, touched[each]):
                    if orders:
                        shown[each][at] = (visible, orders)
                    else:
                        shown[each].pop(at, None)
                touched[each].clear()
                best_first = sorted(shown[each].items(), reverse=each is Side.BUY)
                assert [(at, *rest) for at, rest in best_first] == book.levels(each, depth)
