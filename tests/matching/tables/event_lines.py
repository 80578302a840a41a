"""Event lines of the book tables: the words of each event, checked when they are read."""

import re
from typing import Final

from crossbook.domain.errors import Reason

from .words import Line, number

_N: Final = r"-?[\d^+-]+"
_REASON: Final = r"[A-Z_]+"
_EVENTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"accepted {_N}",
        rf"rejected {_N} {_REASON}",
        rf"rejected (?:cancel|reduce|amend) {_N} {_REASON}",
        rf"rejected (?:cancel-all|state|prices|clock|position|configure|funding|force|settle) {_REASON}",
        rf"rested {_N} (?:buy|sell) {_N} open {_N}(?: shown {_N})?",
        rf"trade {_N} at {_N} maker {_N} taker {_N} left {_N} / (?:{_N}|amount)",
        rf"auction-trade {_N} at {_N} seller {_N} buyer {_N} left {_N} / {_N}",
        rf"prevented (?:taker|maker|both) at {_N} maker {_N} taker {_N} left {_N} / (?:{_N}|amount)",
        rf"prevented decrement {_N} at {_N} maker {_N} taker {_N} left {_N} / (?:{_N}|amount)",
        rf"auction-prevented (?:taker|maker|both) at {_N} seller {_N} buyer {_N} left {_N} / {_N}",
        rf"auction-prevented decrement {_N} at {_N} seller {_N} buyer {_N} left {_N} / {_N}",
        rf"reduced {_N} by {_N} left {_N}(?: shown {_N})? {_REASON}",
        rf"replenished {_N} open {_N} shown {_N}",
        rf"amended {_N} at {_N} open {_N}(?: shown {_N})?(?: trigger {_N})? (?:kept|lost) its place",
        rf"cancelled {_N} open {_N} {_REASON}",
        rf"expired {_N} open {_N} {_REASON}(?: unspent {_N})?",
        rf"triggered {_N} on (?:last|mark|index) {_N} seen {_N}",
        r"all-cancelled \w+ \d+",
        rf"uncrossed {_N} volume {_N} imbalance {_N}",
        r"state [a-z-]+ -> [a-z-]+",
        rf"prices mark {_N} index {_N}",
        rf"position \w+ {_N}",
        r"configured",
        rf"funding {_N} of {_N} period {_N}",
        rf"forced {_N} at {_N} buyer \w+ seller \w+",
        rf"settled {_N} at {_N}",
        r"raises (?:SequenceError|MalformedCommand)",
    )
)


def event_words(line: Line) -> str:
    """The words of an event line, single-spaced, numbers written out."""
    words = line.text.split()
    if not any(pattern.fullmatch(" ".join(words)) for pattern in _EVENTS):
        line.fail("not an event")
    for word in words:
        if re.fullmatch(r"[A-Z][A-Z_]+", word) and word not in Reason.__members__:
            line.fail(f"unknown reason {word}")
    return " ".join(str(number(line, word)) if "^" in word else word for word in words)
