"""What an account's holdings are worth at the marks: the figures behind balances and positions as shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.views import BalanceDetails, Holdings, PositionDetails
from crossbook.domain.liquidation import liquidation_price_ticks
from crossbook.domain.margin import (
    equity_units,
    initial_margin_units,
    initial_rate,
    maintenance_margin_units,
    position_margin_units,
)
from crossbook.domain.money import ceil_div


@dataclass(frozen=True)
class PositionFigures:
    """A position at the mark, in quote units; without a mark, at its cost.

    `notional_units` is not signed. `liquidation_ticks` is exact; None when no price liquidates the account, or
    when a mark is unknown.
    """

    mark_ticks: int | None
    notional_units: int
    margin_units: int
    unrealised_units: int
    liquidation_ticks: Fraction | None


class Portfolio:
    """The holdings of one account, valued."""

    def __init__(self, holdings: Holdings, markets: Markets, marks: Marks) -> None:
        self._holdings = holdings
        self._markets = markets
        self._marks = marks

    def locked_units(self, balance: BalanceDetails) -> int:
        """What spot orders and withdrawals hold of a balance, and what margin and fees of perpetuals tie up (3.2)."""
        locked = balance.held_units + balance.transfer_hold_units
        for market, row in self._rows(balance.asset):
            # As admission counts it before there is a mark.
            mark_ticks = self._marks.mark_ticks(market.number) or 1
            locked += initial_margin_units(market.instrument, row.margin, mark_ticks) + row.margin.fee_reserve_units
        return locked

    def figures(self, row: PositionDetails) -> PositionFigures:
        """One of the positions, valued. Raises MarketNotFound."""
        market = self._markets.numbered(row.market_id)
        instrument, mark_ticks = market.instrument, self._marks.mark_ticks(row.market_id)
        if mark_ticks is None:
            notional = abs(row.cost_units)
            rate, unit = initial_rate(instrument, row.leverage, notional)
            return PositionFigures(None, notional, ceil_div(notional * rate, unit), 0, None)
        value = instrument.notional_units(mark_ticks, row.position_lots)
        margin = position_margin_units(instrument, row.margin, mark_ticks)
        return PositionFigures(
            mark_ticks, abs(value), margin, value - row.cost_units, self._liquidation_ticks(row, market, mark_ticks)
        )

    def _liquidation_ticks(self, row: PositionDetails, market: Market, mark_ticks: int) -> Fraction | None:
        """The mark of this market at which the account meets its maintenance margin, all else unchanged (3.4)."""
        asset = market.instrument.quote.name
        unrealised = others = 0
        for other, held in self._rows(asset):
            mark = self._marks.mark_ticks(other.number)
            if held.position_lots == 0:
                continue
            if mark is None:
                return None
            value = other.instrument.notional_units(mark, held.position_lots)
            unrealised += value - held.cost_units
            if other.number != row.market_id:
                others += maintenance_margin_units(other.instrument, abs(value))
        equity = equity_units(self._free_units(asset), unrealised)
        return liquidation_price_ticks(market.instrument, row.position_lots, mark_ticks, equity, others)

    def _free_units(self, asset: str) -> int:
        return sum(each.free_units for each in self._holdings.balances if each.asset == asset)

    def _rows(self, asset: str) -> Iterator[tuple[Market, PositionDetails]]:
        for row in self._holdings.positions:
            market = self._markets.numbered(row.market_id)
            if market.instrument.quote.name == asset:
                yield market, row
