"""The steps of a liquidation, durable: each is one transaction that logs its command and moves the row forward.

So a worker that is killed between any two statements leaves the step whole or not at all, and the next one goes
on from the row. Two workers at once do no harm: the row of a liquidation is locked while a step of it is taken.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from crossbook.application.books import AdmittedOrder, Books, CommandMaker, FeeRates
from crossbook.application.liquidations import (
    Answer,
    LiquidationState,
    OpenLiquidation,
    kind_of,
    situation,
    state_after,
)
from crossbook.application.markets import Market
from crossbook.application.requests import NewOrder
from crossbook.domain import ledger as journals
from crossbook.domain.accounts import BAD_DEBT, INSURANCE
from crossbook.domain.commands import OPERATOR, CancelOrder, ForceTrade, SingleCommand, SubmitOrder
from crossbook.domain.ledger import LedgerType
from crossbook.domain.liquidating import (
    CancelOrders,
    Clear,
    Counterparty,
    CoverLoss,
    Deleverage,
    ForcedClose,
    Reduce,
    Step,
    Wait,
    deleveraging_plan,
    next_step,
)
from crossbook.domain.margin import MarginState
from crossbook.domain.orders import MarketState, OrderType, SelfTradePrevention, Side, TimeInForce
from crossbook.domain.risk import CROSS_SCOPE, AccountRisk, ScopeRisk
from crossbook.storage import admission, ledger
from crossbook.storage import markets as stored_markets
from crossbook.storage.commands_log import LoggedCommand
from crossbook.storage.database import Row, Transaction, columns
from crossbook.storage.flagging import perpetuals_of, read_marks, read_risks

LIQUIDATION: Final = 2
"""`orders.purpose` of a liquidation order."""
MOST_CLOSES: Final = 200
"""How many counterparties one step of deleveraging closes against; what is left is for the next step."""
_OPEN: Final = """
    SELECT liquidation_id, account_id, asset_id, market_id, state, steps, waits_in_markets, waits_for_sequences,
        coalesce(last_order_id, 0) AS last_order_id, last_partial_ms
    FROM liquidations WHERE closed_at_ms IS NULL
"""


@dataclass(frozen=True)
class Taken:
    """A step that was taken, and the commands that it logged."""

    liquidation: OpenLiquidation
    step: Step
    commands: tuple[LoggedCommand, ...]


async def open_ids(transaction: Transaction, limit: int) -> list[int]:
    """The open liquidations whose commands are settled, oldest first."""
    rows = await transaction.rows(
        """
        SELECT liquidation_id FROM liquidations WHERE closed_at_ms IS NULL AND NOT EXISTS (
            SELECT FROM unnest(waits_in_markets, waits_for_sequences) AS waits (market_id, sequence)
            JOIN market_settlements USING (market_id) WHERE last_settled_sequence < sequence
        ) ORDER BY liquidation_id LIMIT $1
        """,
        limit,
    )
    return [row[0] for row in rows]


async def take_step(transaction: Transaction, liquidation_id: int, order_id: int, now_ms: int) -> Taken | None:
    """Take the next step of a liquidation; `order_id` is for its order, should it need one.

    None when it has ended, waits for a settlement, or another worker is at it.
    """
    row = await transaction.row(f"{_OPEN} AND liquidation_id = $1 FOR UPDATE SKIP LOCKED", liquidation_id)
    if row is None:
        return None
    one = _open_liquidation(row)
    if await _waits(transaction, one):
        return None
    accounts = [one.account_id]
    await admission.read_balances(transaction, accounts)  # locked, and read as risks below
    await admission.read_positions(transaction, accounts)
    perpetuals = await perpetuals_of(transaction, one.asset_id)
    risk = (await read_risks(transaction, accounts, one.asset_id, perpetuals))[one.account_id]
    scope = _scope(risk, one.market_id)
    known = await admission.read_live(transaction, accounts)
    live = [order for order in known.get(one.account_id, []) if _in_scope(order.market_id, one, risk)]
    step = next_step(
        situation(
            one,
            scope,
            await _fund_units(transaction, one.asset_id),
            now_ms,
            tuple(sorted({order.market_id for order in live})),
            await _closed_markets(transaction, perpetuals),
            await _answer(transaction, one),
        )
    )
    taking = _Taking(transaction, one, scope, perpetuals, now_ms)
    logged = await taking.take(step, order_id, [(order.market_id, order.order_id) for order in live])
    return Taken(one, step, tuple(logged))


def _open_liquidation(row: Row) -> OpenLiquidation:
    waits = tuple(zip(row["waits_in_markets"], row["waits_for_sequences"], strict=True))
    return OpenLiquidation(
        row["liquidation_id"],
        row["account_id"],
        row["asset_id"],
        row["market_id"],
        LiquidationState(row["state"]),
        row["steps"],
        waits,
        row["last_order_id"],
        row["last_partial_ms"],
    )


async def _waits(transaction: Transaction, one: OpenLiquidation) -> bool:
    rows = await transaction.rows(
        "SELECT market_id, last_settled_sequence FROM market_settlements WHERE market_id = ANY ($1::integer[])",
        [market_id for market_id, _ in one.waits_for],
    )
    settled = {row[0]: row[1] for row in rows}
    return any(settled.get(market_id, 0) < sequence for market_id, sequence in one.waits_for)


def _scope(risk: AccountRisk, market_id: int) -> ScopeRisk:
    return risk.cross if market_id == CROSS_SCOPE else risk.scope_of(market_id)


def _in_scope(market_id: int, one: OpenLiquidation, risk: AccountRisk) -> bool:
    """Whether orders of a market weigh on the scope: of an isolated one its own, of the cross one all others."""
    if one.market_id != CROSS_SCOPE:
        return market_id == one.market_id
    return all(scope.market_id != market_id for scope in risk.isolated)


async def _fund_units(transaction: Transaction, asset_id: int) -> int:
    found = await transaction.value(
        "SELECT total_units FROM balances WHERE account_id = $1 AND asset_id = $2", INSURANCE, asset_id
    )
    return int(found or 0)


async def _closed_markets(transaction: Transaction, perpetuals: Sequence[Market]) -> tuple[int, ...]:
    """Markets that take no order that ends at once, or that have no mark."""
    marks = await read_marks(transaction)
    return tuple(
        market.number
        for market in perpetuals
        if market.instrument.status is not MarketState.ACTIVE or market.number not in marks
    )


async def _answer(transaction: Transaction, one: OpenLiquidation) -> Answer | None:
    """What became of the last order, if the last step was one."""
    if one.last_order_id == 0 or not one.waits_for:
        return None
    row = await transaction.row("SELECT market_id, filled_lots FROM orders WHERE order_id = $1", one.last_order_id)
    return None if row is None else Answer(row[0], row[1])


class _Taking:
    """One step being taken: its effects, and then the row that says so."""

    def __init__(
        self,
        transaction: Transaction,
        one: OpenLiquidation,
        scope: ScopeRisk,
        perpetuals: Sequence[Market],
        now_ms: int,
    ) -> None:
        self._transaction = transaction
        self._one = one
        self._scope = scope
        self._perpetuals = perpetuals
        self._now_ms = now_ms

    async def take(self, step: Step, order_id: int, live: Sequence[tuple[int, int]]) -> list[LoggedCommand]:
        """Do the step; gives what it logged."""
        logged: list[LoggedCommand] = []
        if isinstance(step, Wait):
            return logged
        if isinstance(step, CancelOrders):
            logged = await self._log((market_id, partial(_cancel, order)) for market_id, order in live)
        elif isinstance(step, Reduce):
            logged = await self._send(step, order_id)
        elif isinstance(step, Deleverage):
            closes = await self._plan(step)
            if not closes:
                return logged  # nobody to close against: on when the market has moved
            logged = await self._log((step.market_id, partial(_forced, step, self._one.account_id, c)) for c in closes)
        elif isinstance(step, CoverLoss):
            await self._cover(step)
        else:
            assert isinstance(step, Clear)
            await self._unflag()
        await self._note(step, order_id if isinstance(step, Reduce) else None, logged)
        return logged

    async def _log(self, commands: Iterable[tuple[int, CommandMaker]]) -> list[LoggedCommand]:
        return await admission.write(self._transaction, Books(commands=list(commands)), self._now_ms)

    async def _send(self, step: Reduce, order_id: int) -> list[LoggedCommand]:
        """Log a liquidation order: reduce-only, ends at once, free of fees, with its bankruptcy price beside it."""
        order = NewOrder(
            self._one.account_id,
            step.market_id,
            step.side,
            OrderType.LIMIT,
            step.quantity_lots,
            step.limit_ticks,
            TimeInForce.IOC,
            reduce_only=True,
            self_trade_prevention=SelfTradePrevention.NONE,
        )
        books = Books(commands=[(step.market_id, partial(_submit, order, order_id))])
        books.orders.append((0, AdmittedOrder(order_id, order, 0, FeeRates(0, 0), None)))
        logged = await admission.write(self._transaction, books, self._now_ms)
        await self._transaction.execute(
            "UPDATE orders SET purpose = $2, bankruptcy_price_ticks = $3 WHERE order_id = $1",
            order_id,
            LIQUIDATION,
            step.bankruptcy_ticks,
        )
        return logged

    async def _plan(self, step: Deleverage) -> Sequence[ForcedClose]:
        """Who is closed: those on the other side by their rank, as they are now. The engine trims what has changed."""
        market = next(market for market in self._perpetuals if market.number == step.market_id)
        ranked = await self._transaction.rows(
            """
            SELECT account_id FROM positions
            WHERE market_id = $1 AND liquidation_id IS NULL AND sign(position_lots) = $2 ORDER BY account_id
            """,
            step.market_id,
            -1 if step.side is Side.SELL else 1,
        )
        risks = await read_risks(self._transaction, [row[0] for row in ranked], self._one.asset_id, self._perpetuals)
        others = []
        for account_id, risk in risks.items():
            scope = risk.scope_of(step.market_id)
            if scope.state is not MarginState.LIQUIDATION:
                lots = scope.in_market(step.market_id).row.position_lots
                others.append(Counterparty(scope.deleveraging(account_id, step.market_id), lots))
        mark = self._scope.in_market(step.market_id).mark_ticks
        return deleveraging_plan(market.instrument, step, mark, others)[:MOST_CLOSES]

    async def _cover(self, step: CoverLoss) -> None:
        """Pay a loss from the fund as far as it goes; the rest is bad debt. The scope owes nothing afterwards."""
        one = self._one
        asset = next(market.instrument.quote.name for market in self._perpetuals)
        fund = await self._transaction.value(
            "SELECT total_units FROM balances WHERE account_id = $1 AND asset_id = $2 FOR NO KEY UPDATE",
            INSURANCE,
            one.asset_id,
        )
        journal = journals.cover_loss(one.account_id, asset, step.loss_units, int(fund or 0))
        entry = ledger.Entry(LedgerType.LIQUIDATION_LOSS, journal)
        await ledger.post(self._transaction, [entry], await stored_markets.asset_ids(self._transaction), self._now_ms)
        if one.market_id != CROSS_SCOPE:
            await self._transaction.execute(
                """
                UPDATE positions SET isolated_margin_units = 0
                WHERE account_id = $1 AND market_id = $2 AND position_lots = 0
                """,
                one.account_id,
                one.market_id,
            )

    async def _unflag(self) -> None:
        await self._transaction.execute(
            "UPDATE positions SET liquidation_id = NULL WHERE account_id = $1 AND liquidation_id = $2",
            self._one.account_id,
            self._one.liquidation_id,
        )

    async def _note(self, step: Step, order_id: int | None, logged: Sequence[LoggedCommand]) -> None:
        """Write the step down, and move the liquidation on."""
        last = {command.market_id: command.sequence for command in logged}
        one, scope = self._one, self._scope
        traded = step if isinstance(step, Reduce | Deleverage) else None
        await self._transaction.execute(
            """
            INSERT INTO liquidation_steps (liquidation_id, step, kind, market_id, order_id, side, quantity_lots,
                limit_price_ticks, bankruptcy_price_ticks, equity_units, maintenance_units, amount_units,
                created_at_ms)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            """,
            one.liquidation_id,
            one.steps + 1,
            int(kind_of(step)),
            traded.market_id if traded is not None else None,
            order_id,
            int(traded.side) if traded is not None else None,
            traded.quantity_lots if traded is not None else None,
            step.limit_ticks if isinstance(step, Reduce) else None,
            traded.bankruptcy_ticks if traded is not None else None,
            scope.equity_units,
            scope.maintenance_units,
            step.loss_units if isinstance(step, CoverLoss) else 0,
            self._now_ms,
        )
        state = state_after(one.state, step)
        partial_ms = self._now_ms if isinstance(step, Reduce) and step.is_partial else one.last_partial_ms
        await self._transaction.execute(
            """
            UPDATE liquidations SET state = $2, steps = steps + 1, waits_in_markets = $3, waits_for_sequences = $4,
                last_order_id = $5, last_partial_ms = $6, closed_at_ms = $7
            WHERE liquidation_id = $1
            """,
            one.liquidation_id,
            int(state),
            *(columns(sorted(last.items()), 2) if last else ([], [])),
            order_id,
            partial_ms,
            self._now_ms if state is LiquidationState.CLOSED else None,
        )


def _cancel(order_id: int, sequence: int, now_ms: int) -> SingleCommand:
    return CancelOrder(sequence, now_ms, order_id, OPERATOR)


def _submit(order: NewOrder, order_id: int, sequence: int, now_ms: int) -> SingleCommand:
    return SubmitOrder(
        sequence,
        now_ms,
        order_id,
        order.account_id,
        order.side,
        order.type,
        order.quantity_lots,
        order.price_ticks,
        order.time_in_force,
        reduce_only=True,
        self_trade_prevention=order.self_trade_prevention,
    )


def _forced(step: Deleverage, account_id: int, close: ForcedClose, sequence: int, now_ms: int) -> SingleCommand:
    buyer, seller = (close.account_id, account_id) if step.side is Side.SELL else (account_id, close.account_id)
    return ForceTrade(sequence, now_ms, buyer, seller, close.price_ticks, close.quantity_lots)


async def repay_bad_debt(transaction: Transaction, asset: str, asset_id: int, now_ms: int) -> int:
    """Pay open bad debt of an asset back from the fund, as far as it goes; gives the units."""
    rows = await transaction.rows(
        """
        SELECT account_id, total_units FROM balances
        WHERE account_id = ANY ($1::bigint[]) AND asset_id = $2 ORDER BY account_id FOR NO KEY UPDATE
        """,
        [INSURANCE, BAD_DEBT],
        asset_id,
    )
    held = {row[0]: row[1] for row in rows}
    units = min(held.get(INSURANCE, 0), -held.get(BAD_DEBT, 0))
    if units <= 0:
        return 0
    entry = ledger.Entry(LedgerType.INSURANCE_FUND_TRANSFER, journals.repay_bad_debt(asset, units))
    await ledger.post(transaction, [entry], {asset: asset_id}, now_ms)
    return int(units)
