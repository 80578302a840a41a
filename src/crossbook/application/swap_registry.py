"""The currencies that wallets swap, and the pairs of them. Only an operator changes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from crossbook.application.chain import Chain
from crossbook.application.clock import WallClock
from crossbook.application.errors import ApplicationError, InvalidOrder, PairNotFound

PAGE_PAIRS: Final = 20
"""Pairs on a page."""


class CurrencyNotFound(ApplicationError):
    """No currency has this asset id."""


@dataclass(frozen=True)
class CurrencyTerms:
    """What an operator says of a currency. Supplies are in its smallest unit; `decimals` can not change later."""

    asset_id: str
    name: str
    code: str
    decimals: int
    kind: str = "crypto"
    whitelisted: bool = False
    auto_parsed: bool = False
    native: bool = False
    full_name: str = ""
    logo: str = ""
    meta_info: str = ""
    price_url: str = ""
    current_supply_units: int = 0
    total_max_supply_units: int = 0


@dataclass(frozen=True)
class Currency:
    """A registered currency."""

    currency_id: int
    terms: CurrencyTerms
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True)
class Pair:
    """A registered pair: amounts are in the first currency, prices in the second."""

    pair_id: int
    first: Currency
    second: Currency
    featured: bool
    created_at_ms: int
    updated_at_ms: int


class PairOrder(StrEnum):
    """How a list of pairs is sorted."""

    VOLUME_LOW_TO_HIGH = "VOLUME_LOW_TO_HIGH"
    VOLUME_HIGH_TO_LOW = "VOLUME_HIGH_TO_LOW"


@dataclass(frozen=True)
class PairFilter:
    """Which pairs to list: both currencies whitelisted, names or codes that hold a text."""

    text: str = ""
    whitelisted_only: bool = False
    order: PairOrder | None = None


class AssetPrices(Protocol):
    """What assets are worth elsewhere. Absent unless the operator brings one."""

    def price(self, asset_id: str) -> str | None:
        """The price of one whole asset as decimal text, None when nobody knows."""
        ...


class NoPrices:
    """Nobody knows what anything is worth."""

    def price(self, asset_id: str) -> str | None:
        """Always None."""
        del asset_id
        return None


class RegistryStore(Protocol):
    """Where currencies and pairs are kept. `crossbook.storage.swap_registry` is one."""

    async def currencies(self) -> list[Currency]:
        """All of them, in the order of their numbers."""
        ...

    async def put_currency(self, terms: CurrencyTerms, now_ms: int) -> Currency:
        """Register a currency, or describe one anew; its decimals and its place as the native one stay."""
        ...

    async def whitelist(self, asset_id: str, whitelisted: bool, now_ms: int) -> Currency | None:
        """Set whether the venue vouches for it; None for an unknown one."""
        ...

    async def put_pair(self, first_id: int, second_id: int, featured: bool, now_ms: int) -> int:
        """Set a pair up, or feature it or not; its number."""
        ...

    async def pair(self, pair_id: int) -> Pair | None:
        """A pair, or None."""
        ...

    async def find(self, first_asset_id: str, second_asset_id: str) -> int | None:
        """The number of the pair of two assets."""
        ...

    async def pairs(self, chosen: PairFilter, now_ms: int, limit: int, offset: int) -> list[Pair]:
        """A page of pairs: featured ones first, or in the order of the filter."""
        ...

    async def count(self, chosen: PairFilter) -> int:
        """How many pairs the filter takes."""
        ...


class Registry:
    """The use cases of currencies and pairs."""

    def __init__(self, store: RegistryStore, clock: WallClock, chain: Chain | None = None) -> None:
        self._store = store
        self._clock = clock
        self._chain = chain

    async def currencies(self) -> Sequence[Currency]:
        """Every currency."""
        return await self._store.currencies()

    async def put_currency(self, terms: CurrencyTerms) -> Currency:
        """Register a currency or describe it anew. With a chain, what the chain says of the asset goes first.

        Raises InvalidOrder when the decimals differ from those it is registered with, and ChainUnavailable.
        """
        described = await self._from_chain(terms)
        for known in await self._store.currencies():
            if known.terms.asset_id == terms.asset_id and known.terms.decimals != described.decimals:
                raise InvalidOrder("decimal_point", "can not change once it is registered", str(known.terms.decimals))
        return await self._store.put_currency(described, self._clock.now_ms())

    async def ensure_native(self, terms: CurrencyTerms) -> None:
        """Have the chain's own currency registered, as the chain describes it, else as `terms` do.

        What an operator said of it stays. Raises ChainUnavailable.
        """
        if any(known.terms.native for known in await self._store.currencies()):
            return
        described = await self._from_chain(replace(terms, native=True, whitelisted=True))
        await self._store.put_currency(described, self._clock.now_ms())

    async def whitelist(self, asset_id: str, whitelisted: bool) -> Currency:
        """Set whether the venue vouches for a currency. Raises CurrencyNotFound."""
        found = await self._store.whitelist(asset_id, whitelisted, self._clock.now_ms())
        if found is None:
            raise CurrencyNotFound("no currency has this asset id")
        return found

    async def put_pair(self, first_asset_id: str, second_asset_id: str, featured: bool) -> Pair:
        """Set up the pair of two registered currencies. Raises CurrencyNotFound, InvalidOrder for one with itself."""
        by_asset = {currency.terms.asset_id: currency for currency in await self._store.currencies()}
        first, second = by_asset.get(first_asset_id), by_asset.get(second_asset_id)
        if first is None or second is None:
            raise CurrencyNotFound("register both currencies first")
        if first.currency_id == second.currency_id:
            raise InvalidOrder("second", "must be another currency than the first")
        pair_id = await self._store.put_pair(first.currency_id, second.currency_id, featured, self._clock.now_ms())
        return await self.pair(pair_id)

    async def pair(self, pair_id: int) -> Pair:
        """A pair. Raises PairNotFound."""
        found = await self._store.pair(pair_id)
        if found is None:
            raise PairNotFound(f"no pair {pair_id}")
        return found

    async def find(self, first_asset_id: str, second_asset_id: str) -> int:
        """The number of the pair of two assets. Raises PairNotFound."""
        found = await self._store.find(first_asset_id, second_asset_id)
        if found is None:
            raise PairNotFound("no pair of these assets")
        return found

    async def pairs(self, chosen: PairFilter, page: int) -> Sequence[Pair]:
        """One page of pairs; pages count from 1."""
        return await self._store.pairs(chosen, self._clock.now_ms(), PAGE_PAIRS, (page - 1) * PAGE_PAIRS)

    async def pages(self, chosen: PairFilter) -> int:
        """How many pages of pairs there are."""
        return -(-await self._store.count(chosen) // PAGE_PAIRS)

    async def _from_chain(self, terms: CurrencyTerms) -> CurrencyTerms:
        found = await self._chain.asset(terms.asset_id) if self._chain is not None else None
        if found is None:
            return terms
        return replace(
            terms,
            code=found.ticker or terms.code,
            full_name=found.full_name or terms.full_name,
            decimals=found.decimal_point,
            meta_info=found.meta_info or terms.meta_info,
            current_supply_units=found.current_supply_units,
            total_max_supply_units=found.total_max_supply_units,
            auto_parsed=True,
        )
