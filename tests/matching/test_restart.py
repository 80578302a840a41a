"""A market that was stored and brought back is the market that was never interrupted."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossbook.domain.commands import Command
from crossbook.domain.events import Event
from crossbook.matching import Engine
from crossbook.matching.reference import ReferenceEngine

from .flows import Flow
from .test_differential import logs

EngineType = type[Engine] | type[ReferenceEngine]

SEEDS = range(4)
COMMANDS = 1_200
both_engines = pytest.mark.parametrize("engine_type", [Engine, ReferenceEngine])


def flow(seed: int, count: int = COMMANDS) -> list[Command]:
    return Flow(Random(seed).randrange).take(count)


def run(engine: Engine | ReferenceEngine, commands: list[Command]) -> list[list[Event]]:
    """The events of each command."""
    return [engine.apply(command) for command in commands]


@pytest.mark.parametrize("seed", SEEDS)
@both_engines
def test_restarts_at_random_points_change_nothing(engine_type: EngineType, seed: int) -> None:
    random = Random(seed)
    whole = engine_type()
    interrupted = engine_type()
    restarts = 0
    for command in flow(seed):
        assert interrupted.apply(command) == whole.apply(command)
        if random.randrange(8) == 0:
            stored = interrupted.snapshot()
            interrupted = engine_type.restore(stored)
            assert interrupted.snapshot() == stored == whole.snapshot()
            restarts += 1
    assert interrupted.state_hash() == whole.state_hash()
    assert restarts > COMMANDS // 16


@pytest.mark.parametrize("seed", SEEDS)
def test_each_engine_goes_on_from_the_snapshot_of_the_other(seed: int) -> None:
    """Every 20 commands they swap states: what one remembers beside its snapshot would show."""
    fast, naive = Engine(), ReferenceEngine()
    for number, command in enumerate(flow(seed)):
        assert fast.apply(command) == naive.apply(command)
        if number % 20 == 19:
            fast, naive = Engine.restore(naive.snapshot()), ReferenceEngine.restore(fast.snapshot())
            assert fast.state_hash() == naive.state_hash()
            assert fast.indicative() == naive.indicative()


@pytest.mark.parametrize("seed", SEEDS)
@both_engines
def test_snapshot_and_tail_are_the_full_replay(engine_type: EngineType, seed: int) -> None:
    commands = flow(seed, 400)
    whole = engine_type()
    events = run(whole, commands)
    cuts = [0, *sorted(Random(seed).sample(range(1, len(commands)), 15)), len(commands)]
    first = engine_type()
    for cut, following in pairwise(cuts):
        from_there = engine_type.restore(first.snapshot())
        assert run(from_there, commands[cut:]) == events[cut:]
        assert from_there.state_hash() == whole.state_hash()
        run(first, commands[cut:following])
    assert first.snapshot() == whole.snapshot()


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(logs(), st.data())
def test_a_restart_anywhere_in_any_log_changes_nothing(log: list[Command], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(log)), "cut")
    whole, first = Engine(), Engine()
    events = run(whole, log)
    run(first, log[:cut])
    for engine_type in (Engine, ReferenceEngine):
        second = engine_type.restore(first.snapshot())
        assert run(second, log[cut:]) == events[cut:]
        assert second.snapshot() == whole.snapshot()


def test_a_snapshot_is_not_changed_by_what_happens_after_it() -> None:
    engine = Engine()
    commands = flow(9, 200)
    run(engine, commands[:100])
    stored = engine.snapshot()
    kept = bytes(bytearray(stored))
    run(engine, commands[100:])
    assert stored == kept != engine.snapshot()
