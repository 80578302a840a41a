"""What is to be done about a market's prices at one moment: a pure decision from what is known and stored.

Index from the sources, mark from index and book, the premium of the funding period, and the market's state: a
market whose index is lost goes to CANCEL_ONLY, and back to where it was when there is an index again. What an
operator has ordered is never undone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, Protocol

from crossbook.domain.commands import ApplyFunding, SetMarketState, SingleCommand, UpdatePrices
from crossbook.domain.funding import impact_notional_units, impact_price_ticks, premium
from crossbook.domain.funding_period import SAMPLE_MS, FundingPeriod, begin, interval_ms, period_start_ms
from crossbook.domain.index import IndexReading, IndexRules, Quote, read_index
from crossbook.domain.instruments import Instrument
from crossbook.domain.mark import MarkState, Top, next_mark
from crossbook.domain.orders import MarketState

TRADING_STATES: Final = frozenset((MarketState.ACTIVE, MarketState.AUCTION, MarketState.POST_ONLY))
"""States that a lost index ends."""


class PriceSource(Protocol):
    """Where prices come from: a simulated walk, a public venue. Asked often; answers at once from what it has."""

    def quotes(self, now_ms: int) -> Sequence[Quote]:
        """The newest quote of each of its sources; empty while it has none."""
        ...


@dataclass(frozen=True)
class PricingRules:
    """The venue's terms: the rules of the index, and how far the mark may be from it."""

    index: IndexRules = field(default_factory=IndexRules)
    mark_band_basis_points: int = 500


@dataclass(frozen=True)
class MarketControl:
    """The state that was last ordered for a market, settled or not.

    `halted_from` is the state that a market without an index goes back to; None when an operator or nobody halted it.
    """

    state: MarketState
    halted_from: MarketState | None = None


@dataclass(frozen=True)
class BookLook:
    """A market's own prices at a moment: the top, and the levels (ticks, lots) of both sides, best first."""

    top: Top
    bids: Sequence[tuple[int, int]] = ()
    asks: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Known:
    """What is stored about a market's prices. `periods` are those not applied yet, the oldest first."""

    control: MarketControl
    mark: MarkState
    quotes: Sequence[Quote]
    periods: Sequence[FundingPeriod]


@dataclass(frozen=True)
class AppliedPeriod:
    """A period that ends now: its rate, and the price it is taken of."""

    period: FundingPeriod
    rate_ppb: int


@dataclass
class PricingStep:
    """What follows from one look: commands for the market's log, in order, and what is to be stored."""

    reading: IndexReading
    control: MarketControl
    mark: MarkState
    mark_ticks: int = 0
    commands: list[Callable[[int, int], SingleCommand]] = field(default_factory=list)
    applied: list[AppliedPeriod] = field(default_factory=list)
    period: FundingPeriod | None = None
    """The running period, if it was looked at."""


def decide(
    instrument: Instrument,
    rules: PricingRules,
    known: Known,
    book: BookLook,
    live_quotes: Sequence[Quote],
    now_ms: int,
    patient: bool,
) -> PricingStep:
    """Decide what one look at a market leads to. A quote of `live_quotes` counts instead of a stored one of its source.

    `patient` is true for a little while after a start: a missing index then halts nothing. Periods of funding that are
    over come first: each once, in order, at the last index that was seen in it. A period that nobody looked at, such as
    one in which the venue was away, pays nothing and is not recorded.
    """
    quotes = {quote.source: quote for quote in (*known.quotes, *live_quotes)}
    reading = read_index(quotes.values(), now_ms, rules.index)
    step = PricingStep(reading, known.control, known.mark)
    before = _apply_ended(instrument, known.periods, now_ms, step)
    if reading.price_ticks is None:
        if not patient and known.control.state in TRADING_STATES:
            step.control = MarketControl(MarketState.CANCEL_ONLY, known.control.state)
            step.commands.append(_state_command(MarketState.CANCEL_ONLY))
        index_ticks = 0
    else:
        index_ticks = reading.price_ticks
        step.mark, step.mark_ticks = next_mark(known.mark, book.top, index_ticks, now_ms, rules.mark_band_basis_points)
        step.commands.append(_prices_command(step.mark_ticks, index_ticks))
        _resume(known.control, step)
    _sample(instrument, known.periods, before, book, index_ticks, now_ms, step)
    return step


def release(known: Known) -> PricingStep:
    """What is to be done about a market that has no sources any more: it goes back to where it was."""
    step = PricingStep(IndexReading(None, (), ()), known.control, known.mark)
    _resume(known.control, step)
    return step


def current_premium(instrument: Instrument, book: BookLook, index_ticks: int) -> Fraction:
    """The premium of a book over the index, from its impact prices (3.8)."""
    notional = impact_notional_units(instrument)
    bid = impact_price_ticks(instrument, book.bids, notional)
    ask = impact_price_ticks(instrument, book.asks, notional)
    return premium(bid, ask, Fraction(index_ticks))


def _resume(control: MarketControl, step: PricingStep) -> None:
    """There is an index (again), or none is wanted: undo the halt that only its absence caused."""
    if control.halted_from is not None:
        step.control = MarketControl(control.halted_from)
        step.commands.append(_state_command(control.halted_from))


def _apply_ended(
    instrument: Instrument, periods: Sequence[FundingPeriod], now_ms: int, step: PricingStep
) -> FundingPeriod | None:
    """Apply every period that is over; the last of them as it was when it was last looked at."""
    before = None
    for period in periods:
        end_ms = period.start_ms + interval_ms(instrument)
        if end_ms > now_ms or period.index_price_ticks == 0:
            continue
        before = period
        ended = period.ended(end_ms)
        applied = AppliedPeriod(ended, ended.rate_ppb(instrument))
        step.applied.append(applied)
        step.commands.append(_funding_command(applied))
    return before


def _sample(
    instrument: Instrument,
    periods: Sequence[FundingPeriod],
    before: FundingPeriod | None,
    book: BookLook,
    index_ticks: int,
    now_ms: int,
    step: PricingStep,
) -> None:
    """Look at the running period when it is time to."""
    start_ms = period_start_ms(instrument, now_ms)
    running = next((period for period in periods if period.start_ms == start_ms), None)
    if running is None:
        if index_ticks == 0:
            return
        running = begin(instrument, now_ms, before)
    elif now_ms - running.looked_at_ms < SAMPLE_MS:
        return
    live = index_ticks > 0 and step.control.state is MarketState.ACTIVE
    found = current_premium(instrument, book, index_ticks) if live else None
    step.period = running.look(now_ms, index_ticks, found)


def _state_command(state: MarketState) -> Callable[[int, int], SingleCommand]:
    return lambda sequence, now_ms: SetMarketState(sequence, now_ms, state)


def _prices_command(mark_ticks: int, index_ticks: int) -> Callable[[int, int], SingleCommand]:
    return lambda sequence, now_ms: UpdatePrices(sequence, now_ms, mark_ticks, index_ticks)


def _funding_command(applied: AppliedPeriod) -> Callable[[int, int], SingleCommand]:
    period = applied.period
    return lambda sequence, now_ms: ApplyFunding(
        sequence, now_ms, period.start_ms, applied.rate_ppb, period.index_price_ticks
    )
