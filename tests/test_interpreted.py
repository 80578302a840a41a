"""One source, two ways of running: compiled beside it, or from it when CROSSBOOK_INTERPRETED=1."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
NATIVE = str(sysconfig.get_config_var("EXT_SUFFIX"))


def compiled_modules() -> list[str]:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["crossbook"]["compiled"]
    return [name for name in listed if (ROOT / name).exists()]


def module_name(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".")


def run(program: str, *, interpreted: bool, source: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(source), "CROSSBOOK_INTERPRETED": str(int(interpreted))}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def files_of(modules: list[str], *, interpreted: bool) -> list[str]:
    """The file that each module runs from, as told by a fresh interpreter."""
    program = "import importlib\n" + "".join(
        f"print(importlib.import_module({module_name(name)!r}).__file__)\n" for name in modules
    )
    done = run(program, interpreted=interpreted)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_list_of_compiled_modules_is_not_empty() -> None:
    assert "src/crossbook/domain/events.py" in compiled_modules()


def test_whatever_works_on_columns_is_compiled() -> None:
    """Left out of the list, such a module would be right but slow, and nobody would notice."""
    matching = sorted((SOURCE / "crossbook" / "matching").glob("*.py"))
    users = [path for path in matching if "from crossbook.matching.columns import" in path.read_text()]
    assert users
    assert {path.relative_to(ROOT).as_posix() for path in users} <= set(compiled_modules())


def test_interpreted_every_module_runs_from_its_source() -> None:
    modules = compiled_modules()
    assert files_of(modules, interpreted=True) == [str(ROOT / name) for name in modules]


def test_otherwise_every_compiled_module_runs_compiled() -> None:
    modules = compiled_modules()
    native = [str(ROOT / name.removesuffix(".py")) + NATIVE for name in modules]
    built = [Path(name).exists() for name in native]
    if not any(built):
        pytest.skip("this build has no compiled modules (no C compiler, or CROSSBOOK_PURE=1)")
    assert all(built), [name for name, there in zip(modules, built, strict=True) if not there]
    assert files_of(modules, interpreted=False) == native


@pytest.mark.parametrize("interpreted", [False, True])
def test_a_compiled_file_is_used_only_when_not_interpreted(tmp_path: Path, *, interpreted: bool) -> None:
    """A file that no loader can read, where the compiled module would be, shows which one Python took."""
    shutil.copytree(SOURCE / "crossbook", tmp_path / "crossbook", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "crossbook" / "domain" / f"orders{NATIVE}").write_bytes(b"not a library")
    done = run("import crossbook.domain.orders", interpreted=interpreted, source=tmp_path)
    assert (done.returncode == 0) is interpreted, done.stderr


def test_both_ways_give_the_same_event() -> None:
    program = (
        "from crossbook.domain.events import OrderRested\n"
        "from crossbook.domain.orders import Side\n"
        "event = OrderRested(1, 0, 7, 3, Side.BUY, 100, 5, 5)\n"
        "print(event, event == OrderRested(1, 0, 7, 3, Side.BUY, 100, 5, 5), hash(event))\n"
    )
    compiled, source = run(program, interpreted=False), run(program, interpreted=True)
    assert compiled.returncode == 0, compiled.stderr
    assert compiled.stdout == source.stdout
