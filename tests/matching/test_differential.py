"""The fast engine against the reference: equal after every command, and no invariant broken.

Hypothesis writes the commands and shrinks what fails; seeded flows go further than it would.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossbook.domain.commands import Command, SubmitOrder
from crossbook.domain.events import OrderAccepted
from crossbook.domain.orders import OrderType, SelfTradePrevention, Side

from .flows import Flow
from .invariants import Breach
from .pairs import Difference, Pair

SEEDS = range(12)
COMMANDS = 2_000
MOST_COMMANDS = 60


def drawn(draw: Callable[..., Any]) -> Callable[[int], int]:
    """A flow's choices, drawn by Hypothesis."""
    return lambda count: int(draw(st.integers(0, count - 1)))


@st.composite
def logs(draw: st.DrawFn) -> list[Command]:
    """Logs of up to `MOST_COMMANDS` commands, most of them long."""
    return Flow(drawn(draw)).take(1 + MOST_COMMANDS - draw(st.integers(1, MOST_COMMANDS)))


@settings(
    max_examples=400,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(logs())
def test_both_engines_agree_on_whatever_hypothesis_writes(log: list[Command]) -> None:
    Pair().apply_all(log)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_engines_agree_on_long_random_flows(seed: int) -> None:
    Pair().apply_all(Flow(Random(seed).randrange).take(COMMANDS))


def _buy(order_id: int, price_ticks: int) -> SubmitOrder:
    return SubmitOrder(1, 5, order_id, 1, Side.BUY, OrderType.LIMIT, 5, price_ticks)


def test_a_pair_notices_a_different_state() -> None:
    """One engine starts with an order that the other does not know."""
    pair = Pair()
    pair.fast.apply(_buy(7, 100))
    pair.naive.apply(_buy(8, 100))
    second = SubmitOrder(2, 5, 9, 1, Side.BUY, OrderType.LIMIT, 5, 90)
    with pytest.raises(Difference, match="snapshots after"):
        pair.apply(second)


def test_a_pair_notices_different_trades() -> None:
    pair = Pair()
    pair.fast.apply(_buy(7, 100))
    pair.naive.apply(_buy(7, 101))
    sell = SubmitOrder(2, 5, 9, 2, Side.SELL, OrderType.LIMIT, 5, 90, self_trade_prevention=SelfTradePrevention.NONE)
    with pytest.raises(Difference, match="events of"):
        pair.apply(sell)


def test_a_pair_watches() -> None:
    """Commands that the watcher has not seen are a breach, even where both engines agree."""
    pair = Pair()
    assert isinstance(pair.apply_lightly(_buy(7, 100))[0], OrderAccepted)
    with pytest.raises(Breach, match="number of orders"):
        pair.apply(SubmitOrder(2, 5, 8, 1, Side.BUY, OrderType.LIMIT, 5, 90))
