"""A journal that became much longer than what it says is replaced, and says the same at every moment of it."""

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crossbook.system import ManualClock
from crossbook.wallet_sim import journal as journal_module
from crossbook.wallet_sim import world as world_module
from crossbook.wallet_sim.chain import Funds
from crossbook.wallet_sim.errors import WrongArgument
from crossbook.wallet_sim.journal import Journal, JournalError
from crossbook.wallet_sim.wallet import PROPOSAL_LIFETIME_MS
from crossbook.wallet_sim.world import CLOCK_SLACK_MS, World
from tests.wallet_sim.killed_shortening import LEAST_NOTES
from tests.wallet_sim.worlds import LTHN, ask, made, proposal, reopened, state

ROOT = Path(__file__).parent.parent.parent
SWAPS = 60


def accept(world: World, text: str) -> None:
    ask(world.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=text)


def lines_of(file: Path) -> int:
    return file.read_bytes().count(b"\n")


def long_journal(file: Path, clock: ManualClock, swaps: int = SWAPS) -> list[str]:
    """A world with swaps that nobody could accept any more, and one that somebody could; all that were accepted."""
    world = made(clock, file)
    accepted = [proposal(world, give, get) for give, get in zip(range(1, swaps), range(swaps, 1, -1), strict=True)]
    for text in accepted:
        accept(world, text)
    clock.advance(PROPOSAL_LIFETIME_MS + CLOCK_SLACK_MS + 1)
    accepted.append(proposal(world))
    accept(world, accepted[-1])
    world.close()
    return accepted


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few notes are many here."""
    monkeypatch.setattr(world_module, "SHORT_JOURNAL", LEAST_NOTES)


def test_a_long_journal_becomes_a_short_one_that_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, clock = tmp_path / "world", ManualClock()
    accepted = long_journal(file, clock)
    long = reopened(file, clock)
    open_one = proposal(long)
    before = state(long)
    long.close()
    assert lines_of(file) > SWAPS

    monkeypatch.setattr(world_module, "SHORT_JOURNAL", LEAST_NOTES)
    world = reopened(file, clock)
    after = state(world)
    # Gone are the accepted proposals that expired; everything else is there.
    gone = [note for note in before if note not in after]
    assert [note for note in before if note in after] == after
    assert {note["op"] for note in gone} == {"accepted"}
    assert len(gone) == SWAPS - 1
    assert lines_of(file) == len(after) < SWAPS // 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert world.chain.imbalance() == {}
    with pytest.raises(WrongArgument, match="accepted before"):
        accept(world, accepted[-1])
    with pytest.raises(WrongArgument, match="expired"):
        accept(world, accepted[0])
    accept(world, open_one)
    world.close()
    again = reopened(file, clock)
    assert len(state(again)) == len(after) + 1
    again.close()


@pytest.mark.usefixtures("short")
def test_a_journal_is_shortened_while_the_world_runs_too(tmp_path: Path) -> None:
    file, clock = tmp_path / "world", ManualClock()
    world = made(clock, file)
    longest = 0
    for number in range(10 * SWAPS):
        accept(world, proposal(world, number + 1))
        longest = max(longest, lines_of(file))
        clock.advance(PROPOSAL_LIFETIME_MS)
    assert longest < 2 * SWAPS
    before = state(world)
    world.close()
    again = reopened(file, clock)
    still_good = [note for note in before if note.get("expires_at_ms", clock.now_ms()) >= clock.now_ms()]
    assert [note for note in state(again) if note in still_good] == still_good
    assert again.chain.imbalance() == {}
    again.close()


def test_a_kill_at_any_line_loses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "world"
    long_journal(file, ManualClock(), 10)
    whole = reopened(file)
    for _ in range(100):
        whole.chain.mint(whole.wallets["alice"].address, Funds(LTHN, 1))
    before = state(whole)
    whole.close()
    command = [sys.executable, "-m", "tests.wallet_sim.killed_shortening", str(file), str(tmp_path / "copies")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed = int(done.stdout) - 1
    assert killed > 20
    lengths = set()
    for line in range(1, killed + 2):
        copy = tmp_path / "copies" / str(line) / "world"
        lengths.add(lines_of(copy))
        world = reopened(copy)
        assert state(world) == before, f"killed at line {line}"
        accept(world, proposal(world))
        world.close()
    assert lengths == {lines_of(file), len(before)}  # some died before the new file took the place, and some after


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("function", ["os.fsync", "pathlib.Path.replace", "crossbook.private_files._sync"])
def test_a_journal_that_can_not_be_replaced_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    file, clock = tmp_path / "world", ManualClock()
    long_journal(file, clock, 12)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(function, full)
        world = reopened(file, clock)
    accept(world, proposal(world))  # it goes on, in the file that stands there
    before = state(world)
    with pytest.raises(JournalError, match="in use"):
        Journal(file)
    world.close()
    again = reopened(file, clock)
    assert state(again) == before
    again.close()


def test_who_opened_the_file_before_it_was_replaced_does_not_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "world"
    first = Journal(file)
    flock = fcntl.flock

    def late(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        first.replace([{"op": "alias", "alias": "a", "address": "b"}])
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(JournalError, match="in use"):
        Journal(file)
    first.write({"op": "alias", "alias": "c", "address": "d"})
    assert lines_of(file) == 2
    first.close()


def test_who_lost_the_file_writes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "world"
    journal = Journal(file)
    acts: list[Callable[[], None]] = [lambda: journal.replace([]), lambda: journal.write({"op": "alias"})]

    def taken(file: Path) -> int:
        raise JournalError(f"{file} is in use by another process")

    monkeypatch.setattr(journal_module, "_locked", taken)
    for act in acts:
        with pytest.raises(JournalError, match="in use"):
            act()
    journal.close()


@pytest.mark.usefixtures("short")
def test_what_a_newer_program_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    file, clock = tmp_path / "world", ManualClock()
    long_journal(file, clock, 12)
    with file.open("a") as stream:
        stream.write(json.dumps({"op": "of the future"}) + "\n")
    before = file.read_bytes()
    world = reopened(file, clock)
    accept(world, proposal(world))
    world.close()
    assert file.read_bytes().startswith(before)


def test_old_swaps_that_do_not_say_when_they_expired_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, clock = tmp_path / "world", ManualClock()
    accepted = long_journal(file, clock, 30)
    notes = [json.loads(line) for line in file.read_text().splitlines()]
    for note in notes:
        note.pop("expires_at_ms", None)
    notes += [note for note in notes if note["op"] == "mint"] * 60
    file.write_text("".join(json.dumps(note) + "\n" for note in notes))
    monkeypatch.setattr(world_module, "SHORT_JOURNAL", LEAST_NOTES)
    world = reopened(file, clock)
    assert lines_of(file) < len(notes) // 2
    for text in accepted:
        with pytest.raises(WrongArgument, match="accepted before"):
            accept(world, text)
    world.close()
