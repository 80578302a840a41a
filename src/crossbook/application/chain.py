"""The port of the chain: what the venue asks a chain daemon, when one is configured.

ChainError
  ChainUnavailable   no answer in time, or none that can be read: try again later
"""

from dataclasses import dataclass
from typing import Protocol

from crossbook.domain.errors import CrossbookError


class ChainError(CrossbookError):
    """The chain could not be asked."""


class ChainUnavailable(ChainError):
    """The daemon does not answer, or is not asked for a while because it did not."""


@dataclass(frozen=True)
class ChainAsset:
    """What the chain knows of an asset. Supplies are in the asset's smallest unit."""

    asset_id: str
    ticker: str
    full_name: str
    decimal_point: int
    current_supply_units: int
    total_max_supply_units: int = 0
    meta_info: str = ""


class Chain(Protocol):
    """What the venue asks the chain. Every question may raise ChainUnavailable."""

    async def asset(self, asset_id: str) -> ChainAsset | None:
        """The asset of this id, None when the chain has none."""
        ...

    async def address_of_alias(self, alias: str) -> str | None:
        """The address to which an alias is bound, None when it is bound to none."""
        ...

    async def signed_by_alias(self, message: bytes, signature: str, alias: str) -> bool:
        """Whether the owner of an alias signed `message`."""
        ...
