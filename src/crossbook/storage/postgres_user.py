"""Whom the embedded PostgreSQL runs as, which is never root, and what that user may do."""

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crossbook.storage.errors import EmbeddedServerError

UNPRIVILEGED_USERS: Final = ("crossbook", "nobody")
"""Whom root runs the server as: the first of these that the system has."""


def server_environment() -> dict[str, str]:
    """The server's environment: nothing of ours, above all no PG… variable, decides how it runs."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Identity:
    """Whom the server runs as. `uid` and `gid` are None for the user that runs the venue."""

    name: str
    uid: int | None = None
    gid: int | None = None

    def owns(self, status: os.stat_result) -> bool:
        """Whether a file belongs to this user."""
        return status.st_uid == (os.geteuid() if self.uid is None else self.uid)

    def run(self, command: list[str], *, text: str = "", folders: tuple[int, ...] = ()) -> tuple[int, str]:
        """Run a program to its end as this user; return its exit code and all that it said."""
        try:
            done = subprocess.run(
                command,
                check=False,
                input=text,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                cwd="/",
                env=server_environment(),
                pass_fds=folders,
                start_new_session=True,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
            )
        except OSError as error:
            raise EmbeddedServerError(f"can not run {command[0]} as {self.name}: {error}") from error
        return done.returncode, done.stdout

    def can_use(self, program: Path, file: Path) -> bool:
        """Whether this user may run one and read the other, found by asking the system as that user."""
        if self.uid is None:
            return os.access(program, os.X_OK) and os.access(file, os.R_OK)
        return self.run(["/bin/sh", "-c", 'test -x "$1" && test -r "$2"', "sh", str(program), str(file)])[0] == 0


def _present_user() -> Identity:
    try:
        return Identity(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        raise EmbeddedServerError(
            f"the user id {os.geteuid()} has no name on this system, and PostgreSQL wants one: "
            "add it to /etc/passwd, or set DATABASE_URL to a PostgreSQL server"
        ) from None


def choose_identity(cluster: Path) -> Identity:
    """Whom the server of `cluster` runs as. Raises EmbeddedServerError when there is nobody suitable."""
    if os.geteuid() != 0:
        user = _present_user()
        if cluster.exists() and cluster.stat().st_uid != os.geteuid():
            raise EmbeddedServerError(
                f"{cluster} belongs to user id {cluster.stat().st_uid}: run as that user or as root, "
                "or choose another data directory"
            )
        return user
    if cluster.exists() and cluster.stat().st_uid != 0:
        status = cluster.stat()
        return Identity(f"user {status.st_uid}", status.st_uid, status.st_gid)
    for name in UNPRIVILEGED_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            if entry.pw_uid != 0:
                return Identity(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and there is no user to run it as: "
        "create one (useradd --system crossbook), run as a normal user, or set DATABASE_URL"
    )
