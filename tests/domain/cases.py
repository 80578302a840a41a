"""What the tests of the pure rooms share: a decorator for properties, and markets to try them on."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossbook.domain.instruments import USDC, Asset, Instrument, InstrumentKind, MarginTier, btc_perp
from crossbook.domain.money import Step

SOAK_FACTOR = 50
"""A property of 2,000 cases runs 100,000 when asked for with -m soak."""

Property = Callable[..., None]


def holds_for(count: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Property], Property]:
    """Test a property on `count` cases, the same ones every time, and on 50 times as many as `<name>_soak`."""

    def decorate(check: Property) -> Property:
        many = settings(max_examples=count * SOAK_FACTOR, derandomize=True, deadline=None)
        few = settings(max_examples=count, derandomize=True, deadline=None)

        def soak(**values: Any) -> None:
            check(**values)

        soak.__name__ = f"{check.__name__}_soak"
        soak.__qualname__ = soak.__name__
        soak.__module__ = check.__module__
        check.__globals__[soak.__name__] = pytest.mark.soak(many(given(**strategies)(soak)))
        return few(given(**strategies)(check))

    return decorate


def ceil_of(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def floor_of(value: Fraction) -> int:
    return value.numerator // value.denominator


def perp(tick: str = "1", lot: str = "1", **terms: Any) -> Instrument:
    """BTC-PERP of the seed on another grid, with some terms changed."""
    return replace(btc_perp(), tick=Step.of(tick), lot=Step.of(lot), **terms)


def usdc(text: str) -> int:
    return USDC.scale.parse(text)


PYUSD = Asset("PYUSD", 6, is_stablecoin=True)
TIERS = (MarginTier(0, 50_000, 5_000), MarginTier(10**9, 100_000, 20_000), MarginTier(10**11, 250_000, 100_000))


def spot(**terms: Any) -> Instrument:
    """BTC-PYUSD: tick 0.5, lot 0.0001, fees 0.02 % and 0.05 %."""
    market = Instrument(
        symbol="BTC-PYUSD",
        kind=InstrumentKind.SPOT,
        base=Asset("BTC", 8),
        quote=PYUSD,
        tick=Step.of("0.5"),
        lot=Step.of("0.0001"),
        maker_fee_ppm=200,
        taker_fee_ppm=500,
    )
    return replace(market, **terms)


def ppm(low: int = 0, high: int = 1_000_000) -> st.SearchStrategy[int]:
    return st.integers(low, high)


prices = st.integers(1, 10**7)
quantities = st.integers(1, 10**7)
