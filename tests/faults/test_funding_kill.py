"""A venue is killed again and again while it applies funding under load: every period is paid, and paid once."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from crossbook.storage.database import Database
from crossbook.storage.errors import DatabaseUnavailable
from crossbook.system import SystemClock
from tests.faults.rig import Load, embedded_venue, must_be_whole, nothing_pending, opened, play, take_seats, until
from tests.faults.test_kill import address_of, kill

ROUNDS: Final = 3
HOURS_8: Final = 28_800_000
PERP: Final = "BTC-PERP"
RATES: Final = {"CROSSBOOK_PRICES_INTERVAL_MS": "50", "CROSSBOOK_INDEX_MAX_AGE_MS": "3600000"}


class DuePeriods:
    """Puts periods that are over into the venue's tables, one after the other, as if it had sampled them."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count(1)
        self.due: list[int] = []

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        """A period falls due every few milliseconds meanwhile."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._come(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def _come(self, stop: asyncio.Event) -> None:
        with suppress(DatabaseUnavailable):  # the database was killed: the rest comes in the next round
            async with opened(self._address) as database:
                while not stop.is_set():
                    await self._add(database, next(self._numbers) * HOURS_8)
                    await asyncio.sleep(0.01)

    async def _add(self, database: Database, start_ms: int) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(
                """
                INSERT INTO funding_periods (market_id, period_start_ms, looked_at_ms, live, live_ms, samples,
                    premium_sum_ppt, index_price_ticks)
                SELECT market_id, $2::bigint, $2::bigint + 28800000, false, 28800000, 1, 700000000, 35000
                FROM markets WHERE symbol = $1
                """,
                PERP,
                start_ms,
            )
        self.due.append(start_ms)


async def feed_index(address: str, user_id: int) -> None:
    """A price of the index for both markets, as an operator feeds it."""
    async with opened(address) as database, database.transaction() as transaction:
        await transaction.execute(
            """
            INSERT INTO index_quotes (market_id, source, price_micro_ticks, quoted_at_ms, user_id)
            SELECT market_id, 'desk', 3500 * (10 ^ tick_decimals)::bigint * 1000000, $1, $2
            FROM markets WHERE kind = 2
            """,
            SystemClock().now_ms(),
            user_id,
        )


async def all_paid(address: str, due: list[int]) -> None:
    """Wait until nothing is open, and compare what was paid with what was due."""
    async with opened(address) as database:

        async def look() -> bool:
            async with database.transaction(read_only=True) as transaction:
                found = await transaction.value(
                    "SELECT count(*) FROM funding_periods LEFT JOIN fundings USING (market_id, period_start_ms)"
                    " WHERE period_start_ms = ANY ($1) AND fundings.sequence IS NULL",
                    due,
                )
            return bool(found == 0)

        await until("every period paid", look)
        async with database.transaction(read_only=True) as transaction:
            rows = await transaction.rows(
                """
                SELECT period_start_ms, fundings.rate_ppb, funding_periods.sequence = fundings.sequence
                FROM fundings JOIN funding_periods USING (market_id, period_start_ms) WHERE period_start_ms = ANY ($1)
                ORDER BY 1
                """,
                due,
            )
            logged = await transaction.value(
                "SELECT count(*) FROM commands WHERE get_byte(record, 0) = 11 AND market_id IN"
                " (SELECT market_id FROM markets WHERE symbol = $1)",
                PERP,
            )
            paid = await transaction.value("SELECT count(*) FROM funding_payments WHERE amount_units <> 0")
    assert [tuple(row) for row in rows] == [(start_ms, 200_000, True) for start_ms in sorted(due)]
    assert logged == len(due), "a period is in the log twice"
    assert paid > 0


async def killed_inside_funding(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    venue = embedded_venue(folder, **RATES)
    venue.part.start()
    try:
        await venue.healthy("/ready")
        address = address_of(folder)
        seats = await take_seats(venue.url, address)
        await feed_index(address, seats[0].user_id)
        load, periods = Load(venue.url, seats, seed), DuePeriods(address)
        for round_ in range(ROUNDS):
            async with load.running(), periods.coming():
                await load.grows()
                await asyncio.sleep(chance.uniform(0.2, 1.0))
                await asyncio.to_thread(kill, venue, folder, round_ == 1)
            venue.part.start()
            await venue.healthy()
            await nothing_pending(address_of(folder))
        await venue.healthy("/ready")
        await load.repeat_unclear()
        await all_paid(address_of(folder), periods.due)
        await must_be_whole(address_of(folder), load)
        assert len(periods.due) > 3 * ROUNDS
        assert venue.part.stop() == 0, venue.part.tail()
    finally:
        venue.part.kill()


def test_killed_inside_funding(tmp_path: Path) -> None:
    play(lambda: killed_inside_funding(tmp_path, seed=5))
