"""The command line: `crossbook replay` and `crossbook doctor`.

Exit codes: 0 fine, 1 a difference or something to repair, 2 bad input or usage.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from crossbook import __version__
from crossbook.doctor import Finding, examine
from crossbook.replay.command import Draw, Plan, TapeFormat, execute, report_table
from crossbook.replay.runner import DEFAULT_BATCH
from crossbook.replay.tables import TapeError
from crossbook.terminal import fail, output, plain_table

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

FINE: Final = 0
NOT_FINE: Final = 1
MAX_BATCH: Final = 100_000
PLOT_BATCH: Final = 100
"""Commands at a time with a picture: the book is looked at once after each group."""
PLOT_SUFFIXES: Final = (".png", ".svg", ".pdf")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"crossbook {__version__}")
        raise typer.Exit(FINE)


@app.callback(invoke_without_command=True)
def crossbook(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Crossbook, a self-hosted exchange."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def replay(
    tape: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The tape, plain or gzip.")],
    expect: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="TRADES", help="The trades it must make, plain or gzip."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Write the trades here, packed when it ends in .gz."),
    ] = None,
    source: Annotated[TapeFormat, typer.Option("--from", help="How the tape is written.")] = TapeFormat.CSV,
    snapshot_every: Annotated[
        int, typer.Option(min=0, metavar="N", help="Snapshot and restore after every N commands; 0 for never.")
    ] = 0,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_BATCH,
            metavar="N",
            help=f"Commands a call: {DEFAULT_BATCH} unless given, {PLOT_BATCH} with --plot.",
        ),
    ] = None,
    per_command: Annotated[
        bool, typer.Option("--per-command", help="One command object a call instead of batches.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Draw depth and trades here, as .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Replay a recorded tape through the matching engine.

    With --expect, exits with 1 and shows the first difference when a single trade differs.
    """
    if batch is not None and per_command:
        fail("--batch and --per-command exclude each other")
    _check_folder(out)
    draw = _drawing(plot)
    size = batch or (PLOT_BATCH if plot is not None else DEFAULT_BATCH)
    plan = Plan(tape, source, expect, out, plot, draw, snapshot_every, size, per_command)
    try:
        report = execute(plan)
    except (TapeError, OSError) as error:
        fail(str(error))
    output().print(report_table(report))
    if report.comparison is not None and report.comparison.difference is not None:
        raise typer.Exit(NOT_FINE)


def _drawing(plot: Path | None) -> Draw | None:
    """The function that draws: what it lacks is said before the work, not after it."""
    if plot is None:
        return None
    if plot.suffix.lower() not in PLOT_SUFFIXES:
        fail(f"--plot writes {', '.join(PLOT_SUFFIXES)}, not {plot.name}")
    _check_folder(plot)
    try:
        from crossbook.replay.plot import draw_book
    except ImportError:
        fail("--plot needs matplotlib: pip install 'crossbook[plot]'")
    return draw_book


def _check_folder(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        fail(f"{file}: there is no folder {file.parent}")


@app.command()
def doctor() -> None:
    """Say how Crossbook runs here, and what to do about it.

    Exits with 1 when it can not run.
    """
    findings = examine()
    table = plain_table()
    for finding in findings:
        table.add_row(finding.topic, f"[{_colour(finding)}]{escape(finding.found)}[/]")
    console = output()
    console.print(table)
    for finding in findings:
        if finding.advice:
            console.print(f"To do: {escape(finding.advice)}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(NOT_FINE)


def _colour(finding: Finding) -> str:
    if not finding.ok:
        return "red"
    return "yellow" if finding.advice else "green"


def main() -> None:
    """The console script `crossbook`."""
    app(prog_name="crossbook")


if __name__ == "__main__":
    main()
