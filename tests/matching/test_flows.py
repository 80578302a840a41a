"""The flow of random commands reaches every rule: what it never causes, it could not prove."""

from collections import Counter
from random import Random

from crossbook.domain.commands import COMMAND_TYPES, Batch, SubmitOrder
from crossbook.domain.errors import Reason
from crossbook.domain.events import EVENT_TYPES, StateChanged, Trade, TradePrevented
from crossbook.domain.orders import (
    MarketState,
    OrderType,
    PriceSource,
    SelfTradePrevention,
    TimeInForce,
)
from crossbook.matching.reference import ReferenceEngine

from .flows import Flow

COMMANDS = 4_000
SEEDS = range(3)
NEEDS_HUGE_NUMBERS = {Reason.POSITION_LIMIT, Reason.BOOK_FULL}
"""Reached in test_edges."""


def test_the_same_seed_gives_the_same_commands() -> None:
    assert Flow(Random(5).randrange).take(300) == Flow(Random(5).randrange).take(300)
    assert Flow(Random(5).randrange).take(300) != Flow(Random(6).randrange).take(300)


def test_choosing_nothing_special_gives_plain_limit_orders() -> None:
    """Where Hypothesis shrinks to."""
    for command in Flow(lambda _: 0).take(20):
        assert isinstance(command, SubmitOrder)
        assert (command.type, command.time_in_force) == (OrderType.LIMIT, TimeInForce.GTC)


def test_sequences_have_no_gap() -> None:
    commands = Flow(Random(1).randrange).take(2_000)
    numbered = [command.sequence for command in commands if not isinstance(command, Batch) or command.commands]
    assert numbered == list(range(1, len(numbered) + 1))


def test_every_command_event_reason_and_option_occurs() -> None:
    seen: Counter[object] = Counter()
    for seed in SEEDS:
        engine = ReferenceEngine()
        flow = Flow(Random(seed).randrange)
        for _ in range(COMMANDS):
            command = flow.next()
            seen[type(command)] += 1
            for event in engine.apply(command):
                seen[type(event)] += 1
                seen[getattr(event, "reason", Reason.NONE)] += 1
                if isinstance(event, StateChanged):
                    seen[event.previous, event.state] += 1
                if isinstance(event, Trade):
                    seen[Trade, event.auction] += 1
                if isinstance(event, TradePrevented):
                    seen[event.mode, event.auction] += 1
        _count_terms(engine, flow, seen)
    active = MarketState.ACTIVE
    wanted = {
        *COMMAND_TYPES,
        *EVENT_TYPES,
        *(set(Reason) - NEEDS_HUGE_NUMBERS),
        *((kind, time) for kind in OrderType for time in TimeInForce),
        *((kind, source) for kind in tuple(OrderType)[2:] for source in PriceSource),
        *(change for state in MarketState for change in ((active, state), (state, active))),
        *((mode, auction) for mode in tuple(SelfTradePrevention)[1:] for auction in (False, True)),
        (Trade, False),
        (Trade, True),
    }
    assert {choice for choice in wanted if not seen[choice]} == set()


def _count_terms(engine: ReferenceEngine, flow: Flow, seen: Counter[object]) -> None:
    """Go on with the flow and count what its orders ask for."""
    for command in flow.take(COMMANDS):
        engine.apply(command)
        if isinstance(command, SubmitOrder):
            seen[command.type, command.time_in_force] += 1
            seen[command.type, command.trigger_source] += 1
