"""The table of the benchmark: figures beside what is asked of them, and the conditions."""

import os
import platform
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import crossbook.matching.engine
from benchmarks.measuring import RUNS, WARM_UPS, Settings
from benchmarks.records import BATCH_COMMANDS

HEADINGS: Final = ("what", "figure", "unit", "at least", "aim", "verdict", "remarks")


@dataclass(frozen=True)
class Row:
    """One figure. `at_least` and `aim` are in its unit; for rates more is better, for all else less.

    A figure of None was not measured, and the remarks say why.
    """

    what: str
    figure: float | None
    unit: str
    at_least: float | None = None
    aim: float | None = None
    more_is_better: bool = False
    remarks: str = ""

    @property
    def verdict(self) -> str:
        """How the figure stands to what is asked; empty when nothing is."""
        if self.figure is None:
            return "not measured"
        if self.at_least is None:
            return ""
        if self.aim is not None and self._reaches(self.figure, self.aim):
            return "aim met"
        return "met" if self._reaches(self.figure, self.at_least) else "missed"

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of the headings."""
        numbers = [_number(value) for value in (self.figure, self.at_least, self.aim)]
        return (self.what, numbers[0], self.unit, numbers[1], numbers[2], self.verdict, self.remarks)

    def _reaches(self, figure: float, asked: float) -> bool:
        return figure >= asked if self.more_is_better else figure <= asked


def conditions(settings: Settings) -> dict[str, str]:
    """What the figures depend on."""
    full = "full size" if settings.divisor == 1 else f"1/{settings.divisor} of the full size"
    return {
        "processor": f"{_cpu_model()}, {os.cpu_count()} cores, one used by the engine, all by the venue",
        "load before": _load(),
        "python": f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}",
        "engine": engine_mode(),
        "compiler": f"mypyc {_version('mypy')}, librt {_version('librt')}, {_c_compiler()}",
        "flows": f"seed {settings.seed}, {full}, batches of {BATCH_COMMANDS:,} where not said otherwise",
        "venue": "embedded PostgreSQL on disk, fsync and synchronous_commit on, load from the same machine, one run",
        "figures": f"engine: median of {RUNS} after {WARM_UPS} warm-up; garbage collector on, prepared commands frozen",
    }


def processor_share(started: os.times_result, ended: os.times_result) -> str:
    """How much of a core the benchmark got; well under 100 % it was busy, and the figures are too bad."""
    spent_s = sum(ended[:4]) - sum(started[:4])
    return f"{100 * spent_s / max(ended.elapsed - started.elapsed, 0.01):.0f} %, child processes included"


def engine_mode() -> str:
    """Whether the engine of this process is compiled or runs from its source."""
    return "interpreted" if str(crossbook.matching.engine.__file__).endswith(".py") else "compiled"


def print_report(rows: Sequence[Row], settings_lines: dict[str, str]) -> None:
    """Print the table, with rich where it is installed, then the conditions."""
    try:
        _print_rich(rows)
    except ImportError:
        print(plain_table([HEADINGS, *(row.cells() for row in rows)]))
    print()
    for name, value in settings_lines.items():
        print(f"{name:14} {value}")


def plain_table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as text in columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(_plain_line(line, widths) for line in lines)


def _plain_line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _print_rich(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Crossbook")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in {"figure", "at least", "aim"} else "left")
    for row in rows:
        table.add_row(*row.cells(), style={"aim met": "green", "met": "yellow", "missed": "red"}.get(row.verdict))
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.4g}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _c_compiler() -> str:
    """The first line in which the C compiler that Python would call names itself."""
    command = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    path = shutil.which(command) or shutil.which("cc")
    if path is None:
        return "no C compiler here"
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.partition("\n")[0].strip() or path
