"""`python -m benchmarks [--quick] [--only NAME ...] [--seed N] [--json FILE]`: measure and print the table."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks import matching
from benchmarks.flows import SEED
from benchmarks.measuring import QUICK_DIVISOR, Settings
from benchmarks.report import Row, conditions, print_report, processor_share
from benchmarks.risk import risk
from benchmarks.signatures import signatures
from benchmarks.swaps import swaps
from benchmarks.venue import venue

MEASUREMENTS: Final[dict[str, Callable[[Settings], list[Row]]]] = {
    **matching.MEASUREMENTS,
    "signatures": signatures,
    "risk": risk,
    "venue": venue,
    "swaps": swaps,
}


def main() -> None:
    """Measure what the command line asks for; the table goes to standard output, progress to standard error."""
    options = _parser().parse_args()
    settings = Settings(seed=options.seed, divisor=QUICK_DIVISOR if options.quick else 1)
    measured_under = conditions(settings)
    started = os.times()
    rows: list[Row] = []
    for name in options.only or MEASUREMENTS:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += MEASUREMENTS[name](settings)
    measured_under["share of core"] = processor_share(started, os.times())
    print_report(rows, measured_under)
    if options.json:
        _write_json(options.json, rows, measured_under)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the engine and the venue.")
    parser.add_argument("--quick", action="store_true", help=f"every size divided by {QUICK_DIVISOR}")
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), help="this one only; may be repeated")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the flows (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON too")
    return parser


def _write_json(path: Path, rows: list[Row], measured_under: dict[str, str]) -> None:
    table = {
        "conditions": measured_under,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in rows],
    }
    path.write_text(json.dumps(table, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
