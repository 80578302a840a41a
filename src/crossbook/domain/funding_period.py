"""One period of funding while it runs: premiums as they are sampled, and the rate when it ends (3.8).

Periods begin at whole multiples of the instrument's interval since 1970 UTC. The premium is sampled every five
seconds; a sample is kept in parts per trillion, half to even, so the mean of a period is off by less than 10^-12.
The rate of the period is that of its mean premium, times the part of the period in which the market was
not halted; it is rounded to parts per billion, half to even. A period that was halted as a whole pays nothing.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from crossbook.domain.funding import instrument_funding_rate
from crossbook.domain.index import round_half_even
from crossbook.domain.instruments import Instrument

SAMPLE_MS: Final = 5_000
"""How often the premium is sampled."""
LONGEST_STEP_MS: Final = 2 * SAMPLE_MS
"""A longer silence is not known to have been alive beyond this."""
TRILLION: Final = 10**12
BILLION: Final = 10**9
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True)
class FundingPeriod:
    """A period so far. `live` is whether the market was trading at the last look, at `looked_at_ms`.

    `index_price_ticks` is the last index that was seen in it; the funding is paid at that price.
    """

    start_ms: int
    looked_at_ms: int
    live: bool = False
    live_ms: int = 0
    samples: int = 0
    premium_sum_ppt: int = 0
    index_price_ticks: int = 0

    def look(self, now_ms: int, index_ticks: int, premium: Fraction | None) -> "FundingPeriod":
        """The period after a look at the market: its premium, or None while it is halted."""
        sampled = (
            self
            if premium is None
            else replace(
                self,
                samples=self.samples + 1,
                premium_sum_ppt=self.premium_sum_ppt + round_half_even(premium * TRILLION),
            )
        )
        return replace(
            sampled,
            looked_at_ms=max(now_ms, self.looked_at_ms),
            live=premium is not None,
            live_ms=self.live_ms + self._gained_ms(now_ms),
            index_price_ticks=index_ticks or self.index_price_ticks,
        )

    def ended(self, end_ms: int) -> "FundingPeriod":
        """The period when it is over: alive to its end if it was at the last look, not long before."""
        return replace(self, looked_at_ms=end_ms, live_ms=self.live_ms + self._gained_ms(end_ms))

    @property
    def mean_premium(self) -> Fraction:
        """The mean of its samples, 0 without any."""
        return Fraction(self.premium_sum_ppt, self.samples * TRILLION) if self.samples else Fraction(0)

    def estimate_ppb(self, instrument: Instrument) -> int:
        """The rate if the rest of the period is like what was, in parts per billion."""
        if not self.samples:
            return 0
        return round_half_even(instrument_funding_rate(instrument, self.mean_premium) * BILLION)

    def rate_ppb(self, instrument: Instrument) -> int:
        """The rate of the period, which has ended, in parts per billion: scaled by the time not halted."""
        if not self.samples:
            return 0
        whole_ms = interval_ms(instrument)
        alive = Fraction(min(self.live_ms, whole_ms), whole_ms)
        return round_half_even(instrument_funding_rate(instrument, self.mean_premium) * alive * BILLION)

    def _gained_ms(self, now_ms: int) -> int:
        return min(max(0, now_ms - self.looked_at_ms), LONGEST_STEP_MS) if self.live else 0


def interval_ms(instrument: Instrument) -> int:
    """The length of the instrument's periods."""
    return instrument.funding_interval_hours * HOUR_MS


def period_start_ms(instrument: Instrument, now_ms: int) -> int:
    """When the period of this moment began."""
    return now_ms - now_ms % interval_ms(instrument)


def begin(instrument: Instrument, now_ms: int, before: FundingPeriod | None) -> FundingPeriod:
    """The period of this moment at its first look. It is alive from its very start when the one before was to its end.

    `before` is the last period that was looked at, as it was then.
    """
    start_ms = period_start_ms(instrument, now_ms)
    seamless = before is not None and before.live and now_ms - before.looked_at_ms <= LONGEST_STEP_MS
    return FundingPeriod(start_ms, start_ms if seamless else now_ms, live=seamless)
