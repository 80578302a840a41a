"""What `crossbook replay --through-venue` does: one tape, through everything that an order meets in a venue.

Every command goes through the desk, in the tape's order and with many under way at once; money is held,
commands are logged, matched, settled and booked. Then the stored fills are compared with the expected trades,
and the books are audited.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from rich.table import Table

from crossbook.application.audit import Check, is_clean
from crossbook.application.errors import ApplicationError, InvalidOrder, OrderNotFound, OrderNotOpen
from crossbook.application.requests import NewOrder, SystemRequest
from crossbook.domain.commands import OPERATOR, ReduceOrder, SetMarketState, SingleCommand
from crossbook.domain.fees import LiquidityRole
from crossbook.domain.orders import MarketState, OrderType, SelfTradePrevention, Side
from crossbook.replay.command import TapeFormat, progress_bar, verdict
from crossbook.replay.feeds import TIME_IN_FORCE
from crossbook.replay.lobster import LobsterConverter
from crossbook.replay.tables import TableFile
from crossbook.replay.tape import Op, TapeRow, TapeTif, read_tape
from crossbook.replay.tape_venue import Need, ReplayFailed, TapeVenue, tape_venue
from crossbook.replay.trades import Comparison, TapeTrade, read_trades, write_trades
from crossbook.storage.embedded import EmbeddedPostgres
from crossbook.storage.trades import StoredTrade
from crossbook.terminal import plain_table

IN_FLIGHT: Final = 1_024
"""Commands that wait for the desk at once."""
SAMPLE_EVERY: Final = 256
"""After so many commands the lag is looked at."""
POSTGRES_FOLDER: Final = "postgres"
"""As in the data folder of a venue, so that `crossbook up --data` opens what a replay left."""
_REFUSALS: Final = (OrderNotFound, OrderNotOpen, InvalidOrder)


@dataclass(frozen=True)
class VenuePlan:
    """What to do. Without a folder for the `data`, the database is gone after the run."""

    tape: Path
    format: TapeFormat
    expect: Path | None
    out: Path | None
    data: Path | None


@dataclass
class VenueReport:
    """What came of it. `refused` commands never came into the log; `most_behind` is the largest lag, in commands."""

    market: str
    comparison: Comparison | None
    lobster: LobsterConverter = field(default_factory=LobsterConverter)
    trades: list[TapeTrade] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    commands: int = 0
    refused: int = 0
    made: int = 0
    accepted_s: float = 0.0
    settled_s: float = 0.0
    most_behind: int = 0

    @property
    def ok(self) -> bool:
        """Whether the trades are those expected, and the books are right."""
        return is_clean(self.checks) and (self.comparison is None or self.comparison.difference is None)


def execute(plan: VenuePlan) -> VenueReport:
    """Do all of it.

    Raises `TapeError` for a bad tape or bad expected trades, ReplayFailed for a tape that no venue can take,
    StorageError, and OSError.
    """
    need = _needed(plan)
    with ExitStack() as stack:
        data = plan.data
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crossbook-replay-")))
        postgres = EmbeddedPostgres(data / POSTGRES_FOLDER)
        stack.callback(postgres.stop)
        report = asyncio.run(_play(plan, need, postgres.start()))
    if plan.out is not None:
        write_trades(plan.out, report.trades)
    return report


def _needed(plan: VenuePlan) -> Need:
    """What the tape needs of money: it is read once for that, so a bad tape ends before anything began."""
    with TableFile(plan.tape) as table:
        return Need().add(_rows(plan, table, LobsterConverter()))


def _rows(plan: VenuePlan, table: TableFile, lobster: LobsterConverter) -> Iterator[TapeRow]:
    return lobster.convert(table) if plan.format is TapeFormat.LOBSTER else read_tape(table)


async def _play(plan: VenuePlan, need: Need, address: str) -> VenueReport:
    async with tape_venue(address) as venue:
        await venue.fund(need)
        await venue.settle()
        report = VenueReport(venue.market.symbol, None)
        sender = Sender(venue)
        began = perf_counter()
        with TableFile(plan.tape) as table, progress_bar(table) as advance:
            await sender.send(_rows(plan, table, report.lobster), advance)
        report.accepted_s = perf_counter() - began
        await venue.settle()
        report.settled_s = perf_counter() - began
        report.commands, report.refused = sender.commands, sender.refused
        report.most_behind = sender.most_behind
        await _compare(plan, venue, sender, report)
        report.checks = await venue.audit()
    return report


async def _compare(plan: VenuePlan, venue: TapeVenue, sender: "Sender", report: VenueReport) -> None:
    """Put the stored trades beside the expected ones."""
    with _expected(plan.expect) as report.comparison:
        async for page in venue.trades():
            trades = [sender.told(trade) for trade in page]
            report.made += len(trades)
            if plan.out is not None:
                report.trades += trades
            if report.comparison is not None:
                report.comparison.check(trades)
        if report.comparison is not None:
            report.comparison.finish()


@contextmanager
def _expected(path: Path | None) -> Iterator[Comparison | None]:
    if path is None:
        yield None
        return
    with TableFile(path) as table:
        yield Comparison(read_trades(table))


# -- Sending -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Sent:
    """An order of the tape as the venue has it."""

    order_id: int
    account_id: int


@dataclass(frozen=True)
class _Told:
    """The tape's words for an order of the venue: its id, and the row that entered it."""

    tape_id: int
    seq: int


class Sender:
    """Puts the rows of a tape to a venue's desk, in order, without waiting for one before the next is sent.

    The venue has ids and sequences of its own: what it did is told in the tape's.
    """

    def __init__(self, venue: TapeVenue) -> None:
        self.commands = 0
        self.refused = 0
        self.most_behind = 0
        self._venue = venue
        self._sent: dict[int, _Sent] = {}
        self._told: dict[int, _Told] = {}
        self._states: dict[int, int] = {}
        self._in_auction = False
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def send(self, rows: Iterator[TapeRow], advance: Callable[[], None]) -> None:
        """Send all rows and wait until each is on disk or refused. Raises what `rows` raises, and ReplayFailed."""
        try:
            for row in rows:
                await self._send_row(row)
                self.commands += 1
                if self.commands % SAMPLE_EVERY == 0:
                    advance()
                    self._look()
            await self._all_done()
        finally:
            for task in self._under_way:
                task.cancel()

    def told(self, trade: StoredTrade) -> TapeTrade:
        """A stored trade in the tape's words. In an auction both sides are makers, and nobody is named as one."""
        buy, sell = self._told[trade.buy_order_id], self._told[trade.sell_order_id]
        auction = trade.buy_role == trade.sell_role
        buyer_takes = trade.buy_role == LiquidityRole.TAKER
        taker, maker = (buy, sell) if buyer_takes else (sell, buy)
        seq = self._states[trade.sequence] if auction else taker.seq
        return TapeTrade(seq, buy.tape_id, sell.tape_id, maker.tape_id, trade.price_ticks, trade.quantity_lots, auction)

    async def _send_row(self, row: TapeRow) -> None:
        match row.op:
            case Op.NEW:
                await self._enter_auction(row)
                assert row.side is not None
                account_id = self._venue.accounts[len(self._sent) % len(self._venue.accounts)]
                await self._enter(row, row.side, account_id, row.quantity_lots)
            case Op.UNCROSS:
                self._in_auction = False
                await self._set_state(row, MarketState.ACTIVE, row.price_ticks)
            case Op.REPLACE:
                await self._replace(row)
            case _:
                sent = self._sent.get(row.order_id)
                if sent is None:
                    self.refused += 1
                elif row.op is Op.CANCEL:
                    await self._start(self._venue.desk.cancel(sent.account_id, sent.order_id))
                else:
                    await self._reduce(sent, row.quantity_lots)

    async def _enter(self, row: TapeRow, side: Side, account_id: int, quantity_lots: int) -> None:
        order_id = self._venue.ids.draw()
        self._sent[row.order_id] = _Sent(order_id, account_id)
        self._told[order_id] = _Told(row.order_id, row.seq)
        order = NewOrder(
            account_id,
            self._venue.market.number,
            side,
            OrderType.LIMIT,
            quantity_lots,
            row.price_ticks,
            TIME_IN_FORCE[row.tif or TapeTif.GTC],
            self_trade_prevention=SelfTradePrevention.NONE,
        )
        await self._start(self._submit(order, order_id))

    async def _submit(self, order: NewOrder, order_id: int) -> None:
        self._venue.ids.give(order_id)
        await self._venue.desk.submit(order)  # asks for the id before it waits for anything

    async def _reduce(self, sent: _Sent, quantity_lots: int) -> None:
        """No user can reduce an order: the venue's operator does it."""

        def made(sequence: int, now_ms: int) -> SingleCommand:
            return ReduceOrder(sequence, now_ms, sent.order_id, OPERATOR, quantity_lots)

        await self._start(self._venue.desk.system(SystemRequest(self._venue.market.number, (made,))))

    async def _replace(self, row: TapeRow) -> None:
        """As a user does it: less at the same price keeps its place, all else is a cancel and a new order."""
        await self._all_done()
        sent = self._sent.get(row.order_id)
        view = (await self._venue.matched_engine()).order(sent.order_id) if sent is not None else None
        if sent is None or view is None:
            self.refused += 1
        elif row.price_ticks == view.price_ticks and row.quantity_lots <= view.open_lots:
            if row.quantity_lots < view.open_lots:
                await self._reduce(sent, view.open_lots - row.quantity_lots)
        else:
            await self._start(self._venue.desk.cancel(sent.account_id, sent.order_id))
            await self._enter(row, view.side, sent.account_id, row.quantity_lots)

    async def _enter_auction(self, row: TapeRow) -> None:
        if row.tif is TapeTif.AUCTION and not self._in_auction:
            self._in_auction = True
            await self._set_state(row, MarketState.AUCTION, 0)

    async def _set_state(self, row: TapeRow, state: MarketState, reference_ticks: int) -> None:
        def made(sequence: int, now_ms: int) -> SingleCommand:
            self._states[sequence] = row.seq
            return SetMarketState(sequence, now_ms, state, reference_ticks)

        await self._start(self._venue.desk.system(SystemRequest(self._venue.market.number, (made,))))

    # -- Under way -----------------------------------------------------------------------------------
    async def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin `work` when there is room. Tasks begin in the order in which they were made: the tape's."""
        await self._room.acquire()
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._room.release()
        if task.cancelled():
            self._failure = self._failure or ReplayFailed("the desk gave up a command")
        elif isinstance(task.exception(), _REFUSALS):
            self.refused += 1
        elif task.exception() is not None:
            self._failure = self._failure or task.exception()

    async def _all_done(self) -> None:
        """Wait for everything that was sent."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._raise_failure()

    def _look(self) -> None:
        """Note the lag, and stop at a failure instead of at the end."""
        self._raise_failure()
        self._venue.check()
        on_disk = self.commands - self.refused - len(self._under_way)
        self.most_behind = max(self.most_behind, on_disk - self._venue.settled)

    def _raise_failure(self) -> None:
        if isinstance(self._failure, ApplicationError):
            raise ReplayFailed(f"a command was refused: {self._failure}") from self._failure
        if self._failure is not None:
            raise self._failure


# -- Printing ----------------------------------------------------------------------------------------
def venue_table(report: VenueReport) -> Table:
    """The figures of a run, as the command prints them above the audit's."""
    table = plain_table()
    table.add_row("market", report.market)
    table.add_row("commands", f"{report.commands:,}")
    if report.refused:
        table.add_row("refused", f"[yellow]{report.refused:,}[/]")
    for kind, count in report.lobster.skipped.items():
        table.add_row("left out", f"{count:,} {kind}")
    table.add_row("trades", f"{report.made:,}")
    accepted, settled = (_rate(report.commands, seconds) for seconds in (report.accepted_s, report.settled_s))
    table.add_row("commands/s", f"{accepted} accepted, {settled} accepted and settled")
    lag_ms = round((report.settled_s - report.accepted_s) * 1000)
    table.add_row("lag", f"{lag_ms:,} ms after the last command, at most {report.most_behind:,} commands")
    if report.comparison is not None:
        table.add_row("expected", verdict(report.comparison))
    return table


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f}" if seconds > 0 else "0"
