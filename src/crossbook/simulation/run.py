"""The simulation: candles move the mark, the crowd trades, funding falls due, who must is liquidated.

After every candle the books are proved: what all accounts hold is what was put in, to the last unit. Same
candles, number of accounts and seed: same hash.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from crossbook.domain.funding import impact_notional_units, impact_price_ticks, instrument_funding_rate, mean_premium
from crossbook.domain.funding import premium as premium_of
from crossbook.domain.instruments import Instrument
from crossbook.domain.margin import MarginState
from crossbook.domain.money import MILLION, POWERS_OF_TEN
from crossbook.domain.orders import Side
from crossbook.simulation.candles import Candle
from crossbook.simulation.crowd import Crowd, wallets
from crossbook.simulation.exchange import BILLION, BooksDoNotBalance, Exchange
from crossbook.simulation.liquidator import Liquidator, Tally
from crossbook.simulation.thresholds import Thresholds
from crossbook.system import random_for

FUND: Final = 1_000_000
"""What the insurance fund starts with, in whole quote assets."""
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 3_600_000
ACCOUNTS_PER_MAKER: Final = 2_500
ACCOUNTS_PER_ORDER: Final = 500
"""In each minute, one of so many accounts trades; at least `LEAST_ORDERS`."""
LEAST_ORDERS: Final = 10
DEPTH: Final = 10
FILL_ORDERS: Final = 20
"""After so many orders the makers quote anew while everybody opens a position."""
SAMPLES: Final = 1_000
"""About so many points of each curve are kept for the picture."""


@dataclass(frozen=True)
class Sample:
    """How the market stood after a candle."""

    time_ms: int
    mark_ticks: int
    open_interest_lots: int
    fund_units: int
    bad_debt_units: int
    liquidations: int
    deleveraged_accounts: int


@dataclass
class Outcome:
    """What came of a run."""

    instrument: Instrument
    accounts: int
    candles: int
    exchange: Exchange
    tally: Tally
    funding_periods: list[int] = field(default_factory=list)
    funding_moved_units: int = 0
    funding_dust_units: int = 0
    samples: list[Sample] = field(default_factory=list)
    proofs: int = 0
    most_open_interest_lots: int = 0
    least_fund_units: int = 0
    hash: str = ""


def simulate(
    instrument: Instrument,
    candles: Sequence[Candle],
    accounts: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Run the candles. `accounts` is at least 10. Raises BooksDoNotBalance, which must never happen."""
    run = _Run(instrument, candles, accounts, seed)
    for number, candle in enumerate(candles):
        run.candle(candle)
        progress(number + 1)
    return run.end()


@dataclass(frozen=True)
class Cascade:
    """A crowd with positions, and what one step of the mark did to it."""

    outcome: Outcome
    positions_before: int
    in_liquidation_after: int


def cascade(
    instrument: Instrument, mark_ticks: int, accounts: int, seed: int, step_ppm: int, timed: Callable[[], None]
) -> Cascade:
    """Let every account open a position at a random leverage, then move the mark in one step and handle it all.

    `timed` is called right before and right after the step. Raises BooksDoNotBalance.
    """
    start = Candle(0, mark_ticks, mark_ticks, mark_ticks, mark_ticks)
    run = _Run(instrument, [start], accounts, seed)
    run.fill(mark_ticks)
    exchange = run.outcome.exchange
    before = sum(1 for lots in exchange.lots if lots)
    timed()
    after_ticks = mark_ticks + mark_ticks * step_ppm // MILLION
    run.candle(Candle(MINUTE_MS, after_ticks, after_ticks, after_ticks, after_ticks), orders=0)
    timed()
    left = sum(
        bool(exchange.scope(account).positions) and _is_liquidated(exchange, account) for account in range(accounts)
    )
    return Cascade(run.end(), before, left)


def _is_liquidated(exchange: Exchange, account: int) -> bool:
    return exchange.scope(account).state is MarginState.LIQUIDATION


class _Run:
    def __init__(self, instrument: Instrument, candles: Sequence[Candle], accounts: int, seed: int) -> None:
        random = random_for(seed, "simulation")
        makers = max(2, accounts // ACCOUNTS_PER_MAKER)
        unit = POWERS_OF_TEN[instrument.quote.decimals]
        first = candles[0].open_ticks
        exchange = Exchange(instrument, wallets(random, accounts, makers, unit), FUND * unit, first)
        self._exchange = exchange
        self._crowd = Crowd(random, exchange, makers)
        self._thresholds = Thresholds(exchange)
        self._liquidator = Liquidator(exchange)
        self._orders = max(LEAST_ORDERS, accounts // ACCOUNTS_PER_ORDER)
        self._every = max(1, len(candles) // SAMPLES)
        self._period_ms = instrument.funding_interval_hours * HOUR_MS
        self._period_start_ms = candles[0].time_ms // self._period_ms * self._period_ms
        self._premiums: list[Fraction] = []
        self._impact_units = impact_notional_units(instrument)
        self.outcome = Outcome(instrument, accounts, len(candles), exchange, self._liquidator.tally)
        self.outcome.least_fund_units = exchange.fund

    def fill(self, mark_ticks: int) -> None:
        """Let everybody of the crowd open a position; the makers quote anew as they are taken from."""
        self._exchange.set_mark(mark_ticks, 0)
        accounts = len(self._exchange.wallet)
        for first in range(0, accounts, FILL_ORDERS):
            self._crowd.quote(anew=True)
            self._crowd.open_each(range(first, min(first + FILL_ORDERS, accounts)))

    def candle(self, candle: Candle, orders: int = -1) -> None:
        """One interval: funding that fell due, its marks with their liquidations, then the crowd."""
        self._fund(candle.time_ms)
        for mark in candle.path():
            self._mark(mark, candle.time_ms)
        self._crowd.trade(self._orders if orders < 0 else orders)
        self._premiums.append(self._premium())
        self._liquidate()
        self._prove(candle)

    def end(self) -> Outcome:
        """The last proof: the engine knows the same positions and orders."""
        self._exchange.check_engine()
        self.outcome.hash = self._exchange.state_hash()
        return self.outcome

    def _mark(self, mark_ticks: int, now_ms: int) -> None:
        self._exchange.set_mark(mark_ticks, now_ms)
        self._crowd.quote()
        self._liquidate()

    def _liquidate(self) -> None:
        """All that are due, and those who become due by it."""
        while due := self._thresholds.due():
            before = self._liquidator.tally.unfinished
            for account in due:
                self._liquidator.run(account)
            if self._liquidator.tally.unfinished - before == len(due):
                return  # nobody is left to close against: on at the next mark

    def _premium(self) -> Fraction:
        exchange = self._exchange
        impact = [
            impact_price_ticks(
                exchange.instrument,
                ((price, lots) for price, lots, _ in exchange.engine.depth(side, DEPTH)),
                self._impact_units,
            )
            for side in (Side.BUY, Side.SELL)
        ]
        return premium_of(impact[0], impact[1], Fraction(exchange.mark_ticks))

    def _fund(self, now_ms: int) -> None:
        """Settle the periods that ended before `now_ms`, each once, in order."""
        while self._period_start_ms + self._period_ms <= now_ms:
            rate = instrument_funding_rate(self.outcome.instrument, mean_premium(self._premiums))
            self._premiums.clear()
            settled = self._exchange.pay_funding(self._period_start_ms, rate.numerator * BILLION // rate.denominator)
            if self._period_start_ms in self.outcome.funding_periods:
                raise BooksDoNotBalance(f"the funding period of {self._period_start_ms} came twice")
            self.outcome.funding_periods.append(self._period_start_ms)
            self.outcome.funding_moved_units += sum(units for _, units in settled.payments if units > 0)
            self.outcome.funding_dust_units += settled.dust_units
            self._period_start_ms += self._period_ms

    def _prove(self, candle: Candle) -> None:
        exchange, outcome, tally = self._exchange, self.outcome, self._liquidator.tally
        exchange.check_books()
        outcome.proofs += 1
        outcome.least_fund_units = min(outcome.least_fund_units, exchange.fund)
        if (outcome.proofs - 1) % self._every == 0:
            open_interest = exchange.open_interest()
            outcome.most_open_interest_lots = max(outcome.most_open_interest_lots, open_interest)
            outcome.samples.append(
                Sample(
                    candle.time_ms,
                    exchange.mark_ticks,
                    open_interest,
                    exchange.fund,
                    exchange.bad_debt,
                    tally.liquidations,
                    tally.deleveraged_accounts,
                )
            )
