"""Assets and instruments: what is traded, in which steps, at which fees, against which margin.

An instrument is checked whole when it is made, so that no later rule has to doubt it. Above all, the
notional of every price and quantity is exact: one tick times one lot is a whole number of quote units.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Final

from crossbook.domain.money import MAX_DECIMALS, MILLION, POWERS_OF_TEN, RATES, InvalidValue, Scale, Step
from crossbook.domain.orders import MAX_PRICE_TICKS, MAX_QUANTITY_LOTS, MarketState

MAX_LEVERAGE: Final = 1000
"""Largest leverage any instrument may allow."""
MAX_LIQUIDATION_FEE_PPM: Final = 15_000
"""Most that a liquidated account pays to the insurance fund: 1.5 % of the notional closed."""
SYMBOL_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class InvalidInstrument(InvalidValue):
    """Terms that no asset or instrument may have; says which term and which rule."""


class InvalidLeverage(InvalidValue):
    """A leverage that is no whole number from 1 to the instrument's largest."""


class BelowMinimum(InvalidValue):
    """An order smaller than the instrument's least quantity or notional."""


class InstrumentKind(IntEnum):
    """What changes hands: the asset itself, a margined contract, or nothing here (a peer-to-peer swap)."""

    SPOT = 1
    PERPETUAL = 2
    SWAP_PAIR = 3


class FeeAsset(IntEnum):
    """What a spot buyer pays the fee in: the quote asset, held with the order, or the base asset received."""

    QUOTE = 1
    RECEIVED = 2


def _check(holds: bool, field: str, rule: str, nearest: str | None = None) -> None:
    if not holds:
        raise InvalidInstrument(field, rule, nearest)


def _check_name(text: str, field: str) -> None:
    plain = all(character in SYMBOL_CHARACTERS for character in text)
    _check(plain and 1 <= len(text) <= 32, field, "must be 1 to 32 of A-Z, 0-9 and -")


def _check_rate(rate_ppm: int, field: str, least_ppm: int) -> None:
    nearest = RATES.format(min(max(rate_ppm, least_ppm), MILLION))
    _check(least_ppm <= rate_ppm <= MILLION, field, f"must be from {RATES.format(least_ppm)} to 1", nearest)


@dataclass(frozen=True)
class Asset:
    """Something that accounts hold. `decimals` is the scale of its smallest unit, from 0 to 18.

    Raises InvalidInstrument for a malformed name or scale.
    """

    name: str
    decimals: int
    is_stablecoin: bool = False

    def __post_init__(self) -> None:
        _check_name(self.name, "name")
        nearest = str(min(max(self.decimals, 0), MAX_DECIMALS))
        _check(0 <= self.decimals <= MAX_DECIMALS, "decimals", f"must be from 0 to {MAX_DECIMALS}", nearest)

    @property
    def scale(self) -> Scale:
        """The reader and writer of amounts of this asset."""
        return Scale(self.decimals)


@dataclass(frozen=True)
class MarginTier:
    """The margin rates of a notional of `floor_units` (quote units) and more, in parts per million."""

    floor_units: int
    initial_margin_ppm: int
    maintenance_margin_ppm: int


@dataclass(frozen=True)
class Instrument:
    """The terms of one market.

    Rates are in parts per million; a negative maker fee is a rebate. `min_notional_units` is in quote
    units. `tiers` is empty for flat margin rates; else it starts at notional 0 with the instrument's
    own rates and rises. The terms from `max_leverage` on are for perpetuals; elsewhere they stay as
    they are by default. Raises InvalidInstrument for terms that break a rule of exchange-rules 3.2,
    3.3, 3.8, 3.9 or 3.11.
    """

    symbol: str
    kind: InstrumentKind
    base: Asset
    quote: Asset
    tick: Step
    lot: Step
    min_quantity_lots: int = 1
    min_notional_units: int = 0
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    fee_asset: FeeAsset = FeeAsset.QUOTE
    status: MarketState = MarketState.ACTIVE
    max_leverage: int = 1
    initial_margin_ppm: int = MILLION
    maintenance_margin_ppm: int = MILLION
    tiers: tuple[MarginTier, ...] = ()
    liquidation_fee_ppm: int = 0
    funding_interval_hours: int = 0
    funding_rate_cap_ppm: int = 0

    def __post_init__(self) -> None:
        _check_name(self.symbol, "symbol")
        _check(self.base != self.quote, "quote", "must differ from base")
        self._check_grid()
        self._check_fees()
        if self.kind is InstrumentKind.PERPETUAL:
            self._check_margin()
            self._check_tiers()
            self._check_funding()
        else:
            self._check_no_margin()

    @cached_property
    def units_per_tick_lot(self) -> int:
        """Notional of one lot at one tick, in quote units: at least 1, and exact."""
        size = self.tick.size_units * self.lot.size_units * POWERS_OF_TEN[self.quote.decimals]
        return size // POWERS_OF_TEN[self.tick.decimals + self.lot.decimals]

    @cached_property
    def base_units_per_lot(self) -> int:
        """One lot in units of the base asset; exact where the base asset is held (not for a perpetual)."""
        return self.lot.size_units * POWERS_OF_TEN[self.base.decimals] // POWERS_OF_TEN[self.lot.decimals]

    def notional_units(self, price_ticks: int, quantity_lots: int) -> int:
        """Price times quantity in quote units, exact (3.11). A negative quantity gives a negative notional."""
        return price_ticks * quantity_lots * self.units_per_tick_lot

    def price_ticks(self, text: object, field: str = "price") -> int:
        """A price from decimal text. Raises InvalidDecimal off the tick, below one tick or beyond 2**40 - 1."""
        return self.tick.count(text, field, 1, MAX_PRICE_TICKS)

    def quantity_lots(self, text: object, field: str = "quantity") -> int:
        """A quantity from decimal text. Raises InvalidDecimal off the lot, below the least one or beyond 2**40 - 1."""
        return self.lot.count(text, field, self.min_quantity_lots, MAX_QUANTITY_LOTS)

    def price_text(self, price_ticks: int) -> str:
        """A price as decimal text."""
        return self.tick.text(price_ticks)

    def quantity_text(self, quantity_lots: int) -> str:
        """A quantity, signed for a position, as decimal text."""
        return self.lot.text(quantity_lots)

    def check_order_size(self, price_ticks: int, quantity_lots: int) -> None:
        """Raise BelowMinimum for a quantity or notional below the least; names the least quantity that would do."""
        least = max(self.min_quantity_lots, self._lots_of_least_notional(price_ticks))
        if quantity_lots < self.min_quantity_lots:
            rule = f"must be at least {self.quantity_text(self.min_quantity_lots)}"
            raise BelowMinimum("quantity", rule, self.quantity_text(least))
        if quantity_lots < least:
            rule = f"times price must be at least {self.quote.scale.format(self.min_notional_units)} {self.quote.name}"
            raise BelowMinimum("quantity", rule, self.quantity_text(least))

    def check_leverage(self, leverage: object) -> int:
        """`leverage` if it is a whole number from 1 to `max_leverage` (3.2). Raises InvalidLeverage otherwise."""
        if not isinstance(leverage, int) or isinstance(leverage, bool):
            raise InvalidLeverage("leverage", f"must be a whole number from 1 to {self.max_leverage}")
        if not 1 <= leverage <= self.max_leverage:
            nearest = str(min(max(leverage, 1), self.max_leverage))
            raise InvalidLeverage("leverage", f"must be from 1 to {self.max_leverage}", nearest)
        return leverage

    def with_status(self, status: MarketState) -> "Instrument":
        """The same terms in another state."""
        return replace(self, status=status)

    def _lots_of_least_notional(self, price_ticks: int) -> int:
        return -(-self.min_notional_units // (price_ticks * self.units_per_tick_lot))

    def _check_grid(self) -> None:
        product = self.tick.size_units * self.lot.size_units * POWERS_OF_TEN[self.quote.decimals]
        exact = product % POWERS_OF_TEN[self.tick.decimals + self.lot.decimals] == 0
        _check(exact, "tick_size", f"times lot_size must be a whole multiple of one unit of {self.quote.name}")
        if self.kind is not InstrumentKind.PERPETUAL:
            whole = self.lot.size_units * POWERS_OF_TEN[self.base.decimals] % POWERS_OF_TEN[self.lot.decimals] == 0
            _check(whole, "lot_size", f"must be a whole multiple of one unit of {self.base.name}")
        in_range = 1 <= self.min_quantity_lots <= MAX_QUANTITY_LOTS
        _check(in_range, "min_quantity", "must be at least one lot", self.lot.text(1))
        _check(self.min_notional_units >= 0, "min_notional", "must not be negative", "0")

    def _check_fees(self) -> None:
        _check_rate(self.taker_fee_ppm, "taker_fee_rate", 0)
        _check_rate(self.maker_fee_ppm, "maker_fee_rate", -MILLION)
        # Rebates are paid from the taker's fee of the same trade, so the fee account never runs dry; and
        # what an order sets aside for fees, at the taker's rate, must cover either role.
        taker = RATES.format(self.taker_fee_ppm)
        rebate = RATES.format(-self.taker_fee_ppm)
        _check(
            -self.maker_fee_ppm <= self.taker_fee_ppm, "maker_fee_rate", "must not rebate more than takers pay", rebate
        )
        _check(self.maker_fee_ppm <= self.taker_fee_ppm, "maker_fee_rate", "must not exceed taker_fee_rate", taker)
        # A rebate is paid in quote; a taker who buys would have paid the fee that covers it in base.
        received = self.fee_asset is FeeAsset.RECEIVED
        _check(not received or self.maker_fee_ppm >= 0, "maker_fee_rate", "must not rebate when fees are received", "0")
        if self.kind is InstrumentKind.SWAP_PAIR:
            _check(self.taker_fee_ppm == 0, "taker_fee_rate", "must be 0: the venue holds no side of a swap", "0")

    def _check_margin(self) -> None:
        nearest = str(min(max(self.max_leverage, 1), MAX_LEVERAGE))
        _check(1 <= self.max_leverage <= MAX_LEVERAGE, "max_leverage", f"must be from 1 to {MAX_LEVERAGE}", nearest)
        _check_rate(self.initial_margin_ppm, "initial_margin_rate", 1)
        _check_rate(self.maintenance_margin_ppm, "maintenance_margin_rate", 1)
        least = RATES.format(self.maintenance_margin_ppm)
        enough = self.initial_margin_ppm >= self.maintenance_margin_ppm
        _check(enough, "initial_margin_rate", "must be at least maintenance_margin_rate", least)
        capped = 0 <= self.liquidation_fee_ppm <= MAX_LIQUIDATION_FEE_PPM
        cap = RATES.format(MAX_LIQUIDATION_FEE_PPM)
        _check(capped, "liquidation_fee_rate", f"must be from 0 to {cap}", cap)
        _check(self.fee_asset is FeeAsset.QUOTE, "fee_asset", "must be the quote asset for a perpetual")

    def _check_tiers(self) -> None:
        if not self.tiers:
            return
        first = MarginTier(0, self.initial_margin_ppm, self.maintenance_margin_ppm)
        _check(self.tiers[0] == first, "tiers", "must start at notional 0 with the instrument's own rates")
        for lower, upper in zip(self.tiers, self.tiers[1:], strict=False):
            _check(lower.floor_units < upper.floor_units, "tiers", "must have rising floors")
            rising = lower.initial_margin_ppm <= upper.initial_margin_ppm
            rising = rising and lower.maintenance_margin_ppm <= upper.maintenance_margin_ppm
            _check(rising, "tiers", "must not have falling rates")
            enough = upper.maintenance_margin_ppm <= upper.initial_margin_ppm <= MILLION
            _check(enough, "tiers", "must have initial rates from the maintenance rate to 1")

    def _check_funding(self) -> None:
        divides = self.funding_interval_hours > 0 and 24 % self.funding_interval_hours == 0
        _check(divides, "funding_interval_hours", "must divide a day", "8")
        _check_rate(self.funding_rate_cap_ppm, "funding_rate_cap", 0)

    def _check_no_margin(self) -> None:
        flat = self.initial_margin_ppm == self.maintenance_margin_ppm == MILLION and not self.tiers
        _check(flat and self.max_leverage == 1, "max_leverage", "and margin rates are for perpetuals only", "1")
        unfunded = self.funding_interval_hours == self.funding_rate_cap_ppm == self.liquidation_fee_ppm == 0
        _check(unfunded, "funding_interval_hours", "and liquidation fees are for perpetuals only", "0")


USDC: Final = Asset("USDC", 6, is_stablecoin=True)
BTC: Final = Asset("BTC", 8)
ETH: Final = Asset("ETH", 9)
"""In gwei: with 18 decimals, 64 bits would end at nine of it."""
PYUSD: Final = Asset("PYUSD", 6, is_stablecoin=True)


def _demo_perpetual(base: Asset, tick: str, lot: str) -> Instrument:
    return Instrument(
        symbol=f"{base.name}-PERP",
        kind=InstrumentKind.PERPETUAL,
        base=base,
        quote=USDC,
        tick=Step.of(tick),
        lot=Step.of(lot),
        maker_fee_ppm=200,
        taker_fee_ppm=500,
        max_leverage=20,
        initial_margin_ppm=50_000,
        maintenance_margin_ppm=5_000,
        liquidation_fee_ppm=MAX_LIQUIDATION_FEE_PPM,
        funding_interval_hours=8,
        funding_rate_cap_ppm=3_750,
    )


def btc_perp() -> Instrument:
    """The demo market BTC-PERP: tick 0.1, lot 0.001, the terms of the seed."""
    return _demo_perpetual(BTC, "0.1", "0.001")


def eth_perp() -> Instrument:
    """The demo market ETH-PERP: tick 0.01, lot 0.01, the terms of the seed."""
    return _demo_perpetual(ETH, "0.01", "0.01")


def _demo_spot(base: Asset, tick: str, lot: str) -> Instrument:
    return Instrument(
        symbol=f"{base.name}-{PYUSD.name}",
        kind=InstrumentKind.SPOT,
        base=base,
        quote=PYUSD,
        tick=Step.of(tick),
        lot=Step.of(lot),
        maker_fee_ppm=200,
        taker_fee_ppm=500,
    )


def btc_pyusd() -> Instrument:
    """The demo market BTC-PYUSD: spot, tick 0.5, lot 0.0001."""
    return _demo_spot(BTC, "0.5", "0.0001")


def eth_pyusd() -> Instrument:
    """The demo market ETH-PYUSD: spot, tick 0.05, lot 0.001."""
    return _demo_spot(ETH, "0.05", "0.001")
