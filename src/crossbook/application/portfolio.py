"""What an account's holdings are worth at the marks: the figures behind balances and positions as shown."""

from dataclasses import dataclass
from fractions import Fraction

from crossbook.application.books import PositionRow
from crossbook.application.markets import Markets
from crossbook.application.marks import Marks
from crossbook.application.risk_rows import exposure
from crossbook.application.views import BalanceDetails, Holdings, PositionDetails
from crossbook.domain.margin import initial_rate, maintenance_margin_units
from crossbook.domain.money import ceil_div
from crossbook.domain.risk import AccountRisk, MarginMode, account_risk


@dataclass(frozen=True)
class PositionFigures:
    """A position at the mark, in quote units; without a mark, at its cost.

    `notional_units` is not signed. `margin_units` is the initial margin of a cross position, and what is set apart
    for an isolated one. Prices are exact; None when no price liquidates the scope, or when a mark is unknown.
    """

    mark_ticks: int | None
    notional_units: int
    margin_units: int
    maintenance_units: int
    unrealised_units: int
    liquidation_ticks: Fraction | None
    bankruptcy_ticks: Fraction | None


class Portfolio:
    """The holdings of one account, valued."""

    def __init__(self, holdings: Holdings, markets: Markets, marks: Marks) -> None:
        self._holdings = holdings
        self._markets = markets
        self._marks = marks
        self._risks: dict[str, AccountRisk] = {}

    def locked_units(self, balance: BalanceDetails) -> int:
        """What spot orders and withdrawals hold of a balance, and what margin and fees of perpetuals tie up (3.2)."""
        risk = self.risk(balance.asset)
        apart = sum(scope.backing_units for scope in risk.isolated)
        tied = risk.cross.initial_units + risk.order_units + risk.fee_reserve_units
        return balance.held_units + balance.transfer_hold_units + tied + apart

    def risk(self, asset: str) -> AccountRisk:
        """The account in one quote asset; positions without a mark have neither profit nor loss."""
        if asset not in self._risks:
            free = sum(each.free_units for each in self._holdings.balances if each.asset == asset)
            rows = (
                exposure(market, position_row(row), self._marks.mark_ticks(market.number))
                for row in self._holdings.positions
                for market in (self._markets.numbered(row.market_id),)
                if market.instrument.quote.name == asset
            )
            self._risks[asset] = account_risk(free, rows)
        return self._risks[asset]

    def figures(self, row: PositionDetails) -> PositionFigures:
        """One of the positions, valued. Raises MarketNotFound."""
        market = self._markets.numbered(row.market_id)
        instrument, mark_ticks = market.instrument, self._marks.mark_ticks(row.market_id)
        isolated = row.mode is MarginMode.ISOLATED
        if mark_ticks is None:
            notional = abs(row.cost_units)
            rate, unit = initial_rate(instrument, row.leverage, notional)
            margin = row.isolated_units if isolated else ceil_div(notional * rate, unit)
            maintenance = maintenance_margin_units(instrument, notional)
            return PositionFigures(None, notional, margin, maintenance, 0, None, None)
        scope = self.risk(instrument.quote.name).scope_of(row.market_id)
        one = scope.in_market(row.market_id)
        liquidation = bankruptcy = None
        if row.position_lots and all(self._has_mark(each.market_id) for each in scope.positions):
            liquidation, bankruptcy = scope.liquidation_ticks(row.market_id), scope.bankruptcy_ticks(row.market_id)
        return PositionFigures(
            mark_ticks,
            abs(one.value_units),
            row.isolated_units if isolated else one.initial_units,
            one.maintenance_units,
            one.unrealised_units,
            liquidation,
            bankruptcy if bankruptcy is not None and bankruptcy > 0 else None,
        )

    def _has_mark(self, market_id: int) -> bool:
        return self._marks.mark_ticks(market_id) is not None


def position_row(row: PositionDetails) -> PositionRow:
    """The row as the rules of risk take it."""
    return PositionRow(row.margin, row.cost_units, row.mode, row.isolated_units, in_liquidation=row.in_liquidation)
