"""The command line.

    up                      a whole venue, with everything it needs
    api, worker             its parts, for production
    migrate, audit, config  schema, books, settings
    keys, truex             keys that sign requests; clients, their status and fees
    wallet-sim              simulated wallets and a chain daemon
    replay, simulate        the engine alone, on a tape; a market with its risk, on a price path
    doctor                  what runs here

Exit codes: 0 fine, 1 a difference or something to repair, 2 bad input or usage.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape

from crossbook import __version__
from crossbook.doctor import Finding, examine
from crossbook.domain.errors import CrossbookError
from crossbook.replay.command import Draw, Plan, TapeFormat, execute, report_table
from crossbook.replay.runner import DEFAULT_BATCH
from crossbook.replay.tables import TapeError
from crossbook.signing_cli import keys_app, truex_app
from crossbook.simulation.command import Draw as SimulationDraw
from crossbook.terminal import NOT_FINE, DataOption, fail, output, plain_table, saying_what_failed
from crossbook.wallet_sim.faults import Fault

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

FINE: Final = 0
MAX_BATCH: Final = 100_000
PLOT_BATCH: Final = 100
"""Commands at a time with a picture: the book is looked at once after each group."""
VENUE_NAMES: Final = ("DATABASE_URL", "REDIS_URL")
"""Whoever sets one of these has a venue for the doctor."""
PLOT_SUFFIXES: Final = (".png", ".svg", ".pdf")


class WorkerName(StrEnum):
    """What `crossbook worker` runs."""

    RELAY = "relay"
    MATCHER = "matcher"
    SETTLER = "settler"
    MARKET_DATA = "market-data"
    ALL = "all"


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
    through_venue: Annotated[
        bool, typer.Option("--through-venue", help="Send it through a whole venue, then audit the books.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option("--data", file_okay=False, metavar="DIR", help="Keep what --through-venue leaves in this folder."),
    ] = None,
) -> None:
    """Replay a recorded tape through the matching engine, or through a whole venue.

    With --expect, exits with 1 and shows the first difference when a single trade differs.
    """
    if through_venue:
        if snapshot_every or batch is not None or per_command or plot is not None:
            fail("--through-venue goes with --expect, --out, --from and --data only")
        _check_folder(out)
        _replay_through_venue(tape, source, expect, out, data)
        return
    if data is not None:
        fail("--data needs --through-venue")
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


def _replay_through_venue(
    tape: Path, source: TapeFormat, expect: Path | None, out: Path | None, data: Path | None
) -> None:
    from crossbook.audit_table import show_audit
    from crossbook.replay import through_venue

    try:
        report = through_venue.execute(through_venue.VenuePlan(tape, source, expect, out, data))
    except (CrossbookError, OSError) as error:
        fail(str(error))
    console = output()
    console.print(through_venue.venue_table(report))
    show_audit(report.checks, console)
    if not report.ok:
        raise typer.Exit(NOT_FINE)


def _drawing(plot: Path | None) -> Draw | None:
    """The function that draws: what it lacks is said before the work, not after it."""
    if plot is None:
        return None
    _check_suffix(plot)
    _check_folder(plot)
    try:
        from crossbook.replay.plot import draw_book
    except ImportError:
        fail("--plot needs matplotlib: pip install 'crossbook[plot]'")
    return draw_book


@app.command()
def simulate(
    candles: Annotated[
        Path,
        typer.Option("--candles", exists=True, dir_okay=False, metavar="FILE", help="Candles as CSV, plain or gzip."),
    ],
    accounts: Annotated[
        int, typer.Option("--accounts", min=10, max=1_000_000, metavar="N", help="How many accounts trade.")
    ] = 1_000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="What they decide by.")] = 1,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Take the first N candles; 0 for all.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Draw what happened here, as .png, .svg or .pdf."),
    ] = None,
) -> None:
    """Run a perpetual market with leverage, funding and liquidations along a recorded price path, in memory.

    After each candle the books must balance to the last unit. Same candles, accounts and seed: same hash.
    """
    from crossbook.simulation import command

    _check_folder(plot)
    draw = _simulation_drawing(plot)
    try:
        report = command.execute(command.SimulationPlan(candles, accounts, seed, limit, plot, draw))
    except (TapeError, OSError) as error:
        fail(str(error))
    output().print(command.simulation_table(report))


def _simulation_drawing(plot: Path | None) -> SimulationDraw | None:
    if plot is None:
        return None
    _check_suffix(plot)
    try:
        from crossbook.simulation.plot import draw_outcome
    except ImportError:
        fail("--plot needs matplotlib: pip install 'crossbook[plot]'")
    return draw_outcome


def _check_suffix(plot: Path) -> None:
    if plot.suffix.lower() not in PLOT_SUFFIXES:
        fail(f"--plot writes {', '.join(PLOT_SUFFIXES)}, not {plot.name}")


def _check_folder(file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        fail(f"{file}: there is no folder {file.parent}")


@app.command()
def doctor(
    data: Annotated[
        Path | None,
        typer.Option("--data", file_okay=False, metavar="DIR", help="Look at the venue in this folder too."),
    ] = None,
) -> None:
    """Say how Crossbook runs here, and what to do about it.

    With --data, DATABASE_URL or REDIS_URL it looks at what the venue stands on too. Exits with 1 when
    something does not work.
    """
    findings = [*examine(), *_examine_venue(data)]
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


def _examine_venue(data: Path | None) -> list[Finding]:
    """Findings about the venue, if one is given."""
    if data is None and not any(os.environ.get(name) for name in VENUE_NAMES):
        return []
    from crossbook import venue_commands

    return venue_commands.examine({"data_dir": data})


def _colour(finding: Finding) -> str:
    if not finding.ok:
        return "red"
    return "yellow" if finding.advice else "green"


# -- The venue ---------------------------------------------------------------------------------------
HostOption = Annotated[str | None, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option("--port", metavar="N", help="The port to listen on; 0 for a free one.")]


@app.command()
def up(
    host: HostOption = None,
    port: PortOption = None,
    data: DataOption = None,
    bots: Annotated[bool | None, typer.Option("--bots/--no-bots", help="Let bots trade the demo markets.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="What the bots decide by.")] = None,
) -> None:
    """Start a venue with everything it needs: database, streams, workers, demo markets, users and bots.

    Stops in order at Ctrl-C; the next start goes on where it stopped.
    """
    from crossbook import venue_commands

    with saying_what_failed():
        venue_commands.up({"host": host, "port": port, "data_dir": data, "bots": bots, "seed": seed})


@app.command()
def api(host: HostOption = None, port: PortOption = None) -> None:
    """Run the API of a production venue. Needs DATABASE_URL, REDIS_URL and JWT_SECRET."""
    from crossbook import venue_commands

    with saying_what_failed():
        venue_commands.api({"host": host, "port": port})


@app.command()
def worker(name: Annotated[WorkerName, typer.Argument(help="Which worker.")]) -> None:
    """Run one worker of a production venue, or all of them in one process.

    market-data serves those who only read, on a port of its own (CROSSBOOK_MARKET_DATA_PORT): public data, and the
    WebSocket of Flux. The others serve nobody.
    """
    from crossbook import venue_commands

    with saying_what_failed():
        venue_commands.worker(name)


@app.command()
def migrate(
    data: DataOption = None,
    demo_markets: Annotated[
        bool, typer.Option("--demo-markets", help="Create the demo markets too, unless they are there.")
    ] = False,
) -> None:
    """Bring the schema of the database up to date."""
    from crossbook import venue_commands

    with saying_what_failed():
        venue_commands.migrate_schema({"data_dir": data}, demo_markets)


@app.command()
def audit(data: DataOption = None) -> None:
    """Prove everything that is stored from everything else, beside a running venue too.

    Exits with 1 and shows the first difference of each check when the books do not agree.
    """
    from crossbook import venue_commands
    from crossbook.audit_table import show_audit

    with saying_what_failed():
        code = show_audit(venue_commands.audit_venue({"data_dir": data}), output())
    if code:
        raise typer.Exit(code)


@app.command("wallet-sim")
def wallet_sim(
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="N", help="The daemon's port; 0 for a free one.")] = (
        11211
    ),
    wallet: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:PORT]", help="A wallet, on a port of its own if one is named; may be repeated."),
    ] = None,
    demo: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Have the wallets of this demo.json too."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(file_okay=False, metavar="DIR", help="Keep the chain in this folder; in memory without it."),
    ] = None,
    fault: Annotated[
        list[Fault] | None, typer.Option(metavar="FAULT", help="Switch a fault on; may be repeated.")
    ] = None,
    proposal_bytes: Annotated[
        int, typer.Option(min=0, max=200_000, metavar="N", help="How long proposals are at least; real ones are long.")
    ] = 10_000,
    signatures: Annotated[
        str, typer.Option(metavar="FORMAT", help="How wallets sign messages: legacy or v2.")
    ] = "legacy",
) -> None:
    """Run simulated wallets and a chain daemon, for trying swaps without a chain: real keys, pretend money.

    The daemon answers at /json_rpc, a wallet at /wallets/NAME/json_rpc, faults are switched at /admin/json_rpc.
    Without --wallet and --demo there are alice and bob.
    """
    from crossbook import wallet_sim_command

    with saying_what_failed():
        wallet_sim_command.run(
            wallet_sim_command.Options(
                host, port, tuple(wallet or ()), demo, data, tuple(fault or ()), proposal_bytes, signatures
            )
        )


app.add_typer(keys_app, name="keys")
app.add_typer(truex_app, name="truex")


@app.command()
def config(data: DataOption = None) -> None:
    """Print the settings in force and where each comes from; secrets are masked."""
    from crossbook import venue_commands

    output().print(venue_commands.settings_table({"data_dir": data}))


def main() -> None:
    """The console script `crossbook`."""
    app(prog_name="crossbook")


if __name__ == "__main__":
    main()
