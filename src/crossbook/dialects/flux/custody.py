"""The operator's word to the simulated custodian: how one transfer ends. Where a real custodian is, there is none."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.flux.services import Services
from crossbook.dialects.flux.translate import order_number
from crossbook.dialects.rate_classes import READS
from crossbook.domain.transfers import CustodyNews

ADMIN: Final = frozenset({"admin"})
TAG: Final = "Transfers"

Outcome = Annotated[Literal["PAID", "FAILED", "REFUSED"], Meta(description="PAID, FAILED or REFUSED")]


class TransferEnd(msgspec.Struct, frozen=True, rename="camel"):
    """How a transfer ends."""

    outcome: Outcome


class EndedTransfer(msgspec.Struct, frozen=True, rename="camel"):
    """A transfer that the custodian was told to end. The transfer itself follows within moments."""

    transfer_id: str
    outcome: Outcome


class CustodyHandlers:
    """The handler of `/admin/transfers`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def end(self, call: Call[TransferEnd, None]) -> Reply:
        """Tell the simulated custodian how a transfer ends, now; 202."""
        transfer_id, outcome = order_number(call.path["transferId"]), call.body.outcome
        await self._services.custodian.tell(transfer_id, CustodyNews[outcome])
        return Reply(202, EndedTransfer(transfer_id=str(transfer_id), outcome=outcome))


def table(services: Services) -> list[AnyEndpoint]:
    """The row of this module."""
    return [
        Endpoint(
            "POST",
            "/admin/transfers/{transferId}",
            "Tell the simulated custodian how a transfer ends.",
            CustodyHandlers(services).end,
            {202: EndedTransfer},
            Auth.REQUIRED,
            scopes=ADMIN,
            request=TransferEnd,
            rate_class=READS,
            tag=TAG,
            description="For a transfer that waits for the custodian. PAID completes it, the others give all back.",
        )
    ]
