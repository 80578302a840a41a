"""The flows of the benchmark are what they say they are."""

from collections.abc import Callable

import pytest

from benchmarks import flows
from benchmarks.flows import NORMAL, SWEEP_HEAVY, Flow, Mix, Step, random_flow
from benchmarks.records import commands_of, rebatch
from crossbook.domain.commands import AmendOrder, CancelOrder, SubmitOrder
from crossbook.domain.events import CommandRejected, Event, Trade
from crossbook.domain.orders import Side, TimeInForce
from crossbook.matching import Engine, layout

SMALL: dict[str, Callable[[int], Flow]] = {
    "normal": lambda seed: random_flow("normal", NORMAL, 2_000, 500, seed),
    "sweep-heavy": lambda seed: random_flow("sweep-heavy", SWEEP_HEAVY, 2_000, 500, seed),
    "steady": lambda seed: random_flow("steady", NORMAL, 2_000, 100, seed, steady=True),
    "no resting orders": lambda seed: random_flow("empty", NORMAL, 1_000, 0, seed),
    "distinct prices": lambda seed: flows.distinct_prices_flow(500, seed),
    "sparse cancels": lambda seed: flows.sparse_cancels_flow(500, 1_000_000, seed),
}

every_flow = pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)


@every_flow
def test_the_same_seed_gives_the_same_bytes(make: Callable[[int], Flow]) -> None:
    assert make(1) == make(1)
    assert make(1).timed != make(2).timed


@pytest.mark.parametrize("mix", [NORMAL, SWEEP_HEAVY], ids=["normal", "sweep-heavy"])
def test_the_mix_is_as_stated(mix: Mix) -> None:
    flow = random_flow("mix", mix, 20_000, 2_000)

    shares = {step: 100 * flow.steps[step] / flow.commands for step in Step}

    assert sum(share for _, share in mix.shares) == 100
    assert shares == pytest.approx({step: dict(mix.shares).get(step, 0) for step in Step}, abs=1.5)


def test_the_records_are_of_the_steps_that_were_counted() -> None:
    flow = random_flow("normal", NORMAL, 2_000, 500)
    commands = list(commands_of(flow.timed))
    entries = [command for command in commands if isinstance(command, SubmitOrder)]
    takers = [command for command in entries if command.time_in_force is TimeInForce.IOC]

    assert len(commands) == flow.commands
    assert len(entries) - len(takers) == flow.steps[Step.ADD]
    assert len(takers) == flow.steps[Step.TAKE]
    assert sum(isinstance(command, CancelOrder) for command in commands) == flow.steps[Step.CANCEL]
    assert sum(isinstance(command, AmendOrder) for command in commands) == flow.steps[Step.AMEND]


@every_flow
def test_an_engine_refuses_nothing_and_ends_where_the_flow_says(make: Callable[[int], Flow]) -> None:
    flow = make(3)
    engine = Engine()
    events: list[Event] = []

    for command in commands_of(flow.setup):
        engine.apply(command)
    assert engine.open_orders == flow.resting_before
    for command in commands_of(flow.timed):
        events += engine.apply(command)

    assert [event for event in events if isinstance(event, CommandRejected)] == []
    assert sum(isinstance(event, Trade) for event in events) == flow.trades
    assert engine.open_orders == flow.resting_after


@every_flow
def test_records_and_command_objects_are_the_same_commands(make: Callable[[int], Flow]) -> None:
    flow = make(4)
    by_records = Engine()
    by_objects = Engine()

    for buffer in flow.setup + flow.timed:
        by_records.process(buffer)
    for command in commands_of(flow.setup + flow.timed):
        by_objects.apply(command)

    assert by_records.state_hash() == by_objects.state_hash()


def test_sweeps_take_many_makers_over_several_levels() -> None:
    flow = random_flow("sweep-heavy", SWEEP_HEAVY, 5_000, 1_000)
    engine = Engine()
    for buffer in flow.setup:
        engine.process(buffer)
    trades = [
        [event for event in engine.apply(command) if isinstance(event, Trade)] for command in commands_of(flow.timed)
    ]
    sweeps = [taken for taken in trades if len(taken) >= 10]

    assert len(sweeps) >= 0.8 * flow.steps[Step.SWEEP]
    assert all(len({trade.price_ticks for trade in taken}) > 1 for taken in sweeps)


def test_a_steady_flow_keeps_the_book_at_its_size() -> None:
    flow = random_flow("steady", NORMAL, 5_000, 100, steady=True)

    assert flow.resting_after == pytest.approx(100, abs=5)


def test_resting_orders_rest() -> None:
    engine = Engine()
    for buffer in flows.resting_orders(2_500):
        engine.process(buffer)

    assert engine.open_orders == 2_500
    assert {side for side in Side if engine.depth(side, 1)} == set(Side)


def test_rebatching_keeps_every_record_in_order() -> None:
    flow = random_flow("normal", NORMAL, 2_000, 500)
    calls = rebatch(flow.timed, 64)

    assert b"".join(calls) == b"".join(flow.timed)
    assert {len(call) for call in calls[:-1]} == {64 * layout.COMMAND_BYTES}
