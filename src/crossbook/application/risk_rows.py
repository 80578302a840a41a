"""From stored rows to the risk of an account: one way, for admission, withdrawals, views and the liquidator."""

from collections.abc import Mapping

from crossbook.application.books import Balance, Books, PositionRow
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.domain.risk import AccountRisk, Exposure, account_risk

UNKNOWN_MARK_TICKS = 1
"""What margin is counted at before there is a mark; such a position has neither profit nor loss."""


def exposure(market: Market, row: PositionRow, mark_ticks: int | None) -> Exposure:
    """One row at its mark; before there is one, at `UNKNOWN_MARK_TICKS` and without PnL."""
    cost = row.cost_units
    if mark_ticks is None:
        mark_ticks = UNKNOWN_MARK_TICKS
        cost = market.instrument.notional_units(mark_ticks, row.margin.position_lots)
    return Exposure(market.number, market.instrument, row.margin, cost, mark_ticks, row.mode, row.isolated_units)


def rows_of(
    positions: Mapping[tuple[int, int], PositionRow], account_id: int, quote_asset_id: int, markets: Markets
) -> list[tuple[Market, PositionRow]]:
    """The account's rows in the perpetuals that are settled in this asset."""
    found = [(market, positions.get((account_id, market.number))) for market in markets.perpetuals_in(quote_asset_id)]
    return [(market, row) for market, row in found if row is not None]


def risk_of(
    books: Books,
    account_id: int,
    quote_asset_id: int,
    markets: Markets,
    marks: Marks,
    otherwise: Mapping[int, int] | None = None,
) -> AccountRisk:
    """The account in one quote asset. `otherwise` names marks to take where none is known yet, by market number."""
    balance = books.balances.get((account_id, quote_asset_id), Balance())
    known = otherwise or {}
    return account_risk(
        balance.free_units,
        [
            exposure(market, row, marks.mark_ticks(market.number) or known.get(market.number))
            for market, row in rows_of(books.positions, account_id, quote_asset_id, markets)
        ],
    )
