"""The figures of the board of swaps: posting offers, and the pages of long books, over HTTP, everything on disk."""

from typing import Final

from benchmarks.measuring import Settings
from benchmarks.report import Row
from benchmarks.venue_load import CONNECTIONS
from benchmarks.venue_process import venue_process

CREATES: Final = 30_000
OWN: Final = 100
CROSSING: Final = 10_000
WALLETS: Final = 200
LOOKS: Final = 31
ENVIRONMENT: Final = {"CROSSBOOK_LETHEAN_OPEN_ORDERS_LIMIT": "100000"}
MS: Final = "ms"


def swaps(settings: Settings) -> list[Row]:
    """Everything about the board of swaps."""
    creates, own, crossing = settings.size(CREATES), settings.size(OWN), settings.size(CROSSING)
    with venue_process(ENVIRONMENT) as process:
        process.start()
        plan = {"creates": creates, "own": own, "crossing": crossing, "wallets": WALLETS, "looks": LOOKS}
        login = {"email": process.admin["email"], "password": process.admin["password"]}
        found = process.load("swaps", module="benchmarks.swap_load", seed=settings.seed, **login, **plan)

    def row(what: str, name: str, at_most_ms: int) -> Row:
        remarks = f"p50 of {LOOKS - 1}, one at a time; worst {found[f'{name}_worst_ms']:.1f} ms"
        return Row(f"swaps: {what}", found[f"{name}_p50_ms"], MS, at_most_ms, remarks=remarks)

    return [
        Row(
            f"swaps: orders created, {CONNECTIONS} connections",
            found["create_per_s"],
            "orders/s",
            3_000,
            more_is_better=True,
            remarks=f"{creates:,} orders of {WALLETS} wallets; p50 {found['create_p50_ms']:.1f} ms",
        ),
        row(f"user page, {own:,} own and {crossing:,} crossing orders", "page", 30),
        row(f"user page, {crossing:,} own orders, nothing crossing", "own", 100),
        row(f"order created that crosses {crossing:,}", "enter", 20),
        row(f"open book of {crossing:,} orders", "book", 50),
    ]
