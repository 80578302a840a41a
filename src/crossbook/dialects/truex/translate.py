"""Between TrueX's words and the venue's."""

from collections.abc import Mapping
from typing import Final, Literal

from crossbook.application.clients import Client, ClientStatus
from crossbook.dialects.truex import schemas
from crossbook.domain.orders import SelfTradePrevention

CLIENT_STATUS: Final[Mapping[ClientStatus, Literal["INITIIALIZED", "ACTIVE", "DISABLED"]]] = {
    ClientStatus.INITIALIZED: "INITIIALIZED",
    ClientStatus.ACTIVE: "ACTIVE",
    ClientStatus.DISABLED: "DISABLED",
    ClientStatus.CLOSED: "DISABLED",
}
PREVENTION_OF: Final[Mapping[str, SelfTradePrevention]] = {
    "NONE": SelfTradePrevention.NONE,
    "CANCEL_AGGRESSIVE": SelfTradePrevention.EXPIRE_TAKER,
    "CANCEL_BOTH": SelfTradePrevention.EXPIRE_BOTH,
}
PREVENTION_NAME: Final[Mapping[SelfTradePrevention, str]] = {mode: name for name, mode in PREVENTION_OF.items()}


def self_trade_prevention_of(asked: str | None, client: Client) -> SelfTradePrevention:
    """What an order has: what it asks for (`stp`), else what its client has."""
    return client.self_trade_prevention if asked is None else PREVENTION_OF[asked]


def client_row(client: Client) -> schemas.ClientRow:
    """A client as it is shown."""
    return schemas.ClientRow(
        id=str(client.account_id),
        status=CLIENT_STATUS[client.status],
        info=schemas.ClientInfo(
            organization_id=str(client.organization_id),
            mnemonic=client.mnemonic,
            type=client.type.name,  # type: ignore[arg-type] # the names are the literal's values
            maker_fee_tier=client.maker_fee_tier,
            taker_fee_tier=client.taker_fee_tier,
            self_trade_prevention=PREVENTION_NAME.get(client.self_trade_prevention, "INVALID"),  # type: ignore[arg-type]
        ),
    )
