"""The steps of a liquidation, decided one at a time from what is known now (3.6, 3.7).

    orders are open in the scope      cancel them
    equity carries the positions      clear the flag
    a position, and somebody to trade reduce the one with the largest maintenance margin
    nobody traded                     deleverage: winners opposite are closed at the bankruptcy price
    no position, equity below zero    the fund pays as far as it goes, the rest is bad debt

Whoever carries a step out asks again afterwards. Nothing is remembered but two facts: when a part of a
position was last sold, and in which markets the last order found nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from crossbook.domain.instruments import Instrument
from crossbook.domain.liquidation import (
    Deleveraging,
    bankruptcy_tick,
    deleveraging_order,
    deleveraging_score,
    fund_flow_units,
)
from crossbook.domain.margin import MarginState
from crossbook.domain.money import POWERS_OF_TEN, ceil_div, floor_div
from crossbook.domain.orders import MAX_PRICE_TICKS, Side
from crossbook.domain.risk import Exposure, ScopeRisk

PARTIAL_ABOVE: Final = 100_000
"""A position worth more than this, in whole quote assets, is sold in parts."""
PARTS: Final = 5
"""A part is one of so many: 20 %."""
WHOLE_FOR_MS: Final = 30_000
"""So long after a part was sold, the next order is for the whole position."""
FUND_REACH_PER_MILLE: Final = 5
"""How far from the mark, in thousandths of it, the fund pays for a worse price than the bankruptcy price."""
RANKS: Final = 5
"""Steps of the rank that a trader sees of his place in the queue of auto-deleveraging."""


@dataclass(frozen=True)
class CancelOrders:
    """Cancel every order of the account in these markets."""

    market_ids: tuple[int, ...]


@dataclass(frozen=True)
class Clear:
    """The liquidation is over: the scope is healthy, or holds neither position nor debt."""


@dataclass(frozen=True)
class Wait:
    """Nothing can be done now: the markets of all positions are closed to trading."""


@dataclass(frozen=True)
class Reduce:
    """Send a reduce-only order that ends at once. `bankruptcy_ticks` decides who pays whom at each fill."""

    market_id: int
    side: Side
    quantity_lots: int
    limit_ticks: int
    bankruptcy_ticks: int
    is_partial: bool


@dataclass(frozen=True)
class Deleverage:
    """Close `quantity_lots` against accounts on the other side; `side` is what the liquidated account does."""

    market_id: int
    side: Side
    quantity_lots: int
    bankruptcy_ticks: int


@dataclass(frozen=True)
class CoverLoss:
    """The positions are gone and the scope owes `loss_units`: fund first, then bad debt (`ledger.cover_loss`)."""

    loss_units: int


Step = CancelOrders | Clear | Wait | Reduce | Deleverage | CoverLoss


@dataclass(frozen=True)
class Situation:
    """What decides the next step of one scope.

    `with_orders` are the markets where the account has live orders in the scope, `closed` those that take no order
    now, `unanswered` those where the last order of this liquidation found nobody. `last_partial_ms` is when a part
    was last sold, -1 for never.
    """

    scope: ScopeRisk
    fund_units: int
    now_ms: int
    with_orders: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    unanswered: tuple[int, ...] = ()
    last_partial_ms: int = -1


def next_step(case: Situation) -> Step:
    """What to do next for a flagged scope."""
    if case.with_orders:
        return CancelOrders(tuple(sorted(case.with_orders)))
    scope = case.scope
    if not scope.positions:
        return CoverLoss(-scope.equity_units) if scope.equity_units < 0 else Clear()
    if scope.state is MarginState.HEALTHY:
        return Clear()
    open_ones = [each for each in scope.positions if each.market_id not in case.closed]
    if not open_ones:
        return Wait()
    chosen = min(open_ones, key=lambda each: (-each.maintenance_units, each.market_id))
    if chosen.market_id in case.unanswered:
        bankruptcy = bankruptcy_of(scope, chosen)
        lots = chosen.row.position_lots
        return Deleverage(chosen.market_id, closing_side(lots), abs(lots), bankruptcy)
    return _reduce(case, chosen)


def _reduce(case: Situation, chosen: Exposure) -> Reduce:
    lots = chosen.row.position_lots
    whole = case.last_partial_ms >= 0 and case.now_ms - case.last_partial_ms < WHOLE_FOR_MS
    quantity = abs(lots) if whole else slice_lots(chosen.instrument, lots, chosen.mark_ticks)
    bankruptcy = bankruptcy_of(case.scope, chosen)
    limit = limit_ticks(chosen.instrument, lots, quantity, chosen.mark_ticks, bankruptcy, case.fund_units)
    return Reduce(chosen.market_id, closing_side(lots), quantity, limit, bankruptcy, quantity < abs(lots))


def closing_side(position_lots: int) -> Side:
    """The side that closes a position."""
    return Side.SELL if position_lots > 0 else Side.BUY


def slice_lots(instrument: Instrument, position_lots: int, mark_ticks: int) -> int:
    """How much of a position to sell at once: a fifth, rounded up, of a large one, and all of any other."""
    value = instrument.notional_units(mark_ticks, abs(position_lots))
    if value <= PARTIAL_ABOVE * POWERS_OF_TEN[instrument.quote.decimals]:
        return abs(position_lots)
    return ceil_div(abs(position_lots), PARTS)


def bankruptcy_of(scope: ScopeRisk, exposure: Exposure) -> int:
    """The bankruptcy price of one position on the tick, in favour of the fund, and within what a price can be."""
    ticks = bankruptcy_tick(scope.bankruptcy_ticks(exposure.market_id), exposure.row.position_lots)
    return min(max(ticks, 1), MAX_PRICE_TICKS)


def limit_ticks(
    instrument: Instrument, position_lots: int, quantity_lots: int, mark_ticks: int, bankruptcy_ticks: int, fund: int
) -> int:
    """The worst price of a liquidation order.

    The bankruptcy price; worse only as far as `fund` covers the whole quantity, and never more than
    0.5 % beyond the mark for the fund's money.
    """
    room = floor_div(max(0, fund), instrument.notional_units(1, quantity_lots))
    if position_lots > 0:
        reach = ceil_div(mark_ticks * (1_000 - FUND_REACH_PER_MILLE), 1_000)
        return max(1, min(bankruptcy_ticks, max(bankruptcy_ticks - room, reach)))
    reach = floor_div(mark_ticks * (1_000 + FUND_REACH_PER_MILLE), 1_000)
    return min(MAX_PRICE_TICKS, max(bankruptcy_ticks, min(bankruptcy_ticks + room, reach)))


def fund_payment_units(
    instrument: Instrument, closed_lots: int, fill_ticks: int, bankruptcy_ticks: int, fund_units: int
) -> int:
    """What the fund receives for one fill, or pays when negative: never more than it has (3.6).

    `closed_lots` has the sign of the position. What the fund can not pay stays a loss of the account, and becomes
    bad debt when its positions are gone.
    """
    return max(fund_flow_units(instrument, closed_lots, fill_ticks, bankruptcy_ticks), -max(0, fund_units))


# -- Auto-deleveraging -------------------------------------------------------------------------------
@dataclass(frozen=True)
class Counterparty:
    """An account on the other side: its rank as `candidate`, and its signed position.

    Accounts in liquidation, and the venue's own, are never among them.
    """

    candidate: Deleveraging
    position_lots: int

    @property
    def equity_units(self) -> int:
        """What is behind the position."""
        return self.candidate.wallet_units + self.candidate.position_value_units - self.candidate.cost_units


@dataclass(frozen=True)
class ForcedClose:
    """So much of a counterparty's position is closed against the liquidated account, at this price."""

    account_id: int
    quantity_lots: int
    price_ticks: int


def deleveraging_plan(
    instrument: Instrument, step: Deleverage, mark_ticks: int, others: Iterable[Counterparty]
) -> tuple[ForcedClose, ...]:
    """Who is closed, in the order of their rank, until nothing is left to close or nobody is left.

    At the bankruptcy price, as far as the counterparty's equity stays above zero: a winner gives up
    profit, but is never made bankrupt. What nobody can carry there is closed at the mark, in the same order, and
    the loss is bad debt of the liquidated account.
    """
    sign = 1 if step.side is Side.BUY else -1  # a sale closes accounts that are short
    able = {
        each.candidate.account_id: each for each in others if each.position_lots * sign > 0 and each.equity_units > 0
    }
    ranked = [each.account_id for each in deleveraging_order(tuple(each.candidate for each in able.values()))]
    loss = instrument.notional_units((step.bankruptcy_ticks - mark_ticks) * -sign, 1)
    left, closes = step.quantity_lots, list[ForcedClose]()
    taken: dict[int, int] = {}
    for account_id in ranked:
        lots = min(left, abs(able[account_id].position_lots), _bearable_lots(able[account_id], loss))
        if lots > 0:
            closes.append(ForcedClose(account_id, lots, step.bankruptcy_ticks))
            taken[account_id] = lots
            left -= lots
    for account_id in ranked:
        lots = min(left, abs(able[account_id].position_lots) - taken.get(account_id, 0))
        if lots > 0:
            closes.append(ForcedClose(account_id, lots, mark_ticks))
            left -= lots
    return tuple(closes)


def _bearable_lots(other: Counterparty, loss_units: int) -> int:
    """How many lots leave equity when each costs `loss_units` against the mark."""
    if loss_units <= 0:
        return abs(other.position_lots)
    return (other.equity_units - 1) // loss_units


def deleveraging_rank(place: int, count: int) -> int:
    """The rank shown for `place` (0 is closed first) among `count`: 5 for the first fifth, 1 for the last."""
    return RANKS - place * RANKS // max(count, 1)


def score_of(scope: ScopeRisk, account_id: int, market_id: int) -> tuple[int, int] | None:
    """The deleveraging score of a position as a ratio; None for one that is not ranked."""
    exposure = scope.in_market(market_id)
    if exposure.row.position_lots == 0 or scope.equity_units <= 0:
        return None
    score = deleveraging_score(scope.deleveraging(account_id, market_id))
    return score.numerator, score.denominator
