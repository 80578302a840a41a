"""Opens copies of a long journal, each in a process that is killed one line later in the replacing of the file.

`python -m tests.wallet_sim.killed_shortening FILE FOLDER` leaves the copies in FOLDER, the last one of a process that
lived, and prints how many there are.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from crossbook.wallet_sim import world as world_module
from tests.wallet_sim.worlds import reopened

WATCHED = ("journal.py", "private_files.py")
LEAST_NOTES = 10


class Killer:
    """A trace that kills its process at the `line`th line after `Journal.replace` began."""

    def __init__(self, line: int) -> None:
        self._left = line
        self._begun = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        del arg
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        self._begun = self._begun or frame.f_code.co_name == "replace"
        if self._begun and event == "line":
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def lives(file: Path, line: int) -> bool:
    """Open the journal in a process that is to be killed at a line; whether it came to its end."""
    child = os.fork()
    if child == 0:
        world_module.SHORT_JOURNAL = LEAST_NOTES  # type: ignore[misc]
        sys.settrace(Killer(line))
        reopened(file)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)


def main(file: Path, folder: Path) -> None:
    """Kill at every line, one after the other."""
    line = 0
    while True:
        line += 1
        copy = folder / str(line) / "world"
        copy.parent.mkdir(parents=True)
        shutil.copy(file, copy)
        if lives(copy, line):
            break
    print(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
