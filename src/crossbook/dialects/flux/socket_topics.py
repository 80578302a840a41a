"""One topic of the WebSocket: who listens, and how its messages are numbered.

Every message says where the topic stands (`sequence`), every update also where it stood before
(`previousSequence`), so a client that missed one knows. A message is encoded once for all its listeners.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from crossbook.dialects.flux import socket_schemas
from crossbook.dialects.flux.socket_schemas import Channel, Resync, Subscribed, Unsubscribed
from crossbook.dialects.socket import Listeners

_encode: Final = msgspec.json.Encoder().encode

MESSAGES: Final[dict[Channel, Any]] = {
    "orderbook": socket_schemas.BookMessage,
    "trades": socket_schemas.TradesMessage,
    "mark_price": socket_schemas.PriceMessage,
    "funding": socket_schemas.FundingMessage,
    "orders": socket_schemas.OrdersMessage,
    "positions": socket_schemas.PositionsMessage,
    "balances": socket_schemas.BalancesMessage,
    "fills": socket_schemas.FillsMessage,
}
"""The shape of each channel's snapshots and updates."""


def text_of(message: object) -> str:
    """A message as it is sent."""
    return _encode(message).decode()


class Topic:
    """A stream of numbered messages. `fields` are those that every message of it carries."""

    def __init__(self, channel: Channel, of: str, now_ms: Callable[[], int], **fields: Any) -> None:
        self.name = f"{channel}:{of}"
        self.channel = channel
        self.listeners = Listeners()
        self.sequence = 0
        self._message = MESSAGES[channel]
        self._now_ms = now_ms
        self._fields = {key: value for key, value in fields.items() if value is not None}

    def subscribed(self, request_id: str | UnsetType, **fields: Any) -> str:
        """The answer to a subscription."""
        return text_of(Subscribed(topic=self.name, channel=self.channel, id=request_id, **self._fields, **fields))

    def unsubscribed(self, request_id: str | UnsetType = UNSET, reason: str | UnsetType = UNSET) -> str:
        """The answer to the end of one."""
        return text_of(Unsubscribed(topic=self.name, channel=self.channel, id=request_id, reason=reason))

    def snapshot(self, data: Any, **fields: Any) -> str:
        """All of it, as it stands."""
        return self._text("snapshot", UNSET, data, fields)

    def update(self, sequence: int, data: Any, **fields: Any) -> str:
        """What changed on the way to `sequence`, where the topic stands from now on."""
        previous, self.sequence = self.sequence, sequence
        return self._text("update", previous, data, fields)

    def replay(self, previous: int, sequence: int, data: Any) -> str:
        """Again what led from `previous` to `sequence`; the topic stands where it stands."""
        return self._text("update", previous, data, {}, sequence)

    def resync(self, reason: str) -> str:
        """Nothing that was said before counts any more."""
        return text_of(Resync(topic=self.name, channel=self.channel, sequence=self.sequence, reason=reason))

    def _text(
        self, kind: str, previous: int | UnsetType, data: Any, fields: dict[str, Any], sequence: int | None = None
    ) -> str:
        message = self._message(
            type=kind,
            topic=self.name,
            sequence=self.sequence if sequence is None else sequence,
            previous_sequence=previous,
            time=self._now_ms(),
            data=data,
            **self._fields,
            **fields,
        )
        return text_of(message)


@dataclass(frozen=True)
class Subscription:
    """What a connection holds of a topic, and how to give it back."""

    topic: Topic
    leave: Callable[[], None]
