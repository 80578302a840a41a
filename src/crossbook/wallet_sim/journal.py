"""The file in which a simulated chain and its wallets outlive their process: one note a line, only appended.

The file holds secret keys of wallets, so only its owner may read it.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crossbook.domain.errors import CrossbookError
from crossbook.wallet_sim.chain import Note


class JournalError(CrossbookError):
    """The file can not be used; the message says why."""


class Journal:
    """Reads the notes of a file, then appends to it; not `durable`, a note may be lost with the power.

    Raises JournalError.
    """

    def __init__(self, file: Path, durable: bool = True) -> None:
        self._file = file
        self._durable = durable
        try:
            self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise JournalError(f"can not open {file}: {error.strerror}") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until it is closed, or the process ends
        except OSError as error:
            os.close(self._handle)
            raise JournalError(f"{file} is in use by another process") from error

    def notes(self) -> Iterator[dict[str, Any]]:
        """What was written before. A line that was cut off by a crash did not happen, and is taken away."""
        text = self._file.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(self._handle, whole)
        for number, line in enumerate(text[:whole].splitlines(), start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                self.close()
                raise JournalError(f"{self._file} is damaged in line {number}") from error

    def write(self, note: Note) -> None:
        """Append a note. Raises JournalError, and then the note did not happen."""
        line = json.dumps(dict(note), separators=(",", ":")).encode() + b"\n"
        before = os.fstat(self._handle).st_size
        try:
            if os.write(self._handle, line) != len(line):
                raise OSError(0, "the line was cut off")
            if self._durable:
                os.fsync(self._handle)
        except OSError as error:
            os.truncate(self._handle, before)
            raise JournalError(f"can not write {self._file}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)
