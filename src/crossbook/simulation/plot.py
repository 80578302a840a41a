"""Draws a simulation: mark, open interest, liquidations and deleveraging, insurance fund and bad debt over time.

Needs matplotlib, which the extra `plot` brings; importing this module without it raises ImportError.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from crossbook.simulation.run import Outcome, Sample

MARK_COLOUR: Final = "#2c3e73"
INTEREST_COLOUR: Final = "#1b7f5c"
FUND_COLOUR: Final = "#8a6d1b"
LOSS_COLOUR: Final = "#c0392b"


def draw_outcome(path: Path, title: str, outcome: Outcome) -> None:
    """Write the picture to `path`; its suffix says the format. Raises OSError."""
    figure = Figure(figsize=(13, 10), layout="constrained")
    figure.suptitle(title)
    mark, interest, ended, fund = figure.subplots(4, 1, sharex=True)
    samples, terms = outcome.samples, outcome.instrument
    tick = terms.tick.size_units / 10**terms.tick.decimals
    lot = terms.lot.size_units / 10**terms.lot.decimals
    money = 10**terms.quote.decimals
    times = [datetime.fromtimestamp(sample.time_ms / 1000, UTC) for sample in samples]
    _line(mark, times, [sample.mark_ticks * tick for sample in samples], MARK_COLOUR, "mark")
    mark.set_ylabel(f"mark, {terms.quote.name}")
    _line(interest, times, [sample.open_interest_lots * lot for sample in samples], INTEREST_COLOUR, "open interest")
    interest.set_ylabel(f"open interest, {terms.base.name}")
    _line(ended, times, _each(samples, "liquidations"), LOSS_COLOUR, "liquidations so far")
    _line(ended, times, _each(samples, "deleveraged_accounts"), MARK_COLOUR, "accounts deleveraged so far")
    ended.set_ylabel("accounts")
    _line(fund, times, [sample.fund_units / money for sample in samples], FUND_COLOUR, "insurance fund")
    _line(fund, times, [sample.bad_debt_units / money for sample in samples], LOSS_COLOUR, "bad debt")
    fund.set_ylabel(terms.quote.name)
    for axes in (mark, interest, ended, fund):
        axes.grid(alpha=0.25)
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
        axes.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120)


def _line(axes: Axes, times: list[datetime], values: list[float], colour: str, label: str) -> None:
    # matplotlib takes times as they are; its types only know numbers.
    axes.plot(times, values, color=colour, linewidth=1.0, label=label)  # type: ignore[arg-type]


def _each(samples: list[Sample], name: str) -> list[float]:
    return [float(getattr(sample, name)) for sample in samples]
