"""What every stream does, whatever carries it: the contract of the port, on each adapter."""

import asyncio

import pytest

from crossbook.streams.entries import MAX_SEQUENCE, Entry
from crossbook.streams.port import AppendResult, Stream, StreamFull, StreamGap, StreamTrimmed, StreamUnavailable
from tests.streams.adapters import Place, entries, read_all, run

LONG_MS = 60_000  # longer than the deadline: a wait that is not ended by what it waits for is a failure


# -- Appending ---------------------------------------------------------------------------------------
def test_a_new_stream_has_nothing(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.last_sequence(place.market) == 0
            assert await stream.first_sequence(place.market) == 1
            assert await stream.read(place.market, 0, 10) == []
            assert await stream.trim(place.market, 5) == 0

    run(scene())


def test_what_is_appended_is_read_in_order(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.append(place.market, entries(1, 3)) == AppendResult(3, 0)
            assert await stream.append(place.market, entries(4, 5)) == AppendResult(2, 0)
            assert await stream.last_sequence(place.market) == 5
            assert await stream.first_sequence(place.market) == 1
            assert await read_all(stream, place.market) == entries(1, 5)

    run(scene())


def test_any_bytes_are_carried(place: Place) -> None:
    payloads = [b"", bytes(range(256)), b"\r\n$-1\r\n", b"x" * 100_000]

    async def scene() -> None:
        async with place.stream() as stream:
            sent = list(enumerate(payloads, start=1))
            await stream.append(place.market, sent)
            assert await read_all(stream, place.market) == sent

    run(scene())


def test_a_payload_is_what_it_was_when_it_was_appended(place: Place) -> None:
    async def scene() -> None:
        payload = bytearray(b"before")
        async with place.stream() as stream:
            await stream.append(place.market, [(1, payload)])  # type: ignore[list-item]
            payload[:] = b"after!"
            assert await read_all(stream, place.market) == [(1, b"before")]

    run(scene())


def test_nothing_appended_is_nothing_done(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.append(place.market, []) == AppendResult(0, 0)
            assert await stream.last_sequence(place.market) == 0

    run(scene())


@pytest.mark.parametrize(
    ("first", "last", "result"),
    [(1, 5, AppendResult(0, 5)), (5, 5, AppendResult(0, 1)), (3, 7, AppendResult(2, 3)), (6, 7, AppendResult(2, 0))],
)
def test_a_duplicate_is_counted_and_changes_nothing(place: Place, first: int, last: int, result: AppendResult) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 5))
            again = [(sequence, b"other" if sequence <= 5 else payload) for sequence, payload in entries(first, last)]
            assert await stream.append(place.market, again) == result
            assert await read_all(stream, place.market) == entries(1, max(5, last))

    run(scene())


@pytest.mark.parametrize(("held", "first", "missing"), [(5, 7, (6, 6)), (5, 1000, (6, 999)), (0, 2, (1, 1))])
def test_a_gap_is_refused_and_says_what_is_missing(
    place: Place, held: int, first: int, missing: tuple[int, int]
) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, held))
            with pytest.raises(StreamGap) as caught:
                await stream.append(place.market, entries(first, first + 2))
            assert (caught.value.first_missing, caught.value.last_missing) == missing
            assert await read_all(stream, place.market) == entries(1, held)

    run(scene())


@pytest.mark.parametrize("sequences", [[1, 3], [2, 1], [1, 1], [0, 1], [-1], [MAX_SEQUENCE, MAX_SEQUENCE + 1]])
def test_sequences_that_do_not_rise_by_one_are_refused(place: Place, sequences: list[int]) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            with pytest.raises(ValueError, match="sequence"):
                await stream.append(place.market, [(sequence, b"") for sequence in sequences])
            assert await stream.last_sequence(place.market) == 0

    run(scene())


def test_a_long_append_is_one_append(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.append(place.market, entries(1, 700)) == AppendResult(700, 0)
            assert await stream.append(place.market, entries(301, 1300)) == AppendResult(600, 400)
            assert await read_all(stream, place.market) == entries(1, 1300)

    run(scene())


def test_the_highest_sequences_are_exact(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.start_after(place.market, MAX_SEQUENCE - 3)
            last = entries(MAX_SEQUENCE - 2, MAX_SEQUENCE)
            await stream.append(place.market, last)
            assert await stream.last_sequence(place.market) == MAX_SEQUENCE
            assert await stream.first_sequence(place.market) == MAX_SEQUENCE - 2
            assert await read_all(stream, place.market, MAX_SEQUENCE - 3) == last

    run(scene())


def test_markets_do_not_meet(place: Place) -> None:
    other = f"{place.market}-OTHER"

    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 3))
            await stream.append(other, entries(1, 1))
            await stream.clear(place.market)
            assert await read_all(stream, other) == entries(1, 1)
            await stream.clear(other)

    run(scene())


def test_two_writers_at_once_make_one_stream(place: Place) -> None:
    """Both write everything, in batches of other sizes: each entry is new once."""

    async def write(stream: Stream, size: int) -> int:
        results = [
            await stream.append(place.market, entries(first, min(first + size - 1, 400)))
            for first in range(1, 401, size)
        ]
        assert sum(map(sum, results)) == 400
        return sum(result.appended for result in results)

    async def scene() -> None:
        async with place.streams(2) as (one, other):
            appended = await asyncio.gather(write(one, 7), write(other, 11))
            assert sum(appended) == 400
            assert await read_all(one, place.market) == entries(1, 400)

    run(scene())


def test_a_full_stream_takes_what_it_can_and_refuses_the_rest(place: Place) -> None:
    async def scene() -> None:
        async with place.stream(max_length=5) as stream:
            await stream.append(place.market, entries(1, 3))
            with pytest.raises(StreamFull) as caught:
                await stream.append(place.market, entries(2, 9))
            assert isinstance(caught.value, StreamUnavailable)
            assert caught.value.last_sequence == 5
            with pytest.raises(StreamFull):
                await stream.append(place.market, entries(6, 6))
            assert await stream.append(place.market, entries(4, 5)) == AppendResult(0, 2)
            assert await read_all(stream, place.market) == entries(1, 5)
            await stream.trim(place.market, 4)
            assert await stream.append(place.market, entries(6, 9)) == AppendResult(4, 0)

    run(scene())


def test_a_stream_without_room_is_refused(place: Place) -> None:
    with pytest.raises(ValueError, match="max_length 0"):
        place.open(max_length=0)


# -- Reading -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("after", "limit", "expected"),
    [(0, 2, (1, 2)), (1, 2, (2, 3)), (3, 9, (4, 5)), (5, 9, None), (900, 9, None)],
)
def test_a_read_goes_on_after_a_sequence(
    place: Place, after: int, limit: int, expected: tuple[int, int] | None
) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 5))
            found = await stream.read(place.market, after, limit)
            assert found == (entries(*expected) if expected else [])

    run(scene())


@pytest.mark.parametrize("terms", [(-1, 1, 0), (0, 0, 0), (0, 1, -1), (MAX_SEQUENCE + 1, 1, 0)])
def test_a_read_without_sense_is_refused(place: Place, terms: tuple[int, int, int]) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            with pytest.raises(ValueError, match=r"limit|sequence|block_ms"):
                await stream.read(place.market, *terms)

    run(scene())


def test_reading_again_gives_the_same_again(place: Place) -> None:
    async def scene() -> None:
        async with place.streams(2) as (one, other):
            await one.append(place.market, entries(1, 5))
            assert [await read_all(reader, place.market) for reader in (one, other, one)] == [entries(1, 5)] * 3

    run(scene())


def test_a_read_waits_for_the_first_entry(place: Place) -> None:
    async def scene() -> None:
        async with place.streams(2) as (writer, reader):
            waiting = asyncio.create_task(reader.read(place.market, 0, 10, LONG_MS))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await writer.append(place.market, entries(1, 2))
            while not (found := await waiting):  # it may end early with nothing
                waiting = asyncio.create_task(reader.read(place.market, 0, 10, LONG_MS))
            assert found in (entries(1, 1), entries(1, 2))

    run(scene())


def test_every_waiting_reader_is_served(place: Place) -> None:
    async def read_until(stream: Stream, last: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < last:
            found += await stream.read(place.market, len(found), 3, LONG_MS)
        return found

    async def scene() -> None:
        async with place.streams(4) as (writer, *readers):
            waiting = [asyncio.create_task(read_until(reader, 20)) for reader in readers]
            for sequence in range(1, 21):
                await writer.append(place.market, entries(sequence, sequence))
            assert await asyncio.gather(*waiting) == [entries(1, 20)] * 3

    run(scene())


def test_a_wait_for_nothing_ends(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.read(place.market, 0, 10, 30) == []

    run(scene())


def test_a_read_that_is_given_up_harms_no_other(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            for _ in range(5):
                waiting = asyncio.create_task(stream.read(place.market, 0, 10, LONG_MS))
                await asyncio.sleep(0.01)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                assert waiting.cancelled()
            await stream.append(place.market, entries(1, 5))
            assert await stream.last_sequence(place.market) == 5
            assert await read_all(stream, place.market) == entries(1, 5)

    run(scene())


@pytest.mark.parametrize("turns", range(12))
def test_a_read_is_cancelled_at_whatever_point_it_is(place: Place, turns: int) -> None:
    """The client of Redis can lose a cancellation that comes while it sends, and would then wait on."""

    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 1))
            waiting = asyncio.create_task(stream.read(place.market, 1, 10, LONG_MS))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
            assert await read_all(stream, place.market) == entries(1, 1)

    run(scene())


def test_a_reader_never_runs_on_the_call_of_the_writer(place: Place) -> None:
    """What the reader does with an entry, a failure too, is nothing to the one who appended."""

    async def scene() -> None:
        async with place.streams(2) as (writer, reader):
            tasks: list[asyncio.Task[object] | None] = []

            async def consume() -> None:
                while not await reader.read(place.market, 0, 1, LONG_MS):
                    pass
                tasks.append(asyncio.current_task())
                raise RuntimeError("the reader failed")

            consumer = asyncio.create_task(consume())
            await asyncio.sleep(0.01)
            assert await writer.append(place.market, entries(1, 1)) == AppendResult(1, 0)
            with pytest.raises(RuntimeError, match="the reader failed"):
                await consumer
            assert tasks == [consumer]

    run(scene())


def test_a_writer_that_never_waits_lets_readers_run(place: Place) -> None:
    async def scene() -> None:
        async with place.streams(2) as (writer, reader):
            found: list[Entry] = []

            async def consume() -> None:
                while True:
                    found.extend(await reader.read(place.market, len(found), 10, LONG_MS))

            consumer = asyncio.create_task(consume())
            sequence = 0
            while not found:
                sequence += 1
                await writer.append(place.market, entries(sequence, sequence))
            consumer.cancel()
            await asyncio.gather(consumer, return_exceptions=True)
            assert found == entries(1, len(found))

    run(scene())


# -- Trimming and emptying ---------------------------------------------------------------------------
def test_a_trimmed_stream_begins_later_and_ends_at_the_same(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 9))
            assert await stream.trim(place.market, 4) == 4
            assert await stream.trim(place.market, 4) == 0
            assert await stream.first_sequence(place.market) == 5
            assert await stream.last_sequence(place.market) == 9
            assert await read_all(stream, place.market, 4) == entries(5, 9)

    run(scene())


@pytest.mark.parametrize("after", [0, 3])
def test_a_reader_that_was_too_slow_is_told(place: Place, after: int) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 9))
            await stream.trim(place.market, 4)
            with pytest.raises(StreamTrimmed) as caught:
                await stream.read(place.market, after, 10)
            assert (caught.value.asked_sequence, caught.value.first_sequence) == (after + 1, 5)

    run(scene())


@pytest.mark.parametrize("up_to", [9, 20])
def test_a_stream_trimmed_to_nothing_goes_on_where_it_was(place: Place, up_to: int) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 9))
            assert await stream.trim(place.market, up_to) == 9
            assert await stream.first_sequence(place.market) == 10
            assert await stream.last_sequence(place.market) == 9
            assert await stream.read(place.market, 9, 10) == []
            with pytest.raises(StreamTrimmed) as caught:
                await stream.read(place.market, 8, 10)
            assert caught.value.first_sequence == 10
            assert await stream.append(place.market, entries(8, 10)) == AppendResult(1, 2)
            assert await read_all(stream, place.market, 9) == entries(10, 10)

    run(scene())


def test_an_emptied_stream_is_new(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            await stream.append(place.market, entries(1, 9))
            await stream.clear(place.market)
            await stream.clear(place.market)
            assert await stream.last_sequence(place.market) == 0
            assert await stream.first_sequence(place.market) == 1
            assert await stream.read(place.market, 5, 10) == []
            with pytest.raises(StreamGap) as caught:
                await stream.append(place.market, entries(10, 12))
            assert (caught.value.first_missing, caught.value.last_missing) == (1, 9)
            await stream.append(place.market, entries(1, 9))
            assert await read_all(stream, place.market) == entries(1, 9)

    run(scene())


def test_a_waiting_reader_outlives_the_emptying_of_its_stream(place: Place) -> None:
    async def scene() -> None:
        async with place.streams(2) as (writer, reader):
            await writer.append(place.market, entries(1, 9))
            waiting = asyncio.create_task(reader.read(place.market, 9, 10, LONG_MS))
            await asyncio.sleep(0.05)
            await writer.clear(place.market)
            for sequence in range(1, 11):
                await writer.append(place.market, entries(sequence, sequence))
            assert (await waiting or await reader.read(place.market, 9, 10)) == entries(10, 10)

    run(scene())


def test_an_emptied_stream_may_begin_in_the_middle(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.start_after(place.market, 500)
            assert await stream.last_sequence(place.market) == 500
            assert await stream.first_sequence(place.market) == 501
            assert await stream.read(place.market, 500, 10) == []
            assert not await stream.start_after(place.market, 600)
            with pytest.raises(StreamGap):
                await stream.append(place.market, entries(502, 502))
            assert await stream.append(place.market, entries(499, 503)) == AppendResult(3, 2)
            assert await read_all(stream, place.market, 500) == entries(501, 503)
            with pytest.raises(StreamTrimmed):
                await stream.read(place.market, 499, 10)

    run(scene())


def test_a_stream_may_begin_at_its_beginning(place: Place) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            assert await stream.start_after(place.market, 0)
            assert await stream.last_sequence(place.market) == 0
            await stream.append(place.market, entries(1, 1))
            assert not await stream.start_after(place.market, 0)
            assert await read_all(stream, place.market) == entries(1, 1)

    run(scene())


@pytest.mark.parametrize("sequence", [-1, MAX_SEQUENCE + 1])
def test_a_position_that_cannot_be_is_refused(place: Place, sequence: int) -> None:
    async def scene() -> None:
        async with place.stream() as stream:
            with pytest.raises(ValueError, match="sequence"):
                await stream.start_after(place.market, sequence)
            with pytest.raises(ValueError, match="sequence"):
                await stream.trim(place.market, sequence)

    run(scene())
