"""Keeps one embedded PostgreSQL: starts it, and takes it down when the program that asked for it is gone.

Run as a script of its own, by `crossbook.storage.embedded`; it imports the standard library only. It
holds one end of a pipe as its standard input, whose other end the venue holds: when the venue closes it,
or dies in whatever way, the server is shut down. Its one argument is a JSON object:

`command`: the server's command line; `uid`, `gid`: whom to run it as, or null for the present user;
`scratch`: a folder to remove when the venue is gone.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from typing import Any, Final

STANDARD_INPUT: Final = 0
FAST_SHUTDOWN_S: Final = 60.0
IMMEDIATE_SHUTDOWN_S: Final = 10.0
PR_SET_PDEATHSIG: Final = 1
KEEP_SCRATCH: Final = b"k"
"""What the venue says before it lets go when it looks after the scratch folder itself."""


def _system_library() -> Any:
    """The C library, for what Python has no name for; None where it can not be had."""
    try:
        import ctypes
    except ImportError:
        return None
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def start(command: list[str], uid: int | None, gid: int | None) -> int:
    """Start the server and return its process id. With `uid` and `gid`, it has no other rights than theirs."""
    # Loaded before the fork: between fork and exec the child does as little as it can.
    library = _system_library()
    child = os.fork()
    if child:
        return child
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STANDARD_INPUT)
        if uid is not None and gid is not None:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        if library is not None:
            # Should this keeper itself be killed, the server still shuts down.
            library.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606
    except BaseException as error:
        os.write(2, f"can not start {command[0]}: {error}\n".encode())
    finally:
        os._exit(127)


def wait_for_either(child: int, wakeup: int) -> tuple[int | None, bytes]:
    """Wait for the venue to let go or for the server to end: its exit code or None, and what the venue said."""
    said = b""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), said
        ready, _, _ = select.select([STANDARD_INPUT, wakeup], [], [])
        if wakeup in ready:
            os.read(wakeup, 512)
        if STANDARD_INPUT in ready:
            heard = os.read(STANDARD_INPUT, 512)
            if not heard:
                return None, said
            said += heard


def ended_within(child: int, seconds: float) -> bool:
    """Whether the server ends in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    return False


def shut_down(child: int) -> int:
    """End the server: a fast shutdown, then an immediate one, which needs recovery at the next start; then force."""
    os.kill(child, signal.SIGINT)
    if ended_within(child, FAST_SHUTDOWN_S):
        return 0
    os.kill(child, signal.SIGQUIT)
    if not ended_within(child, IMMEDIATE_SHUTDOWN_S):
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return 1


def main() -> int:
    """Keep the server until it ends or the venue does. Returns the exit code: 0 after a clean shutdown."""
    order = json.loads(sys.argv[1])
    # A signal to the whole group, such as a service manager's, is for the venue: it tells us by the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wakeup, wakeup_writer = os.pipe()
    os.set_blocking(wakeup_writer, False)
    signal.set_wakeup_fd(wakeup_writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    child = start(order["command"], order["uid"], order["gid"])
    code, said = wait_for_either(child, wakeup)
    if code is None:
        code = shut_down(child)
        if KEEP_SCRATCH not in said:
            shutil.rmtree(order["scratch"], ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
