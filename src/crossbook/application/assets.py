"""What can be owned, as the venue lists it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ListedAsset:
    """An asset with the number under which it is stored."""

    asset_id: int
    name: str
    decimals: int
    is_stablecoin: bool


class Assets(Protocol):
    """Where assets are listed. `crossbook.storage.assets` is one."""

    async def all(self) -> list[ListedAsset]:
        """Every asset, by number."""
        ...
