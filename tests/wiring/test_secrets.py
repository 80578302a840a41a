"""The secrets of a venue: those of the settings, else of its folder, made once, for the owner alone."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from crossbook.security.sealing import key_name, new_sealing_key
from crossbook.settings import Settings
from crossbook.venue import VenueError
from crossbook.wiring.secrets import SEALING_FILE, SIGNING_FILE, sealer_of, signing_secret

SECRET = "vK3x9Qp7RtYw2LmN8sDf4GhJ6cBz1AeU5oXi"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_a_secret_is_made_once_and_kept_for_the_owner(settings: Settings) -> None:
    secret = signing_secret(settings)
    assert signing_secret(settings) == secret
    assert (settings.data_dir / SIGNING_FILE).read_text().strip() == secret
    assert mode(settings.data_dir / SIGNING_FILE) == 0o600


def test_what_was_sealed_is_opened_by_the_key_that_was_kept(settings: Settings) -> None:
    sealed = sealer_of(settings).seal("a secret", "its place")
    assert sealer_of(settings).open(sealed, "its place") == "a secret"
    assert mode(settings.data_dir / SEALING_FILE) == 0o600


def test_a_new_key_goes_on_a_line_before_the_old_one(settings: Settings) -> None:
    file = settings.data_dir / SEALING_FILE
    sealed = sealer_of(settings).seal("a secret", "its place")
    file.write_text(f"{new_sealing_key()}\n{file.read_text()}")
    both = sealer_of(settings)
    assert both.open(sealed, "its place") == "a secret"
    assert key_name(both.seal("a secret", "its place")) == both.current != key_name(sealed)


def test_the_settings_have_the_first_word(settings: Settings) -> None:
    given = replace(settings, jwt_secret=SECRET, sealing_keys=(new_sealing_key(),))
    assert signing_secret(given) == SECRET
    sealer_of(given)
    assert list(settings.data_dir.iterdir()) == []


def test_a_damaged_key_is_said_and_left_as_it_is(settings: Settings) -> None:
    file = settings.data_dir / SEALING_FILE
    file.write_text("no key\n")
    with pytest.raises(VenueError, match=r"is damaged: .*put it back from a backup"):
        sealer_of(settings)
    assert file.read_text() == "no key\n"
