"""Carries out liquidations in the simulated market, step by step, as the venue's worker does (3.6, 3.7)."""

import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from crossbook.domain.instruments import Instrument
from crossbook.domain.liquidating import (
    CancelOrders,
    Clear,
    Counterparty,
    CoverLoss,
    Deleverage,
    Reduce,
    Situation,
    Wait,
    deleveraging_plan,
    next_step,
)
from crossbook.domain.liquidation import deleveraging_score
from crossbook.domain.margin import MarginState
from crossbook.domain.orders import Side
from crossbook.simulation.exchange import MARKET, Exchange

MOST_STEPS: Final = 1_000
"""More steps than any liquidation needs; one that takes more is a fault of the rules."""


@dataclass
class Tally:
    """What liquidations did so far."""

    liquidations: int = 0
    recovered: int = 0
    """Those that were healthy again once their orders were cancelled."""
    cancels: int = 0
    orders: int = 0
    partial_orders: int = 0
    liquidated_lots: int = 0
    deleveragings: int = 0
    deleveraged_accounts: int = 0
    deleveraged_lots: int = 0
    losses_covered_units: int = 0
    bad_debt_units: int = 0
    unfinished: int = 0
    """Those that found nobody to close against and go on at the next mark."""


class Liquidator:
    """Takes flagged accounts to their end. `tally` says what it did."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.tally = Tally()
        self._pool = DeleveragingPool(exchange)

    def run(self, account: int) -> None:
        """All steps of one account's liquidation, at the mark of this moment."""
        exchange, tally = self._exchange, self.tally
        tally.liquidations += 1
        unanswered, last_partial_ms, reduced = False, -1, False
        for _ in range(MOST_STEPS):
            scope = exchange.scope(account)
            case = Situation(
                scope,
                exchange.fund,
                exchange.now_ms,
                with_orders=(MARKET,) if exchange.has_orders(account) else (),
                unanswered=(MARKET,) if unanswered else (),
                last_partial_ms=last_partial_ms,
            )
            step = next_step(case)
            if isinstance(step, CancelOrders):
                tally.cancels += 1
                exchange.cancel_all(account)
            elif isinstance(step, Reduce):
                reduced = True
                filled = self._reduce(account, step)
                unanswered = filled == 0
                last_partial_ms = exchange.now_ms if step.is_partial and filled else last_partial_ms
            elif isinstance(step, Deleverage):
                if self._deleverage(account, step) == 0:
                    tally.unfinished += 1
                    exchange.touched.append(account)
                    return
                unanswered = False
            elif isinstance(step, CoverLoss):
                tally.losses_covered_units += step.loss_units
                tally.bad_debt_units += exchange.cover(account, step.loss_units)
            else:
                assert isinstance(step, Clear | Wait)
                tally.recovered += not reduced
                return
        raise AssertionError(f"the liquidation of account {account} does not end")

    def _reduce(self, account: int, step: Reduce) -> int:
        self.tally.orders += 1
        self.tally.partial_orders += step.is_partial
        filled = self._exchange.liquidate(
            account, step.side, step.quantity_lots, step.limit_ticks, step.bankruptcy_ticks
        )
        self.tally.liquidated_lots += filled
        return filled

    def _deleverage(self, account: int, step: Deleverage) -> int:
        """Close against winners; gives the lots closed."""
        exchange = self._exchange
        others = self._pool.first(step, account)
        closes = deleveraging_plan(exchange.instrument, step, exchange.mark_ticks, others)
        for close in closes:
            buyer, seller = (close.account_id, account) if step.side is Side.SELL else (account, close.account_id)
            exchange.force_trade(buyer, seller, close.price_ticks, close.quantity_lots)
        closed = sum(close.quantity_lots for close in closes)
        self.tally.deleveragings += 1
        self.tally.deleveraged_accounts += len({close.account_id for close in closes})
        self.tally.deleveraged_lots += closed
        return closed


_Ranked = tuple[Fraction, int, int, int]
"""Score, turned round so that the highest comes first; account; its wallet and its lots when it was scored."""


class DeleveragingPool:
    """The winners of one mark in the order of their rank, made once and corrected where an account changed.

    Ranking everybody for every account that is deleveraged would cost the square of their number.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._mark = (0, 0, 0)
        self._heaps: dict[Side, list[_Ranked]] = {}

    def first(self, step: Deleverage, but_account: int) -> list[Counterparty]:
        """Enough of the first counterparties to close all of `step` at its price, or all there are."""
        exchange = self._exchange
        moment = (exchange.mark_ticks, exchange.now_ms, exchange.trades)
        if moment != self._mark:
            self._mark, self._heaps = moment, {}
        heap = self._heaps.get(step.side)
        if heap is None:
            heap = self._heaps[step.side] = self._ranking(step.side)
        loss = _loss_of_a_lot(exchange.instrument, step, exchange.mark_ticks)
        found: list[Counterparty] = []
        taken: list[_Ranked] = []
        missing = step.quantity_lots
        while heap and missing > 0:
            entry = heapq.heappop(heap)
            account = entry[1]
            fresh = self._entry(account, step.side)
            if fresh is None or account == but_account:
                continue
            if fresh[2:] != entry[2:]:  # it changed since it was ranked: back to its place
                heapq.heappush(heap, fresh)
                continue
            other = self._counterparty(account)
            found.append(other)
            taken.append(fresh)
            bearable = abs(other.position_lots) if loss <= 0 else (other.equity_units - 1) // loss
            missing -= min(abs(other.position_lots), max(0, bearable))
        for entry in taken:
            heapq.heappush(heap, entry)
        return found

    def _ranking(self, side: Side) -> list[_Ranked]:
        entries = [self._entry(account, side) for account in range(len(self._exchange.lots))]
        heap = [entry for entry in entries if entry is not None]
        heapq.heapify(heap)
        return heap

    def _entry(self, account: int, side: Side) -> _Ranked | None:
        """Where an account stands; None when it is on the wrong side, or in liquidation itself."""
        exchange = self._exchange
        lots = exchange.lots[account]
        if lots == 0 or (lots < 0) != (side is Side.SELL):
            return None
        scope = exchange.scope(account)
        if scope.state is MarginState.LIQUIDATION:
            return None
        score = deleveraging_score(scope.deleveraging(account, MARKET))
        return (-score, account, exchange.wallet[account], lots)

    def _counterparty(self, account: int) -> Counterparty:
        candidate = self._exchange.scope(account).deleveraging(account, MARKET)
        return Counterparty(candidate, self._exchange.lots[account])


def _loss_of_a_lot(instrument: Instrument, step: Deleverage, mark_ticks: int) -> int:
    worse = step.bankruptcy_ticks - mark_ticks if step.side is Side.SELL else mark_ticks - step.bankruptcy_ticks
    return instrument.notional_units(worse, 1)
