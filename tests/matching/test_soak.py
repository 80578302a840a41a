"""Long random runs of both engines, left out unless asked for: `make soak`.

CROSSBOOK_SOAK_SEEDS (default 0,1,2) and CROSSBOOK_SOAK_COMMANDS (default 1,000,000) say how long.
"""

import os
import sys
import time
from random import Random

import pytest

from crossbook.matching import Engine
from crossbook.matching.reference import ReferenceEngine

from .flows import Flow
from .invariants import Watcher
from .pairs import Pair

SEEDS = [int(seed) for seed in os.environ.get("CROSSBOOK_SOAK_SEEDS", "0,1,2").split(",")]
COMMANDS = int(os.environ.get("CROSSBOOK_SOAK_COMMANDS", "1000000"))
HASH_EVERY = 1_000
REPORT_EVERY = 50_000
MOST_OPEN_ORDERS = 2_000
"""More would make the naive engine crawl; a flow cancels enough to stay far below."""


@pytest.mark.soak
@pytest.mark.parametrize("seed", SEEDS)
def test_both_engines_agree_for_a_very_long_time(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    flow = Flow(Random(seed).randrange)
    pair = Pair()
    started = time.monotonic()
    for number in range(1, COMMANDS + 1):
        command = flow.next()
        pair.watcher.see(command, pair.apply_lightly(command))
        if number % HASH_EVERY == 0:
            check_and_restart(pair)
        if number % REPORT_EVERY == 0:
            with capsys.disabled():
                report(seed, number, pair.watcher, time.monotonic() - started)
    assert pair.watcher.trades > COMMANDS // 50


def check_and_restart(pair: Pair) -> None:
    """Compare the whole states, then let each engine go on from what the other one stored."""
    assert pair.fast.open_orders < MOST_OPEN_ORDERS
    assert pair.fast.state_hash() == pair.naive.state_hash()
    pair.watcher.compare(pair.fast)
    stored = pair.fast.snapshot()
    assert stored == pair.naive.snapshot()
    pair.fast, pair.naive = Engine.restore(stored), ReferenceEngine.restore(stored)


def report(seed: int, number: int, watcher: Watcher, seconds: float) -> None:
    """Say how far it is."""
    line = f"seed {seed}: {number:,} of {COMMANDS:,} commands, {watcher.trades:,} trades, {seconds:.0f} s"
    print(f"\n{line}", end="", file=sys.stderr, flush=True)
