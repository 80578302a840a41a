"""The public topics of a market that follow its feed: the book at any depth, and the trades.

One pump serves them all. What it gathered goes out as one update: the last state of every level that changed.
"""

import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import UnsetType

from crossbook.application.errors import Overloaded
from crossbook.application.feeds import DropReason
from crossbook.application.markets import Market
from crossbook.dialects.feed_ports import MarketUpdate
from crossbook.dialects.flux import translate
from crossbook.dialects.flux.services import StreamServices
from crossbook.dialects.flux.socket_schemas import CHECKSUM_LEVELS, BookData
from crossbook.dialects.flux.socket_topics import Subscription, Topic
from crossbook.dialects.market_ports import PublicTrade
from crossbook.dialects.market_pump import MarketPump, Touched, touched_by
from crossbook.dialects.socket import Peer
from crossbook.domain.instruments import Instrument
from crossbook.domain.orders import Side
from crossbook.matching.depth import DepthBook
from crossbook.matching.window import DepthWindow, Level

GATHER_S: Final = 0.02
"""The least time between two updates of a topic."""
TRADES_SHOWN: Final = 50
TRADES: Final = 0
"""The key of the trades among the topics of a market; those of books are their depths."""
MOST_DEPTHS: Final = 32
"""Different depths of one market's book that are followed at a time."""


def checksum_of(book: DepthBook, instrument: Instrument, depth: int) -> int:
    """CRC-32 of the best ten asks, then the best ten bids, of as many as `depth` shows; best first.

    Each level adds its price with the decimals of the tick, then its quantity with those of the lot, both without
    point and leading zeros.
    """
    tick, lot = instrument.tick.size_units, instrument.lot.size_units
    shown = min(depth, CHECKSUM_LEVELS)
    levels = book.levels(Side.SELL, shown) + book.levels(Side.BUY, shown)
    return zlib.crc32("".join(f"{price * tick}{lots * lot}" for price, lots, _ in levels).encode())


class BookTopic(Topic):
    """The best `depth` levels of a book."""

    def __init__(self, market: Market, depth: int, now_ms: Callable[[], int]) -> None:
        super().__init__("orderbook", market.symbol, now_ms, market=market.symbol, depth=depth)
        self.depth = depth
        self._instrument = market.instrument
        self._book: DepthBook
        self._window: DepthWindow

    def start(self, book: DepthBook, sequence: int) -> None:
        """Begin, or begin again, with the book as it is after the command `sequence`."""
        self._book = book
        self._window = DepthWindow(book, self.depth)
        self.sequence = sequence

    def state(self) -> str:
        """The book now."""
        data = BookData(
            bids=self._texts(self._book.levels(Side.BUY, self.depth)),
            asks=self._texts(self._book.levels(Side.SELL, self.depth)),
        )
        return self.snapshot(data, checksum=self._checksum())

    def changed(self, sequence: int, touched: Touched, trades: Sequence[PublicTrade]) -> str | None:
        """What changed in the levels shown; None for nothing."""
        del trades
        bids = self._window.changes(Side.BUY, touched[Side.BUY])
        asks = self._window.changes(Side.SELL, touched[Side.SELL])
        if not bids and not asks:
            return None
        data = BookData(bids=self._texts(bids), asks=self._texts(asks))
        return self.update(sequence, data, checksum=self._checksum())

    def _texts(self, levels: Sequence[Level]) -> list[list[str]]:
        return translate.level_texts(levels, self._instrument)

    def _checksum(self) -> int:
        return checksum_of(self._book, self._instrument, self.depth)


class TradesTopic(Topic):
    """The trades of a market."""

    def __init__(self, market: Market, services: StreamServices) -> None:
        super().__init__("trades", market.symbol, services.clock.now_ms, market=market.symbol)
        self._market = market
        self._services = services

    def start(self, book: DepthBook, sequence: int) -> None:
        """Begin, or begin again, after the last trade that the feed has."""
        del book, sequence
        last = self._last(1)
        self.sequence = last[0].trade_id if last else 0

    def state(self) -> str:
        """The last trades."""
        return self.snapshot(
            [translate.trade_view(trade, self._market) for trade in reversed(self._last(TRADES_SHOWN))]
        )

    def changed(self, sequence: int, touched: Touched, trades: Sequence[PublicTrade]) -> str | None:
        """The new trades; None for none."""
        del sequence, touched
        if not trades:
            return None
        return self.update(trades[-1].trade_id, [translate.trade_view(trade, self._market) for trade in trades])

    def _last(self, count: int) -> Sequence[PublicTrade]:
        return self._services.market_data.trades(self._market.symbol, count)


AnyTopic = BookTopic | TradesTopic


class MarketTopics:
    """The topics of one market, as long as anybody listens to any of them: the `Publisher` of its pump."""

    def __init__(self, market: Market, services: StreamServices) -> None:
        self._market = market
        self._services = services
        self._topics: dict[int, AnyTopic] = {}
        self._pump = MarketPump(market.symbol, services.market_data, services.unavailable, self, GATHER_S)

    def join_book(self, peer: Peer, depth: int, request_id: str | UnsetType) -> Subscription:
        """Send the book, and every change of it from there on.

        Raises what `MarketPump.catch_up` does, and Overloaded for more different depths than are served.
        """
        topic = self._topics.get(depth)
        if topic is None:
            if len(self._topics) > MOST_DEPTHS:
                raise Overloaded(f"more than {MOST_DEPTHS} different depths are in use: take a usual one, such as 50")
            topic = BookTopic(self._market, depth, self._services.clock.now_ms)
        return self._join(depth, topic, peer, request_id)

    def join_trades(self, peer: Peer, request_id: str | UnsetType) -> Subscription:
        """Send the last trades, and every one from there on. Raises what `MarketPump.catch_up` does."""
        topic = self._topics.get(TRADES) or TradesTopic(self._market, self._services)
        return self._join(TRADES, topic, peer, request_id)

    def _join(self, key: int, topic: AnyTopic, peer: Peer, request_id: str | UnsetType) -> Subscription:
        book, sequence = self._pump.catch_up()
        if key not in self._topics:
            topic.start(book, sequence)
            self._topics[key] = topic
        peer.send(topic.subscribed(request_id))
        peer.send(topic.state())
        topic.listeners.add(peer)
        return Subscription(topic, partial(self._leave, key, topic, peer))

    def _leave(self, key: int, topic: AnyTopic, peer: Peer) -> None:
        topic.listeners.remove(peer)
        if not len(topic.listeners) and self._topics.get(key) is topic:
            del self._topics[key]
        if not self._topics:
            self._pump.stop()

    # -- What the pump brings ------------------------------------------------------------------------
    def changed(self, updates: Sequence[MarketUpdate]) -> None:
        """Tell what changed in each topic."""
        touched = touched_by(updates)
        trades = [trade for update in updates for trade in update.trades]
        for topic in list(self._topics.values()):
            message = topic.changed(updates[-1].sequence, touched, trades)
            if message is not None:
                topic.listeners.publish([message])

    def lost(self, reason: DropReason) -> None:
        """Say that what was told does not count any more."""
        for topic in list(self._topics.values()):
            topic.listeners.publish([topic.resync(reason)])

    def found(self, book: DepthBook, sequence: int) -> None:
        """Begin again with snapshots."""
        for topic in list(self._topics.values()):
            topic.start(book, sequence)
            topic.listeners.publish([topic.state()])
