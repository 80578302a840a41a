"""Clients: the accounts that an organization trades with through keys. An organization is a user."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from crossbook.application.clock import WallClock
from crossbook.application.errors import ApplicationError, InvalidOrder
from crossbook.domain.money import MILLION, RATES
from crossbook.domain.orders import SelfTradePrevention

MNEMONIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
OWN_RATES: Final = 0
"""The tier of clients that pay each market's own rates."""
MAX_TIER: Final = 32_767
PREVENTIONS: Final = (
    SelfTradePrevention.NONE,
    SelfTradePrevention.EXPIRE_TAKER,
    SelfTradePrevention.EXPIRE_BOTH,
)
"""What a client may have, and an order may ask for."""


class ClientNotFound(ApplicationError):
    """No such client, or none of the organization."""


class ClientClosed(ApplicationError):
    """The client was closed, which nothing undoes."""


class ClientInUse(ApplicationError):
    """The client can not be closed: it may trade still, or something of it is left."""


class ClientStatus(IntEnum):
    """Whether a client may trade. Numbers are stored and never change meaning.

    DISABLED may become ACTIVE again, CLOSED nothing else.
    """

    INITIALIZED = 1
    ACTIVE = 2
    DISABLED = 3
    CLOSED = 4


class ClientType(IntEnum):
    """What a client is. Numbers are stored and never change meaning."""

    INSTITUTION = 1
    INDIVIDUAL = 2
    APPLICATION = 3


@dataclass(frozen=True)
class Client:
    """One client. Its id is the id of its account; tier 0 means the market's own fees."""

    account_id: int
    organization_id: int
    mnemonic: str
    status: ClientStatus
    type: ClientType
    maker_fee_tier: int
    taker_fee_tier: int
    self_trade_prevention: SelfTradePrevention


@dataclass(frozen=True)
class NewClient:
    """A client to set up on an account of the organization, or on a new one (`account_id` 0)."""

    organization_id: int
    mnemonic: str
    account_id: int = 0
    type: ClientType = ClientType.INDIVIDUAL
    maker_fee_tier: int = 0
    taker_fee_tier: int = 0

    def __post_init__(self) -> None:
        if not MNEMONIC.fullmatch(self.mnemonic):
            raise InvalidOrder("mnemonic", "must be 1 to 32 of A-Z, a-z, 0-9, _ and -")


@dataclass(frozen=True)
class FeeTier:
    """Fee rates in parts per million; a negative maker rate is a rebate."""

    tier: int
    maker_fee_ppm: int
    taker_fee_ppm: int


@dataclass(frozen=True)
class Leftovers:
    """What keeps a client from being closed: open orders and transfers, positions, and the assets it has money in."""

    orders: int
    transfers: int
    positions: int
    assets: tuple[str, ...]

    def __str__(self) -> str:
        counted = ((self.orders, "open orders"), (self.transfers, "open transfers"), (self.positions, "positions"))
        parts = [f"{number} {name}" for number, name in counted if number]
        return ", ".join([*parts, *([f"money in {' and '.join(self.assets)}"] if self.assets else [])])


class ClientStore(Protocol):
    """Where clients are kept. `crossbook.storage.clients` is one."""

    async def of_organization(self, organization_id: int | None) -> list[Client]:
        """Its clients, or everybody's, by id."""
        ...

    async def called(self, name: str) -> Client | None:
        """The client of this id, else of this mnemonic, whosever it is."""
        ...

    async def own_account(self, organization_id: int) -> int | None:
        """The organization's own account: its first. None when there is no such user."""
        ...

    async def create(self, client: NewClient, now_ms: int) -> Client:
        """Set a client up. Raises InvalidOrder for a mnemonic that is taken or an account that is another's."""
        ...

    async def set_self_trade_prevention(
        self, organization_id: int, account_id: int, mode: SelfTradePrevention
    ) -> Client | None:
        """Change what the client's orders have unless they name it; None when the organization has no such client."""
        ...

    async def set_status(self, account_id: int, status: ClientStatus) -> Client | None:
        """Let a client trade, or not; None when there is none, or it is closed."""
        ...

    async def close(self, account_id: int) -> Leftovers | None:
        """Close a client for ever, unless something of it is left: that is given back."""
        ...

    async def set_fee_tiers(self, account_id: int, maker_tier: int, taker_tier: int) -> Client | None:
        """Change what the client's later orders pay; None when there is no such client."""
        ...

    async def fee_tiers(self) -> list[FeeTier]:
        """Every tier but 0, by number."""
        ...

    async def put_fee_tier(self, tier: FeeTier) -> None:
        """Add or change a tier."""
        ...


class Clients:
    """The use cases of clients."""

    def __init__(self, store: ClientStore, clock: WallClock) -> None:
        self._store = store
        self._clock = clock

    async def of_organization(self, organization_id: int | None) -> list[Client]:
        """Its clients, or everybody's, by id."""
        return await self._store.of_organization(organization_id)

    async def called(self, name: str) -> Client:
        """The client of this id, else of this mnemonic. Who asks must be allowed to know. Raises ClientNotFound."""
        client = await self._store.called(name)
        if client is None:
            raise ClientNotFound(f"no client {name}")
        return client

    async def is_closed(self, account_id: int) -> bool:
        """Whether this is a client that was closed."""
        client = await self._store.called(str(account_id))
        return client is not None and client.account_id == account_id and client.status is ClientStatus.CLOSED

    async def create(self, client: NewClient) -> Client:
        """Set a client up.

        Raises InvalidOrder for a mnemonic that is taken, an account that is another's, or a tier that is none.
        """
        await self._require_tiers(client.maker_fee_tier, client.taker_fee_tier)
        return await self._store.create(client, self._clock.now_ms())

    async def ensure_first(self, organization_id: int, mnemonic: str = "") -> Client:
        """The client on the organization's own account, set up now unless it is there.

        Raises InvalidOrder when there is no such user, or the mnemonic belongs to another client. Without a mnemonic
        it is called by its number.
        """
        account_id = await self._store.own_account(organization_id)
        if account_id is None:
            raise InvalidOrder("organization_id", "must be a user of the venue")
        for client in await self._store.of_organization(organization_id):
            if client.account_id == account_id:
                return client
        return await self.create(NewClient(organization_id, mnemonic or f"C{account_id}", account_id))

    async def set_self_trade_prevention(
        self, organization_id: int, account_id: int, mode: SelfTradePrevention
    ) -> Client:
        """Change what the client's orders have unless they name it. Raises ClientNotFound and InvalidOrder."""
        if mode not in PREVENTIONS:
            raise InvalidOrder("self_trade_prevention", "must be NONE, CANCEL_AGGRESSIVE or CANCEL_BOTH")
        client = await self._store.set_self_trade_prevention(organization_id, account_id, mode)
        if client is None:
            raise ClientNotFound(f"no client {account_id}")
        return client

    # -- The operator's ------------------------------------------------------------------------------
    async def suspend(self, client: Client) -> Client:
        """Refuse the client's new orders, changes and transfers; what rests may trade and be cancelled.

        Every process of the venue knows within two seconds. Raises ClientClosed.
        """
        return _open(await self._store.set_status(client.account_id, ClientStatus.DISABLED), client)

    async def resume(self, client: Client) -> Client:
        """Let the client trade again. Raises ClientClosed."""
        return _open(await self._store.set_status(client.account_id, ClientStatus.ACTIVE), client)

    async def close(self, client: Client) -> None:
        """Close a suspended client for ever. Raises ClientInUse while it is not empty, and ClientClosed."""
        if client.status is ClientStatus.CLOSED:
            raise ClientClosed(f"client {client.mnemonic} is closed already")
        if client.status is ClientStatus.ACTIVE:
            raise ClientInUse(f"client {client.mnemonic} may trade: suspend it first")
        left = await self._store.close(client.account_id)
        if left is not None:
            raise ClientInUse(f"client {client.mnemonic} is not empty: it has {left}")

    async def set_fee_tiers(self, client: Client, maker_tier: int, taker_tier: int) -> Client:
        """Change what the client's later orders pay. Raises InvalidOrder for a tier that is none, and ClientClosed."""
        await self._require_tiers(maker_tier, taker_tier)
        return _open(await self._store.set_fee_tiers(client.account_id, maker_tier, taker_tier), client)

    async def fee_tiers(self) -> Sequence[FeeTier]:
        """Every tier but 0, by number."""
        return await self._store.fee_tiers()

    async def put_fee_tier(self, tier: FeeTier) -> None:
        """Add or change a tier, for orders to come. Raises InvalidOrder for a number or rates that no tier may have."""
        if not 1 <= tier.tier <= MAX_TIER:
            raise InvalidOrder("tier", f"must be from 1 to {MAX_TIER}: {OWN_RATES} is each market's own rates")
        if not 0 <= tier.taker_fee_ppm <= MILLION:
            raise InvalidOrder("taker", "must be from 0 to 1")
        limit = RATES.format(tier.taker_fee_ppm)
        if abs(tier.maker_fee_ppm) > tier.taker_fee_ppm:
            raise InvalidOrder("maker", f"must be from -{limit} to {limit}, which is what takers pay")
        await self._store.put_fee_tier(tier)

    async def _require_tiers(self, *wanted: int) -> None:
        if not any(wanted):
            return
        known = [OWN_RATES, *(tier.tier for tier in await self._store.fee_tiers())]
        for tier in wanted:
            if tier not in known:
                raise InvalidOrder("tier", f"{tier} does not exist: there are {', '.join(map(str, known))}")


def _open(changed: Client | None, client: Client) -> Client:
    if changed is None:
        raise ClientClosed(f"client {client.mnemonic} is closed")
    return changed
