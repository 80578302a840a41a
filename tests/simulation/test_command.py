"""`crossbook simulate` from the outside: its table, its picture, and what it refuses."""

from pathlib import Path

from typer.testing import CliRunner

from crossbook.cli import app

HEADER = "timestamp,open,high,low,close,volume"
RUN = CliRunner()


def candles(folder: Path) -> Path:
    file = folder / "candles.csv"
    rows = [
        f"2025-01-01 {hour:02}:{minute:02}:00+00:00,{price},{price + 900},{price - 900},{price + 300},1"
        for hour in (7, 8)
        for minute in range(0, 60, 5)
        for price in (100_000 + 200 * minute * (1 if hour == 7 else -1),)
    ]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    return file


def test_the_table_says_what_happened(tmp_path: Path) -> None:
    arguments = ["simulate", "--candles", str(candles(tmp_path)), "--accounts", "60", "--seed", "3"]
    first, second = RUN.invoke(app, arguments), RUN.invoke(app, arguments)
    assert first.exit_code == 0, first.output
    for part in ("candles", "24", "1 periods, each once", "insurance fund", "bad debt", "balanced to the last unit"):
        assert part in first.stdout

    def hashed(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith("hash")]

    assert hashed(first.stdout)
    assert hashed(first.stdout) == hashed(second.stdout)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "run.svg"
    done = RUN.invoke(
        app,
        ["simulate", "--candles", str(candles(tmp_path)), "--accounts", "40", "--limit", "6", "--plot", str(picture)],
    )
    assert done.exit_code == 0, done.output
    assert picture.read_text().lstrip().startswith("<?xml")


def test_bad_input_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("nothing\n")
    for more in (["--candles", str(bad)], ["--candles", str(candles(tmp_path)), "--plot", str(tmp_path / "run.gif")]):
        done = RUN.invoke(app, ["simulate", *more])
        assert done.exit_code == 2
    assert RUN.invoke(app, ["simulate", "--candles", str(bad), "--accounts", "9"]).exit_code == 2
