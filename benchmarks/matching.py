"""The figures of the matching engine, each a function from settings to rows of the table."""

from collections.abc import Callable
from functools import lru_cache
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

from benchmarks import flows, peers
from benchmarks.flows import NORMAL, SWEEP_HEAVY, Flow
from benchmarks.isolated import engine_after, objects_ns, process_all, run_isolated
from benchmarks.measuring import (
    RUNS,
    WARM_UPS,
    Settings,
    benchmark_objects_frozen,
    median_ns,
    millions_per_second,
)
from benchmarks.peers import Peer
from benchmarks.records import commands_of, rebatch
from benchmarks.report import Row, engine_mode
from crossbook.matching import Engine

MILLION: Final = 1_000_000
NORMAL_RESTING: Final = 50_000
RATE: Final = "M commands/s"
CALL_COMMANDS: Final = 50


def batch(settings: Settings) -> list[Row]:
    """Batches, normal flow."""
    flow = normal_flow(settings)
    figure = millions_per_second(flow.commands, normal_batch_ns(settings))
    return [_rate(f"batch, normal flow, {flow.resting_before:,} resting", figure, 9, 16, _flow_remarks(flow))]


def sweeps(settings: Settings) -> list[Row]:
    """Batches, sweep-heavy flow."""
    flow = flows.random_flow(
        "sweep-heavy", SWEEP_HEAVY, settings.size(MILLION), settings.size(NORMAL_RESTING), settings.seed
    )
    figure = millions_per_second(flow.commands, _batch_ns(flow, flow.timed))
    return [_rate("batch, sweep-heavy flow", figure, 4, 9, _flow_remarks(flow))]


def million(settings: Settings) -> list[Row]:
    """Batches, normal flow over a million resting orders."""
    flow = million_flow(settings)
    figure = millions_per_second(flow.commands, _batch_ns(flow, flow.timed))
    return [_rate(f"batch, {flow.resting_before:,} resting orders", figure, 2.5, 4.5, _flow_remarks(flow))]


def adversarial(settings: Settings) -> list[Row]:
    """As many price levels as there are orders, entered and cancelled in random orders."""
    flow = flows.distinct_prices_flow(settings.size(200_000), settings.seed)
    figure_us = _batch_ns(flow, flow.timed) / flow.commands / 1_000
    what = f"adversarial: {flow.commands // 2:,} distinct prices, then cancelled"
    return [Row(what, figure_us, "µs/command", 1, 0.3, remarks="prices in random order, all on one side")]


def objects(settings: Settings) -> list[Row]:
    """Command objects in, event objects out, one at a time."""
    flow = normal_flow(settings)
    figure = millions_per_second(flow.commands, normal_objects_ns(settings))
    return [_rate("per command with event objects, normal flow", figure, 1.8, 3.5, "commands made beforehand")]


def interpreted(settings: Settings) -> list[Row]:
    """The same, from source, in a process of its own."""
    commands = settings.size(200_000)
    per_command_ns = run_isolated(
        "interpreted", commands, settings.size(NORMAL_RESTING), settings.seed, interpreted=True
    )
    figure = millions_per_second(1, per_command_ns)
    return [_rate("interpreted, per command", figure, 0.3, 0.5, f"event objects, normal flow of {commands:,}")]


def pause(settings: Settings) -> list[Row]:
    """The longest call among many small ones over a large book."""
    flow = million_flow(settings)
    calls = rebatch(flow.timed, CALL_COMMANDS)
    runs = [sorted(_call_times_ns(flow.setup, calls)) for _ in range(WARM_UPS + RUNS)][WARM_UPS:]
    longest_ns = [times[-1] for times in runs]
    late_ns = median(times[(len(times) * 999 - 1) // 1_000] for times in runs)
    remarks = (
        f"{len(calls):,} calls a run; 99.9 % within {late_ns / 1e6:.3f} ms; "
        f"longest of all runs {max(longest_ns) / 1e6:.3f} ms; garbage collector on"
    )
    what = f"longest {CALL_COMMANDS}-command call, {flow.resting_before:,} resting"
    return [Row(what, median(longest_ns) / 1e6, "ms", 1, 0.1, remarks=remarks)]


def _call_times_ns(setup: list[bytes], calls: list[bytes]) -> list[int]:
    times_ns = [0] * len(calls)
    with benchmark_objects_frozen():
        engine = engine_after(setup)
        for number, call in enumerate(calls):
            started_ns = perf_counter_ns()
            engine.process(call)
            times_ns[number] = perf_counter_ns() - started_ns
    return times_ns


def snapshot(settings: Settings) -> list[Row]:
    """A snapshot of a large book and an engine restored from it."""
    orders = settings.size(MILLION)
    engine = engine_after(list(flows.resting_orders(orders, settings.seed)))
    size = len(engine.snapshot())
    save_s = median_ns(lambda: engine, Engine.snapshot) / 1e9
    both_s = median_ns(lambda: engine, lambda subject: Engine.restore(subject.snapshot())) / 1e9
    remarks = f"snapshot alone {save_s:.3f} s, {size / 1e6:.1f} MB"
    return [Row(f"snapshot + restore of {orders:,} orders", both_s, "s", 0.6, 0.3, remarks=remarks)]


def memory(settings: Settings) -> list[Row]:
    """What a resting order needs in RAM."""
    orders = settings.size(MILLION)
    figure = run_isolated("memory", orders, settings.seed)
    remarks = f"growth of a process for {orders:,} orders"
    return [Row("memory per resting order", figure, "bytes", 200, 100, remarks=remarks)]


def growth(settings: Settings) -> list[Row]:
    """The cost of a command against the number of resting orders."""
    rows: list[Row] = []
    for full in (1_000, 10_000, 100_000, MILLION):
        resting = settings.size(full)
        flow = flows.random_flow("steady", NORMAL, settings.size(200_000), resting, settings.seed, steady=True)
        figure_ns = _batch_ns(flow, flow.timed) / flow.commands
        first_ns = rows[0].figure if rows else figure_ns
        remarks = f"x{figure_ns / (first_ns or figure_ns):.2f} of the smallest; the book keeps its size"
        rows.append(Row(f"cost with {resting:,} resting orders", figure_ns, "ns/command", remarks=remarks))
    return rows


def gaps(settings: Settings) -> list[Row]:
    """The cost of cancelling the best order against the distance to the next."""
    levels = settings.size(100_000)
    rows: list[Row] = []
    for gap_ticks in (1, 1_000, MILLION):
        flow = flows.sparse_cancels_flow(levels, gap_ticks, settings.seed)
        figure_ns = _batch_ns(flow, flow.timed) / flow.commands
        what = f"cancel of the best level, next {gap_ticks:,} ticks away"
        rows.append(Row(what, figure_ns, "ns/command", remarks=f"{levels:,} levels, each cancel uncovers the next"))
    return rows


def batch_sizes(settings: Settings) -> list[Row]:
    """The normal flow in calls of several sizes."""
    flow = normal_flow(settings)
    rows: list[Row] = []
    for commands in (1, 16, 64, 1_000):
        figure_ns = _batch_ns(flow, rebatch(flow.timed, commands)) / flow.commands
        what = f"normal flow, {commands:,} {'command' if commands == 1 else 'commands'} a call"
        rows.append(Row(what, figure_ns, "ns/command", remarks=f"{1_000 / figure_ns:.2f} M commands/s"))
    return rows


def bourse(settings: Settings) -> list[Row]:
    """The normal flow through `bourse`."""
    flow = normal_flow(settings)
    return _beside(peers.bourse, "bourse", flow, normal_batch_ns(settings), normal_objects_ns(settings))


def order_matching(settings: Settings) -> list[Row]:
    """A small normal flow through `order-matching`, whose cost per command grows with the book."""
    size = max(settings.size(2_000), 500)
    flow = flows.random_flow("small normal", NORMAL, size, size, settings.seed)
    batch_ns = _batch_ns(flow, flow.timed)
    return _beside(peers.order_matching, "order-matching", flow, batch_ns, _objects_ns(flow))


MEASUREMENTS: Final[dict[str, Callable[[Settings], list[Row]]]] = {
    "batch": batch,
    "sweeps": sweeps,
    "objects": objects,
    "batch-sizes": batch_sizes,
    "bourse": bourse,
    "order-matching": order_matching,
    "million": million,
    "pause": pause,
    "adversarial": adversarial,
    "interpreted": interpreted,
    "snapshot": snapshot,
    "memory": memory,
    "growth": growth,
    "gaps": gaps,
}
"""Every measurement by its name, in an order in which those that share a flow stand together."""


@lru_cache(maxsize=1)
def normal_flow(settings: Settings) -> Flow:
    """The normal flow."""
    return flows.random_flow("normal", NORMAL, settings.size(MILLION), settings.size(NORMAL_RESTING), settings.seed)


@lru_cache(maxsize=1)
def million_flow(settings: Settings) -> Flow:
    """The normal flow over a million resting orders."""
    return flows.random_flow("million", NORMAL, settings.size(MILLION), settings.size(MILLION), settings.seed)


@lru_cache(maxsize=1)
def normal_batch_ns(settings: Settings) -> float:
    """The time of the normal flow in batches."""
    flow = normal_flow(settings)
    return _batch_ns(flow, flow.timed)


@lru_cache(maxsize=1)
def normal_objects_ns(settings: Settings) -> float:
    """The time of the normal flow with command and event objects."""
    return _objects_ns(normal_flow(settings))


def _batch_ns(flow: Flow, calls: list[bytes]) -> float:
    return median_ns(lambda: engine_after(flow.setup), lambda engine: process_all(engine, calls))


def _objects_ns(flow: Flow) -> float:
    return objects_ns(flow.setup, list(commands_of(flow.timed)))


def _beside(make: Callable[[], Peer], name: str, flow: Flow, batch_ns: float, objects_ns: float) -> list[Row]:
    what = f"{name}, {flow.commands:,} commands, {flow.resting_before:,} resting"
    try:
        peer = make()
        peer.make()
    except ImportError as error:
        return [Row(what, None, RATE, remarks=f"not installed ({error.name or error})")]
    elapsed_ns, trades = _time_peer(peer, flow)
    remarks = (
        f"crossbook ({engine_mode()}) on this flow: batch x{elapsed_ns / batch_ns:,.1f}, "
        f"objects x{elapsed_ns / objects_ns:,.1f}; trades {trades:,} (crossbook {flow.trades:,})"
    )
    return [Row(what, millions_per_second(flow.commands, elapsed_ns), RATE, more_is_better=True, remarks=remarks)]


def _time_peer(peer: Peer, flow: Flow) -> tuple[float, int]:
    """The peer's time for the flow, in nanoseconds, and its number of trades."""
    setup = peer.prepare(list(commands_of(flow.setup)))
    timed = peer.prepare(list(commands_of(flow.timed)))
    trades: list[int] = []

    def set_up() -> Any:
        subject = peer.make()
        peer.run(subject, setup)
        return subject

    elapsed_ns = median_ns(
        set_up, lambda subject: peer.run(subject, timed), lambda subject: trades.append(peer.trades(subject))
    )
    return elapsed_ns, trades[-1]


def _rate(what: str, figure: float, at_least: float, aim: float, remarks: str) -> Row:
    return Row(what, figure, RATE, at_least, aim, more_is_better=True, remarks=remarks)


def _flow_remarks(flow: Flow) -> str:
    return f"{flow.commands:,} commands, {flow.trades:,} trades, {flow.resting_after:,} rest at the end"
