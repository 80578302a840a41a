"""Carries out a case of the book tables on an engine and compares what happens with what is written."""

import difflib
from collections.abc import Iterable
from typing import Any

from crossbook.domain.commands import Command
from crossbook.domain.errors import MalformedCommand, SequenceError
from crossbook.domain.events import CommandRejected, Event
from crossbook.domain.orders import Side
from crossbook.matching.depth import DepthBook

from .blotter import Blotter
from .command_lines import Action, BatchLines, CommandLine, as_command
from .ladders import Order, entry_of
from .language import Case, Expected, LadderBlock
from .pictures import expected_picture, picture_of
from .snapshot_view import FIRST_WORDS_OF_CALL, StoredMarket, StoredOrder, content_words, read_market
from .words import START_MS, name_of


class Mismatch(AssertionError):
    """What happened is not what the table says."""


def run_case(case: Case, engine_class: Any) -> list[str]:
    """Carry out `case` on a new engine and compare. Gives the state hash after each command; raises `Mismatch`."""
    return _Run(case, engine_class).run()


class _Run:
    def __init__(self, case: Case, engine_class: Any) -> None:
        self.case = case
        self.engine_class = engine_class
        self.engine = engine_class()
        self.blotter = Blotter()
        self.public = DepthBook()
        self.now_ms = START_MS
        self.hashes: list[str] = []

    def run(self) -> list[str]:
        for item in self.case.before:
            if isinstance(item, LadderBlock):
                self._enter_ladder(item)
            else:
                self._enter(item)
        before = picture_of(self._market())
        for step in self.case.steps:
            events = [line for action in step.actions for line in self._apply(action)]
            self._compare(step.events_line, "events", step.events, events)
            if step.after is not None:
                self._compare_after(step.after, before)
        return self.hashes

    def _enter_ladder(self, block: LadderBlock) -> None:
        entries: list[tuple[int, Order, Side, int]] = []
        for rung in block.rungs:
            entries.extend((order.order_id, order, Side.BUY, rung.price) for order in rung.bids)
            entries.extend((order.order_id, order, Side.SELL, rung.price) for order in rung.asks)
        for _, order, side, price in sorted(entries, key=lambda entry: entry[0]):
            command = entry_of(order, side, price, self.engine.last_sequence + 1, self.now_ms)
            lines = self._call(block.line, command)
            if [line.split()[0] for line in lines] != ["accepted", "rested"]:
                self._fail(block.line, f"order {order.order_id} of the ladder does not rest: {lines}")

    def _enter(self, action: Action) -> None:
        lines = self._apply(action)
        if any(line.startswith(("rejected", "raises")) for line in lines):
            self._fail(action.line, f"before: refused: {lines}")

    def _apply(self, action: Action) -> list[str]:
        sequence = self.engine.last_sequence + 1
        return self._call(action.line, as_command(action, sequence, self.now_ms), _times(action))

    def _call(self, line: int, command: Command, times: Iterable[int] = ()) -> list[str]:
        engine = self.engine
        before = engine.snapshot()
        twin = self.engine_class.restore(before)
        try:
            events: list[Event] = engine.apply(command)
        except (SequenceError, MalformedCommand) as error:
            if engine.snapshot() != before:
                self._fail(line, f"{type(error).__name__} changed the market")
            return [f"raises {type(error).__name__}"]
        self.now_ms = max(self.now_ms, *times, 0)
        self.hashes.append(engine.state_hash())
        try:
            lines = self.blotter.lines(command, events)
        except AssertionError as error:
            self._fail(line, str(error))
        if twin.apply(command) != events or twin.state_hash() != engine.state_hash():
            self._fail(line, "an engine restored from the snapshot before this command goes another way")
        if len(events) == 1 and isinstance(events[0], CommandRejected):
            self._check_unchanged(line, before)
        for event in events:
            self.public.apply(event)
        self._check_views(line)
        return lines

    def _check_unchanged(self, line: int, before: bytes) -> None:
        old, new = content_words(before), content_words(self.engine.snapshot())
        if old[0] != new[0] or old[FIRST_WORDS_OF_CALL:] != new[FIRST_WORDS_OF_CALL:]:
            self._fail(line, "a refused command changed more than the sequence and the time")

    def _check_views(self, line: int) -> None:
        """The engine's own answers, and the book that its events draw, agree with its snapshot."""
        market, engine = self._market(), self.engine
        if engine.open_orders != len(market.orders):
            self._fail(line, f"open_orders is {engine.open_orders}, the snapshot has {len(market.orders)}")
        for side in Side:
            levels = _levels(market.resting(side))
            self._compare(line, f"depth of {side.name}", levels, [tuple(level) for level in engine.depth(side, 1000)])
            self._compare(line, f"public book, {side.name}", levels, self.public.levels(side, 1000))
        for order in market.orders.values():
            view = engine.order(order.order_id)
            seen = (view.account_id, view.side, view.price_ticks, view.open_lots, view.executed_or_prevented_lots)
            stored = (order.account_id, order.side, order.price_ticks, order.open_lots, order.filled_lots)
            self._compare(line, f"order({order.order_id})", stored, seen)
        for account_id, position in market.positions.items():
            self._compare(line, f"position({account_id})", [position], [engine.position(account_id)])

    def _compare_after(self, after: Expected, before: list[str]) -> None:
        market = self._market()
        expected = before if after.rungs is None else expected_picture(after)
        self._compare(after.line, "after", expected, picture_of(market))
        for fact in after.facts:
            self._compare(after.line, "after", [fact], [self._fact(fact, market)])

    def _fact(self, fact: str, market: StoredMarket) -> str:
        words = fact.split()
        if words[0] == "position":
            account = next((id for id in market.positions if name_of(id) == words[1]), 0)
            return f"position {words[1]} {market.positions.get(account, 0)}"
        if words[0] == "state":
            return f"state {self.engine.state.name.lower().replace('_', '-')}"
        if words[0] == "order":
            return f"order {words[1]} filled {market.orders[int(words[1])].filled_lots}"
        price, volume, imbalance = self.engine.indicative()
        return f"indicative {price} volume {volume} imbalance {imbalance}"

    def _market(self) -> StoredMarket:
        return read_market(self.engine.snapshot())

    def _compare(self, line: int, what: str, expected: Iterable[object], got: Iterable[object]) -> None:
        wanted, found = [str(item) for item in expected], [str(item) for item in got]
        if wanted != found:
            difference = "\n".join(f"    {row}" for row in difflib.ndiff(wanted, found) if row[0] != "?")
            self._fail(line, f"{what} differ (- expected, + got)\n{difference}")

    def _fail(self, line: int, message: str) -> None:
        raise Mismatch(f"\n{self.case.file}:{line}: {self.case.rule}\n  {message}")


def _times(action: Action) -> list[int]:
    members: tuple[CommandLine, ...] = action.members if isinstance(action, BatchLines) else (action,)
    # A malformed time does not move the market's.
    return [member.time_ms for member in members if member.time_ms is not None and 0 <= member.time_ms < 1 << 53]


def _levels(orders: tuple[StoredOrder, ...]) -> list[tuple[int, int, int]]:
    levels: dict[int, tuple[int, int]] = {}
    for order in orders:
        lots, count = levels.get(order.price_ticks, (0, 0))
        visible = order.open_lots if order.shown is None else order.shown
        levels[order.price_ticks] = (lots + visible, count + 1)
    return [(price, lots, count) for price, (lots, count) in levels.items()]
