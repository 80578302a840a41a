"""Whatever the engine says, settlement keeps the books: random markets of several accounts."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from crossbook.domain.instruments import FeeAsset, Instrument, InstrumentKind
from tests.application.market_flows import AcceptedFlow
from tests.application.venue import Venue
from tests.domain.cases import holds_for, perp, spot

MARKETS: dict[str, Instrument] = {
    "perpetual": perp("0.1", "0.001"),
    "perpetual with rebates": perp("0.1", "0.001", maker_fee_ppm=-50),
    "spot": spot(),
    "spot, fees from what is received": spot(fee_asset=FeeAsset.RECEIVED),
}
seeds = st.integers(0, 2**32)
COMMANDS = 80


def run(market: Instrument, seed: int, longest: int, audited: bool = True) -> Venue:
    """A random market, settled in batches of up to `longest` commands."""
    venue = Venue(market)
    choice = random.Random(seed + 1)
    for command in AcceptedFlow(seed, market.kind is InstrumentKind.PERPETUAL).take(COMMANDS):
        venue.enter(command)
        if len(venue.waiting) >= longest or choice.randrange(longest) == 0:
            venue.settle()
            if audited:
                venue.audit()
    venue.settle()
    venue.audit()
    return venue


def state(venue: Venue) -> dict[str, Any]:
    kept = {name: getattr(venue, name) for name in ("orders", "positions", "sums", "status")}
    balances = {key: units for key, units in venue.totals.items() if units}
    held = {key: units for key, units in venue.held.items() if units}
    fills = [fill for settlement in venue.settlements for fill in settlement.fills]
    return {**kept, "totals": balances, "held": held, "fills": fills}


@holds_for(60, name=st.sampled_from(sorted(MARKETS)), seed=seeds)
def test_the_books_balance_after_every_batch(name: str, seed: int) -> None:
    run(MARKETS[name], seed, longest=9)


@holds_for(20, name=st.sampled_from(sorted(MARKETS)), seed=seeds)
def test_how_commands_are_batched_changes_nothing(name: str, seed: int) -> None:
    single = run(MARKETS[name], seed, longest=1, audited=False)
    together = run(MARKETS[name], seed, longest=COMMANDS, audited=False)
    assert state(single) == state(together)


@pytest.mark.parametrize("name", sorted(MARKETS))
def test_the_random_markets_are_worth_their_time(name: str) -> None:
    """They trade, and meet every end that an order can have."""
    fills = 0
    seen: set[int] = set()
    for seed in range(15):
        venue = run(MARKETS[name], seed, longest=20, audited=False)
        fills += sum(len(settlement.fills) for settlement in venue.settlements)
        seen |= {int(order.status) for order in venue.orders.values()}
    assert fills > 100
    assert seen == {2, 3, 4, 5, 6, 7}


def test_a_rebate_is_never_paid_for_an_auction() -> None:
    market = replace(MARKETS["perpetual with rebates"])
    fees = [
        fill[8]
        for seed in range(40)
        for settlement in run(market, seed, longest=20, audited=False).settlements
        for fill in settlement.fills
        if fill[4] == 1 and fill[9] == 0
    ]
    assert fees
    assert set(fees) == {0}
