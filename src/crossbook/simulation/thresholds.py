"""Who is liquidated at which mark: two heaps, so that a mark touches only those whom it can affect."""

import heapq

from crossbook.domain.liquidation import liquidation_price_ticks
from crossbook.domain.margin import MarginState
from crossbook.simulation.exchange import Exchange


class Thresholds:
    """The mark at which each account's equity meets its maintenance margin, kept up to date with the exchange.

    Entries of accounts that changed meanwhile stay in the heaps and are passed over.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._version = [0] * len(exchange.wallet)
        self._longs: list[tuple[int, int, int]] = []
        self._shorts: list[tuple[int, int, int]] = []

    def refresh(self) -> None:
        """Take in the accounts that the exchange says were touched."""
        touched = sorted(dict.fromkeys(self._exchange.touched))
        self._exchange.touched.clear()
        for account in touched:
            self._version[account] += 1
            self._push(account)

    def due(self) -> list[int]:
        """The accounts in liquidation at the mark, lowest number first. Each is given once until it is touched."""
        self.refresh()
        mark = self._exchange.mark_ticks
        found, kept = list[int](), list[int]()
        while self._longs and -self._longs[0][0] >= mark:
            entry = heapq.heappop(self._longs)
            if entry[2] == self._version[entry[1]]:
                (found if self._is_in_liquidation(entry[1]) else kept).append(entry[1])
        while self._shorts and self._shorts[0][0] <= mark:
            entry = heapq.heappop(self._shorts)
            if entry[2] == self._version[entry[1]]:
                (found if self._is_in_liquidation(entry[1]) else kept).append(entry[1])
        for account in kept:
            self._push(account)
        return sorted(found)

    def _is_in_liquidation(self, account: int) -> bool:
        scope = self._exchange.scope(account)
        return bool(scope.positions) and scope.state is MarginState.LIQUIDATION

    def _push(self, account: int) -> None:
        """One tick early: maintenance margin is rounded up to a unit, and the rule itself has the last word."""
        exchange = self._exchange
        lots, version = exchange.lots[account], self._version[account]
        if lots == 0:
            return
        equity, mark = exchange.equity(account), exchange.mark_ticks
        price = liquidation_price_ticks(exchange.instrument, lots, mark, equity)
        if lots > 0:
            if price is not None:
                heapq.heappush(self._longs, (-(price.numerator // price.denominator + 1), account, version))
        else:
            # A short without a price is under water at every mark.
            at = 0 if price is None else -(-price.numerator // price.denominator) - 1
            heapq.heappush(self._shorts, (at, account, version))
