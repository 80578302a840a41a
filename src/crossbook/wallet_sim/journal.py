"""The file in which a simulated chain and its wallets outlive their process: one note a line.

Notes are appended. A file that has become much longer than what it says is replaced as a whole: at any moment it is
either the long one or the short one, and both say the same. The file holds secret keys of wallets, so only its owner
may read it.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from crossbook import private_files
from crossbook.domain.errors import CrossbookError
from crossbook.private_files import DataFolderError
from crossbook.wallet_sim.chain import Note


class JournalError(CrossbookError):
    """The file can not be used; the message says why."""


class Journal:
    """Reads the notes of a file, then appends to it; not `durable`, a note may be lost with the power.

    `length` is how many notes the file has, once they are read. Raises JournalError.
    """

    def __init__(self, file: Path, durable: bool = True) -> None:
        self.length = 0
        self._file = file
        self._durable = durable
        self._handle = _locked(file)
        self._is_lost = False

    def notes(self) -> Iterator[dict[str, Any]]:
        """What was written before. A line that was cut off by a crash did not happen, and is taken away."""
        text = self._file.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self._handle, whole)
        for number, line in enumerate(text[:whole].splitlines(), start=1):
            try:
                note = json.loads(line)
            except ValueError as error:
                self.close()
                raise JournalError(f"{self._file} is damaged in line {number}") from error
            self.length = number
            yield note

    def write(self, note: Note) -> None:
        """Append a note. Raises JournalError, and then the note did not happen."""
        if self._is_lost:
            raise JournalError(f"{self._file} is in use by another process")
        line = _line(note).encode()
        before = os.fstat(self._handle).st_size
        try:
            if os.write(self._handle, line) != len(line):
                raise OSError(0, "the line was cut off")
            if self._durable:
                os.fsync(self._handle)
        except OSError as error:
            os.truncate(self._handle, before)
            raise JournalError(f"can not write {self._file}: {error.strerror}") from error
        self.length += 1

    def replace(self, notes: Iterable[Note]) -> None:
        """Put these notes in the place of all that were written, at once and durably.

        Raises JournalError when that failed. The file is then as it was before, or the new one; whichever it is, what
        is written next is appended to it.
        """
        lines = [_line(note) for note in notes]
        try:
            private_files.write(self._file, "".join(lines))
        except DataFolderError as error:
            raise JournalError(str(error)) from error
        finally:
            if not _is_at(self._handle, self._file):
                self._go_over(len(lines))

    def _go_over(self, length: int) -> None:
        """Go on with the file that stands under the name now. What is written to the old one would be lost."""
        self._is_lost = True
        handle = _locked(self._file)
        os.close(self._handle)
        self._handle, self.length, self._is_lost = handle, length, False

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


def _line(note: Note) -> str:
    return json.dumps(dict(note), separators=(",", ":")) + "\n"


def _locked(file: Path) -> int:
    """The file, opened for this process alone until it is closed or the process ends. Raises JournalError."""
    try:
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise JournalError(f"can not open {file}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(handle, file):  # somebody who had it has replaced it meanwhile
            raise OSError(0, "replaced")
    except OSError as error:
        os.close(handle)
        raise JournalError(f"{file} is in use by another process") from error
    return handle


def _is_at(handle: int, file: Path) -> bool:
    """Whether what is open is what stands under this name."""
    try:
        return os.path.samestat(os.fstat(handle), file.stat())
    except FileNotFoundError:
        return False
