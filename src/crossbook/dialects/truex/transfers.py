"""Transfers: money into the venue and out of it, and between its clients."""

from typing import Final

import msgspec

from crossbook.application.transfers import TransferRequest
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.rate_classes import ORDERS, READS
from crossbook.dialects.truex import order_schemas as schemas
from crossbook.dialects.truex.auth import Caller, caller_of
from crossbook.dialects.truex.errors import invalid, not_found
from crossbook.dialects.truex.history import accounts_in
from crossbook.dialects.truex.order_requests import ORDER_ID, order_number, require_active
from crossbook.dialects.truex.order_rows import NS_PER_MS, transfer_row
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import READ, TRANSFER, before, listed, with_old_paths
from crossbook.domain.instruments import Asset
from crossbook.domain.orders import MAX_ID
from crossbook.domain.transfers import Payment, TransferPlatform, TransferType

TAG: Final = "Transfers"
OWN_ID: Final = "transfer_id"
OTHER_CLIENT: Final = "client_id"


class TransferHandlers:
    """The handlers of `/transfers`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def request(self, call: Call[schemas.AnyTransfer, None]) -> Reply:
        """Ask for a transfer; the same transfer_id with the same body gives the same transfer."""
        body = _unwrapped(call.body)
        caller = caller_of(call)
        client = caller.client(int(body.client_id))
        require_active(client)
        asset = self._asset(body.asset_id)
        platform, type_ = TransferPlatform[body.platform], _TYPES[body.type]
        payment = Payment(
            client.account_id,
            asset.name,
            asset.scale.parse(body.amount, "amount", 1),
            type_,
            platform,
            await self._counterparty(body, caller, type_) if platform is TransferPlatform.INTERNAL else 0,
        )
        own_id = body.instructions.get(OWN_ID)
        if own_id is not None and not isinstance(own_id, str):
            raise invalid(f"instructions.{OWN_ID}", "must be a text")
        instructions = msgspec.json.encode(body.instructions).decode() if body.instructions else ""
        made = await self._services.transfers.request(TransferRequest(payment, instructions, own_id))
        return Reply(200, transfer_row(made))

    async def find(self, call: Call[None, schemas.TransfersQuery]) -> Reply:
        """A page of the transfers that were asked for up to the timestamp, newest first."""
        query = call.query
        found = await self._services.transfer_lists.until(
            accounts_in(caller_of(call), query.client_id),
            int(query.timestamp) // NS_PER_MS,
            query.size + 1,
            query.skip,
            before(query.cursor),
        )
        shown = found[: query.size]
        more = shown[-1].transfer_id if len(found) > query.size else 0
        return listed([transfer_row(transfer) for transfer in shown], query.size, more)

    async def active(self, call: Call[None, schemas.ActiveTransfersQuery]) -> Reply:
        """The transfers that the custodian has not ended, newest first."""
        wanted = 0 if call.query.id is None else order_number(call.query.id)
        if call.query.id is not None and not wanted:
            return listed([])
        found = await self._services.transfer_lists.open_of(caller_of(call).account_ids, wanted)
        return listed([transfer_row(transfer) for transfer in found])

    async def _counterparty(self, body: schemas.TransferBody, caller: Caller, type_: TransferType) -> int:
        """The other client of an internal transfer. Money may go to any client of the venue, and come from own ones.

        Raises Problem.
        """
        field = f"instructions.{OTHER_CLIENT}"
        given = body.instructions.get(OTHER_CLIENT)
        if not isinstance(given, str) or not ORDER_ID.fullmatch(given) or int(given) > MAX_ID:
            raise invalid(field, "must be the id of the other client")
        if type_ is TransferType.DEPOSIT:
            if int(given) not in caller.clients:
                raise invalid(field, "must be a client of the key's organization: money of others can not be fetched")
            require_active(caller.clients[int(given)], field)
        if await self._services.clients.is_closed(int(given)):
            raise invalid(field, "must be a client that is not closed")
        return int(given)

    def _asset(self, asset_id: str) -> Asset:
        """An asset that some market has, by its id. Raises Problem NOT_FOUND."""
        for market in self._services.markets:
            for number, asset in (
                (market.base_asset_id, market.instrument.base),
                (market.quote_asset_id, market.instrument.quote),
            ):
                if asset_id == str(number):
                    return asset
        raise not_found("asset", asset_id)


_TYPES: Final = {
    "DEPOSIT": TransferType.DEPOSIT,
    "WITHDRAW": TransferType.WITHDRAW,
    "WITHDRAWL": TransferType.WITHDRAW,
}


def _unwrapped(body: schemas.AnyTransfer) -> schemas.TransferBody:
    """The transfer itself. Raises Problem for a flat one that lacks a field."""
    if body.request is not None:
        return body.request
    for name in ("amount", "asset_id", "client_id", "type", "platform"):
        if getattr(body, name) is None:
            raise invalid(name, "is required, here or inside of request")
    return schemas.TransferBody(
        body.amount or "",
        body.asset_id or "",
        body.client_id or "",
        body.type or "DEPOSIT",
        body.platform or "FIAT",
        body.instructions,
    )


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    transfers = TransferHandlers(services)
    request = Endpoint(
        "POST",
        "/transfers",
        "Ask for a transfer.",
        transfers.request,
        {200: schemas.Transfer},
        Auth.REQUIRED,
        TRANSFER,
        request=schemas.AnyTransfer,
        rate_class=ORDERS,
        tag=TAG,
        description="INTERNAL is done at once; FIAT and CRYPTO go through the custodian.",
    )
    find = Endpoint(
        "GET",
        "/transfers",
        "Transfers asked for up to a time, newest first.",
        transfers.find,
        {200: list[schemas.Transfer]},
        Auth.REQUIRED,
        READ,
        query=schemas.TransfersQuery,
        rate_class=READS,
        tag=TAG,
    )
    active = Endpoint(
        "GET",
        "/transfers/active",
        "Transfers that the custodian has not ended.",
        transfers.active,
        {200: list[schemas.Transfer]},
        Auth.REQUIRED,
        READ,
        query=schemas.ActiveTransfersQuery,
        rate_class=READS,
        tag=TAG,
    )
    return [
        *with_old_paths(request, ["/transfer"], services.singular),
        *with_old_paths(find, ["/transfer"], services.singular),
        *with_old_paths(active, ["/transfer/active"], services.singular),
    ]
