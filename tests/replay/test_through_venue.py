"""`crossbook replay --through-venue`: a tape through accounts, holds, log, matcher, settler and ledger."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from crossbook.cli import app
from crossbook.replay.tables import TableFile
from crossbook.replay.tape import read_tape
from crossbook.replay.tape_venue import Need, ReplayFailed
from tests.replay.test_aapl import COMMANDS, HOUR, TRADES

HEADER = "seq,time,op,id,side,price,qty,tif\n"
CONTINUOUS = f"""{HEADER}1,34200.1,N,7,S,101,5,GTC
2,34200.2,N,8,S,101,3,GTC
3,34200.3,N,9,B,99,4,GTC
4,34201,R,7,,,2,
5,34201,N,10,B,101,4,IOC
6,34202,X,9,,,,
7,34202,X,9,,,,
8,34203,N,11,S,99,2,FOK
9,34204,M,8,S,101,1,
10,34205,N,12,S,101,1,GTC
11,34206,M,12,S,100,3,
12,34207,N,13,B,101,4,GTC
13,34208,X,99,,,,
14,34209,N,14,B,98,5,DAY
15,34210,M,14,B,101,1,
16,34211,N,15,S,101,1,IOC
"""
"""Among the rows: a reduction, a cancel of what is cancelled, and all three kinds of replacement."""
CONTINUOUS_TRADES = "seq,maker,price,qty\n5,7,101,3\n5,8,101,1\n12,12,100,3\n12,8,101,1\n16,14,101,1\n"
AUCTION = f"""{HEADER}1,34200,N,1,B,102,4,AUCTION
2,34200,N,2,S,100,3,AUCTION
3,34200,N,3,S,101,2,AUCTION
4,34201,U,,,101,,
5,34202,N,4,B,101,1,IOC
"""
AUCTION_TRADES = "seq,buy_id,sell_id,maker,price,qty\n4,1,2,,101,3\n4,1,3,,101,1\n5,4,3,3,101,1\n"


def through_venue(folder: Path, tape: str, expected: str, *options: str | Path) -> Result:
    tape_file, trades_file = folder / "tape.csv", folder / "trades.csv"
    tape_file.write_text(tape)
    trades_file.write_text(expected)
    words = ["replay", "--through-venue", tape_file, "--expect", trades_file, *options]
    return CliRunner().invoke(app, [str(word) for word in words])


def figure(result: Result, name: str) -> str:
    found = re.search(rf"^{name} +(.*)$", result.stdout, re.MULTILINE)
    assert found is not None, result.stdout
    return found[1].strip()


def test_a_tape_makes_its_trades_and_leaves_clean_books(tmp_path: Path) -> None:
    out = tmp_path / "made.csv"
    result = through_venue(tmp_path, CONTINUOUS, CONTINUOUS_TRADES, "--out", out)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert figure(result, "expected") == "all 5 trades equal"
    assert figure(result, "commands") == "16"
    assert "accepted and settled" in figure(result, "commands/s")
    assert figure(result, "lag").endswith("commands")
    assert "no difference" in result.stdout
    assert out.read_text() == CONTINUOUS_TRADES


def test_an_auction_and_a_second_tape_in_the_same_folder(tmp_path: Path) -> None:
    for market in ("TAPE-1", "TAPE-2"):
        result = through_venue(tmp_path, AUCTION, AUCTION_TRADES, "--data", tmp_path / "venue")
        assert result.exit_code == 0, result.stdout + result.stderr
        assert figure(result, "market") == market
        assert figure(result, "expected") == "all 3 trades equal"
    assert (tmp_path / "venue" / "postgres" / "cluster").is_dir()


def test_the_first_difference_is_shown_and_the_exit_code_is_1(tmp_path: Path) -> None:
    wrong = CONTINUOUS_TRADES.replace("12,12,100,3", "12,12,100,2")
    result = through_venue(tmp_path, CONTINUOUS, wrong)
    assert result.exit_code == 1
    assert "first difference after 2 equal trades" in result.stdout
    assert "seq 12: expected 2 at 100 (maker 12), got 3 at 100" in result.stdout


def test_a_bad_tape_ends_before_anything_starts(tmp_path: Path) -> None:
    data = tmp_path / "venue"
    result = through_venue(tmp_path, HEADER + "1,34200,N,1,B,0,4,GTC\n", CONTINUOUS_TRADES, "--data", data)
    assert result.exit_code == 2
    assert "column 6 (price)" in result.stderr
    assert not data.exists()


def test_a_tape_that_no_account_can_pay_for_is_refused(tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text(f"{HEADER}1,34200,N,1,B,1099511627775,1099511627775,GTC\n")
    with TableFile(tape) as table, pytest.raises(ReplayFailed, match="worth more"):
        Need().add(read_tape(table))


@pytest.mark.parametrize("option", ["--per-command", "--batch=5", "--snapshot-every=5", "--plot=book.png"])
def test_options_of_the_engine_alone_are_refused(tmp_path: Path, option: str) -> None:
    result = through_venue(tmp_path, CONTINUOUS, CONTINUOUS_TRADES, option)
    assert result.exit_code == 2
    assert "--through-venue goes with" in result.stderr


def test_data_needs_a_venue(tmp_path: Path) -> None:
    tape = tmp_path / "tape.csv"
    tape.write_text(CONTINUOUS)
    result = CliRunner().invoke(app, ["replay", str(tape), "--data", str(tmp_path / "venue")])
    assert result.exit_code == 2
    assert "--data needs --through-venue" in result.stderr


@pytest.mark.skipif(not (HOUR / "commands.csv.gz").exists(), reason="the recorded AAPL hour is not at ../shared/data")
def test_the_recorded_hour() -> None:
    words = ["replay", "--through-venue", HOUR / "commands.csv.gz", "--expect", HOUR / "trades.csv.gz"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.stdout + result.stderr
    assert figure(result, "commands") == f"{COMMANDS:,}"
    assert figure(result, "expected") == f"all {TRADES:,} trades equal"
    assert "refused" not in result.stdout
    assert "no difference" in result.stdout
