"""How an account stands: equity, margins and state of each of its scopes (3.1 to 3.5).

A scope is what stands and falls together. All cross positions of one quote asset are one scope, backed by the
wallet; each isolated position is one by itself, backed by the margin that was set apart for it. That margin
is a part of the wallet's total which the cross scope does not count. Open orders of an isolated
market are carried by the wallet until they trade.

Quote units throughout. Everybody who asks about risk asks here: admission, withdrawals, the settler that flags,
the liquidator, the views, and the simulation.
"""

from collections.abc import Iterable
from enum import IntEnum
from fractions import Fraction
from typing import Final, NamedTuple

from crossbook.domain.instruments import Instrument
from crossbook.domain.liquidation import (
    Deleveraging,
    cross_bankruptcy_price_ticks,
    isolated_bankruptcy_price_ticks,
    liquidation_price_ticks,
)
from crossbook.domain.margin import (
    MarginRow,
    MarginState,
    available_units,
    equity_units,
    initial_margin_units,
    maintenance_margin_units,
    margin_state,
    position_margin_units,
    withdrawable_units,
)
from crossbook.domain.orders import Side

CROSS_SCOPE: Final = 0
"""The market number that stands for all cross positions of an account together."""


class MarginMode(IntEnum):
    """What backs a position: the whole wallet, or margin of its own. Numbers are stored."""

    CROSS = 1
    ISOLATED = 2


class Exposure(NamedTuple):
    """One account's row in one perpetual, and the mark it is valued at.

    `margin_units` is what an isolated position has for itself; 0 in cross mode.
    """

    market_id: int
    instrument: Instrument
    row: MarginRow
    cost_units: int
    mark_ticks: int
    mode: MarginMode = MarginMode.CROSS
    margin_units: int = 0

    @property
    def scope(self) -> int:
        """The scope it belongs to: its own market, or CROSS_SCOPE."""
        return self.market_id if self.mode is MarginMode.ISOLATED else CROSS_SCOPE

    @property
    def value_units(self) -> int:
        """`q * M`, signed."""
        return self.instrument.notional_units(self.mark_ticks, self.row.position_lots)

    @property
    def unrealised_units(self) -> int:
        """`q * M - C`."""
        return self.value_units - self.cost_units

    @property
    def initial_units(self) -> int:
        """The initial margin of the position alone."""
        return position_margin_units(self.instrument, self.row, self.mark_ticks)

    @property
    def order_units(self) -> int:
        """What open orders need beyond the position, fee reserves not counted."""
        return initial_margin_units(self.instrument, self.row, self.mark_ticks) - self.initial_units

    @property
    def maintenance_units(self) -> int:
        """The maintenance margin of the position."""
        return maintenance_margin_units(self.instrument, abs(self.value_units))


class ScopeRisk(NamedTuple):
    """One scope at the marks: `backing_units` is the free wallet of a cross scope, the margin of an isolated one.

    `exposures` are the rows of the scope, by market number.
    """

    market_id: int
    backing_units: int
    exposures: tuple[Exposure, ...]

    @property
    def equity_units(self) -> int:
        """What is behind the positions, with their unrealised PnL."""
        return equity_units(self.backing_units, sum(each.unrealised_units for each in self.exposures))

    @property
    def initial_units(self) -> int:
        """The initial margin of the positions."""
        return sum(each.initial_units for each in self.exposures)

    @property
    def maintenance_units(self) -> int:
        """The maintenance margin of the positions."""
        return sum(each.maintenance_units for each in self.exposures)

    @property
    def positions(self) -> tuple[Exposure, ...]:
        """Those rows that have a position."""
        return tuple(each for each in self.exposures if each.row.position_lots)

    @property
    def state(self) -> MarginState:
        """Healthy, margin call or liquidation (3.3); a scope without positions is in liquidation only below zero."""
        return margin_state(self.equity_units, self.initial_units, self.maintenance_units)

    def in_market(self, market_id: int) -> Exposure:
        """The row of a market. Raises KeyError when the scope has none."""
        for each in self.exposures:
            if each.market_id == market_id:
                return each
        raise KeyError(market_id)

    def bankruptcy_ticks(self, market_id: int) -> Fraction:
        """The price that leaves nothing of the scope's equity for this position (3.5).

        Raises KeyError without a row, InvalidValue for a flat position.
        """
        one = self.in_market(market_id)
        lots = one.row.position_lots
        if one.mode is MarginMode.ISOLATED:
            return isolated_bankruptcy_price_ticks(one.instrument, lots, one.cost_units, self.backing_units)
        return cross_bankruptcy_price_ticks(
            one.instrument, lots, one.mark_ticks, self.equity_units, one.maintenance_units, self.maintenance_units
        )

    def liquidation_ticks(self, market_id: int) -> Fraction | None:
        """The mark of the market at which the scope meets its maintenance margin, all else unchanged (3.4)."""
        one = self.in_market(market_id)
        others = self.maintenance_units - one.maintenance_units
        return liquidation_price_ticks(one.instrument, one.row.position_lots, one.mark_ticks, self.equity_units, others)

    def deleveraging(self, account_id: int, market_id: int) -> Deleveraging:
        """The position as a candidate for auto-deleveraging: with the whole equity of its scope behind it."""
        one = self.in_market(market_id)
        behind = self.equity_units - one.unrealised_units
        return Deleveraging(account_id, one.value_units, one.cost_units, behind)


class AccountRisk(NamedTuple):
    """An account in one quote asset: `cross`, and one scope for each isolated position."""

    wallet_units: int
    cross: ScopeRisk
    isolated: tuple[ScopeRisk, ...]

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Every row, cross ones first."""
        return self.cross.exposures + tuple(each for scope in self.isolated for each in scope.exposures)

    @property
    def order_units(self) -> int:
        """What the open orders of every market need, fee reserves not counted."""
        return sum(each.order_units for each in self.exposures)

    @property
    def fee_reserve_units(self) -> int:
        """What the open orders of every market set aside for fees."""
        return sum(each.row.fee_reserve_units for each in self.exposures)

    @property
    def available_units(self) -> int:
        """What is free for new risk; negative when the account is short of initial margin (3.1)."""
        return available_units(
            self.cross.equity_units, self.cross.initial_units, self.order_units, self.fee_reserve_units
        )

    @property
    def withdrawable_units(self) -> int:
        """What may leave the venue (3.1): of wallet and equity, isolated margin not counted, what margin leaves."""
        value = sum(abs(each.value_units) for each in self.cross.exposures)
        cross = self.cross
        return withdrawable_units(
            cross.backing_units,
            cross.equity_units,
            cross.initial_units,
            self.order_units,
            self.fee_reserve_units,
            value,
        )

    @property
    def scopes(self) -> tuple[ScopeRisk, ...]:
        """Every scope, the cross one first."""
        return (self.cross, *self.isolated)

    def scope_of(self, market_id: int) -> ScopeRisk:
        """The scope that a market of the account belongs to; the cross scope for a market without a row."""
        for scope in self.isolated:
            if scope.market_id == market_id:
                return scope
        return self.cross

    @property
    def in_liquidation(self) -> tuple[int, ...]:
        """The scopes to flag: those with a position whose equity is at or below maintenance margin."""
        return tuple(
            scope.market_id for scope in self.scopes if scope.positions and scope.state is MarginState.LIQUIDATION
        )


def account_risk(wallet_units: int, exposures: Iterable[Exposure]) -> AccountRisk:
    """An account with `wallet_units` in the quote asset (less what spot orders hold) and these rows, in any order."""
    rows = tuple(sorted(exposures, key=lambda each: each.market_id))
    isolated = tuple(
        ScopeRisk(each.market_id, each.margin_units, (each,)) for each in rows if each.mode is MarginMode.ISOLATED
    )
    apart = sum(scope.backing_units for scope in isolated)
    cross = tuple(each for each in rows if each.mode is MarginMode.CROSS)
    return AccountRisk(wallet_units, ScopeRisk(CROSS_SCOPE, wallet_units - apart, cross), isolated)


def only_reduces(row: MarginRow, side: Side) -> bool:
    """Whether every order of this side in the row, all of them together, can only make the position smaller.

    What an account in a margin call or in liquidation may still do (3.3).
    """
    if side is Side.BUY:
        return row.position_lots < 0 and row.buy_lots <= -row.position_lots
    return row.position_lots > 0 and row.sell_lots <= row.position_lots
