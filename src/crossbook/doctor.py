"""Looks at the installation: what runs, how fast, and what to do about it."""

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

OLDEST_PYTHON: Final = (3, 11)
ENGINE_MODULE: Final = "crossbook.matching.engine"
INTERPRETED_SWITCH: Final = "CROSSBOOK_INTERPRETED"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. Not `ok` means Crossbook does not run; `advice` says what could be better."""

    topic: str
    found: str
    ok: bool = True
    advice: str = ""


def examine() -> list[Finding]:
    """Everything that `crossbook doctor` says, in its order."""
    return [check_python(sys.version_info[:3]), check_engine(), check_compiler(), check_librt()]


def check_python(running: tuple[int, ...]) -> Finding:
    """Whether this Python is new enough."""
    found = f"{platform.python_implementation()} {'.'.join(map(str, running))}"
    if running >= OLDEST_PYTHON:
        return Finding("Python", found)
    oldest = ".".join(map(str, OLDEST_PYTHON))
    return Finding("Python", found, False, f"Install Python {oldest} or newer.")


def check_engine() -> Finding:
    """Whether the matching engine runs, compiled or interpreted, and why."""
    try:
        module = importlib.import_module(ENGINE_MODULE)
    except ImportError as error:
        return Finding("engine", f"does not load: {error}", False, "Install Crossbook anew.")
    switched_off = os.environ.get(INTERPRETED_SWITCH) == "1"
    return describe_engine(Path(module.__file__ or ""), switched_off, find_compiler() is not None)


def describe_engine(file: Path, switched_off: bool, has_compiler: bool) -> Finding:
    """What it means that the engine was loaded from `file`.

    `switched_off` says that the environment asks for the interpreted engine, `has_compiler` that there
    is a C compiler.
    """
    if file.suffix != ".py":
        return Finding("engine", "compiled")
    if switched_off:
        return Finding(
            "engine",
            f"interpreted: {INTERPRETED_SWITCH}=1 is set",
            advice=f"Unset {INTERPRETED_SWITCH} for full speed.",
        )
    first = "Install" if has_compiler else "Install a C compiler, then install"
    advice = f"{first} Crossbook anew for full speed."
    others = sorted(file.parent.glob(f"{file.stem}.*.so")) + sorted(file.parent.glob(f"{file.stem}.*.pyd"))
    if others:
        return Finding("engine", f"interpreted: {others[0].name} is for another Python", advice=advice)
    return Finding("engine", "interpreted: no compiled engine is installed", advice=advice)


def check_compiler() -> Finding:
    """Whether there is a C compiler. Only the installation needs one."""
    return Finding("C compiler", find_compiler() or "not found: the engine can not be compiled here")


def find_compiler() -> str | None:
    """The path of a C compiler: the one that CC names, else a usual one, else None."""
    names = (os.environ.get("CC", ""), "cc", "gcc", "clang")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def check_librt() -> Finding:
    """Which `librt` the compiled engine stands on. The interpreted one needs none."""
    try:
        return Finding("librt", version("librt"))
    except PackageNotFoundError:
        return Finding("librt", "not installed: only the interpreted engine runs")
