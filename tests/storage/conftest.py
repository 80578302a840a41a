"""A real PostgreSQL for the tests of storage: one server per run, a fresh database per test.

TEST_DATABASE_URL names another server, on which the tests may create databases.
"""

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from crossbook.storage.database import Database
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.migrate import migrate

_NUMBERS = itertools.count(1)


def _statement(server_url: str, statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(server_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def database_of(server_url: str, name: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


class Server:
    """Makes and drops databases. Their names carry our process id, so that two runs do not meet."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create(self, template: str = "template1") -> str:
        name = f"crossbook_test_{os.getpid()}_{next(_NUMBERS)}"
        _statement(self.url, f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        _statement(self.url, f"DROP DATABASE {name} WITH (FORCE)")

    def address(self, name: str) -> str:
        return database_of(self.url, name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield Server(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="crossbook-test-"))
    postgres = EmbeddedPostgres(folder / "data")
    try:
        yield Server(postgres.start())
    finally:
        postgres.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[str]:
    """A database with the whole schema, to copy."""

    async def fill(url: str) -> None:
        database = await Database.connect(url)
        await migrate(database)
        await database.close()

    name = server.create()
    asyncio.run(fill(server.address(name)))
    yield name
    server.drop(name)


@pytest.fixture
def empty_url(server: Server) -> Iterator[str]:
    """The address of a database with nothing in it."""
    name = server.create()
    yield server.address(name)
    server.drop(name)


@pytest.fixture
def database_url(server: Server, template: str) -> Iterator[str]:
    """The address of a fresh database with the whole schema."""
    name = server.create(template)
    yield server.address(name)
    server.drop(name)


@pytest.fixture(scope="module")
def module_url(server: Server, template: str) -> Iterator[str]:
    """As `database_url`, one for all tests of a module, which must leave no trace in it."""
    name = server.create(template)
    yield server.address(name)
    server.drop(name)
