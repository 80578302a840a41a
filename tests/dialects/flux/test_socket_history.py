"""What private topics keep: whatever is asked for comes back whole and in order, or is said to be gone."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from crossbook.dialects.flux.socket_history import History, ReplayLimits, Shelf

ROW = st.integers(min_value=0, max_value=40).map(lambda size: Raw(b"1" * size))
STEP = st.tuples(st.integers(min_value=0, max_value=2), st.one_of(st.none(), st.lists(ROW, min_size=1, max_size=3)))
"""A topic, and what it tells; None: it lost its place, and starts anew."""


def size(rows: list[Raw]) -> int:
    return sum(len(bytes(row)) for row in rows)


@given(
    steps=st.lists(STEP, max_size=60),
    topic_bytes=st.integers(min_value=0, max_value=200),
    all_bytes=st.integers(min_value=0, max_value=400),
    message_bytes=st.integers(min_value=1, max_value=100),
)
def test_what_is_replayed_is_what_was_told(
    steps: list[tuple[int, list[Raw] | None]], topic_bytes: int, all_bytes: int, message_bytes: int
) -> None:
    limits = ReplayLimits(topic_bytes=topic_bytes, all_bytes=all_bytes, message_bytes=message_bytes)
    shelf = Shelf(limits)
    topics = [History(shelf) for _ in range(3)]
    told: list[list[tuple[int, list[Raw]]]] = [[], [], []]
    ends = [0, 0, 0]
    for place, rows in steps:
        ends[place] += 1
        if rows is None:
            topics[place].restart(ends[place])
            told[place].clear()
        else:
            topics[place].keep(ends[place], rows)
            told[place].append((ends[place], rows))
        assert shelf.size_bytes <= all_bytes
    kept = 0
    for topic, known, end in zip(topics, told, ends, strict=True):
        assert topic.since(end) == []
        assert topic.since(end + 1) is None
        assert topic.since(topic.floor - 1) is None
        for sequence in range(topic.floor, end):
            messages = topic.since(sequence)
            assert messages is not None
            wanted = [row for number, rows in known if number > sequence for row in rows]
            assert [row for _, rows in messages for row in rows] == wanted
            assert messages[-1][0] == end
            assert all(one < other for (one, _), (other, _) in pairwise(messages))
            assert all(size(rows) <= max(message_bytes, topic_bytes) for _, rows in messages)
        of_topic = sum(size(rows) for number, rows in known if number > topic.floor)
        assert of_topic <= topic_bytes
        kept += of_topic
    assert shelf.size_bytes == kept


def test_the_oldest_of_all_topics_goes_first() -> None:
    shelf = Shelf(ReplayLimits(all_bytes=10))
    quiet, loud = History(shelf), History(shelf)
    quiet.keep(1, [Raw(b"123")])
    for sequence in range(1, 4):
        loud.keep(sequence, [Raw(b"123")])
    assert quiet.since(0) is None
    assert [end for end, _ in loud.since(0) or []] == [3]
    quiet.keep(2, [Raw(b"1")])
    assert quiet.since(1) == [(2, [Raw(b"1")])]
    loud.restart(3)
    assert shelf.size_bytes == 1
