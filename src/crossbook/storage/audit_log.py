"""The part of an audit that plays the log again and compares what it makes with what is stored.

One market after another, in parts of a bounded size: neither a long log nor many fills are ever held
in memory at once.
"""

from collections.abc import Sequence
from typing import Final

from crossbook.application.audit import Check, LiveOrder, Tally
from crossbook.application.audit_replay import (
    Entered,
    Fill,
    Logged,
    Replay,
    ReplayFault,
    entered_difference,
    fills_difference,
    live_difference,
    snapshot_difference,
)
from crossbook.application.markets import Market
from crossbook.domain.lifecycle import OrderStatus
from crossbook.domain.orders import Side
from crossbook.storage import commands_log
from crossbook.storage.database import Row, Transaction

COMMANDS_AT_ONCE: Final = 1_000
ORDERS_AT_ONCE: Final = 5_000

LIVE_COLUMNS: Final = """
    order_id, account_id, market_id, sequence, side, post_only, reduce_only, status, quantity_lots, price_ticks,
    budget, open_lots, filled_lots, held_units, maker_fee_ppm, taker_fee_ppm
"""
REPLAY: Final = "the log can be played from empty"
FILLS: Final = "stored fills are the trades of the log"
ENTERED: Final = "stored orders are those of the log"
LIVE: Final = "live orders are those of the engine"
SNAPSHOTS: Final = "snapshots are the states of the engine"


def live_order(row: Row) -> LiveOrder:
    """A row of `LIVE_COLUMNS`."""
    return LiveOrder(
        row["order_id"],
        row["account_id"],
        row["market_id"],
        row["sequence"],
        Side(row["side"]),
        row["post_only"],
        row["reduce_only"],
        OrderStatus(row["status"]),
        row["quantity_lots"],
        row["price_ticks"],
        row["budget"],
        row["open_lots"],
        row["filled_lots"],
        row["held_units"],
        row["maker_fee_ppm"],
        row["taker_fee_ppm"],
    )


async def audit_logs(transaction: Transaction, markets: Sequence[Market]) -> list[Check]:
    """Play the log of every market and compare. Raises StorageError as `Database.transaction` does."""
    comparison = _Comparison(transaction)
    progress = await commands_log.last_sequences(transaction)
    for market in markets:
        accepted, settled = progress.get(market.number, (0, 0))
        await comparison.look_at(market.number, accepted, settled)
    return [tally.check() for tally in comparison.tallies()]


class _Comparison:
    """The checks of the log while they are being made, over all markets."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._replay = Tally(REPLAY, "commands")
        self._fills = Tally(FILLS, "fills")
        self._entered = Tally(ENTERED, "orders")
        self._live = Tally(LIVE, "live orders")
        self._snapshots = Tally(SNAPSHOTS, "snapshots")

    def tallies(self) -> tuple[Tally, ...]:
        """All checks, in the order in which they are shown."""
        return self._replay, self._fills, self._entered, self._live, self._snapshots

    async def look_at(self, market_id: int, accepted: int, settled: int) -> None:
        """Play one market's log to its end, stopping where something is to be compared.

        The trades after the settled sequence are in flight: nothing is stored of them yet.
        """
        replay = Replay(market_id)
        snapshots = await self._snapshot_sequences(market_id, accepted)
        stops = sorted({*snapshots, min(settled, accepted), accepted})
        try:
            for stop in stops:
                await self._play_to(replay, stop, settled)
                if stop in snapshots:
                    await self._look_at_snapshot(replay)
                if stop == settled:
                    await self._look_at_fills_beyond(replay)
                    await self._look_at_live_orders(replay, settled)
        except ReplayFault as fault:
            self._replay.differs(str(fault))
            for tally in (self._fills, self._entered, self._live, self._snapshots):
                tally.differs(f"market {market_id}: not compared from command {fault.sequence} on")
            return
        await self._count_orders(replay, accepted)

    async def _play_to(self, replay: Replay, stop: int, settled: int) -> None:
        while replay.sequence < stop:
            limit = min(COMMANDS_AT_ONCE, stop - replay.sequence)
            logged = await commands_log.read(self._transaction, replay.market_id, replay.sequence + 1, limit)
            if not logged:
                raise ReplayFault(replay.market_id, replay.sequence + 1, "it is not in the log")
            first_trade_id = replay.last_trade_id + 1
            played = replay.play([Logged(command.sequence, command.version, command.record) for command in logged])
            self._replay.count(len(logged))
            await self._look_at_entered(played.entered)
            if replay.sequence <= settled:
                await self._look_at_fills(replay, first_trade_id, played.fills)

    # What follows from the log.
    async def _look_at_fills(self, replay: Replay, first_trade_id: int, made: Sequence[Fill]) -> None:
        stored = await self._stored_fills(replay.market_id, first_trade_id, replay.last_trade_id) if made else []
        self._fills.count(len(made))
        self._fills.differs(fills_difference(replay.market_id, made, stored))

    async def _look_at_fills_beyond(self, replay: Replay) -> None:
        """At the settled sequence no fill may be stored that the log has not given by now."""
        stored = await self._transaction.row(
            f"""
            SELECT {", ".join(Fill._fields)} FROM fills WHERE market_id = $1 AND (trade_id > $2 OR trade_id < 1)
            ORDER BY trade_id, side LIMIT 1
            """,  # noqa: S608
            replay.market_id,
            replay.last_trade_id,
        )
        if stored is not None:
            self._fills.differs(fills_difference(replay.market_id, [], [Fill(*stored)]))

    async def _stored_fills(self, market_id: int, first_trade_id: int, last_trade_id: int) -> list[Fill]:
        rows = await self._transaction.rows(
            f"""
            SELECT {", ".join(Fill._fields)} FROM fills WHERE market_id = $1 AND trade_id BETWEEN $2 AND $3
            ORDER BY trade_id, side
            """,  # noqa: S608
            market_id,
            first_trade_id,
            last_trade_id,
        )
        return [Fill(*row) for row in rows]

    async def _look_at_entered(self, made: Sequence[Entered]) -> None:
        if not made:
            return
        rows = await self._transaction.rows(
            f"SELECT {', '.join(Entered._fields)} FROM orders WHERE order_id = ANY ($1::bigint[])",  # noqa: S608
            [order.order_id for order in made],
        )
        stored = {row["order_id"]: Entered(*row) for row in rows}
        self._entered.count(len(made))
        self._entered.differs(entered_difference(made, stored))

    async def _count_orders(self, replay: Replay, accepted: int) -> None:
        """All that the log entered was found; so there is one too many when more are stored."""
        stored: int = await self._transaction.value(
            "SELECT count(*) FROM orders WHERE market_id = $1 AND sequence <= $2", replay.market_id, accepted
        )
        if stored > replay.entered:
            text = f"market {replay.market_id}: {stored} orders are stored, the log entered {replay.entered}"
            self._entered.differs(text)

    async def _look_at_live_orders(self, replay: Replay, settled: int) -> None:
        """Both ways: what is stored as live, and what the engine holds. Pending orders it does not know yet."""
        known = 0
        last_id = 0
        while page := await self._page_of_orders(replay.market_id, last_id, is_live=True):
            for row in page:
                order = live_order(row)
                if order.sequence <= settled:
                    known += 1
                    self._live.differs(live_difference(order, replay.engine))
            self._live.count(len(page))
            last_id = page[-1]["order_id"]
        if known < replay.engine.open_orders:
            self._live.differs(await self._missing_live_order(replay, known))

    async def _missing_live_order(self, replay: Replay, known: int) -> str:
        last_id = 0
        while page := await self._page_of_orders(replay.market_id, last_id, is_live=False):
            for row in page:
                if replay.engine.order(row["order_id"]) is not None:
                    status = OrderStatus(row["status"]).name
                    return f"order {row['order_id']} is live in the engine, and stored as {status}"
            last_id = page[-1]["order_id"]
        return f"market {replay.market_id}: the engine holds {replay.engine.open_orders} orders, {known} are stored"

    async def _page_of_orders(self, market_id: int, after_id: int, *, is_live: bool) -> list[Row]:
        return await self._transaction.rows(
            f"""
            SELECT {LIVE_COLUMNS} FROM orders WHERE market_id = $1 AND order_id > $2 AND is_live = $3
            ORDER BY order_id LIMIT $4
            """,  # noqa: S608
            market_id,
            after_id,
            is_live,
            ORDERS_AT_ONCE,
        )

    # Snapshots.
    async def _snapshot_sequences(self, market_id: int, accepted: int) -> set[int]:
        rows = await self._transaction.rows(
            "SELECT sequence FROM snapshots WHERE market_id = $1 ORDER BY sequence", market_id
        )
        sequences = {row["sequence"] for row in rows}
        self._snapshots.count(len(sequences))
        if sequences and max(sequences) > accepted:
            self._snapshots.differs(f"market {market_id}: snapshot {max(sequences)} is beyond the log, {accepted}")
        return {sequence for sequence in sequences if sequence <= accepted}

    async def _look_at_snapshot(self, replay: Replay) -> None:
        data: bytes = await self._transaction.value(
            "SELECT data FROM snapshots WHERE market_id = $1 AND sequence = $2", replay.market_id, replay.sequence
        )
        self._snapshots.differs(snapshot_difference(replay.market_id, replay.sequence, data, replay.engine))
