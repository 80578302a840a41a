"""Liquidations as stored: what the worker reads of one, and what it writes for a step."""

from dataclasses import dataclass
from enum import IntEnum

from crossbook.domain.liquidating import (
    CancelOrders,
    CoverLoss,
    Deleverage,
    Reduce,
    Situation,
    Step,
    Wait,
)
from crossbook.domain.orders import Side
from crossbook.domain.risk import ScopeRisk


class LiquidationState(IntEnum):
    """How far a liquidation is. Numbers are stored."""

    FLAGGED = 1
    REDUCING = 2
    DELEVERAGING = 3
    CLOSED = 4


class StepKind(IntEnum):
    """What a step did. Numbers are stored."""

    CANCELLED_ORDERS = 1
    REDUCED = 2
    DELEVERAGED = 3
    COVERED = 4
    ENDED = 5


@dataclass(frozen=True)
class OpenLiquidation:
    """An open liquidation. `market_id` is 0 for all cross positions of the asset.

    `waits_for` are the commands, by market, whose settlement the next step waits for. `last_order_id` is 0 for none.
    """

    liquidation_id: int
    account_id: int
    asset_id: int
    market_id: int
    state: LiquidationState
    steps: int
    waits_for: tuple[tuple[int, int], ...]
    last_order_id: int
    last_partial_ms: int


@dataclass(frozen=True)
class Answer:
    """What became of the last liquidation order: how much of it traded, and in which market."""

    market_id: int
    filled_lots: int


def situation(
    one: OpenLiquidation,
    scope: ScopeRisk,
    fund_units: int,
    now_ms: int,
    with_orders: tuple[int, ...],
    closed: tuple[int, ...],
    answer: Answer | None,
) -> Situation:
    """What decides the next step.

    Orders are cancelled once: whatever the account enters while it is flagged can only reduce, and stands in nobody's
    way.
    """
    nobody = answer is not None and answer.filled_lots == 0
    unanswered = (answer.market_id,) if answer is not None and nobody else ()
    return Situation(
        scope,
        fund_units,
        now_ms,
        with_orders if one.state is LiquidationState.FLAGGED else (),
        closed,
        unanswered,
        one.last_partial_ms,
    )


def kind_of(step: Step) -> StepKind:
    """The kind under which a step is stored; a Wait is not."""
    if isinstance(step, CancelOrders):
        return StepKind.CANCELLED_ORDERS
    if isinstance(step, Reduce):
        return StepKind.REDUCED
    if isinstance(step, Deleverage):
        return StepKind.DELEVERAGED
    if isinstance(step, CoverLoss):
        return StepKind.COVERED
    assert not isinstance(step, Wait)
    return StepKind.ENDED


def state_after(state: LiquidationState, step: Step) -> LiquidationState:
    """How far the liquidation is after a step."""
    if isinstance(step, Wait):
        return state
    kind = kind_of(step)
    if kind is StepKind.ENDED:
        return LiquidationState.CLOSED
    return LiquidationState.DELEVERAGING if kind is StepKind.DELEVERAGED else LiquidationState.REDUCING


@dataclass(frozen=True)
class StepDetails:
    """One step of a liquidation; None for what it does not have. `amount_units` is a loss that was covered."""

    number: int
    kind: StepKind
    market_id: int | None
    side: Side | None
    quantity_lots: int | None
    limit_ticks: int | None
    bankruptcy_ticks: int | None
    amount_units: int
    at_ms: int


@dataclass(frozen=True)
class LiquidationDetails:
    """A liquidation with its steps. `market_id` is 0 for all cross positions; equity is that of its beginning."""

    liquidation_id: int
    account_id: int
    asset: str
    decimals: int
    market_id: int
    state: LiquidationState
    opened_at_ms: int
    closed_at_ms: int | None
    equity_units: int
    maintenance_units: int
    steps: tuple[StepDetails, ...]
