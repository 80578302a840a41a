"""The bodies and queries of TrueX. Ids, prices, quantities and times are strings in replies."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

MAX_PAGE: Final = 100
DEFAULT_PAGE: Final = 10
MAX_SKIP: Final = 2_147_483_647

Id = Annotated[str, Meta(pattern=r"^[1-9][0-9]*$", max_length=19, description="an id: digits, not starting with 0")]
Size = Annotated[int, Meta(ge=1, le=MAX_PAGE, description=f"a whole number from 1 to {MAX_PAGE}")]
Skip = Annotated[int, Meta(ge=0, le=MAX_SKIP, description=f"a whole number from 0 to {MAX_SKIP}")]
Cursor = Annotated[str, Meta(max_length=128, description="the next_cursor of the last page")]
Name = Annotated[str, Meta(max_length=64, description="a text of at most 64 characters")]

Prevention = Literal["NONE", "CANCEL_AGGRESSIVE", "CANCEL_BOTH"]


# -- Service -----------------------------------------------------------------------------------------
class Health(msgspec.Struct, frozen=True):
    """Whether the venue works: degraded when its database or its matching does not."""

    status: Literal["healthy", "degraded"]
    timestamp: str
    service: str


class VersionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of this API. The dates are there for one that is deprecated."""

    version: str
    status: Literal["current", "deprecated"]
    default: bool
    deprecation: str = ""
    sunset: str = ""


# -- Clients -----------------------------------------------------------------------------------------
class ClientsQuery(msgspec.Struct, frozen=True):
    """Which clients."""

    id: Id | None = None
    mnemonic: Name | None = None


class ClientInfo(msgspec.Struct, frozen=True):
    """What is known of a client."""

    organization_id: str
    mnemonic: str
    type: Literal["INSTITUTION", "INDIVIDUAL", "APPLICATION"]
    maker_fee_tier: int
    taker_fee_tier: int
    self_trade_prevention: Literal["INVALID", "NONE", "CANCEL_AGGRESSIVE", "CANCEL_BOTH"]


class ClientRow(msgspec.Struct, frozen=True):
    """A client."""

    id: str
    # The contract spells it so.
    status: Literal["INITIIALIZED", "ACTIVE", "DISABLED"]
    info: ClientInfo
