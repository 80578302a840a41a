"""Clients: the accounts that an organization trades with through keys. An organization is a user."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from crossbook.application.clock import WallClock
from crossbook.application.errors import ApplicationError, InvalidOrder
from crossbook.domain.orders import SelfTradePrevention

MNEMONIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
PREVENTIONS: Final = (
    SelfTradePrevention.NONE,
    SelfTradePrevention.EXPIRE_TAKER,
    SelfTradePrevention.EXPIRE_BOTH,
)
"""What a client may have, and an order may ask for."""


class ClientNotFound(ApplicationError):
    """The organization has no client of this id."""


class ClientStatus(IntEnum):
    """Whether a client may trade. Numbers are stored and never change meaning."""

    INITIALIZED = 1
    ACTIVE = 2
    DISABLED = 3


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


class ClientStore(Protocol):
    """Where clients are kept. `crossbook.storage.clients` is one."""

    async def of_organization(self, organization_id: int) -> list[Client]:
        """Its clients, by id."""
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

    async def of_organization(self, organization_id: int) -> list[Client]:
        """Its clients, by id."""
        return await self._store.of_organization(organization_id)

    async def create(self, client: NewClient) -> Client:
        """Set a client up. Raises InvalidOrder for a mnemonic that is taken or an account that is another's."""
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

    async def fee_tiers(self) -> Sequence[FeeTier]:
        """Every tier but 0, by number."""
        return await self._store.fee_tiers()
