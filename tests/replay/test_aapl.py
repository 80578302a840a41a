"""A recorded hour of NASDAQ, trade by trade: the proof that the engine is a market's engine.

The data lies beside the project, not in it; without it these tests are skipped.
"""

from pathlib import Path

import pytest

from crossbook.matching import Engine
from crossbook.replay.runner import Replay, replay_commands, replay_records
from crossbook.replay.tables import TableFile
from crossbook.replay.tape import read_tape
from crossbook.replay.trades import Comparison, read_trades

HOUR = Path(__file__).parents[3] / "shared" / "data" / "aapl_2012-06-21_hour"
COMMANDS = 89_155
TRADES = 4_038

pytestmark = pytest.mark.skipif(
    not (HOUR / "commands.csv.gz").exists(), reason="the recorded AAPL hour is not at ../shared/data"
)


def play(replay: Replay) -> Comparison:
    with TableFile(HOUR / "commands.csv.gz") as tape, TableFile(HOUR / "trades.csv.gz") as expected:
        comparison = Comparison(read_trades(expected))
        for trades in replay.run(read_tape(tape)):
            comparison.check(trades)
        comparison.finish()
    return comparison


def test_the_hour_in_batches_one_by_one_and_restored_every_1000_commands() -> None:
    replays = {
        "batch": replay_records(Engine()),
        "batch, restored": replay_records(Engine(), snapshot_every=1000),
        "per command": replay_commands(Engine()),
        "per command, restored": replay_commands(Engine(), snapshot_every=1000),
    }
    for name, replay in replays.items():
        comparison = play(replay)
        assert comparison.difference is None, f"{name}: {comparison.difference}"
        assert (replay.commands, replay.trades, comparison.equal, replay.refused) == (COMMANDS, TRADES, TRADES, 0), name
        assert replay.snapshots == (COMMANDS // 1000 if "restored" in name else 0)
    assert len({replay.engine.state_hash() for replay in replays.values()}) == 1
