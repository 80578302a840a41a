"""One look at a market: what is decided, from what is known."""

from typing import Any, Final

import pytest

from crossbook.application.pricing import (
    BookLook,
    Known,
    MarketControl,
    PricingRules,
    PricingStep,
    current_premium,
    decide,
    release,
)
from crossbook.domain.commands import ApplyFunding, SetMarketState, UpdatePrices
from crossbook.domain.funding_period import FundingPeriod
from crossbook.domain.index import MICRO, Quote
from crossbook.domain.instruments import btc_perp
from crossbook.domain.mark import MarkState, Top
from crossbook.domain.orders import MarketState

BTC: Final = btc_perp()
INDEX: Final = 650_000
WHOLE: Final = 28_800_000
NOW: Final = 59_027 * WHOLE + 3_600_000
START: Final = 59_027 * WHOLE
BOOK: Final = BookLook(Top(649_990, 650_010, INDEX), [(649_990, 10**6)], [(650_010, 10**6)])
ACTIVE, CANCEL_ONLY, PAUSED = MarketState.ACTIVE, MarketState.CANCEL_ONLY, MarketState.PAUSED


def quote(source: str, ticks: int, age_ms: int = 0) -> Quote:
    return Quote(source, ticks * MICRO, NOW - age_ms)


def known(**changes: Any) -> Known:
    values: dict[str, Any] = {
        "control": MarketControl(ACTIVE),
        "mark": MarkState(),
        "quotes": [quote("desk", INDEX)],
        "periods": [],
    }
    return Known(**{**values, **changes})


def look(what: Known, live: list[Quote] | None = None, book: BookLook = BOOK, patient: bool = False) -> PricingStep:
    return decide(BTC, PricingRules(), what, book, live or [], NOW, patient)


def said(step: PricingStep) -> list[object]:
    return [make(place, NOW) for place, make in enumerate(step.commands, start=1)]


def period(start_ms: int, samples: int = 5, index_ticks: int = INDEX) -> FundingPeriod:
    return FundingPeriod(start_ms, start_ms + WHOLE - 5_000, True, WHOLE - 5_000, samples, 0, index_ticks)


def test_a_look_states_prices_and_samples_the_period() -> None:
    step = look(known())
    assert said(step) == [UpdatePrices(1, NOW, INDEX, INDEX)]
    assert step.period is not None
    assert (step.period.start_ms, step.period.samples) == (START, 1)


def test_a_live_quote_stands_for_the_stored_one_of_its_source() -> None:
    step = look(known(), [quote("desk", INDEX + 10)])
    assert said(step) == [UpdatePrices(1, NOW, INDEX, INDEX + 10)]
    assert step.reading.used == ("desk",)


@pytest.mark.parametrize("state", [ACTIVE, MarketState.AUCTION, MarketState.POST_ONLY])
def test_a_lost_index_halts_who_trades(state: MarketState) -> None:
    step = look(known(quotes=[quote("desk", INDEX, 10_001)], control=MarketControl(state)))
    assert said(step) == [SetMarketState(1, NOW, CANCEL_ONLY)]
    assert step.control == MarketControl(CANCEL_ONLY, state)


@pytest.mark.parametrize("state", [PAUSED, CANCEL_ONLY, MarketState.SETTLEMENT_ONLY])
def test_a_lost_index_leaves_the_others_alone(state: MarketState) -> None:
    step = look(known(quotes=[], control=MarketControl(state)))
    assert (said(step), step.control) == ([], MarketControl(state))


def test_after_a_start_a_missing_index_is_waited_for() -> None:
    assert said(look(known(quotes=[]), patient=True)) == []


def test_prices_come_before_the_market_goes_on() -> None:
    step = look(known(control=MarketControl(CANCEL_ONLY, ACTIVE)))
    assert said(step) == [UpdatePrices(1, NOW, INDEX, INDEX), SetMarketState(2, NOW, ACTIVE)]
    assert step.control == MarketControl(ACTIVE)


def test_periods_that_are_over_are_applied_in_order_before_anything_else() -> None:
    over = [period(START - 3 * WHOLE), period(START - WHOLE, index_ticks=INDEX + 5)]
    step = look(known(periods=over, quotes=[]))
    assert said(step) == [
        ApplyFunding(1, NOW, START - 3 * WHOLE, 100_000, INDEX),
        ApplyFunding(2, NOW, START - WHOLE, 100_000, INDEX + 5),
        SetMarketState(3, NOW, CANCEL_ONLY),
    ]
    assert [applied.rate_ppb for applied in step.applied] == [100_000, 100_000]


def test_a_period_without_a_sample_pays_nothing_and_the_running_one_waits() -> None:
    running = FundingPeriod(START, NOW - 4_999, True, 0, 1, 0, INDEX)
    step = look(known(periods=[period(START - WHOLE, samples=0), running]))
    assert said(step)[0] == ApplyFunding(1, NOW, START - WHOLE, 0, INDEX)
    assert step.period is None, "five seconds are not over"


def test_a_market_that_is_halted_is_looked_at_and_not_sampled() -> None:
    running = FundingPeriod(START, NOW - 5_000, True, 0, 1, 0, INDEX)
    step = look(known(periods=[running], control=MarketControl(PAUSED)))
    assert step.period is not None
    assert (step.period.samples, step.period.live, step.period.live_ms) == (1, False, 5_000)


def test_a_market_without_an_index_begins_no_period() -> None:
    assert look(known(quotes=[])).period is None


def test_release() -> None:
    assert said(release(known(control=MarketControl(CANCEL_ONLY, MarketState.AUCTION)))) == [
        SetMarketState(1, NOW, MarketState.AUCTION)
    ]
    assert said(release(known())) == []


def test_the_premium_of_the_rule_book() -> None:
    book = BookLook(Top(), [(651_300, 10**6)], [(651_400, 10**6)])
    assert current_premium(BTC, book, INDEX) * 1_000 == 2
    thin = BookLook(Top(), [(651_300, 1)], [])
    assert current_premium(BTC, thin, INDEX) == 0
