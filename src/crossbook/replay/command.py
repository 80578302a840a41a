"""What `crossbook replay` does: one tape, one engine, and whatever was asked for beside it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from crossbook.doctor import check_engine
from crossbook.domain.orders import Side
from crossbook.replay.feeds import MatchingEngine
from crossbook.replay.history import BookHistory
from crossbook.replay.lobster import LobsterConverter
from crossbook.replay.runner import Level, Replay, replay_commands, replay_records
from crossbook.replay.tables import TableFile
from crossbook.replay.tape import read_tape
from crossbook.replay.trades import Comparison, TapeTrade, read_trades, write_trades
from crossbook.terminal import plain_table

Draw = Callable[[Path, str, BookHistory, MatchingEngine], None]
_NS_A_SECOND: Final = 1_000_000_000


class TapeFormat(Enum):
    """How a tape is written."""

    CSV = "csv"
    LOBSTER = "lobster"


@dataclass(frozen=True)
class Plan:
    """What to do. `draw` is given when there is something to `plot`."""

    tape: Path
    format: TapeFormat
    expect: Path | None
    out: Path | None
    plot: Path | None
    draw: Draw | None
    snapshot_every: int
    batch: int
    per_command: bool


@dataclass
class Report:
    """What came of it. `comparison` is None when nothing was expected."""

    replay: Replay
    comparison: Comparison | None
    lobster: LobsterConverter = field(default_factory=LobsterConverter)
    trades: list[TapeTrade] = field(default_factory=list)
    history: BookHistory = field(default_factory=BookHistory)
    seconds: float = 0.0


def execute(plan: Plan) -> Report:
    """Do all of it; the files asked for are written only when the whole tape was good.

    Raises `TapeError` for a bad tape or bad expected trades, and OSError.
    """
    with ExitStack() as files:
        comparison = None
        if plan.expect is not None:
            comparison = Comparison(read_trades(files.enter_context(TableFile(plan.expect))))
        report = Report(_start(plan), comparison)
        _run(plan, report)
        if comparison is not None:
            comparison.finish()
    if plan.out is not None:
        write_trades(plan.out, report.trades)
    if plan.plot is not None and plan.draw is not None:
        plan.draw(plan.plot, plan.tape.name, report.history, report.replay.engine)
    return report


def _start(plan: Plan) -> Replay:
    # Loaded here, so that `crossbook doctor` can speak where the engine can not be loaded.
    from crossbook.matching import Engine

    start = replay_commands if plan.per_command else replay_records
    return start(Engine(), plan.batch, plan.snapshot_every)


def _run(plan: Plan, report: Report) -> None:
    run = report.replay
    began = perf_counter()
    with TableFile(plan.tape) as table, progress_bar(table) as advance:
        is_lobster = plan.format is TapeFormat.LOBSTER
        for trades in run.run(report.lobster.convert(table) if is_lobster else read_tape(table)):
            if report.comparison is not None:
                report.comparison.check(trades)
            if plan.out is not None:
                report.trades += trades
            if plan.plot is not None:
                report.history.add(run.time_ms, run.engine, trades)
            advance()
    report.seconds = perf_counter() - began


@contextmanager
def progress_bar(table: TableFile) -> Iterator[Callable[[], None]]:
    """A bar on standard error while that is a terminal, else nothing; gives what moves it on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("replaying", total=table.size_bytes or None)
        yield lambda: progress.update(task, completed=table.position_bytes)


def report_table(report: Report) -> Table:
    """The figures of a run, as the command prints them."""
    run = report.replay
    table = plain_table()
    table.add_row("commands", f"{run.commands:,}")
    if run.refused:
        table.add_row("refused", f"[yellow]{run.refused:,}[/]")
    for kind, count in report.lobster.skipped.items():
        table.add_row("left out", f"{count:,} {kind}")
    table.add_row("trades", f"{run.trades:,}")
    table.add_row("commands/s", _rates(report))
    if run.snapshots:
        table.add_row("restored", f"{run.snapshots:,} times from a snapshot")
    table.add_row("best bid", _level(run.best(Side.BUY)))
    table.add_row("best ask", _level(run.best(Side.SELL)))
    table.add_row("state hash", run.engine.state_hash())
    table.add_row("engine", escape(check_engine().found))
    if report.comparison is not None:
        table.add_row("expected", verdict(report.comparison))
    return table


def _rates(report: Report) -> str:
    run = report.replay
    in_engine = _rate(run.commands, run.engine_ns / _NS_A_SECOND)
    return f"{in_engine} in the engine, {_rate(run.commands, report.seconds)} with reading the tape"


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f}" if seconds > 0 else "0"


def _level(level: Level | None) -> str:
    if level is None:
        return "none"
    orders = "1 order" if level.orders == 1 else f"{level.orders:,} orders"
    return f"{level.price_ticks} ({level.visible_lots:,} lots in {orders})"


def verdict(comparison: Comparison) -> str:
    """How a comparison ended, in colour."""
    difference = comparison.difference
    if difference is None:
        return f"[green]all {comparison.equal:,} trades equal[/]"
    return f"[red]first difference after {comparison.equal:,} equal trades[/]\n{escape(str(difference))}"
