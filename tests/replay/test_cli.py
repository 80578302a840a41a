"""`crossbook`: what it prints, what it writes, and its exit codes."""

import builtins
import gzip
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from crossbook import __version__
from crossbook.cli import app

TAPE = """seq,time,op,id,side,price,qty,tif
1,34200.1,N,7,S,101,5,GTC
2,34200.2,N,8,S,101,3,GTC
3,34200.3,N,9,B,99,4,GTC
4,34201,N,10,B,101,6,IOC
"""
TRADES = "seq,maker,price,qty\n4,7,101,5\n4,8,101,1\n"
HASH_LETTERS = 64


def crossbook(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "tape.csv"
    path.write_text(TAPE)
    return path


def expected(tape: Path, text: str = TRADES) -> Path:
    path = tape.parent / "expected.csv"
    path.write_text(text)
    return path


def figures(result: Result) -> dict[str, str]:
    """The printed table, value by name."""
    rows = {}
    for line in result.stdout.splitlines():
        name, _, value = line.partition("  ")
        rows[name] = value.strip()
    return rows


def test_no_command_prints_help() -> None:
    result = crossbook()
    assert result.exit_code == 0
    assert "replay" in result.stdout
    assert "doctor" in result.stdout


def test_the_version() -> None:
    result = crossbook("--version")
    assert (result.exit_code, result.stdout) == (0, f"crossbook {__version__}\n")


def test_replay_prints_the_figures(tape: Path) -> None:
    result = crossbook("replay", tape)
    assert result.exit_code == 0
    rows = figures(result)
    assert rows["commands"] == "4"
    assert rows["trades"] == "2"
    assert rows["best bid"] == "99 (4 lots in 1 order)"
    assert rows["best ask"] == "101 (2 lots in 1 order)"
    assert len(rows["state hash"]) == HASH_LETTERS
    assert "in the engine" in rows["commands/s"]
    assert rows["engine"].startswith(("compiled", "interpreted"))
    assert result.stderr == ""


def test_no_colour_and_no_progress_without_a_terminal(tape: Path) -> None:
    result = crossbook("replay", tape, "--expect", expected(tape))
    assert "\x1b" not in result.output


def test_expected_trades_that_are_made(tape: Path) -> None:
    result = crossbook("replay", tape, "--expect", expected(tape))
    assert result.exit_code == 0
    assert figures(result)["expected"] == "all 2 trades equal"


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        (
            TRADES.replace("4,8,", "4,9,"),
            "seq 4: expected 1 at 101 (maker 9), got 1 at 101 (maker 8, buy 10, sell 8)",
        ),
        (TRADES + "5,7,101,1\n", "seq 5: expected 1 at 101 (maker 7), got no trade"),
        ("seq,maker,price,qty\n", "seq 4: expected no trade, got 5 at 101 (maker 7, buy 10, sell 7)"),
    ],
    ids=["differs", "missing", "extra"],
)
def test_a_single_difference_is_shown_and_exits_with_1(tape: Path, text: str, difference: str) -> None:
    result = crossbook("replay", tape, "--expect", expected(tape, text))
    assert result.exit_code == 1
    assert difference in result.stdout


@pytest.mark.parametrize(
    "options",
    [("--per-command",), ("--batch", "1"), ("--batch", "3", "--snapshot-every", "2"), ("--snapshot-every", "1")],
)
def test_every_way_prints_the_same_hash(tape: Path, options: tuple[str, ...]) -> None:
    result = crossbook("replay", tape, "--expect", expected(tape), *options)
    assert result.exit_code == 0
    assert figures(result)["state hash"] == figures(crossbook("replay", tape))["state hash"]


def test_snapshots_are_counted(tape: Path) -> None:
    assert figures(crossbook("replay", tape, "--snapshot-every", "2"))["restored"] == "2 times from a snapshot"


def test_gzip_in_and_out(tape: Path) -> None:
    packed, out = tape.with_name("tape.gz"), tape.with_name("out.csv.gz")
    packed.write_bytes(gzip.compress(TAPE.encode()))
    assert crossbook("replay", packed, "--out", out).exit_code == 0
    assert gzip.decompress(out.read_bytes()).decode() == TRADES


def test_what_was_written_is_what_is_expected(tape: Path) -> None:
    out = tape.with_name("out.csv")
    assert crossbook("replay", tape, "--out", out).exit_code == 0
    assert out.read_text() == TRADES
    assert crossbook("replay", tape, "--expect", out).exit_code == 0


def test_lobster_tapes(tmp_path: Path) -> None:
    message = tmp_path / "message.csv"
    message.write_text("1,1,11,10,500,-1\n2,4,11,4,500,-1\n3,5,0,1,500,1\n4,3,99,4,500,-1\n")
    trades = tmp_path / "trades.csv"
    trades.write_text("seq,maker,price,qty\n2,11,500,4\n")
    result = crossbook("replay", message, "--from", "lobster", "--expect", trades)
    assert result.exit_code == 0
    left_out = [line.removeprefix("left out").strip() for line in result.stdout.splitlines() if "left out" in line]
    assert left_out == ["1 hidden executions", "1 of orders from before the file"]


def test_refused_commands_are_told(tape: Path) -> None:
    tape.write_text(TAPE + "5,34202,X,777,,,,\n")
    assert figures(crossbook("replay", tape))["refused"] == "1"
    tape.write_text(TAPE)
    assert "refused" not in figures(crossbook("replay", tape))


def test_a_bad_row_exits_with_2_and_writes_nothing(tape: Path) -> None:
    tape.write_text(TAPE + "5,34202,N,11,S,[red]1,5,GTC\n")
    out = tape.with_name("out.csv")
    result = crossbook("replay", tape, "--out", out)
    assert result.exit_code == 2
    assert f"Error: {tape}, line 6, column 6 (price): expected a whole number" in result.stderr
    assert "'[red]1'" in result.stderr
    assert not out.exists()


def test_bad_expected_trades_exit_with_2(tape: Path) -> None:
    result = crossbook("replay", tape, "--expect", expected(tape, "seq,maker,price,qty\n4,seven,101,5\n"))
    assert result.exit_code == 2
    assert "expected.csv, line 2, column 2 (maker): expected a whole number" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--batch", "10", "--per-command"),
        ("--batch", "0"),
        ("--batch", "100001"),
        ("--snapshot-every", "-1"),
        ("--from", "xml"),
        ("--expect", "no-such-file.csv"),
        ("--out", "no-such-folder/out.csv"),
        ("--plot", "no-such-folder/book.png"),
        ("--plot", "book.txt"),
        ("--nonsense",),
    ],
    ids=" ".join,
)
def test_bad_usage_exits_with_2(
    tape: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = crossbook("replay", tape, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr != ""


def test_a_tape_that_is_not_there_exits_with_2(tmp_path: Path) -> None:
    assert crossbook("replay", tmp_path / "none.csv").exit_code == 2
    assert crossbook("replay", tmp_path).exit_code == 2


def test_plot_without_matplotlib_says_what_to_install(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_matplotlib(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *arguments, **named)

    monkeypatch.delitem(sys.modules, "crossbook.replay.plot", raising=False)
    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    picture = tape.with_name("book.png")
    result = crossbook("replay", tape, "--plot", picture)
    assert result.exit_code == 2
    assert "pip install 'crossbook[plot]'" in result.stderr
    assert not picture.exists()


SIGNATURES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_plot_writes_a_picture(tape: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    picture = tape.with_name(f"book.{suffix}")
    assert crossbook("replay", tape, "--plot", picture).exit_code == 0
    assert picture.read_bytes().startswith(SIGNATURES[suffix])


def test_plot_of_an_empty_tape(tape: Path) -> None:
    pytest.importorskip("matplotlib")
    tape.write_text(TAPE.splitlines()[0])
    picture = tape.with_name("book.png")
    assert crossbook("replay", tape, "--plot", picture).exit_code == 0
    assert picture.read_bytes().startswith(SIGNATURES["png"])


def test_a_progress_bar_on_a_terminal_only(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes what it writes to for a terminal
    result = crossbook("replay", tape)
    assert result.exit_code == 0
    assert "replaying" in result.stderr
    assert "replaying" not in result.stdout


def test_no_colour_where_it_is_not_wanted(tape: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = crossbook("replay", tape, "--expect", expected(tape)).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    plain = crossbook("replay", tape, "--expect", expected(tape)).stdout
    assert "\x1b[32mall 2 trades equal" in coloured
    assert "\x1b[32m" not in plain
