"""Files that only their owner may read: written whole or not at all."""

import os
from contextlib import suppress
from pathlib import Path

from crossbook.domain.errors import CrossbookError


class DataFolderError(CrossbookError):
    """The data folder can not be used; the message says what to do."""


def make_folder(folder: Path) -> None:
    """Make a folder for its owner alone, unless it exists; the modes of existing folders stay as they are.

    Raises DataFolderError.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DataFolderError(f"can not make the folder {folder}: {error.strerror}") from error


def read(file: Path) -> str | None:
    """The text of a file, None when there is none. Raises DataFolderError."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderError(f"can not read {file}: {error}") from error


def write(file: Path, text: str) -> None:
    """Put `text` in the place of a file's content, at once and durably, mode 0600. Raises DataFolderError."""
    new = file.with_name(f".{file.name}.new")
    try:
        with suppress(FileNotFoundError):
            new.unlink()
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
        _sync(file.parent)
    except OSError as error:
        raise DataFolderError(f"can not write {file}: {error.strerror}") from error


def _sync(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
