"""Draws a replay: prices and trades over time, the depth near the best prices, and the final book.

Needs matplotlib, which the extra `plot` brings; importing this module without it raises ImportError.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from crossbook.domain.orders import DAY_MS, Side
from crossbook.replay.feeds import MatchingEngine
from crossbook.replay.history import DEPTH_LEVELS, BookHistory

PROFILE_LEVELS: Final = 50
"""Levels of each side in the profile of the final book."""
BID_COLOUR: Final = "#1b7f5c"
ASK_COLOUR: Final = "#c0392b"
TRADE_COLOUR: Final = "#2c3e73"
LARGEST_MARK_AREA: Final = 160.0
MOST_TIME_TICKS: Final = 8
TIME_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200)


def draw_book(path: Path, title: str, history: BookHistory, engine: MatchingEngine) -> None:
    """Write the picture to `path`; its suffix says the format. Raises OSError."""
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    figure.suptitle(title)
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 1), height_ratios=(3, 1))
    prices = figure.add_subplot(grid[0, 0])
    depth = figure.add_subplot(grid[1, 0], sharex=prices)
    prices.tick_params(labelbottom=False)
    _draw_prices(prices, history)
    _draw_trades(prices, history)
    _draw_depth(depth, history)
    _draw_profile(figure.add_subplot(grid[:, 1]), engine)
    prices.legend(loc="best", fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_prices(axes: Axes, history: BookHistory) -> None:
    times = [sample.time_ms for sample in history.samples]
    bids = [_or_gap(sample.bid_ticks) for sample in history.samples]
    asks = [_or_gap(sample.ask_ticks) for sample in history.samples]
    # A gap in either is a gap in the middle: nan spreads.
    mids = [(bid + ask) / 2 for bid, ask in zip(bids, asks, strict=True)]
    axes.step(times, asks, where="post", color=ASK_COLOUR, linewidth=0.8, label="best ask")
    axes.step(times, mids, where="post", color="0.45", linewidth=0.8, label="mid")
    axes.step(times, bids, where="post", color=BID_COLOUR, linewidth=0.8, label="best bid")
    axes.set_ylabel("price, ticks")
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.grid(alpha=0.25)


def _draw_trades(axes: Axes, history: BookHistory) -> None:
    if not history.trades:
        return
    largest = max(trade.quantity_lots for trade in history.trades)
    axes.scatter(
        [trade.time_ms for trade in history.trades],
        [trade.price_ticks for trade in history.trades],
        s=[max(2.0, LARGEST_MARK_AREA * trade.quantity_lots / largest) for trade in history.trades],
        color=TRADE_COLOUR,
        alpha=0.35,
        linewidths=0,
        label=f"trades (largest {largest:,} lots)",
    )


def _draw_depth(axes: Axes, history: BookHistory) -> None:
    times = [sample.time_ms for sample in history.samples]
    axes.fill_between(
        times,
        [sample.bid_lots for sample in history.samples],
        step="post",
        color=BID_COLOUR,
        alpha=0.6,
        label="bids",
    )
    axes.fill_between(
        times,
        [-sample.ask_lots for sample in history.samples],
        step="post",
        color=ASK_COLOUR,
        alpha=0.6,
        label="asks",
    )
    axes.axhline(0, color="0.3", linewidth=0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda lots, _: f"{abs(lots):,.0f}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda time_ms, _: _clock(time_ms)))
    if times:
        _set_times(axes, times[0], times[-1])
    axes.set_ylabel(f"lots, best {DEPTH_LEVELS} levels")
    axes.set_xlabel("time of day on the tape")
    axes.legend(loc="upper right", fontsize="small")
    axes.grid(alpha=0.25)


def _draw_profile(axes: Axes, engine: MatchingEngine) -> None:
    for side, colour, label in ((Side.BUY, BID_COLOUR, "bids"), (Side.SELL, ASK_COLOUR, "asks")):
        levels = engine.depth(side, PROFILE_LEVELS)
        if levels:
            prices, lots = zip(*_outline(levels), strict=True)
            axes.fill_betweenx(prices, lots, color=colour, alpha=0.6, label=label)
    axes.set_title("final book", fontsize="medium")
    axes.set_xlabel("lots up to this price")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    axes.yaxis.tick_right()
    if axes.collections:
        axes.legend(loc="best", fontsize="small")
    axes.grid(alpha=0.25)


def _outline(levels: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    """The corners of the staircase of cumulated lots, from the best level outwards."""
    before = 0
    for (price_ticks, _, _), lots in zip(levels, accumulate(level[1] for level in levels), strict=True):
        yield price_ticks, before
        yield price_ticks, lots
        before = lots


def _or_gap(price_ticks: int | None) -> float:
    return float("nan") if price_ticks is None else price_ticks


def _set_times(axes: Axes, first_ms: int, last_ms: int) -> None:
    # Limits of our own: around a single moment the library would show hours, second by second.
    step_ms = tick_step_ms(last_ms - first_ms)
    margin_ms = max(step_ms, last_ms - first_ms) // 20
    axes.set_xlim(first_ms - margin_ms, last_ms + margin_ms)
    axes.xaxis.set_major_locator(MultipleLocator(step_ms))


def tick_step_ms(span_ms: int) -> int:
    """The distance of the ticks of a time axis that is `span_ms` long: one that a clock has, or whole days."""
    for step_s in TIME_STEPS_S:
        if span_ms <= step_s * 1000 * MOST_TIME_TICKS:
            return step_s * 1000
    return DAY_MS * (1 + span_ms // (DAY_MS * MOST_TIME_TICKS))


def _clock(time_ms: float) -> str:
    seconds = int(time_ms) % DAY_MS // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
