"""What can happen to a Redis server, done to a real one that belongs to the test."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from crossbook.streams.port import AppendResult, Stream, StreamGap, StreamTrimmed, StreamUnavailable
from tests.streams.adapters import OwnServer, Place, entries, read_all, redis_place, run

LONG_MS = 60_000  # longer than the deadline: a wait that is not ended by what it waits for is a failure


@pytest.fixture(params=["RESP2", "RESP3"])
def own_place(request: pytest.FixtureRequest, own_server: OwnServer) -> Place:
    return redis_place(own_server.url, int(request.param[-1]))


@pytest.fixture
def lasting_server(tmp_path: Path) -> Iterator[OwnServer]:
    """A server that writes everything to its disk."""
    server = OwnServer(tmp_path / "lasting", appendonly="yes", appendfsync="always")
    yield server
    server.close()


# -- What is on the server ---------------------------------------------------------------------------
def test_an_entry_has_its_sequence_as_its_id(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 2))

    run(scene())
    name = f"engine.commands.{own_place.market}"
    with own_server.client() as client:
        assert client.xrange(name) == [(b"1-0", {b"payload": b"payload 1"}), (b"2-0", {b"payload": b"payload 2"})]
        with pytest.raises(ResponseError, match="equal or smaller"):
            client.xadd(name, {"payload": "other"}, id="2-0")


def test_what_others_put_between_is_passed_by(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 2))
            with own_server.client() as client:
                client.xadd(f"engine.commands.{own_place.market}", {"other": "x"}, id="2-7")
            await stream.append(own_place.market, entries(3, 4))
            assert await stream.read(own_place.market, 2, 1) == entries(3, 3)
            assert await read_all(stream, own_place.market) == entries(1, 4)

    run(scene())


def test_a_hole_that_others_made_is_never_jumped(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 6))
            with own_server.client() as client:
                client.xdel(f"engine.commands.{own_place.market}", "4-0")
            assert await stream.read(own_place.market, 0, 10) == entries(1, 3)
            with pytest.raises(StreamTrimmed):
                await stream.read(own_place.market, 3, 10)

    run(scene())


def test_a_slow_reader_that_an_operator_trimmed_past_is_told(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 9))
            assert await stream.read(own_place.market, 0, 2) == entries(1, 2)
            with own_server.client() as client:
                client.xtrim(f"engine.commands.{own_place.market}", maxlen=3, approximate=False)
            with pytest.raises(StreamTrimmed) as caught:
                await stream.read(own_place.market, 2, 2, LONG_MS)
            assert caught.value.first_sequence == 7

    run(scene())


# -- A server that forgets ---------------------------------------------------------------------------
def test_flushall_leaves_a_new_stream(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 9))
            own_server.empty()
            assert await stream.last_sequence(own_place.market) == 0
            assert await stream.read(own_place.market, 9, 10) == []
            with pytest.raises(StreamGap):
                await stream.append(own_place.market, entries(10, 10))
            await stream.append(own_place.market, entries(1, 10))
            assert await stream.read(own_place.market, 9, 10) == entries(10, 10)

    run(scene())


def test_flushall_in_the_middle_of_appends_leaves_no_hole(own_place: Place, own_server: OwnServer) -> None:
    """A long append goes to the server in parts; a part after the loss is refused, as the stream misses the others."""

    async def write(stream: Stream) -> int:
        gaps = 0
        for _ in range(20):
            try:
                await stream.append(own_place.market, entries(1, 2_000))
            except StreamGap:
                gaps += 1
        return gaps

    async def scene() -> None:
        async with own_place.streams(2) as (writer, reader):
            writing = asyncio.create_task(write(writer))
            while not writing.done():
                await asyncio.to_thread(own_server.empty)
            await writing
            assert await read_all(reader, own_place.market) == entries(1, await reader.last_sequence(own_place.market))

    run(scene())


def test_scripts_that_the_server_forgot_are_sent_again(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 1))
            with own_server.client() as client:
                client.script_flush()
            assert await stream.append(own_place.market, entries(1, 2)) == AppendResult(1, 1)

    run(scene())


# -- A server that dies ------------------------------------------------------------------------------
async def assert_unavailable(stream: Stream, market: str) -> None:
    """Every call says the same when the server does not answer, or refuses."""
    for call in (
        stream.append(market, entries(1, 1)),
        stream.append(market, entries(1, 2_000)),
        stream.read(market, 0, 10),
        stream.read(market, 0, 10, 5),
        stream.first_sequence(market),
        stream.last_sequence(market),
        stream.start_after(market, 5),
        stream.trim(market, 1),
        stream.clear(market),
    ):
        with pytest.raises(StreamUnavailable):
            await call


def test_a_killed_server_that_kept_nothing_comes_back_empty(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream(retries=1, backoff_limit_ms=5) as stream:
            await stream.append(own_place.market, entries(1, 9))
            own_server.kill()
            await assert_unavailable(stream, own_place.market)
            own_server.start()
            assert await stream.last_sequence(own_place.market) == 0
            assert await stream.append(own_place.market, entries(1, 9)) == AppendResult(9, 0)

    run(scene())


def test_a_killed_server_that_writes_to_disk_comes_back_with_all(lasting_server: OwnServer) -> None:
    place = redis_place(lasting_server.url, 3)

    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 9))
            await stream.trim(place.market, 4)
            lasting_server.kill()
            lasting_server.start()
            assert await stream.append(place.market, entries(8, 10)) == AppendResult(1, 2)
            assert await read_all(stream, place.market, 4) == entries(5, 10)

    run(scene())


def test_a_reader_that_waits_is_told_that_the_server_died(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream(retries=1, backoff_limit_ms=5) as stream:
            waiting = asyncio.create_task(stream.read(own_place.market, 0, 10, LONG_MS))
            await asyncio.sleep(0.05)
            own_server.kill()
            with pytest.raises(StreamUnavailable):
                await waiting

    run(scene())


def test_a_lost_connection_is_opened_again(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.streams(2) as (writer, reader):
            waiting = asyncio.create_task(reader.read(own_place.market, 0, 10, LONG_MS))
            await asyncio.sleep(0.05)
            for sequence in range(1, 4):
                with own_server.client() as client:
                    client.client_kill_filter(_type="normal", skipme=True)
                await writer.append(own_place.market, entries(sequence, sequence))
            assert (await waiting)[:1] == entries(1, 1)
            assert await read_all(reader, own_place.market) == entries(1, 3)

    run(scene())


# -- A server that does not do what it should --------------------------------------------------------
def test_a_silent_server_is_unavailable_after_the_time_limit(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream, own_place.stream(timeout_ms=200) as hasty:
            await stream.append(own_place.market, entries(1, 3))
            own_server.stall()
            try:
                with pytest.raises(StreamUnavailable, match=r"no answer in time|Timeout"):
                    await hasty.append(own_place.market, entries(4, 6))
                with pytest.raises(StreamUnavailable):
                    await hasty.read(own_place.market, 3, 10, 10)
            finally:
                own_server.go_on()
            # Whether the first try got there is not known, and makes no difference.
            assert sum(await stream.append(own_place.market, entries(4, 6))) == 3
            assert await read_all(stream, own_place.market) == entries(1, 6)

    run(scene())


def test_a_read_may_wait_longer_than_the_time_limit(own_server: OwnServer) -> None:
    place = redis_place(own_server.url, 3)

    async def scene() -> None:
        async with place.stream(timeout_ms=1_000) as stream:
            assert await stream.read(place.market, 0, 10, 1_100) == []

    run(scene())


def test_a_server_without_memory_is_unavailable(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 3))
            with own_server.client() as client:
                client.config_set("maxmemory", "1")
                with pytest.raises(StreamUnavailable, match="memory"):
                    await stream.append(own_place.market, entries(4, 4))
                assert await read_all(stream, own_place.market) == entries(1, 3)
                client.config_set("maxmemory", "0")
            await stream.append(own_place.market, entries(4, 4))

    run(scene())


def test_a_server_that_became_a_replica_is_unavailable_to_writers(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        async with own_place.stream() as stream:
            await stream.append(own_place.market, entries(1, 3))
            with own_server.client() as client:
                client.replicaof("127.0.0.1", "1")
                with pytest.raises(StreamUnavailable):
                    await stream.append(own_place.market, entries(4, 4))
                client.replicaof("NO", "ONE")
            await stream.append(own_place.market, entries(4, 4))
            assert await read_all(stream, own_place.market) == entries(1, 4)

    run(scene())


def test_a_key_that_is_no_stream_is_unavailable(own_place: Place, own_server: OwnServer) -> None:
    async def scene() -> None:
        with own_server.client() as client:
            client.set(f"engine.commands.{own_place.market}", "something else")
        async with own_place.stream() as stream:
            with pytest.raises(StreamUnavailable, match="wrong kind"):
                await stream.append(own_place.market, entries(1, 1))
            with pytest.raises(StreamUnavailable, match="wrong kind"):
                await stream.read(own_place.market, 0, 1)
            await stream.clear(own_place.market)
            await stream.append(own_place.market, entries(1, 1))

    run(scene())
