"""What no client should send: an error event or a typed exception, and never a changed book.

`process` takes any bytes at all; `apply` any object. Compiled, a dataclass refuses a wrong type when it
is made; interpreted, the codec does. Either way nothing of the call is applied.
"""

import dataclasses
from array import array
from collections.abc import Iterator
from random import Random
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossbook.domain import commands as commands_module
from crossbook.domain.commands import (
    COMMAND_TYPES,
    AdvanceTime,
    Batch,
    CancelAll,
    CancelOrder,
    Command,
    CommandKind,
    SubmitOrder,
)
from crossbook.domain.errors import MalformedCommand, Reason, SequenceError
from crossbook.domain.events import EVENT_TYPES, CommandRejected, Event
from crossbook.domain.orders import MAX_TIME_MS, OrderType, Side
from crossbook.matching import Engine, layout
from crossbook.matching.codec import decode, encode, encode_records
from crossbook.matching.columns import vec
from crossbook.matching.reference import ReferenceEngine

from .flows import START_MS, Flow
from .invariants import Watcher
from .pairs import renumbered, words_of

COMPILED = not str(commands_module.__file__).endswith(".py")
WORD_MIN, WORD_MAX = -(1 << 63), (1 << 63) - 1
FIRST_UNCHANGED_WORD = 4
"""Of a snapshot's content: state, sequence, event count and time stand before it."""
BOOK_AFTER: Final = 300
"""Commands after which the markets here are refused something."""

ODD_WORDS = (0, 1, -1, 2, 3, 255, 1 << 20, 1 << 40, (1 << 53), (1 << 62), WORD_MIN, WORD_MAX, 0x0101010101010101)


def market(seed: int = 4) -> Engine:
    """A market in the middle of its life."""
    engine = Engine()
    for command in Flow(Random(seed).randrange).take(BOOK_AFTER):
        engine.apply(command)
    assert engine.open_orders > 3
    return engine


STORED = market().snapshot()


def record(*words: int) -> bytes:
    """One command record, filled up with zeros."""
    return array("q", [*words, *[0] * (layout.COMMAND_WORDS - len(words))]).tobytes()


def events_of(records: bytes) -> list[Event]:
    """The events in event records."""
    words = vec(array("q", records)) if not COMPILED else encode_words(records)
    return decode(words, len(records) // 8)


def encode_words(records: bytes) -> Any:
    """Event records as a column of the compiled engine."""
    import librt.vecs
    from mypy_extensions import i64

    return librt.vecs.vec[i64](memoryview(records).cast("q"))


def check_refused(engine: Engine, before: bytes, events: list[Event]) -> None:
    """The one event says no, and the book is as it was: only sequence, event count and time may differ."""
    assert [type(event) for event in events] == [CommandRejected]
    assert words_of(engine.snapshot())[FIRST_UNCHANGED_WORD:] == words_of(before)[FIRST_UNCHANGED_WORD:]
    assert engine.state == Engine.restore(before).state


# Records.


@pytest.mark.parametrize("length", [1, 7, 8, 111, 113, 223])
def test_a_buffer_of_another_length_is_refused(length: int) -> None:
    engine = Engine.restore(STORED)
    with pytest.raises(MalformedCommand):
        engine.process(bytes(length))
    assert engine.snapshot() == STORED


def test_a_record_cut_short_anywhere_changes_nothing() -> None:
    engine = Engine.restore(STORED)
    following = engine.last_sequence + 1
    records = record(layout.ADVANCE_TIME, following) + record(layout.CANCEL_ALL, following + 1)
    for length in range(len(records)):
        if length % layout.COMMAND_BYTES:
            with pytest.raises(MalformedCommand):
                engine.process(records[:length])
    assert engine.snapshot() == STORED


def test_no_records_give_no_events() -> None:
    engine = Engine.restore(STORED)
    assert engine.process(b"") == b""
    assert engine.last_sequence == Engine.restore(STORED).last_sequence


@pytest.mark.parametrize("step", [-2, -1, 0, 3, 1 << 40, WORD_MIN, WORD_MAX])
def test_a_wrong_sequence_anywhere_in_a_buffer_changes_nothing(step: int) -> None:
    engine = Engine.restore(STORED)
    following = engine.last_sequence + 1
    wrong = step if abs(step) > 1 << 50 else engine.last_sequence + step
    good = record(layout.ADVANCE_TIME, following, MAX_TIME_MS)
    for records in (record(layout.ADVANCE_TIME, wrong, MAX_TIME_MS), good + record(layout.ADVANCE_TIME, wrong)):
        with pytest.raises(SequenceError):
            engine.process(records)
        assert engine.snapshot() == STORED


@pytest.mark.parametrize("kind", [0, *range(len(CommandKind), 256)])
def test_a_record_of_no_kind_is_refused(kind: int) -> None:
    engine = Engine.restore(STORED)
    events = events_of(engine.process(record(kind, engine.last_sequence + 1, START_MS, 1, 1)))
    check_refused(engine, STORED, events)
    assert events == [CommandRejected(engine.last_sequence, 0, CommandKind.UNKNOWN, 0, 0, Reason.MALFORMED_COMMAND)]


@pytest.mark.parametrize("bit", range(27, 64))
@pytest.mark.parametrize("kind", [layout.SUBMIT, layout.CANCEL_ALL, layout.CONFIGURE])
def test_a_reserved_bit_is_refused(kind: int, bit: int) -> None:
    engine = Engine.restore(STORED)
    head = kind | 1 << bit if bit < 63 else kind + WORD_MIN
    check_refused(engine, STORED, events_of(engine.process(record(head, engine.last_sequence + 1, START_MS))))


def valid_heads() -> set[int]:
    """The terms that an order may have, small fields only."""
    return {
        side
        | kind << layout.TYPE_SHIFT
        | tif << layout.TIF_SHIFT
        | mode << layout.STP_SHIFT
        | source << layout.SOURCE_SHIFT
        for side in (1, 2)
        for kind in range(1, 8)
        for tif in range(1, 6)
        for mode in range(1, 6)
        for source in range(1, 4)
    }


def test_every_combination_of_enumeration_values_is_judged_as_the_table_says() -> None:
    """All 2^14 settings of side, type, time in force, prevention and source, valid or not."""
    valid = valid_heads()
    flags = layout.POST_ONLY | layout.REDUCE_ONLY
    engine = Engine()
    for terms in range(1 << 16):
        if terms & flags:
            continue
        words = (layout.SUBMIT | terms << layout.TERMS_SHIFT, engine.last_sequence + 1, START_MS, 7, 1, 5, 100)
        events = events_of(engine.process(record(*words)))
        malformed = getattr(events[0], "reason", None) is Reason.MALFORMED_COMMAND
        assert malformed == (terms not in valid)
        if engine.open_orders:
            following = engine.last_sequence + 1
            engine.process(record(layout.CANCEL, following, START_MS, 7, 1))


def spoiled_records(random: Random, engine: Engine, command: Command) -> bytes:
    """The records of a command with one or two words replaced; sequences stay right."""
    words = list(encode(command))
    for _ in range(random.randint(1, 2) if words else 0):
        place = random.randrange(len(words))
        if place % layout.COMMAND_WORDS != layout.SEQUENCE:
            words[place] = random.choice((*ODD_WORDS, random.getrandbits(64) + WORD_MIN, words[place] ^ 1 << 8))
    for start in range(0, len(words), layout.COMMAND_WORDS):
        words[start] &= ~layout.CONTINUES
        words[start + layout.SEQUENCE] = engine.last_sequence + 1 + start // layout.COMMAND_WORDS
    return array("q", words).tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_commands_with_random_words_give_events_and_a_sound_market(seed: int) -> None:
    """Whatever a word says, the market answers; what it refuses, it has not done."""
    random = Random(seed)
    engine = market(seed)
    refused = 0
    for command in Flow(random.randrange).take(1_200):
        records = spoiled_records(random, engine, command)
        before = engine.snapshot()
        events = events_of(engine.process(records))
        reasons = {getattr(event, "reason", None) for event in events}
        if len(records) == layout.COMMAND_BYTES and reasons == {Reason.MALFORMED_COMMAND}:
            check_refused(engine, before, events)
            refused += 1
        assert Engine.restore(engine.snapshot()).snapshot() == engine.snapshot()
    assert refused > 100


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_change_nothing_or_are_refused(seed: int) -> None:
    random = Random(seed)
    engine = Engine.restore(STORED)
    for _ in range(500):
        data = bytearray(random.randbytes(random.choice((0, 5, 112, 112, 112, 224, 336, 400))))
        if random.randrange(2):
            for number, start in enumerate(range(0, len(data) - 111, layout.COMMAND_BYTES)):
                data[start + 3] &= 0xFD  # no CONTINUES
                data[start + 8 : start + 16] = (engine.last_sequence + 1 + number).to_bytes(8, "little")
        before = engine.snapshot()
        try:
            events = events_of(engine.process(bytes(data)))
        except (MalformedCommand, SequenceError):
            assert engine.snapshot() == before
            continue
        assert all(isinstance(event, CommandRejected) for event in events)
        assert words_of(engine.snapshot())[FIRST_UNCHANGED_WORD:] == words_of(before)[FIRST_UNCHANGED_WORD:]


@settings(max_examples=150, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.sampled_from(ODD_WORDS), st.integers(WORD_MIN, WORD_MAX)), min_size=14, max_size=14))
def test_any_fourteen_words_are_an_event_or_a_typed_exception(words: list[int]) -> None:
    engine = Engine.restore(STORED)
    data = array("q", words).tobytes()
    with pytest.raises((MalformedCommand, SequenceError)):
        engine.process(data + b"\1")
    words[layout.HEAD] = words[layout.HEAD] & ~layout.CONTINUES
    words[layout.SEQUENCE] = engine.last_sequence + 1
    events_of(engine.process(array("q", words).tobytes()))
    assert Engine.restore(engine.snapshot()).state_hash() == engine.state_hash()


# Commands as objects.

PLAIN = SubmitOrder(1, START_MS, 7, 1, Side.BUY, OrderType.LIMIT, 5, 100)
WRONG_VALUES: Final[tuple[Any, ...]] = (
    None,
    "7",
    7.0,
    1.5,
    b"7",
    [],
    (),
    {},
    object(),
    1 << 63,
    -(1 << 63) - 1,
    1 << 64,
    10**30,
)


def examples() -> list[Command]:
    """One command of every single kind, as a flow makes it."""
    found: dict[type, Command] = {}
    for command in Flow(Random(2).randrange).take(3_000):
        if not isinstance(command, Batch):
            found.setdefault(type(command), command)
    assert set(found) == set(COMMAND_TYPES) - {Batch}
    return list(found.values())


def wrong_commands() -> Iterator[Any]:
    """A way to make each kind of command with a wrong value in each of its fields."""
    for example in renumbered(examples(), 0):
        for field in dataclasses.fields(example):
            for value in WRONG_VALUES:
                if not (isinstance(example, CancelAll) and field.name == "side" and value is None):
                    values = {each.name: getattr(example, each.name) for each in dataclasses.fields(example)}
                    yield type(example), {**values, "sequence": 1, field.name: value}, field.name


def error_of(engine: Engine | ReferenceEngine, kind: Any, values: dict[str, Any]) -> object:
    """The exception that making and applying a command raises, or the reason of the one event; None for neither."""
    try:
        events = engine.apply(kind(**values))
    except (MalformedCommand, TypeError, OverflowError) as error:
        return error
    return events[0].reason if len(events) == 1 and isinstance(events[0], CommandRejected) else None


@pytest.mark.parametrize("engine_type", [Engine, ReferenceEngine])
def test_a_field_that_is_no_word_is_refused(engine_type: type[Engine | ReferenceEngine]) -> None:
    """A number of more than 64 bits where an enumeration belongs may be a rejection; all else is an exception."""
    tried = 0
    for kind, values, name in wrong_commands():
        engine = engine_type()
        before = engine.snapshot()
        error = error_of(engine, kind, values)
        if isinstance(error, Exception):
            assert engine.snapshot() == before
        else:
            assert error is Reason.MALFORMED_COMMAND, f"{kind.__name__} with {name} = {values[name]!r}"
            assert isinstance(values[name], int)
            assert words_of(engine.snapshot())[FIRST_UNCHANGED_WORD:] == words_of(before)[FIRST_UNCHANGED_WORD:]
        tried += 1
    assert tried > 400


@pytest.mark.parametrize("other", [None, 7, "command", object(), (), PLAIN.__class__])
def test_what_is_no_command_is_refused(other: Any) -> None:
    for engine in (Engine(), ReferenceEngine()):
        before = engine.snapshot()
        with pytest.raises((MalformedCommand, TypeError)):
            engine.apply(other)
        assert engine.snapshot() == before


@pytest.mark.parametrize("other", [None, 7, "command", object(), Batch((PLAIN,))])
def test_what_is_no_command_in_a_batch_is_refused_with_the_whole_batch(other: Any) -> None:
    for engine in (Engine(), ReferenceEngine()):
        before = engine.snapshot()
        with pytest.raises((MalformedCommand, TypeError)):
            engine.apply(Batch((PLAIN, other)))
        assert engine.snapshot() == before


def test_a_batch_with_a_wrong_sequence_anywhere_is_refused_whole() -> None:
    for engine in (Engine(), ReferenceEngine()):
        before = engine.snapshot()
        for sequences in ((1, 2), (2, 1), (0, 1), (2, 2)):
            with pytest.raises(SequenceError):
                engine.apply(Batch(tuple(dataclasses.replace(PLAIN, sequence=each) for each in sequences)))
        assert engine.snapshot() == before


def test_fields_are_checked_before_sequences() -> None:
    wrong_kind: Any = CancelOrder
    for engine in (Engine(), ReferenceEngine()):
        with pytest.raises((MalformedCommand, TypeError)):
            engine.apply(wrong_kind(99, START_MS, "7", 1))


@pytest.mark.parametrize("seed", range(3))
def test_refused_commands_leave_the_book_alone(seed: int) -> None:
    """Word by word: only the sequence, the event count and the time move."""
    engine = Engine()
    refused = 0
    for command in Flow(Random(seed).randrange).take(2_000):
        before = engine.snapshot()
        events = engine.apply(command)
        if len(events) == 1 and isinstance(events[0], CommandRejected) and not isinstance(command, Batch):
            check_refused(engine, before, events)
            refused += 1
    assert refused > 500


# The codec.


@pytest.mark.parametrize("seed", range(3))
def test_apply_and_process_give_the_same_events(seed: int) -> None:
    """Every kind of command goes through as records, one by one and in one buffer; every kind of event comes back."""
    commands = Flow(Random(seed).randrange).take(3_000)
    by_object, by_record, at_once = Engine(), Engine(), Engine()
    seen: list[Event] = []
    for command in commands:
        events = by_object.apply(command)
        assert events_of(by_record.process(bytes(memoryview(array("q", encode(command)))))) == events
        seen += events
    everything = b"".join(array("q", encode(command)).tobytes() for command in commands)
    assert events_of(at_once.process(everything)) == seen
    assert by_object.snapshot() == by_record.snapshot() == at_once.snapshot()
    assert {type(event) for event in seen} == set(EVENT_TYPES)


def test_buffers_of_any_size_give_the_same_events() -> None:
    commands = renumbered((each for each in Flow(Random(8).randrange).take(1_500) if not isinstance(each, Batch)), 0)
    records = [array("q", encode(command)).tobytes() for command in commands]
    whole = Engine().process(b"".join(records))
    for size in (2, 16, 64, 999):
        engine = Engine()
        parts = [b"".join(records[start : start + size]) for start in range(0, len(records), size)]
        assert b"".join(map(engine.process, parts)) == whole


def test_the_watcher_agrees_with_what_records_say() -> None:
    """Events that went through records are as complete as those of the dataclass interface."""
    engine, watcher = Engine(), Watcher()
    for command in Flow(Random(3).randrange).take(1_500):
        watcher.see(command, events_of(engine.process(array("q", encode(command)).tobytes())))
        watcher.compare(engine)


def test_time_stands_still_for_malformed_commands() -> None:
    engine = Engine()
    engine.apply(AdvanceTime(1, 50))
    engine.apply(SubmitOrder(2, 99, 0, 1, Side.BUY, OrderType.LIMIT, 5, 100))
    engine.apply(AdvanceTime(3, MAX_TIME_MS + 1))
    assert engine.now_ms == 50
    engine.apply(SubmitOrder(4, 99, 1, 1, Side.BUY, OrderType.LIMIT, 0, 100))
    assert engine.now_ms == 99


def test_a_call_that_begins_inside_a_batch_is_refused_whole() -> None:
    engine = Engine()
    record = bytearray(encode_records(SubmitOrder(1, 5, 7, 1, Side.BUY, OrderType.LIMIT, 5, 100)))
    head = int.from_bytes(record[:8], "little") | layout.CONTINUES
    for sequence in (0, 1):
        record[:16] = head.to_bytes(8, "little") + sequence.to_bytes(8, "little")
        with pytest.raises(SequenceError):
            engine.process(bytes(record))
    assert (engine.last_sequence, engine.open_orders) == (0, 0)
