"""What needs a process of its own: `python -m benchmarks.isolated memory|interpreted SIZE ...`.

Memory, because what this process used before would blur it; the interpreted engine, because a process
runs the engine one way only. Each prints one number.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.flows import NORMAL, random_flow, resting_orders
from benchmarks.measuring import median_ns
from benchmarks.records import commands_of
from crossbook.domain.commands import SingleCommand
from crossbook.matching import Engine

WARM_UP_ORDERS: Final = 1_000
TIMEOUT_SECONDS: Final = 900


def run_isolated(measurement: str, *sizes: int, interpreted: bool = False) -> float:
    """Measure in a new process and give its number; raises CalledProcessError when that fails."""
    environment = os.environ | ({"CROSSBOOK_INTERPRETED": "1"} if interpreted else {})
    command = [sys.executable, "-m", "benchmarks.isolated", measurement, *map(str, sizes)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_SECONDS
    )
    return float(done.stdout)


def memory_per_order(orders: int, seed: int) -> float:
    """Bytes by which the process grew for each of `orders` resting orders."""
    _engine_of(WARM_UP_ORDERS, seed)
    gc.collect()
    before = resident_bytes()
    engine = _engine_of(orders, seed)
    grown = resident_bytes() - before
    return grown / engine.open_orders


def _engine_of(orders: int, seed: int) -> Engine:
    engine = Engine()
    for buffer in resting_orders(orders, seed):
        engine.process(buffer)
    return engine


def resident_bytes() -> int:
    """Memory of this process that is in RAM; where only the peak can be had, the peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def per_command_ns(commands: int, resting: int, seed: int) -> float:
    """Nanoseconds per command of the normal flow, with command and event objects."""
    flow = random_flow("normal", NORMAL, commands, resting, seed)
    return objects_ns(flow.setup, list(commands_of(flow.timed))) / commands


def objects_ns(setup: list[bytes], commands: list[SingleCommand]) -> float:
    """The time of applying `commands` one by one after `setup`, in nanoseconds."""
    return median_ns(lambda: engine_after(setup), lambda engine: _apply_all(engine, commands))


def engine_after(setup: list[bytes]) -> Engine:
    """A new engine that has processed `setup`."""
    engine = Engine()
    process_all(engine, setup)
    return engine


def process_all(engine: Engine, buffers: list[bytes]) -> None:
    """Process every buffer; the events are dropped."""
    process = engine.process
    for buffer in buffers:
        process(buffer)


def _apply_all(engine: Engine, commands: list[SingleCommand]) -> None:
    apply = engine.apply
    for command in commands:
        apply(command)


MEASUREMENTS: Final[dict[str, Callable[..., float]]] = {"memory": memory_per_order, "interpreted": per_command_ns}


def main(arguments: list[str]) -> None:
    """Print the number that the arguments ask for."""
    measurement, *sizes = arguments
    print(MEASUREMENTS[measurement](*map(int, sizes)))


if __name__ == "__main__":
    main(sys.argv[1:])
