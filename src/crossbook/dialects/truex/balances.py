"""What the clients of the key's organization have."""

from typing import Final

from crossbook.application.clients import Client
from crossbook.application.views import BalanceDetails
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.rate_classes import READS
from crossbook.dialects.truex import schemas
from crossbook.dialects.truex.auth import caller_of
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import READ, listed, with_old_paths
from crossbook.dialects.truex.translate import CLIENT_STATUS
from crossbook.domain.money import Scale

TAG: Final = "Balances"


class BalanceHandlers:
    """The handler of `/balances`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def find(self, call: Call[None, schemas.BalancesQuery]) -> Reply:
        """A row for each client, with a balance for each asset that it has or had."""
        caller, query = caller_of(call), call.query
        wanted = [caller.clients[account_id] for account_id in caller.account_ids]
        if query.client_id is not None:
            wanted = [client for client in wanted if str(client.account_id) == query.client_id]
        ids = {asset.name: str(asset.asset_id) for asset in await self._services.assets.all()}
        found = await self._services.balances.balances_of([client.account_id for client in wanted])
        rows = []
        for client in wanted:
            own = [
                _balance(balance, ids[balance.asset])
                for balance in found.get(client.account_id, ())
                if query.asset_id in {None, ids[balance.asset]} and query.asset_name in {None, balance.asset}
            ]
            rows.append(_row(client, own))
        return listed(rows)


def _row(client: Client, balances: list[schemas.AssetBalance]) -> schemas.BalanceRow:
    status = CLIENT_STATUS[client.status]
    return schemas.BalanceRow(str(client.account_id), status, "0", "0", balances)


def _balance(balance: BalanceDetails, asset_id: str) -> schemas.AssetBalance:
    scale = Scale(balance.decimals)
    return schemas.AssetBalance(
        asset_id=asset_id,
        balance=scale.format(balance.total_units),
        unsettled="0",
        order_hold=scale.format(balance.held_units),
        transfer_hold=scale.format(balance.transfer_hold_units),
        state="ACTIVE",
    )


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    find = Endpoint(
        "GET",
        "/balances",
        "What the organization's clients have.",
        BalanceHandlers(services).find,
        {200: list[schemas.BalanceRow]},
        Auth.REQUIRED,
        READ,
        query=schemas.BalancesQuery,
        rate_class=READS,
        tag=TAG,
        description="Available is balance - order_hold - transfer_hold. A perpetual's margin is not shown here.",
    )
    return with_old_paths(find, ["/balance"], services.singular)
