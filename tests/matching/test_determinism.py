"""One log, one state: under any hash seed, compiled or from source, on every Python there is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
COMMANDS = 3_000
GOLDEN_HASH = "6f47537ef609bb3a7edd36c354b77f77f6ff82914e41efae783366f08682227c"
"""The state after the log of seed 20. It changes only when the rules, the snapshot or the flow do."""

PROGRAM = f"""
import hashlib
from random import Random

from crossbook.matching import Engine, engine
from tests.matching.flows import Flow

market = Engine()
told = hashlib.blake2b(digest_size=16)
for command in Flow(Random(20).randrange).take({COMMANDS}):
    for event in market.apply(command):
        told.update(repr(event).encode())
print(market.state_hash())
print(told.hexdigest())
print(hash("a string"))
print("source" if engine.__file__.endswith(".py") else "compiled")
"""


def run(python: str = sys.executable, *, hash_seed: int = 0, interpreted: bool) -> list[str]:
    """What the program prints: state hash, hash of all events, a string's hash, the way of running."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
        "PYTHONHASHSEED": str(hash_seed),
        "CROSSBOOK_INTERPRETED": str(int(interpreted)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [python, "-c", PROGRAM], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def test_the_log_ends_in_the_state_that_it_always_ended_in() -> None:
    assert run(interpreted=os.environ.get("CROSSBOOK_INTERPRETED") == "1")[0] == GOLDEN_HASH


@pytest.mark.parametrize("interpreted", [False, True], ids=["as installed", "source"])
def test_every_hash_seed_gives_the_same_state_and_events(*, interpreted: bool) -> None:
    printed = [run(hash_seed=seed, interpreted=interpreted) for seed in (0, 1, 4242)]
    assert {lines[0] for lines in printed} == {GOLDEN_HASH}
    assert len({lines[1] for lines in printed}) == 1
    assert len({lines[2] for lines in printed}) == 3, "the seeds made no difference to Python itself"


def test_compiled_and_source_give_the_same_state_and_events() -> None:
    installed, source = run(interpreted=False), run(interpreted=True)
    assert source[3] == "source"
    if installed[3] == "source":
        pytest.skip("this build has no compiled modules")
    assert installed[:2] == source[:2]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_every_python_gives_the_same_state_and_events(version: str) -> None:
    python = found_python(version)
    printed = run(python, interpreted=True)
    assert printed[0] == GOLDEN_HASH
    assert printed[1] == run(interpreted=True)[1]


def found_python(version: str) -> str:
    """The command of a Python of that version; skips the test where there is none that runs."""
    command = shutil.which(f"python{version}")
    if command is None:
        pytest.skip(f"no python{version} here")
    program = "import sys; print(*sys.version_info[:2], sep='.')"
    asked = subprocess.run([command, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode != 0 or asked.stdout.strip() != version:
        pytest.skip(f"python{version} is there but does not run")
    return command
