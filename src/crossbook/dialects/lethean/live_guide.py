"""The Socket.IO events as the documentation describes them."""

from typing import Final

import msgspec

from crossbook.dialects.lethean.replies import BookOrder, Stats, WalletUser
from crossbook.dialects.socket_page import SocketGuide, SocketMessage

_MADE: Final = "2026-01-01T00:00:00.000Z"


class InTrading(msgspec.Struct, frozen=True):
    """Event in-trading: watch a pair. The answer is update-orders, at once."""

    id: int | str


class OutTrading(msgspec.Struct, frozen=True):
    """Event out-trading: watch the pair no more."""

    id: int | str


class InDexNotifications(msgspec.Struct, frozen=True):
    """Event in-dex-notifications: hear what happens to one's own orders; the token of /api/auth."""

    token: str


class NewOrder(msgspec.Struct, frozen=True, rename="camel"):
    """Event new-order, to the room of the pair: an order was posted. As /api/orders/get-page shows it."""

    order_data: BookOrder


class DeleteOrder(msgspec.Struct, frozen=True, rename="camel"):
    """Event delete-order, to the room of the pair: an order is filled, cancelled or expired."""

    order_id: int


class UpdateOrders(msgspec.Struct, frozen=True):
    """Event update-orders, to the room of the pair, without a payload: read your page again."""


class UpdatePairStats(msgspec.Struct, frozen=True, rename="camel"):
    """Event update-pair-stats, to the room of the pair: it traded."""

    pair_stats: Stats


class OrderNotification(msgspec.Struct, frozen=True, rename="camel"):
    """Event order-notification, to the owner: the other side applied, confirmed, called off or cancelled."""

    order_data: BookOrder


_RULES: Final = (
    "Socket.IO version 4 (Engine.IO 4) at /socket.io, both transports, polling and websocket. A message below is an"
    " event with one argument, or with none where the message has no fields. An event of yours is acknowledged, when"
    ' you ask for it, with {"success": true} or {"success": false, "data": why}.',
    "Read your page, then watch the pair: update-orders comes at once, so that nothing that happened in between is"
    " missed. Several changes of a board may be told once. After an interruption watch again.",
    "Pages of other origins may connect when web_origins names them. A socket watches at most 50 pairs and says at most"
    " 20 things a second over time, an address has at most 100 sockets, a message 16 KiB, unless the settings say"
    " otherwise. Whoever says more, sends bytes, or reads too slowly is cut off.",
)
_ORDER: Final = BookOrder(
    41,
    "sell",
    "1767225600000",
    "limit",
    "0.25",
    "100",
    "25",
    1,
    1007,
    "active",
    "100",
    _MADE,
    _MADE,
    True,
    WalletUser("alice", "iTHN...", _MADE, _MADE),
)

GUIDE: Final = SocketGuide(
    path="/socket.io",
    title="Socket.IO",
    rules=_RULES,
    sent=(
        SocketMessage(InTrading, InTrading(1)),
        SocketMessage(OutTrading, OutTrading(1)),
        SocketMessage(InDexNotifications, InDexNotifications("eyJ...")),
    ),
    received=(
        SocketMessage(NewOrder, NewOrder(_ORDER)),
        SocketMessage(DeleteOrder, DeleteOrder(41)),
        SocketMessage(UpdateOrders, UpdateOrders()),
        SocketMessage(UpdatePairStats, UpdatePairStats(Stats(0.25, -1.5, 0.27, 0.24, 1250.0))),
        SocketMessage(OrderNotification, OrderNotification(_ORDER)),
    ),
)
