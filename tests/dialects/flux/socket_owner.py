"""A user of Flux's private topics, as careful as a program should be: no number may be missing or come twice."""

from typing import Any

import httpx2

from tests.dialects.flux.socket_client import Message, SocketClient

KEYS = {"orders": "orderId", "positions": "marketId", "balances": "asset"}
CHANNELS = tuple(KEYS)


class Owner:
    """A user with a token, a connection, and what the topics said."""

    def __init__(self, http: httpx2.Client, client: SocketClient) -> None:
        self.token = http.post("/auth/guest").json()["token"]
        self.http = http
        self.socket = client
        self.headers = {"authorization": f"Bearer {self.token}"}
        self.user_id = self.get("/me")["userId"]
        self.sequences: dict[str, int] = {}
        self.rows: dict[tuple[str, str], Any] = {}
        self.stream = ""

    def get(self, path: str) -> Any:
        return self.http.get(path, headers=self.headers).json()

    def post(self, path: str, body: object, status: int) -> Any:
        reply = self.http.post(path, json=body, headers=self.headers)
        assert reply.status_code == status, reply.text
        return reply.json()

    def deposit(self, amount: str) -> None:
        self.post("/deposits", {"asset": "USDC", "amount": amount}, 201)

    def order(self, side: str, price: str, quantity: str = "0.1", **more: object) -> str:
        body = {"marketId": "ETH-PERP", "side": side, "type": "LIMIT", "quantity": quantity, "price": price, **more}
        order_id: str = self.post("/orders", body, 202)["orderId"]
        return order_id

    def follow(self, *channels: str) -> dict[str, list[Any]]:
        """Subscribe; the snapshots by channel."""
        found = {}
        for channel in channels:
            self.socket.send(op="subscribe", channel=channel, token=self.token)
            self.stream = self.socket.until("subscribed", channel)["stream"]
            snapshot = self.socket.until("snapshot", channel)
            assert snapshot["topic"] == f"{channel}:{self.user_id}"
            self.sequences[channel] = snapshot["sequence"]
            found[channel] = snapshot["data"]
        return found

    def come_back(self, client: SocketClient, *channels: str) -> None:
        """Go on with another connection, from where the lost one ended."""
        self.socket = client
        for channel in channels:
            place = {"fromSequence": self.sequences[channel], "stream": self.stream}
            client.send(op="subscribe", channel=channel, token=self.token, **place)

    def take(self) -> None:
        """Take the next update, which must follow its topic's last one; a replay may cover several numbers."""
        message: Message = self.socket.until("update")
        channel = message["channel"]
        assert message["previousSequence"] == self.sequences[channel]
        assert message["sequence"] > self.sequences[channel]
        self.sequences[channel] = message["sequence"]
        for row in message["data"]:
            assert row["userId"] == self.user_id
            self.rows[channel, row[KEYS[channel]]] = row

    def sees(self, channel: str, key: str, **wanted: str) -> Any:
        """The row once it was told of with these values."""
        while True:
            row = self.rows.get((channel, key))
            if row is not None and all(row[name] == value for name, value in wanted.items()):
                return row
            self.take()
