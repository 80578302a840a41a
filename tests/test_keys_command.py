"""The sealing key is rotated under a running venue, and a rotation that is broken off goes on where it was."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from typer.testing import CliRunner

from crossbook.application.api_keys import ApiKeys, IssuedKey
from crossbook.cli import app
from crossbook.security.sealing import Sealer, key_name, new_sealing_key, sealing_key
from crossbook.storage.api_keys import KeyStore
from crossbook.storage.database import Database
from crossbook.system import SystemClock
from tests.dialects.truex.signing import Organization, SigningClient
from tests.storage.conftest import database_url, server, template
from tests.storage.support import using
from tests.storage.test_api_keys import Office
from tests.venue_process import VenueProcess, eventually, without_settings

__all__ = ["database_url", "server", "template"]

OLD, NEW = new_sealing_key(), new_sealing_key()
COUNT = 7


def keys_of(database: Database, *sealing_keys: str) -> ApiKeys:
    return ApiKeys(KeyStore(database), Sealer([sealing_key(text) for text in sealing_keys]), SystemClock())


def issued(url: str, count: int = COUNT) -> list[IssuedKey]:
    """Keys under the old sealing key, the first of them revoked."""

    async def scenario(database: Database) -> list[IssuedKey]:
        user, keys = await Office(database).user("alice"), keys_of(database, OLD)
        made = [await keys.issue(user, ["read"]) for _ in range(count)]
        await keys.revoke(made[0].key.key_id)
        return made

    return using(url, scenario)


def sealed_by(url: str) -> list[str]:
    """The names of the keys that sealed the secrets, by the id of the key that signs."""

    async def scenario(database: Database) -> list[str]:
        async with database.snapshot() as transaction:
            rows = await transaction.rows("SELECT sealed_secret FROM api_keys ORDER BY key_id")
        return [key_name(row["sealed_secret"]) for row in rows]

    return using(url, scenario)


def secrets_under(url: str, sealing_keys: Sequence[str], made: Sequence[IssuedKey]) -> list[str]:
    """The secrets of the keys that are in force, as these sealing keys open them."""

    async def scenario(database: Database) -> list[str]:
        found = [await keys_of(database, *sealing_keys).signing_key(each.key.key_id) for each in made]
        return [key.secret.decode() for key in found if key is not None]

    return using(url, scenario)


def reseal(url: str, *sealing_keys: str, batch: int = 3) -> tuple[int, str]:
    """Exit code and output of the command."""
    env = {"DATABASE_URL": url, "CROSSBOOK_SEALING_KEYS": ",".join(sealing_keys), "COLUMNS": "200"}
    done = CliRunner().invoke(app, ["keys", "reseal", "--batch", str(batch)], env=env)
    return done.exit_code, done.output


def name_of(text: str) -> str:
    return Sealer([sealing_key(text)]).current


def test_every_secret_is_sealed_anew_once(database_url: str) -> None:
    made = issued(database_url)
    code, output = reseal(database_url, NEW, OLD)
    assert (code, output.splitlines()[0]) == (0, f"Sealed anew: {COUNT}.")
    assert sealed_by(database_url) == [name_of(NEW)] * COUNT
    assert secrets_under(database_url, [NEW], made) == [each.secret for each in made[1:]]
    assert reseal(database_url, NEW, OLD)[1].splitlines()[0] == "Sealed anew: 0."
    assert not any(text in output for each in made for text in (each.secret, OLD, NEW))


def test_what_does_not_open_is_told_and_left(database_url: str) -> None:
    made = issued(database_url)
    (other,) = issued_under(database_url, new_sealing_key())
    code, output = reseal(database_url, NEW, OLD)
    assert code == 1
    assert f"Sealed anew: {COUNT}." in output
    missing = next(name for name in sealed_by(database_url) if name != name_of(NEW))
    assert f"1 do not open: the sealing key {missing} is missing" in output
    assert "may go" not in output
    assert secrets_under(database_url, [NEW], made) == [each.secret for each in made[1:]]
    assert other.secret not in output


def issued_under(url: str, text: str) -> list[IssuedKey]:
    """One key of another user, under this sealing key."""

    async def scenario(database: Database) -> list[IssuedKey]:
        return [await keys_of(database, text).issue(await Office(database).user("bob"), ["read"])]

    return using(url, scenario)


def test_a_run_that_is_killed_is_finished_by_the_next(database_url: str) -> None:
    """The command is killed while it waits for a row of its second batch, which somebody holds."""
    made = issued(database_url)

    async def scenario() -> None:
        holder, watcher = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
        try:
            async with holder.transaction():
                fifth = "SELECT key_id FROM api_keys ORDER BY key_id OFFSET 4 LIMIT 1"
                await holder.execute(f"SELECT FROM api_keys WHERE key_id = ({fifth}) FOR UPDATE")
                process = start_reseal(database_url)
                try:
                    await second_batch_waits(watcher, holder.get_server_pid(), process)
                finally:
                    process.kill()
                    process.wait()
        finally:
            await holder.close()
            await watcher.close()

    asyncio.run(scenario())
    assert sealed_by(database_url) == [name_of(NEW)] * 3 + [name_of(OLD)] * (COUNT - 3)
    # All of them open as the venue knows them, and the next run does the rest.
    assert secrets_under(database_url, [NEW, OLD], made) == [each.secret for each in made[1:]]
    assert reseal(database_url, NEW, OLD)[1].splitlines()[0] == f"Sealed anew: {COUNT - 3}."
    assert secrets_under(database_url, [NEW], made) == [each.secret for each in made[1:]]


def start_reseal(url: str) -> "subprocess.Popen[bytes]":
    given = {"DATABASE_URL": url, "CROSSBOOK_SEALING_KEYS": f"{NEW},{OLD}"}
    return subprocess.Popen(
        [sys.executable, "-m", "crossbook.cli", "keys", "reseal", "--batch", "3"],
        env={**without_settings(os.environ), **given},
        stdout=subprocess.DEVNULL,
    )


async def second_batch_waits(
    watcher: "asyncpg.Connection[asyncpg.Record]", holder_pid: int, process: "subprocess.Popen[bytes]"
) -> None:
    """Return when somebody waits for what the holder has locked."""
    async with asyncio.timeout(60):
        while not await watcher.fetchval(
            "SELECT true FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", holder_pid
        ):
            assert process.poll() is None
            await asyncio.sleep(0.02)


def test_a_venue_goes_on_while_its_sealing_key_is_rotated(tmp_path: Path) -> None:
    with VenueProcess(tmp_path / "venue", "--no-bots") as venue:
        user = venue.demo["users"][0]
        entry, file = user["truex"], venue.data / "sealing_key"
        who = Organization(int(user["user_id"]), int(entry["client_id"]), "ALICE", entry["key_id"], entry["secret"])
        client = SigningClient(venue.url, who)
        assert venue.stop() == 0
        old, new = file.read_text().strip(), new_sealing_key()
        file.write_text(f"{new}\n{old}\n")
        venue.start()
        assert client.send("GET", "/api/v1/clients").status_code == 200
        done = venue.command("keys", "reseal")  # beside the running venue
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Sealed anew: 3."), done.stderr
        assert client.send("GET", "/api/v1/clients").status_code == 200
        assert venue.stop() == 0
        file.write_text(f"{new}\n")
        venue.start()
        assert eventually(lambda: client.send("GET", "/api/v1/clients").status_code == 200)
        assert venue.demo["users"][0]["truex"] == entry  # its key is still in force
        client.close()
