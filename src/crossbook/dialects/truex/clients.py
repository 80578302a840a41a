"""The clients of the key's organization."""

from typing import Final

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.rate_classes import READS
from crossbook.dialects.truex import schemas
from crossbook.dialects.truex.auth import caller_of
from crossbook.dialects.truex.services import Services
from crossbook.dialects.truex.table import READ, TRADE, listed, with_old_paths
from crossbook.dialects.truex.translate import PREVENTION_OF, client_row

TAG: Final = "Clients"


class ClientHandlers:
    """The handlers of `/clients`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def find(self, call: Call[None, schemas.ClientsQuery]) -> Reply:
        """The organization's clients, or those of them that the query names."""
        caller, query = caller_of(call), call.query
        own = await self._services.clients.of_organization(caller.organization_id)
        found = [
            client
            for client in own
            if caller.client_id in {0, client.account_id}
            and (query.id is None or query.id == str(client.account_id))
            and (query.mnemonic is None or query.mnemonic in client.mnemonic)
        ]
        return listed([client_row(client) for client in found])

    async def change(self, call: Call[schemas.PatchClient, None]) -> Reply:
        """Set the self-trade prevention of one of the organization's clients."""
        client = caller_of(call).client(int(call.body.id))
        mode = PREVENTION_OF[call.body.info.self_trade_prevention]
        changed = await self._services.clients.set_self_trade_prevention(
            client.organization_id, client.account_id, mode
        )
        return Reply(200, client_row(changed))


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    clients = ClientHandlers(services)
    find = Endpoint(
        "GET",
        "/clients",
        "The organization's clients.",
        clients.find,
        {200: list[schemas.ClientRow]},
        Auth.REQUIRED,
        READ,
        query=schemas.ClientsQuery,
        rate_class=READS,
        tag=TAG,
        description="mnemonic finds every client whose mnemonic contains it.",
    )
    change = Endpoint(
        "PATCH",
        "/clients",
        "Change a client.",
        clients.change,
        {200: schemas.ClientRow},
        Auth.REQUIRED,
        TRADE,
        request=schemas.PatchClient,
        rate_class=READS,
        tag=TAG,
        description="Orders that come later and do not name stp have it.",
        example=schemas.PatchClient(id="1000000", info=schemas.ClientChange("CANCEL_BOTH")),
    )
    return [row for each in (find, change) for row in with_old_paths(each, ["/client"], services.singular)]
