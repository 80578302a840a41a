"""The documents tell the truth: their code runs, their commands and paths exist."""

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID_OUTPUT = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#]+)\)")
NAMED_PATH = re.compile(r"`((?:src|tests|docs|requirements|\.ci)/[\w./-]*|[\w-]+\.(?:md|toml|py))`")


class Snippet(NamedTuple):
    """A block of code in a document."""

    document: str
    number: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}-{self.number}"


def snippets_of(document: str, text: str) -> list[Snippet]:
    return [Snippet(document, number, *match.groups()) for number, match in enumerate(FENCE.finditer(text), start=1)]


def all_snippets() -> list[Snippet]:
    return [
        snippet for path in DOCUMENTS for snippet in snippets_of(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    ]


SNIPPETS = all_snippets()


def is_make(snippet: Snippet) -> bool:
    return all(line.startswith("make ") for line in snippet.code.splitlines())


def those(language: str, *, make: bool = False) -> list[Snippet]:
    return [snippet for snippet in SNIPPETS if snippet.language == language and is_make(snippet) is make]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def make_targets(text: str) -> list[str]:
    """What is asked of make in `text`: the words after it that set no variable."""
    return [
        word for line in text.splitlines() for word in shlex.split(line)[1:] if "=" not in word and word[0].islower()
    ]


def test_every_snippet_is_of_a_kind_that_is_tested() -> None:
    assert {snippet.language for snippet in SNIPPETS} <= {"python", "sh", "bash", "json"}
    assert len([snippet for snippet in SNIPPETS if snippet.document == "README.md"]) == 6


@pytest.mark.parametrize("snippet", those("json"), ids=str)
def test_json_can_be_read(snippet: Snippet) -> None:
    assert json.loads(snippet.code)


@pytest.mark.parametrize("snippet", those("python"), ids=str)
def test_python_runs_and_prints_what_it_says(snippet: Snippet, tmp_path: Path) -> None:
    done = run([sys.executable, "-c", snippet.code], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == SAID_OUTPUT.findall(snippet.code)


@pytest.mark.parametrize("snippet", those("sh"), ids=str)
def test_shell_runs(snippet: Snippet, tmp_path: Path) -> None:
    """Run in an empty folder that has the project's `.venv`, source, tests and settings."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name in ("tests", "src", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = run(["bash", "-euo", "pipefail", "-c", snippet.code], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def a_running_venue(folder: Path, *options: str) -> Iterator[str]:
    """The address of a venue that was started for this test."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "crossbook.cli", "up", *options, "--port", str(port), "--data", str(folder)]
    with (folder.parent / "venue.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as venue:
        try:
            address = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 60
            while not _answers(f"{address}/ready"):
                assert venue.poll() is None, (folder.parent / "venue.log").read_text()
                assert time.monotonic() < end, (folder.parent / "venue.log").read_text()
                time.sleep(0.1)
            yield address
        finally:
            venue.terminate()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_first_orders_of_the_readme_are_accepted(tmp_path: Path) -> None:
    code = "\n".join(snippet.code for snippet in those("bash")[:2])
    with a_running_venue(tmp_path / "data", "--no-bots") as address:
        done = run(["bash", "-euo", "pipefail", "-c", f"BASE={address}\n{code}"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for said in (
        '"symbol":"BTC-PERP"',
        '"userId"',
        '"available":"10000"',
        '"clientOrderId":"my-first"',
        "PENDING_CANCEL",
        '"transfer_hold":"0"',
        '"external_id":"my-first"',
        '"leaves_qty":"0.01"',
    ):
        assert said in done.stdout, done.stdout
    assert '"status":"OPEN"' in done.stdout


def test_the_first_swap_of_the_readme_is_made(tmp_path: Path) -> None:
    snippet = those("bash")[-1]
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with a_running_venue(tmp_path / "data") as address:
        done = run(["bash", "-euo", "pipefail", "-c", f"BASE={address}\n{snippet.code}"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "swaps made: 1" in done.stderr, done.stderr


@pytest.mark.parametrize("snippet", those("sh", make=True), ids=str)
def test_make_knows_the_targets(snippet: Snippet) -> None:
    for target in make_targets(snippet.code):
        done = run(["make", "--dry-run", target], ROOT)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_commands_in_the_text_exist(path: Path) -> None:
    named = re.findall(r"`(?:\w+=\S+ )?make ([a-z]+)", path.read_text("utf-8"))
    known = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(named) <= set(known)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    links = [path.parent / link for link in LINK.findall(text) if "://" not in link]
    paths = [ROOT / name for name in NAMED_PATH.findall(text) if "/" in name or name.endswith((".md", ".toml"))]
    assert [str(target) for target in [*links, *paths] if not target.exists()] == []


def test_the_reader_of_documents_finds_snippets_and_outputs() -> None:
    text = "Text.\n```python\nprint(1)  # 1\n```\n\n```sh\nmake install X=1\n```\n"
    found = snippets_of("a.md", text)
    assert [(snippet.language, is_make(snippet)) for snippet in found] == [("python", False), ("sh", True)]
    assert SAID_OUTPUT.findall(found[0].code) == ["1"]
    assert make_targets(found[1].code) == ["install"]
