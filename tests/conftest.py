"""Settings of all tests; refuses to test a compiled engine that is older than its source."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# How long an example takes depends on the machine and on the way of running: no test may depend on it.
settings.register_profile("crossbook", deadline=None)
settings.load_profile("crossbook")


def _native_file(source: Path) -> Path | None:
    return next(source.parent.glob(f"{source.stem}.*.so"), None)


def _outdated(sources: list[Path]) -> list[str]:
    """The sources that changed after they were compiled."""
    return [
        source.name
        for source in sources
        if (native := _native_file(source)) is not None and native.stat().st_mtime < source.stat().st_mtime
    ]


def pytest_sessionstart() -> None:
    """Stop before the first test when the compiled modules do not show the source."""
    if os.environ.get("CROSSBOOK_INTERPRETED") == "1":
        return
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["crossbook"]["compiled"]
    outdated = _outdated([ROOT / name for name in listed if (ROOT / name).exists()])
    if outdated:
        pytest.exit(f"compiled before their last change: {', '.join(outdated)}; run `make install`", returncode=2)
