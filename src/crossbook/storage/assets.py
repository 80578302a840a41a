"""Assets as the venue lists them: the port of `crossbook.application.assets`."""

from crossbook.application.assets import ListedAsset
from crossbook.storage.database import Database


class AssetList:
    """The assets in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[ListedAsset]:
        """Every asset, by number."""
        async with self._database.each_alone() as transaction:
            rows = await transaction.rows(
                "SELECT asset_id, name, decimals, is_stablecoin FROM assets ORDER BY asset_id"
            )
        return [ListedAsset(*row) for row in rows]
