"""A refilled stream is its log: in calm, and with everything that can happen to a stream happening."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import cast

import pytest

from crossbook.streams.entries import Entry
from crossbook.streams.port import Stream, StreamTrimmed, StreamUnavailable
from crossbook.streams.refill import LogGap, Refill, RefillSettings
from tests.streams.adapters import OwnServer, Place, Unreliable, entries, read_all, redis_place, run, until

QUICK = RefillSettings(batch_length=7, idle_ms=1, backoff_first_ms=1, backoff_limit_ms=4)


class LogDown(Exception):
    """The log is out of reach."""


class Log:
    """A log in a list, and where its reader is."""

    def __init__(self, last: int = 0) -> None:
        self.entries = entries(1, last)
        self.forgotten = 0
        self.needed = 1
        self.failures: list[Exception] = []

    def grow(self, number: int) -> None:
        self.entries += entries(len(self.entries) + 1, len(self.entries) + number)

    async def read(self, after_sequence: int, limit: int) -> Sequence[Entry]:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        first = max(after_sequence, self.forgotten)
        return self.entries[first : first + limit]

    async def from_sequence(self) -> int:
        return self.needed


class Consumer:
    """Reads a stream from its own position, which is what it needs of it, and takes no entry twice or too early."""

    def __init__(self, stream: Stream, market: str, log: Log) -> None:
        self.found: list[Entry] = []
        self._stream, self._market, self._log = stream, market, log

    async def run(self, until_sequence: int) -> None:
        while len(self.found) < until_sequence:
            try:
                batch = await self._stream.read(self._market, len(self.found), 5, 20)
            except StreamUnavailable:
                await asyncio.sleep(0.005)
                continue
            assert [sequence for sequence, _ in batch] == [len(self.found) + 1 + n for n in range(len(batch))]
            self.found += batch
            self._log.needed = len(self.found) + 1


def refill_of(place: Place, stream: object, log: Log, **options: object) -> Refill:
    terms: dict[str, object] = {"sleep": asyncio.sleep, "settings": QUICK, **options}
    return Refill(place.market, cast("Stream", stream), log.read, log.from_sequence, **terms)  # type: ignore[arg-type]


@asynccontextmanager
async def running(*refills: Refill) -> AsyncIterator[None]:
    """Run them meanwhile; they end when they are told to."""
    tasks = [asyncio.create_task(refill.run()) for refill in refills]
    try:
        yield
    finally:
        for refill in refills:
            refill.stop()
        await asyncio.gather(*tasks)


def reached(stream: Stream, market: str, sequence: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return await stream.last_sequence(market) == sequence

    return condition


# -- In calm -----------------------------------------------------------------------------------------
def test_a_new_stream_gets_the_whole_log_in_order(place: Place) -> None:
    async def scene() -> None:
        log = Log(30)
        async with place.stream() as stream:
            refill = refill_of(place, stream, log)
            assert [await refill.step() for _ in range(6)] == [7, 7, 7, 7, 2, 0]
            assert await read_all(stream, place.market) == log.entries
            log.grow(3)
            assert [await refill.step() for _ in range(2)] == [3, 0]
            assert await read_all(stream, place.market) == log.entries
            assert (refill.counters.appended, refill.counters.duplicates) == (33, 0)

    run(scene())


def test_it_goes_on_where_the_stream_ends(place: Place) -> None:
    async def scene() -> None:
        log = Log(30)
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 20))
            await stream.trim(place.market, 15)
            log.needed = 16
            refill = refill_of(place, stream, log)
            assert [await refill.step() for _ in range(3)] == [7, 3, 0]
            assert await read_all(stream, place.market, 15) == entries(16, 30)
            assert refill.counters.appended == 10
            assert refill.counters.replaced == 0

    run(scene())


@pytest.mark.parametrize("trimmed", [0, 30])
def test_a_stream_whose_readers_have_all_is_left_as_it_is(place: Place, trimmed: int) -> None:
    """A log need not reach back to what no reader needs."""

    async def scene() -> None:
        log = Log(30)
        log.needed, log.forgotten = 31, 30
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 30))
            await stream.trim(place.market, trimmed)
            refill = refill_of(place, stream, log)
            assert await refill.step() == 0
            log.grow(2)
            assert await refill.step() == 2
            assert await read_all(stream, place.market, 30) == entries(31, 32)
            assert refill.counters.replaced == 0

    run(scene())


def test_it_runs_until_it_is_stopped_and_follows_the_log(place: Place) -> None:
    async def scene() -> None:
        log = Log(3)
        async with place.stream() as stream:
            async with running(refill_of(place, stream, log)):
                for length in (3, 10, 40):
                    log.grow(length - len(log.entries))
                    await until(reached(stream, place.market, length))
            log.grow(5)
            assert await read_all(stream, place.market) == entries(1, 40)

    run(scene())


def test_stop_cuts_every_pause_short(place: Place) -> None:
    async def forever(seconds: float) -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        log = Log(3)
        async with place.stream() as stream:
            refill = refill_of(place, stream, log, sleep=forever)
            async with running(refill):
                await until(reached(stream, place.market, 3))
            broken = refill_of(place, Unreliable(stream, 0, reliable_percent=0), log, sleep=forever)
            async with running(broken):
                await asyncio.sleep(0.01)
            assert broken.counters.unavailable == 1
            async with running(broken):
                pass  # stopped is stopped

    run(scene())


def test_a_cancelled_run_leaves_nothing_running(place: Place) -> None:
    async def scene() -> None:
        log = Log(3)
        async with place.stream() as stream:
            task = asyncio.create_task(refill_of(place, stream, log).run())
            await until(reached(stream, place.market, 3))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled()
            # A connection that was cut off may still be saying goodbye; a task of the refill would stay.
            await until(only_this_task)

    async def only_this_task() -> bool:
        return len(asyncio.all_tasks()) == 1

    run(scene())


def test_a_sign_that_the_log_grew_ends_the_idle_wait(place: Place) -> None:
    async def scene() -> None:
        log, grown = Log(3), asyncio.Event()

        async def wait_for_log(seconds: float) -> None:
            assert seconds == QUICK.idle_ms / 1000
            await grown.wait()

        async with place.stream() as stream, running(refill_of(place, stream, log, wait_for_log=wait_for_log)):
            await until(reached(stream, place.market, 3))
            log.grow(2)
            grown.set()
            await until(reached(stream, place.market, 5))

    run(scene())


# -- Faults of the stream ----------------------------------------------------------------------------
def test_an_emptied_stream_begins_where_its_readers_need_it(place: Place) -> None:
    async def scene() -> None:
        log = Log(30)
        async with place.stream() as stream:
            refill = refill_of(place, stream, log)
            async with running(refill):
                await until(reached(stream, place.market, 30))
                log.needed = 21
                await stream.clear(place.market)
                await until(reached(stream, place.market, 30))
            assert await stream.first_sequence(place.market) == 21
            assert await read_all(stream, place.market, 20) == entries(21, 30)
            assert refill.counters.started == 2

    run(scene())


@pytest.mark.parametrize("kept", [0, 12])
def test_a_stream_that_lost_its_end_gets_it_again(place: Place, kept: int) -> None:
    """As after a failover to a server that had not seen the last writes."""

    async def scene() -> None:
        log = Log(30)
        async with place.stream() as stream:
            refill = refill_of(place, stream, log)
            while await refill.step():
                pass
            await stream.clear(place.market)
            await stream.append(place.market, entries(1, kept))
            log.grow(1)
            async with running(refill):
                await until(reached(stream, place.market, 31))
            assert await read_all(stream, place.market) == log.entries
            assert refill.counters.gaps == 1

    run(scene())


def test_a_stream_of_another_log_is_replaced(place: Place) -> None:
    """A server outlives the database that its streams were filled from."""

    async def scene(foreign: list[Entry]) -> None:
        log = Log(10)
        async with place.stream() as stream:
            await stream.clear(place.market)
            await stream.append(place.market, foreign)
            refill = refill_of(place, stream, log)
            while await refill.step():
                pass
            assert await read_all(stream, place.market) == log.entries
            assert refill.counters.replaced == 1

    run(scene([(sequence, b"foreign") for sequence in range(1, 6)]))
    run(scene([(sequence, b"foreign") for sequence in range(1, 51)]))


@pytest.mark.parametrize(("first", "last", "needed"), [(21, 30, 11), (1, 10, 21)])
def test_a_stream_that_its_readers_cannot_use_is_replaced(place: Place, first: int, last: int, needed: int) -> None:
    async def scene() -> None:
        log = Log(40)
        log.needed = needed
        async with place.stream() as stream:
            await stream.start_after(place.market, first - 1)
            await stream.append(place.market, entries(first, last))
            refill = refill_of(place, stream, log)
            while await refill.step():
                pass
            assert await stream.first_sequence(place.market) == needed
            assert await read_all(stream, place.market, needed - 1) == entries(needed, 40)
            assert refill.counters.replaced == 1

    run(scene())


@pytest.mark.parametrize("seed", range(3))
def test_an_unreliable_stream_is_filled_all_the_same(place: Place, seed: int) -> None:
    async def scene() -> None:
        log = Log(60)
        async with place.stream() as stream:
            refill = refill_of(place, Unreliable(stream, seed), log)
            async with running(refill):
                await until(reached(stream, place.market, 60))
            assert await read_all(stream, place.market) == log.entries
            assert refill.counters.unavailable > 0

    run(scene())


def test_a_full_stream_is_filled_as_it_is_trimmed(place: Place) -> None:
    async def scene() -> None:
        log = Log(30)
        found: list[Entry] = []
        async with place.stream(max_length=4) as stream:
            refill = refill_of(place, stream, log)
            async with running(refill):
                while len(found) < 30:
                    found += await stream.read(place.market, len(found), 3, 20)
                    log.needed = len(found) + 1
                    await stream.trim(place.market, len(found))
            assert found == log.entries
            assert refill.counters.full > 0
            assert (refill.counters.appended, refill.counters.duplicates) == (30, 0)

    run(scene())


def test_pauses_double_up_to_a_limit_and_begin_again_after_success(place: Place) -> None:
    async def scene() -> None:
        log, pauses, resting = Log(3), list[float](), asyncio.Event()
        log.failures = [LogDown() for _ in range(5)]

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        async def wait_for_log(seconds: float) -> None:
            if resting.is_set():
                await asyncio.Event().wait()
            resting.set()
            log.failures = [LogDown()]

        async with place.stream() as stream:
            refill = refill_of(place, stream, log, sleep=sleep, wait_for_log=wait_for_log, log_errors=(LogDown,))
            async with running(refill):
                await until(lambda: asyncio.sleep(0, len(pauses) == 6))
            assert pauses == [0.001, 0.002, 0.004, 0.004, 0.004, 0.001]
            assert refill.counters.unavailable == 6

    run(scene())


# -- Faults of the log -------------------------------------------------------------------------------
def test_a_log_that_fails_for_a_time_is_asked_again(place: Place) -> None:
    async def scene() -> None:
        log = Log(10)
        log.failures = [LogDown("the database restarts")]
        async with place.stream() as stream:
            async with running(refill_of(place, stream, log, log_errors=(LogDown,))):
                await until(reached(stream, place.market, 10))
            assert await read_all(stream, place.market) == log.entries

    run(scene())


def test_any_other_failure_ends_the_run(place: Place) -> None:
    async def scene() -> None:
        log = Log(10)
        log.failures = [RuntimeError("a fault of the program")]
        async with place.stream() as stream:
            with pytest.raises(RuntimeError, match="a fault of the program"):
                await refill_of(place, stream, log, log_errors=(LogDown,)).run()

    run(scene())


def test_a_failure_of_the_wait_is_not_lost(place: Place) -> None:
    async def broken(seconds: float) -> None:
        raise RuntimeError("the wait failed")

    async def scene() -> None:
        async with place.stream() as stream:
            with pytest.raises(RuntimeError, match="the wait failed"):
                await refill_of(place, stream, Log(), wait_for_log=broken).run()

    run(scene())


def test_a_damaged_log_stops_the_run_and_nothing_of_it_is_carried(place: Place) -> None:
    async def scene() -> None:
        log = Log(10)
        del log.entries[7]
        async with place.stream() as stream:
            with pytest.raises(LogGap) as caught:
                await refill_of(place, stream, log, settings=RefillSettings(batch_length=1)).run()
            assert (caught.value.expected_sequence, caught.value.sequence) == (8, 9)
            assert await read_all(stream, place.market) == entries(1, 7)

    run(scene())


def test_a_log_that_does_not_reach_back_far_enough_stops_the_run(place: Place) -> None:
    async def scene() -> None:
        log = Log(10)
        log.forgotten = 5
        async with place.stream() as stream:
            with pytest.raises(LogGap):
                await refill_of(place, stream, log).run()
            assert await stream.last_sequence(place.market) == 0

    run(scene())


def test_a_hole_inside_a_batch_stops_the_run(place: Place) -> None:
    async def scene() -> None:
        log = Log(6)
        del log.entries[3]
        async with place.stream() as stream:
            with pytest.raises(ValueError, match="sequences rise by one"):
                await refill_of(place, stream, log).run()
            assert await read_all(stream, place.market) == []

    run(scene())


# -- All together ------------------------------------------------------------------------------------
def test_two_refills_at_once_make_one_stream(place: Place) -> None:
    async def scene() -> None:
        log = Log(100)
        async with place.streams(3) as (one, other, reader):
            consumer = Consumer(reader, place.market, log)
            first, second = refill_of(place, one, log), refill_of(place, other, log)
            async with running(first, second):
                await consumer.run(100)
                log.grow(100)
                await consumer.run(200)
            assert consumer.found == log.entries
            assert first.counters.appended + second.counters.appended >= 200

    run(scene())


@pytest.mark.parametrize("seed", range(5))
def test_emptied_at_any_moment_nothing_is_lost_and_nothing_doubled(place: Place, seed: int) -> None:
    random = Random(seed)

    async def disturb(stream: Stream, log: Log) -> None:
        while True:
            await asyncio.sleep(random.random() / 100)
            log.grow(random.randrange(20))
            strike = random.randrange(3)
            if strike == 0:
                await stream.clear(place.market)
            elif strike == 1:
                await stream.trim(place.market, log.needed - 1)

    async def scene() -> None:
        log = Log(20)
        async with place.streams(3) as (writer, reader, disturber):
            consumer = Consumer(reader, place.market, log)
            disturbing = asyncio.create_task(disturb(disturber, log))
            async with running(refill_of(place, writer, log), refill_of(place, Unreliable(writer, seed), log)):
                await consumer.run(400)
                disturbing.cancel()
                await asyncio.gather(disturbing, return_exceptions=True)
                await consumer.run(len(log.entries))
            assert disturbing.cancelled()
            assert consumer.found == log.entries

    run(scene())


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("fault", ["empty", "restart", "stall"])
def test_faults_of_the_server_under_a_running_refill(own_server: OwnServer, protocol: int, fault: str) -> None:
    """FLUSHALL; the process killed and started again with nothing; no answer for longer than the time limit."""
    place = redis_place(own_server.url, protocol)

    async def strike() -> None:
        if fault == "empty":
            own_server.empty()
        elif fault == "restart":
            own_server.kill()
            await asyncio.sleep(0.02)
            own_server.start()
        else:
            own_server.stall()
            await asyncio.sleep(0.2)
            own_server.go_on()

    async def scene() -> None:
        log = Log(50)
        async with place.stream(timeout_ms=100, retries=1) as writer, place.stream(timeout_ms=100) as reader:
            consumer = Consumer(reader, place.market, log)
            async with running(refill_of(place, writer, log)):
                for _ in range(5):
                    consuming = asyncio.create_task(consumer.run(len(log.entries)))
                    log.grow(50)
                    await strike()
                    await consuming
                await consumer.run(len(log.entries))
            assert consumer.found == log.entries

    run(scene())


def test_a_reader_that_lost_its_place_is_served_again_after_it_emptied_the_stream(place: Place) -> None:
    """The way back from StreamTrimmed: say what is needed, empty the stream, and it is refilled from there."""

    async def scene() -> None:
        log = Log(30)
        log.needed = 21
        async with place.stream() as stream:
            async with running(refill_of(place, stream, log)):
                await until(reached(stream, place.market, 30))
                with pytest.raises(StreamTrimmed):
                    await stream.read(place.market, 4, 10)
                consumer = Consumer(stream, place.market, log)
                log.needed = 1
                await stream.clear(place.market)
                await consumer.run(30)
            assert consumer.found == log.entries

    run(scene())
