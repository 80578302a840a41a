"""How an account backs its positions: leverage, margin mode, and the margin of an isolated position.

Each change is decided on rows that are locked, by the same rules as orders, and is made whole or not at all.
"""

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from crossbook.application.books import Books, PositionRow
from crossbook.application.errors import InLiquidation, InvalidOrder
from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.risk_rows import UNKNOWN_MARK_TICKS, risk_of
from crossbook.domain.isolated import least_margin_units
from crossbook.domain.margin import InsufficientMargin, MarginRow
from crossbook.domain.risk import AccountRisk, MarginMode


class MarginStore(Protocol):
    """Where margin rows are. `crossbook.storage.margin_terms` is one."""

    async def change(self, account_id: int, market_id: int, decide: Callable[[Books], PositionRow]) -> None:
        """Read the account's rows under lock, write the market's row as `decide` gives it, commit.

        Raises what `decide` raises, having done nothing.
        """
        ...


class MarginTerms:
    """The use cases of leverage and margin."""

    def __init__(self, store: MarginStore, markets: Markets, marks: Marks) -> None:
        self._store = store
        self._markets = markets
        self._marks = marks

    async def set_leverage(self, account_id: int, market: Market, leverage: int) -> None:
        """Choose the leverage of the market's position, and of orders that name none.

        A lower one needs more margin: a cross account must have it available, an isolated position gets it from the
        wallet. Raises InvalidLeverage, InsufficientMargin, InLiquidation.
        """
        market.instrument.check_leverage(leverage)

        def decide(books: Books) -> PositionRow:
            row = self._row(books, account_id, market)
            changed = replace(row, margin=row.margin._replace(leverage=leverage), chosen_leverage=leverage)
            if row.mode is MarginMode.ISOLATED and leverage < row.margin.leverage:
                least = self._least_units(market, changed)
                changed = replace(changed, isolated_units=max(row.isolated_units, least))
            return self._carried(books, account_id, market, changed)

        await self._store.change(account_id, market.number, decide)

    async def set_mode(self, account_id: int, market: Market, mode: MarginMode) -> None:
        """Back the market's position by the whole wallet, or by margin of its own.

        A position that becomes isolated gets its initial margin, and what it has lost so far. Raises
        InsufficientMargin when the wallet can not spare that, or needs what an isolated position has; InLiquidation.
        """

        def decide(books: Books) -> PositionRow:
            row = self._row(books, account_id, market)
            if mode is row.mode:
                return row
            isolated = self._least_units(market, row) if mode is MarginMode.ISOLATED else 0
            return self._carried(books, account_id, market, replace(row, mode=mode, isolated_units=isolated))

        await self._store.change(account_id, market.number, decide)

    async def move_margin(self, account_id: int, market: Market, amount_units: int) -> None:
        """Add margin to an isolated position, or take some out of it when the amount is negative.

        What is left must cover the initial margin and the loss so far. Raises InsufficientMargin, InvalidOrder
        where there is no isolated position, InLiquidation.
        """

        def decide(books: Books) -> PositionRow:
            row = self._row(books, account_id, market)
            if row.mode is not MarginMode.ISOLATED or row.margin.position_lots == 0:
                raise InvalidOrder("market", f"{market.symbol} has no isolated position to move margin of")
            changed = replace(row, isolated_units=row.isolated_units + amount_units)
            spare = row.isolated_units - self._least_units(market, row)
            if amount_units < 0 and -amount_units > spare:
                raise InsufficientMargin(-amount_units, max(0, spare))
            return self._carried(books, account_id, market, changed)

        await self._store.change(account_id, market.number, decide)

    def _row(self, books: Books, account_id: int, market: Market) -> PositionRow:
        row = books.positions.get((account_id, market.number))
        if row is None:
            return PositionRow(MarginRow(market.instrument.max_leverage))
        if row.in_liquidation:
            raise InLiquidation(market.symbol)
        return row

    def _least_units(self, market: Market, row: PositionRow) -> int:
        if row.margin.position_lots == 0:
            return 0
        mark = self._marks.mark_ticks(market.number)
        if mark is None:
            raise InvalidOrder("market", f"{market.symbol} has no mark price now: try again later")
        return least_margin_units(market.instrument, row.margin, row.cost_units, mark)

    def _carried(self, books: Books, account_id: int, market: Market, changed: PositionRow) -> PositionRow:
        """The row, if the account carries it. Raises InsufficientMargin when it would leave less than nothing free."""
        before = self._risk(books, account_id, market)
        key = (account_id, market.number)
        row = books.positions.get(key)
        books.positions[key] = changed
        after = self._risk(books, account_id, market)
        if row is None:
            del books.positions[key]
        else:
            books.positions[key] = row
        if after.available_units < 0 and after.available_units < before.available_units:
            raise InsufficientMargin(before.available_units - after.available_units, max(0, before.available_units))
        return changed

    def _risk(self, books: Books, account_id: int, market: Market) -> AccountRisk:
        unknown = {market.number: UNKNOWN_MARK_TICKS}
        return risk_of(books, account_id, market.quote_asset_id, self._markets, self._marks, unknown)
