"""`crossbook doctor`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from crossbook import cli, doctor
from crossbook.doctor import Finding, check_compiler, check_engine, check_python, describe_engine

runner = CliRunner()


def test_the_doctor_finds_this_installation_well() -> None:
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 0
    topics = [line.partition("  ")[0] for line in result.stdout.splitlines() if not line.startswith("To do:")]
    assert topics == ["Python", "engine", "C compiler", "librt"]


def test_what_is_broken_exits_with_1_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "examine", lambda: [Finding("engine", "does not load", False, "Install it [again].")])
    result = runner.invoke(cli.app, ["doctor"])
    assert result.exit_code == 1
    assert "does not load" in result.stdout
    assert "To do: Install it [again]." in result.stdout


@pytest.mark.parametrize(
    ("running", "ok"), [((3, 10, 14), False), ((3, 11, 0), True), ((3, 14, 1), True), ((4, 0, 0), True)]
)
def test_python_must_be_new_enough(running: tuple[int, ...], ok: bool) -> None:
    finding = check_python(running)
    assert finding.ok is ok
    assert ("Install Python 3.11" in finding.advice) is not ok
    assert ".".join(map(str, running)) in finding.found


def test_the_engine_of_this_installation_loads() -> None:
    assert check_engine().ok


def test_an_engine_that_does_not_load_is_not_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENGINE_MODULE", "crossbook.matching.no_such_engine")
    finding = check_engine()
    assert not finding.ok
    assert "no_such_engine" in finding.found
    assert finding.advice


def test_a_native_file_is_the_compiled_engine() -> None:
    assert describe_engine(Path("engine.cpython-311-x86_64-linux-gnu.so"), False, True) == Finding("engine", "compiled")


def test_the_source_may_have_been_asked_for() -> None:
    finding = describe_engine(Path("engine.py"), True, True)
    assert finding.ok
    assert finding.found == "interpreted: CROSSBOOK_INTERPRETED=1 is set"
    assert "Unset CROSSBOOK_INTERPRETED" in finding.advice


@pytest.mark.parametrize(
    ("has_compiler", "advice"),
    [
        (True, "Install Crossbook anew for full speed."),
        (False, "Install a C compiler, then install Crossbook anew for full speed."),
    ],
)
def test_the_source_runs_when_nothing_was_compiled(tmp_path: Path, has_compiler: bool, advice: str) -> None:
    finding = describe_engine(tmp_path / "engine.py", False, has_compiler)
    assert finding == Finding("engine", "interpreted: no compiled engine is installed", True, advice)


def test_the_source_runs_when_another_python_was_compiled_for(tmp_path: Path) -> None:
    other = tmp_path / "engine.cpython-399-x86_64-linux-gnu.so"
    other.touch()
    finding = describe_engine(tmp_path / "engine.py", False, True)
    assert finding.found == f"interpreted: {other.name} is for another Python"


def test_a_compiler_is_looked_for_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert check_compiler().found.startswith("not found")
    compiler = tmp_path / "gcc"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert check_compiler().found == str(compiler)
