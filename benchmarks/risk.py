"""What risk costs: a cascade of liquidations in memory, and a mark update in the database."""

from time import perf_counter
from typing import Final

from benchmarks.measuring import Settings
from benchmarks.report import Row
from benchmarks.risk_marks import mark_updates
from crossbook.domain.instruments import btc_perp
from crossbook.simulation.run import cascade

ACCOUNTS: Final = 10_000
START_TICKS: Final = 1_058_000
DROP_PPM: Final = -300_000
AT_MOST_S: Final = 10.0


def risk(settings: Settings) -> list[Row]:
    """The rows of risk."""
    return [_cascade(settings), *mark_updates(settings)]


def _cascade(settings: Settings) -> Row:
    moments: list[float] = []
    accounts = settings.size(ACCOUNTS)
    result = cascade(btc_perp(), START_TICKS, accounts, settings.seed, DROP_PPM, lambda: moments.append(perf_counter()))
    result.outcome.exchange.check_books()
    if result.in_liquidation_after:
        raise AssertionError(f"{result.in_liquidation_after} accounts are left in liquidation")
    tally = result.outcome.tally
    remarks = (
        f"{result.positions_before:,} positions, {tally.liquidations:,} liquidated, "
        f"{tally.deleveraged_accounts:,} deleveraged; in memory, with the real engine and rules, one core"
    )
    return Row(
        f"cascade: {accounts:,} accounts, mark -30 % in one step", moments[1] - moments[0], "s", AT_MOST_S, None, False,
        remarks,
    )  # fmt: skip
