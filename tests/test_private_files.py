"""Files for the owner alone."""

import os
import stat
from pathlib import Path

import pytest

from crossbook import private_files
from crossbook.private_files import DataFolderError


def test_a_file_is_for_its_owner_alone_whatever_the_mask(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    before = os.umask(0)
    try:
        private_files.write(file, "one")
        private_files.write(file, "two")
    finally:
        os.umask(before)
    assert private_files.read(file) == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_what_a_crash_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".secret.new").write_text("half")
    private_files.write(tmp_path / "secret", "whole")
    assert private_files.read(tmp_path / "secret") == "whole"


def test_a_missing_file_is_none(tmp_path: Path) -> None:
    assert private_files.read(tmp_path / "secret") is None


def test_a_new_folder_is_private_and_an_old_one_stays_as_it_is(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    old.chmod(0o755)
    private_files.make_folder(old)
    private_files.make_folder(old / "new")
    assert stat.S_IMODE(old.stat().st_mode) == 0o755
    assert stat.S_IMODE((old / "new").stat().st_mode) == 0o700


def test_what_can_not_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataFolderError, match="can not make the folder"):
        private_files.make_folder(tmp_path / "file" / "folder")
    with pytest.raises(DataFolderError, match="can not write"):
        private_files.write(tmp_path / "nowhere" / "file", "")
    with pytest.raises(DataFolderError, match="can not read"):
        private_files.read(tmp_path)
