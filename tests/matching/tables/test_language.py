"""The book tables can fail: a wrong expectation is a mismatch, a line that can not be read names file and line."""

from typing import Any
from zlib import crc32

import pytest

from crossbook.domain.events import CommandRejected

from .language import Case, read_text
from .runner import Mismatch, run_case
from .test_tables import ENGINES, engine_class
from .words import TableError

RIGHT = """\
== A sell trades with the first buy.
before
    1:5@alice 2:5@bob | 100 |
    buy 1 stop 120 dave id 3
do
    sell 6 at 100 carol id 11 ioc
events
    accepted 11
    trade 5 at 100 maker 1 taker 11 left 0 / 1
    trade 1 at 100 maker 2 taker 11 left 4 / 0
after
    2:4@bob | 100 |
    last >= 120 | 3:1@dave
    position alice 5
    state active
    order 2 filled 1
    indicative 0 volume 0 imbalance 0
"""

# What is written, and what is made of it: each must fail.
WRONG = [
    ("trade 5 at 100", "trade 4 at 100"),
    ("trade 5 at 100", "trade 5 at 101"),
    ("maker 1 taker 11", "maker 2 taker 11"),
    ("left 0 / 1", "left 0 / 2"),
    ("    accepted 11\n", ""),
    ("    accepted 11\n", "    accepted 11\n    accepted 11\n"),
    ("    accepted 11\n", "    accepted 12\n"),
    ("    accepted 11\n", "    rejected 11 INVALID_PRICE\n"),
    ("left 4 / 0\n", "left 4 / 0\n    expired 11 open 0 IOC_UNFILLED\n"),
    ("    2:4@bob | 100 |\n", "    2:5@bob | 100 |\n"),
    ("    2:4@bob | 100 |\n", "    2:4@alice | 100 |\n"),
    ("    2:4@bob | 100 |\n", "    2:4@bob | 101 |\n"),
    ("    2:4@bob | 100 |\n", "    | 100 | 2:4@bob\n"),
    ("    2:4@bob | 100 |\n", "    2:4/4@bob | 100 |\n"),
    ("    2:4@bob | 100 |\n", "    2:4@bob 5:1@bob | 100 |\n"),
    ("    2:4@bob | 100 |\n", "    empty\n"),
    ("    2:4@bob | 100 |\n    last >= 120 | 3:1@dave\n", "    same\n"),
    ("    last >= 120 | 3:1@dave\n", ""),
    ("    last >= 120 | 3:1@dave\n", "    last <= 120 | 3:1@dave\n"),
    ("    last >= 120 | 3:1@dave\n", "    mark >= 120 | 3:1@dave\n"),
    ("    last >= 120 | 3:1@dave\n", "    last >= 119 | 3:1@dave\n"),
    ("position alice 5", "position alice 4"),
    ("state active", "state paused"),
    ("order 2 filled 1", "order 2 filled 2"),
    ("indicative 0 volume 0", "indicative 100 volume 0"),
]


def _only_case(text: str) -> Case:
    (case,) = read_text(text, "wrong.book")
    return case


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return engine_class(request.param)


def test_a_right_expectation_holds(engine: Any) -> None:
    hashes = run_case(_only_case(RIGHT), engine)
    assert len(hashes) == len(set(hashes)) == 4


@pytest.mark.parametrize(("written", "wrong"), WRONG)
def test_a_wrong_expectation_fails(engine: Any, written: str, wrong: str) -> None:
    assert RIGHT.count(written) == 1
    with pytest.raises(Mismatch, match=r"wrong\.book:\d+: A sell trades with the first buy"):
        run_case(_only_case(RIGHT.replace(written, wrong)), engine)


def test_the_order_of_events_matters(engine: Any) -> None:
    lines = RIGHT.splitlines()
    lines[8], lines[9] = lines[9], lines[8]
    with pytest.raises(Mismatch, match=r"wrong\.book:7: (?s:.)*events differ"):
        run_case(_only_case("\n".join(lines)), engine)


def test_the_order_of_a_queue_matters(engine: Any) -> None:
    text = (
        "== Q\nbefore\n1:5@bob | 100 |\ndo\nbuy 2 at 100 bob id 2\nevents\naccepted 2\nrested 2 buy 100 open 2\nafter\n"
    )
    run_case(_only_case(text + "1:5@bob 2:2@bob | 100 |"), engine)
    with pytest.raises(Mismatch, match=r"wrong\.book:9: (?s:.)*2:2@bob 1:5@bob"):
        run_case(_only_case(text + "2:2@bob 1:5@bob | 100 |"), engine)


def test_a_mismatch_shows_expected_and_got_side_by_side(engine: Any) -> None:
    with pytest.raises(Mismatch) as caught:
        run_case(_only_case(RIGHT.replace("left 0 / 1", "left 0 / 2")), engine)
    assert "    - trade 5 at 100 maker 1 taker 11 left 0 / 2\n" in str(caught.value)
    assert "    + trade 5 at 100 maker 1 taker 11 left 0 / 1\n" in str(caught.value)


@pytest.mark.parametrize("line", ["buy 0 at 100 bob id 3", "1:5@bob | 100 | 2:5@carol"])
def test_before_may_neither_be_refused_nor_trade(engine: Any, line: str) -> None:
    text = f"== B\nbefore\n{line}\ndo\nclock 10:00\nevents\nafter\nempty"
    with pytest.raises(Mismatch, match=r"wrong\.book:3:"):
        run_case(_only_case(text), engine)


def _meddler(inner: Any) -> Any:
    """An engine whose reference price changes with every refused command."""

    class Meddler:
        """Stands in front of the engine: a compiled class cannot be inherited from."""

        def __init__(self, engine: Any = None) -> None:
            self.engine = engine or inner()
            self.refusals = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.engine, name)

        @classmethod
        def restore(cls, data: bytes) -> Any:
            return cls(inner.restore(data))

        def apply(self, command: Any) -> Any:
            events = self.engine.apply(command)
            self.refusals += sum(isinstance(event, CommandRejected) for event in events)
            return events

        def snapshot(self) -> bytes:
            framed = bytes(self.engine.snapshot())
            content = bytearray(framed[16:-8])
            content[7 * 8] += self.refusals
            return framed[:16] + bytes(content) + crc32(content).to_bytes(8, "little")

    return Meddler


def test_a_refused_command_that_changes_the_market_fails(engine: Any) -> None:
    text = "== R\ndo\nbuy 0 at 100 alice id 1\nevents\nrejected 1 INVALID_QUANTITY\nafter\nempty"
    run_case(_only_case(text), engine)
    with pytest.raises(Mismatch, match="a refused command changed more than the sequence and the time"):
        run_case(_only_case(text), _meddler(engine))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("buy 5 at 100 alice id 1", "1: a case must start"),
        ("== C\nclock 10:00", "2: expected one of before, do, events, after"),
        ("== C", "1: a case without blocks"),
        ("== C\nbefore\n1:5@bob | 100 |", "1: a case without a do block"),
        ("== C\ndo\nevents\nafter\nempty", "2: a do block without a command"),
        ("== C\ndo\nclock 10:00\nafter\nempty", "2: a do block must be followed by an events block"),
        ("== C\ndo\nclock 10:00\nevents", "1: a case must end with an after block"),
        ("== C\nafter\nempty", "2: expected a do block"),
        ("== C\ndo\nclock 10:00\nevents\nafter", "5: after: exactly one"),
        ("== C\ndo\nclock 10:00\nevents\nafter\nsame\nempty", "5: after: exactly one"),
        ("== C\ndo\nclock 10:00\nevents\nafter\nsame\nlast >= 1 | 1:1@bob", "5: after: 'same' covers"),
        ("== C\ndo\nclock 10:00\nevents\nafter\nempty\nnonsense", "7: after: not a ladder line"),
        ("== C\ndo\nclock 10:00\nevents\nafter\nempty\nstate closed", "7: unknown state"),
        ("== C\nbefore\n1:5@bob | 100", "3: a ladder line is"),
        ("== C\nbefore\n1:5@bob | x |", "3: not a number"),
        ("== C\nbefore\n| 100 |", "3: a ladder line without an order"),
        ("== C\nbefore\n1-5@bob | 100 |", "3: an order is id:open@account"),
        ("== C\nbefore\n1:5@zoe | 100 |", "3: unknown account"),
        ("== C\nbefore\n1:5@bob | 100 |\n2:5@bob | 101 |", "4: ladder prices must fall"),
        ("== C\nbefore\n2:5@bob 1:5@bob | 100 |", "3: before: ids of a queue must rise"),
        ("== C\ndo\nbye 5 at 100 alice id 1", "3: unknown command"),
        ("== C\ndo\nbuy 5 at 100 zoe id 1", "3: unknown word 'zoe'"),
        ("== C\ndo\nbuy 5 at 100 alice", "3: an order needs its order_id"),
        ("== C\ndo\nbuy 5 at 100 id 1", "3: an order needs its account_id"),
        ("== C\ndo\nbuy 5 alice id 1", "3: no order is of this kind"),
        ("== C\ndo\nbuy 5 at", "3: the line ends too early"),
        ("== C\ndo\nbuy 5 at ten alice id 1", "3: not a number: 'ten'"),
        ("== C\ndo\ncancel 5 alice", "3: expected 'by'"),
        ("== C\ndo\ncancel 5 by alice now", "3: unexpected word 'now'"),
        ("== C\ndo\namend 5 by alice size 3", "3: unknown word 'size'"),
        ("== C\ndo\nmark 5 last 3", "3: unknown word 'last'"),
        ("== C\ndo\nconfigure fee 3", "3: unknown word 'fee'"),
        ("== C\ndo\nbatch\nclock 10:00", "4: batch without end"),
        ("== C\ndo\nbatch\nbatch", "4: a batch inside a batch"),
        ("== C\ndo\nend", "3: end without batch"),
        ("== C\ndo\nclock 10:00\nevents\naccept 5", "5: not an event"),
        ("== C\ndo\nclock 10:00\nevents\ntrade 5 at 100", "5: not an event"),
        ("== C\ndo\nclock 10:00\nevents\nrejected 5 BAD_LUCK", "5: unknown reason BAD_LUCK"),
    ],
)
def test_a_line_that_can_not_be_read_is_named(text: str, place: str) -> None:
    with pytest.raises(TableError) as caught:
        read_text(text, "bad.book")
    assert str(caught.value).startswith(f"bad.book:{place}")


def test_lines_are_counted_with_remarks_and_blanks() -> None:
    with pytest.raises(TableError, match=r"^bad\.book:7: "):
        read_text("# a remark\n\n== C\ndo\n\n    # another\n    nonsense\n", "bad.book")
