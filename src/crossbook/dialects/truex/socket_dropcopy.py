"""DROPCOPY: a client's own activity as it is written down.

The feed of accounts says when something of a client was settled; then the client's latest activity is read, of all such
clients at once, and what was not told yet is told. Rows may become visible in another order than their numbers say, so
the last seconds are read again each time, and rows are known by their numbers.
"""

import asyncio
from functools import partial
from typing import Final

from crossbook.application.activity import Activity
from crossbook.application.feeds import SubscriptionDropped
from crossbook.dialects.socket import keep_going
from crossbook.dialects.truex.order_rows import activity_row
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.socket_lines import Line, Lines, text_of
from crossbook.dialects.truex.socket_schemas import ClientData

OVERLAP_NS: Final = 10 * 1_000_000_000
"""How long a transaction may take to show what it wrote."""
AHEAD_NS: Final = 3_600 * 1_000_000_000
PAGE: Final = 1_000
RETRY_S: Final = 0.5
NS_PER_MS: Final = 1_000_000


class Dropcopy:
    """The clients whose activity somebody hears."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lines: dict[int, Lines] = {}
        self._following: dict[int, asyncio.Task[None]] = {}
        self._known: dict[int, int] = {}
        self._read_to_ns = 0
        self._due: set[int] = set()
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def prepare(self, account_id: int) -> None:
        """Learn what was written down before anybody listens, so that it is not told. Raises StorageError."""
        if account_id in self._lines:
            return
        now_ns = self._now_ns()
        for row in await self._rows([account_id], now_ns - OVERLAP_NS):
            self._known[row.activity_id] = row.recorded_at_ns
        if not self._lines:
            self._read_to_ns = now_ns

    def join(self, account_id: int, line: Line) -> None:
        """Say whose activity it is, and tell it from now on; `prepare` comes first."""
        line.tell("SNAPSHOT", text_of(ClientData(client_id=str(account_id))))
        self._lines.setdefault(account_id, Lines()).add(line)
        if account_id not in self._following:
            self._following[account_id] = asyncio.create_task(
                keep_going("drop copies", partial(self._follow, account_id))
            )
        if self._reading is None:
            self._reading = asyncio.create_task(keep_going("activity", self._read))

    def leave(self, account_id: int, line: Line) -> None:
        """Tell it nothing more."""
        lines = self._lines.get(account_id)
        if lines is None:
            return
        lines.remove(line)
        if not len(lines):
            del self._lines[account_id]
            self._following.pop(account_id).cancel()
        if not self._lines and self._reading is not None:
            self._reading.cancel()
            self._reading = None
            self._known.clear()

    async def _follow(self, account_id: int) -> None:
        """Note that the client has something new; after the feed lost its place, that it may have."""
        feed = self._services.account_feed
        while True:
            subscription = feed.follow(account_id)
            try:
                while True:
                    await subscription.next()
                    self._due.add(account_id)
                    self._changed.set()
            except SubscriptionDropped:
                await asyncio.sleep(RETRY_S)
            finally:
                feed.unfollow(subscription)

    async def _read(self) -> None:
        """Tell what is new of the clients that have something new."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            due, self._due = self._due, set()
            try:
                await self._tell([account_id for account_id in due if account_id in self._lines])
            except self._services.unavailable:
                self._due |= due
                self._changed.set()
                await asyncio.sleep(RETRY_S)

    async def _tell(self, accounts: list[int]) -> None:
        if not accounts:
            return
        now_ns, since_ns = self._now_ns(), self._read_to_ns - OVERLAP_NS
        rows = [row for row in await self._rows(accounts, since_ns) if row.activity_id not in self._known]
        for row in rows:
            self._known[row.activity_id] = row.recorded_at_ns
            lines = self._lines.get(row.account_id)
            if lines is not None:
                market = self._services.markets.numbered(row.market_id)
                lines.tell("UPDATE", text_of(activity_row(row, market)))
        self._read_to_ns = now_ns
        self._known = {number: at_ns for number, at_ns in self._known.items() if at_ns > now_ns - 2 * OVERLAP_NS}

    async def _rows(self, accounts: list[int], after_ns: int) -> list[Activity]:
        """What these clients did since then, oldest first."""
        until_ns = self._now_ns() + AHEAD_NS
        found: list[Activity] = []
        before = 0
        while True:
            page = await self._services.activity.page(accounts, after_ns, until_ns, PAGE, before=before)
            found += page
            if len(page) < PAGE:
                return found[::-1]
            before = page[-1].activity_id

    def _now_ns(self) -> int:
        return self._services.clock.now_ms() * NS_PER_MS
