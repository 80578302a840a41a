"""What `crossbook simulate` does: candles in, a table of what happened out, and a picture if asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crossbook.domain.instruments import btc_perp
from crossbook.simulation.candles import read_candles
from crossbook.simulation.run import FUND, Outcome, simulate
from crossbook.terminal import plain_table

Draw = Callable[[Path, str, Outcome], None]
LEAST_ACCOUNTS: Final = 10
MOST_ACCOUNTS: Final = 1_000_000


@dataclass(frozen=True)
class SimulationPlan:
    """What to do. `limit` is how many candles to take, 0 for all; `draw` is given when there is something to `plot`."""

    candles: Path
    accounts: int
    seed: int
    limit: int = 0
    plot: Path | None = None
    draw: Draw | None = None


@dataclass(frozen=True)
class SimulationReport:
    """What came of it, and how long it took."""

    outcome: Outcome
    seconds: float


def execute(plan: SimulationPlan) -> SimulationReport:
    """Do all of it. Raises TapeError, OSError, and BooksDoNotBalance when the rules are at fault."""
    instrument = btc_perp()
    candles = read_candles(plan.candles, instrument, plan.limit)
    started = perf_counter()
    with _progress(len(candles)) as progress:
        outcome = simulate(instrument, candles, plan.accounts, plan.seed, progress)
    report = SimulationReport(outcome, perf_counter() - started)
    if plan.plot is not None and plan.draw is not None:
        title = f"{plan.accounts:,} accounts on {plan.candles.name}, seed {plan.seed}"
        plan.draw(plan.plot, title, outcome)
    return report


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, when that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=total)
        yield lambda done: progress.update(task, completed=done)


def simulation_table(report: SimulationReport) -> Table:
    """The figures of a run, as the command prints them."""
    outcome, exchange, tally = report.outcome, report.outcome.exchange, report.outcome.tally
    terms = outcome.instrument
    money, asset = terms.quote.scale.format, terms.quote.name
    lots = terms.quantity_text
    fund_start = FUND * 10**terms.quote.decimals
    table = plain_table()
    table.add_row("candles", f"{outcome.candles:,}")
    table.add_row("accounts", f"{outcome.accounts:,}")
    table.add_row("commands", f"{exchange.commands:,} ({exchange.refused:,} orders refused)")
    table.add_row("trades", f"{exchange.trades:,}, {money(exchange.traded_units)} {asset}")
    table.add_row("open interest", f"at most {lots(outcome.most_open_interest_lots)} {terms.base.name}")
    table.add_row(
        "funding",
        f"{len(outcome.funding_periods):,} periods, each once; {money(outcome.funding_moved_units)} {asset} paid, "
        f"{money(outcome.funding_dust_units)} dust to the fund",
    )
    table.add_row("liquidations", f"{tally.liquidations:,} ({tally.recovered:,} healthy without their orders)")
    table.add_row(
        "liquidation orders",
        f"{tally.orders:,} ({tally.partial_orders:,} for a part), {lots(tally.liquidated_lots)} {terms.base.name}",
    )
    table.add_row(
        "deleveraged",
        f"{tally.deleveraged_accounts:,} accounts in {tally.deleveragings:,} liquidations, "
        f"{lots(tally.deleveraged_lots)} {terms.base.name}",
    )
    table.add_row(
        "insurance fund",
        f"{money(fund_start)} {asset} at first, {money(exchange.fund)} at last, {money(outcome.least_fund_units)} "
        f"at least; received {money(exchange.fund_received)}, paid {money(exchange.fund_paid)}",
    )
    table.add_row("bad debt", f"{money(-exchange.bad_debt)} {asset}")
    table.add_row("books", f"[green]balanced to the last unit after each of {outcome.proofs:,} candles[/]")
    table.add_row("hash", outcome.hash)
    table.add_row("time", f"{report.seconds:.1f} s")
    return table
