"""The bodies and queries of TrueX. Ids, prices, quantities and times are strings in replies."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

MAX_PAGE: Final = 100
DEFAULT_PAGE: Final = 10
MAX_SKIP: Final = 2_147_483_647

Id = Annotated[str, Meta(pattern=r"^[1-9][0-9]*$", max_length=19, description="an id: digits, not starting with 0")]
Size = Annotated[int, Meta(ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}")]
Skip = Annotated[int, Meta(ge=0, le=MAX_SKIP, description=f"a whole number from 0 to {MAX_SKIP}")]
Cursor = Annotated[str, Meta(max_length=128, description="the next_cursor of the last page")]
Name = Annotated[str, Meta(max_length=64, description="a text of at most 64 characters")]

Prevention = Literal["NONE", "CANCEL_AGGRESSIVE", "CANCEL_BOTH"]


# -- Service -----------------------------------------------------------------------------------------
class Health(msgspec.Struct, frozen=True):
    """Whether the venue works: degraded when its database or its matching does not."""

    status: Literal["healthy", "degraded"]
    timestamp: str
    service: str


class VersionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of this API. The dates are there for one that is deprecated."""

    version: str
    status: Literal["current", "deprecated"]
    default: bool
    deprecation: str = ""
    sunset: str = ""


# -- Clients -----------------------------------------------------------------------------------------
class ClientsQuery(msgspec.Struct, frozen=True):
    """Which clients."""

    id: Id | None = None
    mnemonic: Name | None = None


class ClientInfo(msgspec.Struct, frozen=True):
    """What is known of a client."""

    organization_id: str
    mnemonic: str
    type: Literal["INSTITUTION", "INDIVIDUAL", "APPLICATION"]
    maker_fee_tier: int
    taker_fee_tier: int
    self_trade_prevention: Literal["INVALID", "NONE", "CANCEL_AGGRESSIVE", "CANCEL_BOTH"]


class ClientRow(msgspec.Struct, frozen=True):
    """A client."""

    id: str
    # The contract spells it so.
    status: Literal["INITIIALIZED", "ACTIVE", "DISABLED"]
    info: ClientInfo


class ClientChange(msgspec.Struct, frozen=True):
    """What can be changed of a client."""

    self_trade_prevention: Prevention


class PatchClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client and what is to be changed of it."""

    id: Id
    info: ClientChange


# -- Balances ----------------------------------------------------------------------------------------
class BalancesQuery(msgspec.Struct, frozen=True):
    """Which balances."""

    asset_id: Id | None = None
    asset_name: Name | None = None
    client_id: Id | None = None


class AssetBalance(msgspec.Struct, frozen=True):
    """What a client has of an asset; available is the balance less both holds. Nothing waits for settlement here."""

    asset_id: str
    balance: str
    unsettled: str
    order_hold: str
    transfer_hold: str
    state: Literal["ACTIVE"]


class BalanceRow(msgspec.Struct, frozen=True):
    """A client and what it has. Fees are held with the orders and taken with the trades."""

    id: str
    status: Literal["INITIIALIZED", "ACTIVE", "DISABLED"]
    unsettled_fees: str
    fees_hold: str
    balances: list[AssetBalance]


# -- Assets and instruments --------------------------------------------------------------------------
class AssetsQuery(msgspec.Struct, frozen=True):
    """Which assets."""

    id: Id | None = None
    name: Name | None = None


class AssetFields(msgspec.Struct, frozen=True):
    """What is known of an asset. `scale` is how many places after the point its amounts have."""

    name: str
    scale: str
    stablecoin: bool


class AssetRow(msgspec.Struct, frozen=True):
    """An asset."""

    id: str
    status: Literal["ACTIVE"]
    fields: AssetFields


class InstrumentsQuery(msgspec.Struct, frozen=True):
    """Which instruments: `symbol` may be a part of the symbol, in the right case."""

    id: Id | None = None
    symbol: Name | None = None


InstrumentStatus = Literal["DISABLED", "OPENING", "ACTIVE", "HALTED"]


class InstrumentInfo(msgspec.Struct, frozen=True):
    """The terms of an instrument. A percentage of "0" means that there is no such limit."""

    symbol: str
    reference_price: str
    base_asset_id: str
    quote_asset_id: str
    price_limit_window_secs: str
    price_limit_percent: str
    price_bands_percent: str


class InstrumentStats(msgspec.Struct, frozen=True):
    """What traded in the last 24 hours: in the quote asset, and in the base asset."""

    last_24hr_notional: str
    last_24hr_quantity: str


class InstrumentRow(msgspec.Struct, frozen=True):
    """An instrument."""

    id: str
    status: InstrumentStatus
    info: InstrumentInfo
    stats: InstrumentStats


# -- Market data -------------------------------------------------------------------------------------
class InstrumentQuery(msgspec.Struct, frozen=True):
    """Which instrument; without an id, all."""

    instrument_id: Id | None = None


class IncrementRow(msgspec.Struct, frozen=True):
    """The steps of prices and quantities."""

    instrument_id: str
    symbol: str
    price_increment: str
    qty_increment: str


class LastTrade(msgspec.Struct, frozen=True):
    """The last trade; zeros before the first. The timestamp is in nanoseconds."""

    price: str
    qty: str
    timestamp: str


class BestLevel(msgspec.Struct, frozen=True):
    """The best level of a side; zeros for an empty one."""

    price: str
    qty: str
    order_count: str


class QuoteInfo(msgspec.Struct, frozen=True):
    """Where an instrument stands. `last_update` is in nanoseconds."""

    last_trade: LastTrade
    best_bid: BestLevel
    best_ask: BestLevel
    last_update: str


class QuoteRow(msgspec.Struct, frozen=True):
    """The best bid and offer of an instrument."""

    id: str
    symbol: str
    info: QuoteInfo


Amount = Annotated[
    str, Meta(pattern=r"^[0-9]{1,18}(\.[0-9]{1,18})?$", description='a decimal in a string, such as "1.25"')
]


class ComputeQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be bought or sold: `qty` of the base asset, or for that much of the quote asset."""

    qty: Amount
    instrument_id: Id
    side: Literal["BUY", "SELL"]
    qty_unit: Literal["BASE", "QUOTE"]


class ComputedQuote(msgspec.Struct, frozen=True):
    """How much of the base asset, at which average price."""

    qty: str
    price: str


class ComputedQuoteV2026(msgspec.Struct, frozen=True):
    """How much of the base asset, at which average price, for what, and what could not be spent."""

    qty: str
    price: str
    notional: str
    notional_residual: str
