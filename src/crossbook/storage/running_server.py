"""Where an embedded server that runs in another process can be reached: for commands beside a running venue."""

from pathlib import Path
from urllib.parse import quote

from crossbook.storage.embedded import DATABASE, PORT, ROLE


def address_of_running(data_directory: Path) -> str | None:
    """The address of the server over `data_directory`, as its own file says; None when it says that none runs.

    The file of a server that was killed stays: whether somebody answers, only connecting tells.
    """
    try:
        lines = (data_directory / "cluster" / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return None
    socket = lines[4].strip() if len(lines) > 4 else ""
    if not socket or not Path(socket).is_dir():
        return None
    return f"postgresql://{ROLE}@/{DATABASE}?host={quote(socket, safe='')}&port={PORT}"
