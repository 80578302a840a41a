"""The language of the `.book` files: what a trader would write on paper, read into commands and expectations.

A file holds cases. Each starts with its rule in one sentence and goes on in blocks:

    == A taker trades at the resting order's price, best level first.
    before
                      | 102 | 4:5@bob
                      | 101 | 3:5@carol 5:2@bob
        1:5@dave      |  99 |
    do
        buy 6 at 102 alice id 11 ioc
    events
        accepted 11
        trade 5 at 101 maker 3 taker 11 left 0 / 1
        trade 1 at 101 maker 5 taker 11 left 1 / 0
    after
                      | 102 | 4:5@bob
                      | 101 | 5:1@bob
        1:5@dave      |  99 |
        position alice 6

A ladder line is `bids | price | asks`, highest price first, each queue with its first order on the left.
An order is `id:open@account`, an iceberg `id:open/shown@account`. In `before`, orders are entered in the
order of their ids as GTC limit orders; command lines there are carried out where they stand, and nothing
may be refused. `do` holds commands; `events` every event they give, in order; `after` the whole book and
all waiting orders (`last <= 95 | 12:5@alice`), or `same`, or `empty`, and any of `position alice -3`,
`state auction`, `indicative 100 volume 5 imbalance -2`. `do`, `events`, `after` may repeat. The market
starts at 09:00 of the first day; a command may begin with its time (`17:30 cancel 7 by alice`; 24:00 is
midnight) and `seq 5`. Numbers may be written `2^40-1`. A line that starts with `#` is a remark.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .command_lines import Action, actions_of
from .event_lines import event_words
from .ladders import WAITING, Rung, WaitingLine, queue_of, rungs_of
from .words import SOURCES, STATES, Line, account, name_of, number


@dataclass(frozen=True)
class LadderBlock:
    """A ladder of `before`: orders to enter, and what the book must then look like."""

    line: int
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class Expected:
    """An `after` block. `rungs` None stands for `same`."""

    line: int
    rungs: tuple[Rung, ...] | None
    waiting: tuple[WaitingLine, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One round of `do`, `events`, `after`. Without an `after` only the events are compared."""

    line: int
    actions: tuple[Action, ...]
    events_line: int
    events: tuple[str, ...]
    after: Expected | None


@dataclass(frozen=True)
class Case:
    """One rule, shown."""

    file: str
    line: int
    rule: str
    before: tuple[Action | LadderBlock, ...]
    steps: tuple[Step, ...]

    @property
    def place(self) -> str:
        """Where the case stands: file:line."""
        return f"{self.file}:{self.line}"


def read_file(path: Path) -> list[Case]:
    """The cases of a `.book` file. Raises `TableError`, naming file and line."""
    return read_text(path.read_text(encoding="utf-8"), path.name)


def read_text(text: str, file: str) -> list[Case]:
    """The cases of a `.book` text; `file` is its name in messages. Raises `TableError`."""
    lines = [Line(file, number, raw.strip()) for number, raw in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line.text and not line.text.startswith("#")]
    cases: list[Case] = []
    start = 0
    while start < len(lines):
        if not lines[start].text.startswith("== "):
            lines[start].fail("a case must start with '== ' and its rule")
        end = start + 1
        while end < len(lines) and not lines[end].text.startswith("=="):
            end += 1
        cases.append(_case(lines[start], lines[start + 1 : end]))
        start = end
    return cases


# A block is its heading line and the lines under it.
_Block = tuple[Line, list[Line]]
_HEADINGS: Final = ("before", "do", "events", "after")


def _blocks(heading: Line, lines: list[Line]) -> list[_Block]:
    blocks: list[_Block] = []
    for line in lines:
        if line.text in _HEADINGS:
            blocks.append((line, []))
        elif blocks:
            blocks[-1][1].append(line)
        else:
            line.fail("expected one of before, do, events, after")
    if not blocks:
        heading.fail("a case without blocks")
    return blocks


def _case(heading: Line, lines: list[Line]) -> Case:
    blocks = _blocks(heading, lines)
    before: tuple[Action | LadderBlock, ...] = ()
    if blocks[0][0].text == "before":
        before = _before(blocks.pop(0)[1])
    steps: list[Step] = []
    while blocks:
        steps.append(_step(blocks))
    if not steps:
        heading.fail("a case without a do block")
    if steps[-1].after is None:
        heading.fail("a case must end with an after block")
    return Case(heading.file, heading.number, heading.text[2:].strip(), before, tuple(steps))


def _step(blocks: list[_Block]) -> Step:
    head, body = blocks.pop(0)
    if head.text != "do":
        head.fail("expected a do block here")
    actions = actions_of(body)
    if not actions:
        head.fail("a do block without a command")
    if not blocks or blocks[0][0].text != "events":
        head.fail("a do block must be followed by an events block")
    events_head, events = blocks.pop(0)
    after: Expected | None = None
    if blocks and blocks[0][0].text == "after":
        after_head, after_lines = blocks.pop(0)
        after = _after(after_head, after_lines)
    return Step(head.number, actions, events_head.number, tuple(event_words(line) for line in events), after)


def _before(lines: list[Line]) -> tuple[Action | LadderBlock, ...]:
    items: list[Action | LadderBlock] = []
    start = 0
    while start < len(lines):
        end = start
        ladder = "|" in lines[start].text
        while end < len(lines) and ("|" in lines[end].text) == ladder:
            end += 1
        part = lines[start:end]
        if ladder:
            rungs = rungs_of(part)
            for line, rung in zip(part, rungs, strict=True):
                _oldest_first(line, rung)
            items.append(LadderBlock(part[0].number, rungs))
        else:
            items.extend(actions_of(part))
        start = end
    return tuple(items)


def _oldest_first(line: Line, rung: Rung) -> None:
    for queue in (rung.bids, rung.asks):
        ids = [order.order_id for order in queue]
        if ids != sorted(ids):
            line.fail("before: ids of a queue must rise, they tell the age")


_FACTS: Final = (
    re.compile(r"position \w+ -?\S+"),
    re.compile(r"state [a-z-]+"),
    re.compile(r"indicative \d+ volume \d+ imbalance -?\d+"),
    re.compile(r"order \d+ filled \d+"),
)


def _after(head: Line, lines: list[Line]) -> Expected:
    waiting: list[WaitingLine] = []
    facts: list[str] = []
    ladder: list[Line] = []
    same = empty = False
    for line in lines:
        text = " ".join(line.text.split())
        match = WAITING.fullmatch(text)
        if match:
            source, way, trigger, queue = match.groups()
            waiting.append(WaitingLine(SOURCES[source], way == ">=", number(line, trigger), queue_of(line, queue)))
        elif "|" in text:
            ladder.append(line)
        elif text == "same":
            same = True
        elif text == "empty":
            empty = True
        elif any(pattern.fullmatch(text) for pattern in _FACTS):
            facts.append(_fact(line, text))
        else:
            line.fail("after: not a ladder line, a waiting line, same, empty or a fact")
    if same + empty + bool(ladder) != 1:
        head.fail("after: exactly one of a ladder, 'same' or 'empty'")
    if same and waiting:
        head.fail("after: 'same' covers waiting orders too")
    rungs = None if same else rungs_of(ladder)
    return Expected(head.number, rungs, tuple(waiting), tuple(facts))


def _fact(line: Line, text: str) -> str:
    words = text.split()
    if words[0] == "position":
        return f"position {name_of(account(line, words[1]))} {number(line, words[2])}"
    if words[0] == "state" and words[1] not in STATES:
        line.fail(f"unknown state {words[1]!r}")
    return text
