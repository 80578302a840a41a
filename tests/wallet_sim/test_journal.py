"""A world that is kept: it goes on where it stopped, whatever moment it stopped at."""

import stat
from pathlib import Path

import pytest

from crossbook.wallet_sim.errors import WrongArgument
from crossbook.wallet_sim.journal import Journal, JournalError
from tests.wallet_sim.worlds import ask, holdings, made, proposal


def test_a_world_goes_on_where_it_stopped(tmp_path: Path) -> None:
    file = tmp_path / "world"
    world = made(file=file)
    text, open_one = proposal(world), proposal(world)
    ask(world.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=text)
    before = holdings(world), {name: wallet.keys for name, wallet in world.wallets.items()}
    world.close()

    again = made(file=file)
    assert (holdings(again), {name: wallet.keys for name, wallet in again.wallets.items()}) == before
    with pytest.raises(WrongArgument, match="accepted before"):
        ask(again.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=text)
    ask(again.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=open_one)
    assert again.chain.imbalance() == {}
    again.close()


def test_a_line_that_was_cut_off_did_not_happen(tmp_path: Path) -> None:
    file = tmp_path / "world"
    world = made(file=file)
    whole = file.read_bytes()
    before = holdings(world)
    ask(world.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=proposal(world))
    world.close()
    longer = file.read_bytes()
    for cut in (len(whole), len(whole) + 1, len(longer) - 1):
        file.write_bytes(longer[:cut])
        again = made(file=file)
        assert holdings(again) == before
        ask(again.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=proposal(again))
        again.close()
        after = made(file=file)
        assert holdings(after) == holdings(again) != before
        after.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "world"
    made(file=file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_do_not_write_into_one_file(tmp_path: Path) -> None:
    world = made(file=tmp_path / "world")
    with pytest.raises(JournalError, match="in use"):
        Journal(tmp_path / "world")
    world.close()
    Journal(tmp_path / "world").close()


def test_damage_is_said(tmp_path: Path) -> None:
    file = tmp_path / "world"
    file.write_text('{"op": "alias", "alias": "a", "address": "b"}\n{broken\n')
    with pytest.raises(JournalError, match="line 2"):
        made(file=file)
    with pytest.raises(JournalError, match="can not open"):
        Journal(tmp_path / "none" / "world")


def test_what_can_not_be_written_did_not_happen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made(file=tmp_path / "world")
    before = holdings(world)
    text = proposal(world)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(JournalError, match="No space"):
            ask(world.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=text)
    assert holdings(world) == before
    ask(world.wallets["bob"], "ionic_swap_accept_proposal", hex_raw_proposal=text)
    after = holdings(world)
    world.close()
    again = made(file=tmp_path / "world")
    assert holdings(again) == after
    again.close()
