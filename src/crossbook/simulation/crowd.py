"""The traders of the simulation: a few makers who quote, and a crowd that follows, fades, adds and closes.

All choices come from the generator that is given, in whole numbers: same seed, same orders.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from crossbook.domain.money import MILLION, POWERS_OF_TEN
from crossbook.domain.orders import Side, TimeInForce
from crossbook.simulation.exchange import Exchange

MAKER_WALLET: Final = 50_000_000
"""What a maker brings, in whole quote assets."""
LADDER_PPM: Final = ((200, 400_000), (800, 1_000_000), (2_500, 2_000_000), (8_000, 4_000_000))
"""Distance from the mark in parts per million, and the notional there in whole quote assets."""
MAKER_LEVERAGE: Final = 10
REQUOTE_PPM: Final = 1_000
"""Makers quote anew when the mark is so far from where they quoted."""
TOLERANCE_PPM: Final = 10_000
"""How far from the mark a taker goes."""
LARGEST_LEVERAGE: Final = 20


def wallets(random: Random, accounts: int, makers: int, unit: int) -> list[int]:
    """What everybody starts with, in units: makers first, then anything from 100 to 100,000 quote assets."""
    crowd = [random.randrange(100, 1_000) * (1, 1, 10, 10, 100)[random.randrange(5)] for _ in range(accounts - makers)]
    return [MAKER_WALLET * unit] * makers + [amount * unit for amount in crowd]


class Crowd:
    """Everybody who trades. The first `makers` accounts quote."""

    def __init__(self, random: Random, exchange: Exchange, makers: int) -> None:
        self._random = random
        self._exchange = exchange
        self._makers = makers
        self._quoted_at = 0
        self._money = POWERS_OF_TEN[exchange.instrument.quote.decimals]
        self._trend = 0

    def quote(self, anew: bool = False) -> None:
        """Let the makers quote around the mark, if it has moved since they last did, or in any case."""
        exchange = self._exchange
        mark = exchange.mark_ticks
        if not anew and abs(mark - self._quoted_at) * MILLION <= REQUOTE_PPM * mark:
            return
        self._trend = 1 if mark > self._quoted_at else -1
        self._quoted_at = mark
        for maker in range(self._makers):
            exchange.cancel_all(maker)
            for away_ppm, notional in LADDER_PPM:
                lots = max(1, notional * self._money // (mark * exchange.unit))
                away = max(1, mark * away_ppm // MILLION)
                for side, price in ((Side.BUY, mark - away), (Side.SELL, mark + away)):
                    exchange.submit(
                        maker,
                        side,
                        lots,
                        max(1, price),
                        MAKER_LEVERAGE,
                        time_in_force=TimeInForce.GTC,
                        post_only=True,
                    )

    def trade(self, orders: int) -> None:
        """Let so many of the crowd do something."""
        accounts = len(self._exchange.wallet)
        for _ in range(orders):
            account = self._random.randrange(self._makers, accounts)
            if self._exchange.lots[account] == 0:
                self._open(account)
            elif self._random.randrange(100) < 25:
                self._close(account)
            else:
                self._open(account)

    def open_each(self, accounts: Iterable[int]) -> None:
        """Let these of the crowd open a position."""
        for account in accounts:
            if account >= self._makers:
                self._open(account)

    def _open(self, account: int) -> None:
        """A new position, or more of the one there is: a part of what is free, at a random leverage."""
        exchange, random = self._exchange, self._random
        leverage, part = random.randrange(1, LARGEST_LEVERAGE + 1), random.randrange(30, 95)
        follows = random.randrange(100) < 55
        rests = random.randrange(100) < 15
        lots = exchange.lots[account]
        side = (Side.BUY if lots > 0 else Side.SELL) if lots else self._side(follows)
        if lots:
            leverage = exchange.row[account].leverage
        free = exchange.equity(account) - abs(lots) * exchange.mark_ticks * exchange.unit // leverage
        size = free * part * leverage // (100 * exchange.mark_ticks * exchange.unit)
        if size < 1:
            return
        away = exchange.mark_ticks * TOLERANCE_PPM // MILLION
        if rests:
            price = exchange.mark_ticks - away if side is Side.BUY else exchange.mark_ticks + away
            exchange.cancel_all(account)
            exchange.submit(account, side, size, price, leverage, time_in_force=TimeInForce.GTC)
        else:
            price = exchange.mark_ticks + away if side is Side.BUY else exchange.mark_ticks - away
            exchange.submit(account, side, size, price, leverage)

    def _close(self, account: int) -> None:
        exchange = self._exchange
        lots = exchange.lots[account]
        side = Side.SELL if lots > 0 else Side.BUY
        away = exchange.mark_ticks * 2 * TOLERANCE_PPM // MILLION
        price = exchange.mark_ticks + (away if side is Side.BUY else -away)
        exchange.submit(account, side, abs(lots), price, 1, reduce_only=True)

    def _side(self, follows: bool) -> Side:
        up = self._trend >= 0
        return Side.BUY if up == follows else Side.SELL
