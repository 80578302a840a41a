"""How a figure is measured: prepare, run against the clock, repeat, take the median."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns
from typing import Final, TypeVar

from benchmarks.flows import SEED

RUNS: Final = 5
WARM_UPS: Final = 1
QUICK_DIVISOR: Final = 20

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """What to measure with: the seed of the flows, and by how much every size is divided."""

    seed: int = SEED
    divisor: int = 1

    def size(self, full: int) -> int:
        """A number of commands, orders or prices of the full benchmark, at this benchmark's size."""
        return max(full // self.divisor, 1)


def median_ns(
    prepare: Callable[[], T], run: Callable[[T], object], afterwards: Callable[[T], object] = lambda _: None
) -> float:
    """The median time of `run` on what `prepare` gives anew each time, in nanoseconds; the first run does not count.

    `afterwards` gets to see each subject when its time has been taken. The collector stays on, but passes
    over what the benchmark itself holds.
    """
    times_ns: list[int] = []
    for _ in range(WARM_UPS + RUNS):
        with benchmark_objects_frozen():
            subject = prepare()
            started_ns = perf_counter_ns()
            run(subject)
            times_ns.append(perf_counter_ns() - started_ns)
        afterwards(subject)
        del subject
    return median(times_ns[WARM_UPS:])


@contextmanager
def benchmark_objects_frozen() -> Iterator[None]:
    """Keep the collector on, but away from everything made so far, such as prepared commands.

    The engine is made inside, so that the collector sees all of it.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def millions_per_second(commands: int, elapsed_ns: float) -> float:
    """A rate in millions of commands per second."""
    return commands * 1_000 / elapsed_ns
