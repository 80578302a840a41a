"""Both engines side by side: every command goes to both, and everything must be equal afterwards."""

from collections.abc import Iterable
from dataclasses import replace
from struct import pack, unpack
from zlib import crc32

from crossbook.domain.commands import Batch, Command
from crossbook.domain.events import Event
from crossbook.matching import Engine
from crossbook.matching.reference import ReferenceEngine

from .invariants import Watcher

FRAME_START, FRAME_END = 16, -8


class Difference(AssertionError):
    """The engines disagree."""


class Pair:
    """A fast and a naive engine, and the watcher of what they do."""

    def __init__(self) -> None:
        self.fast = Engine()
        self.naive = ReferenceEngine()
        self.watcher = Watcher()

    def apply(self, command: Command) -> list[Event]:
        """Apply to both; raises `Difference` or `Breach` as soon as something is not as it must be."""
        events = self.apply_lightly(command)
        if self.fast.snapshot() != self.naive.snapshot():
            raise Difference(f"snapshots after {command}:\n{self.fast.snapshot()!r}\n{self.naive.snapshot()!r}")
        if self.fast.state_hash() != self.naive.state_hash():
            raise Difference(f"state hashes after {command}")
        self.watcher.see(command, events)
        self.watcher.compare(self.fast)
        return events

    def apply_lightly(self, command: Command) -> list[Event]:
        """Apply to both and compare the events only."""
        events = self.fast.apply(command)
        expected = self.naive.apply(command)
        if events != expected:
            lines = [f"events of {command}:", *map(str, events), "where the reference gives:", *map(str, expected)]
            raise Difference("\n".join(lines))
        return events

    def apply_all(self, commands: Iterable[Command]) -> None:
        """Apply commands in order."""
        for command in commands:
            self.apply(command)


def renumbered(commands: Iterable[Command], last_sequence: int) -> list[Command]:
    """The commands with the sequences that come after `last_sequence`."""
    result: list[Command] = []
    for command in commands:
        if isinstance(command, Batch):
            members = tuple(replace(member, sequence=last_sequence + 1) for member in command.commands)
            result.append(Batch(members))
            last_sequence += 1 if members else 0
        else:
            last_sequence += 1
            result.append(replace(command, sequence=last_sequence))
    return result


def words_of(snapshot: bytes) -> list[int]:
    """The words of a snapshot's content."""
    content = snapshot[FRAME_START:FRAME_END]
    return list(unpack(f"<{len(content) // 8}q", content))


def snapshot_of(words: list[int]) -> bytes:
    """A snapshot with these words, correctly framed and summed, whatever they say."""
    content = pack(f"<{len(words)}q", *words)
    return b"CROSSBK1" + pack("<q", len(content)) + content + pack("<q", crc32(content))
