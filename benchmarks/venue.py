"""The figures of the whole venue: orders over HTTP into an embedded venue that writes everything to disk.

One venue goes through all of it: load on an empty book, paced load, load over many resting orders, a crash.
"""

from typing import Any, Final

from benchmarks.measuring import Settings
from benchmarks.report import Row
from benchmarks.venue_load import CONNECTIONS
from benchmarks.venue_process import VenueProcess, venue_process

ACCOUNTS: Final = 1_000
WARM_UP_ORDERS: Final = 5_000
FLOOD_ORDERS: Final = 40_000
PACED_PER_S: Final = 1_000
PACED_ORDERS: Final = 15_000
RESTING_ORDERS: Final = 100_000
LOGGED_COMMANDS: Final = 200_000
PER_ACCOUNT_AT_LEAST: Final = 20
RATE: Final = "orders/s"
MS: Final = "ms"


def venue(settings: Settings) -> list[Row]:
    """Everything about the venue."""
    with venue_process() as process:
        process.start()
        tokens = process.load("accounts", count=max(settings.size(ACCOUNTS), 4 * PER_ACCOUNT_AT_LEAST))["tokens"]
        return _under_load(process, settings, tokens)


def _under_load(process: VenueProcess, settings: Settings, tokens: list[str]) -> list[Row]:
    flood, paced = settings.size(FLOOD_ORDERS), settings.size(PACED_ORDERS)
    warm_up, resting = settings.size(WARM_UP_ORDERS), settings.size(RESTING_ORDERS)
    process.load("flood", tokens=tokens, count=warm_up)
    empty = process.load("flood", tokens=tokens, count=flood)
    pace = process.load("paced", tokens=tokens, per_s=PACED_PER_S, count=paced)
    process.load("rest", tokens=tokens, count=resting, seed=settings.seed)
    full = process.load("flood", tokens=tokens, count=flood)
    missing = settings.size(LOGGED_COMMANDS) - (warm_up + 2 * flood + paced + resting)
    if missing > 0:
        process.load("flood", tokens=tokens, count=missing)
    process.kill()
    ready_s = process.start()
    memory_mb = process.memory_mb()
    # Beside each other, after all else, so that the log of the restart is as long as it says.
    plain = process.load("flood", tokens=tokens, count=flood)
    signed = process.load("flood", module="benchmarks.signed_load", keys=process.demo_keys(), count=flood)
    return [
        *_flood_rows(empty, flood, len(tokens)),
        *_paced_rows(pace, paced),
        _ratio_row(empty, full, resting),
        _signed_row(signed, plain, flood),
        *_restart_rows(ready_s, memory_mb, resting, settings.size(LOGGED_COMMANDS)),
    ]


def _flood_rows(outcome: dict[str, Any], orders: int, accounts: int) -> list[Row]:
    remarks = (
        f"{orders:,} orders, {accounts:,} accounts; 202: {outcome['accepted_per_s']:,.0f}/s, "
        f"p50 {outcome['wait_p50_ms']:.1f} ms, p99 {outcome['wait_p99_ms']:.1f} ms"
    )
    what = f"venue: accepted and settled, {CONNECTIONS} connections"
    return [
        Row(what, outcome["settled_per_s"], RATE, 5_000, 10_000, more_is_better=True, remarks=remarks),
        Row("venue: load stops to last fill readable", outcome["lag_ms"], MS, 1_000),
    ]


def _paced_rows(outcome: dict[str, Any], orders: int) -> list[Row]:
    pace = f"{outcome['per_s']:,.0f} orders/s"
    remarks = f"{orders:,} orders at {pace}, from when each was due; worst {outcome['wait_worst_ms']:.1f} ms"
    fills = f"{outcome['fill_count']} of them, looked for every 2 ms; p50 {outcome['fill_p50_ms']:.1f} ms"
    return [
        Row("venue: paced, p50 of the 202", outcome["wait_p50_ms"], MS, 4, remarks=remarks),
        Row("venue: paced, p99 of the 202", outcome["wait_p99_ms"], MS, 20),
        Row("venue: paced, p99 of order to fill readable", outcome["fill_p99_ms"], MS, 60, remarks=fills),
    ]


def _ratio_row(empty: dict[str, Any], full: dict[str, Any], resting: int) -> Row:
    return Row(
        f"venue: rate over {resting:,} resting / over none",
        full["settled_per_s"] / empty["settled_per_s"],
        "",
        0.9,
        more_is_better=True,
        remarks=f"{full['settled_per_s']:,.0f} / {empty['settled_per_s']:,.0f} orders/s",
    )


def _signed_row(signed: dict[str, Any], plain: dict[str, Any], orders: int) -> Row:
    rates = f"{signed['settled_per_s']:,.0f} / {plain['settled_per_s']:,.0f} orders/s, settled"
    waits = f"p50 {signed['wait_p50_ms']:.1f} ms, p99 {signed['wait_p99_ms']:.1f} ms"
    return Row(
        f"venue: signed orders of TrueX / orders of Flux, {CONNECTIONS} connections",
        signed["settled_per_s"] / plain["settled_per_s"],
        "",
        0.8,
        more_is_better=True,
        remarks=f"{rates}; {orders:,} orders; {waits}",
    )


def _restart_rows(ready_s: float, memory_mb: float, resting: int, commands: int) -> list[Row]:
    remarks = f"{resting:,} open orders, a log of {commands:,} commands; until /ready is 200"
    return [
        Row("venue: kill -9, start to ready", ready_s, "s", 5, remarks=remarks),
        Row("venue: memory of the process then", memory_mb or None, "MB", 400, remarks="resident, without PostgreSQL"),
    ]
