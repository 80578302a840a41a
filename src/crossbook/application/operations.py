"""What operators do to markets: halt them, open them, settle them, and feed prices. Each with a reason, for the record.

The state that was ordered and the record of it are one transaction with the command in the market's log.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crossbook.application.errors import InvalidOrder
from crossbook.application.markets import Market, Markets
from crossbook.application.pricing import MarketControl
from crossbook.application.views import Page
from crossbook.domain.commands import SetMarketState, SettlePositions, SingleCommand
from crossbook.domain.index import MAX_AHEAD_MS, Quote
from crossbook.domain.instruments import InstrumentKind
from crossbook.domain.orders import MarketState

REASON_LENGTH: Final = 500
MAX_SOURCES: Final = 50
"""Sources that operators may feed for one market."""
MARKET_STATE: Final = "market-state"
MARKET_SETTLEMENT: Final = "market-settlement"


@dataclass(frozen=True)
class AdminEntry:
    """One line of the record: who did what to which market (0 for none), why, with which values, and when."""

    entry_id: int
    user_id: int
    action: str
    market_id: int
    reason: str
    details: Mapping[str, str]
    created_at_ms: int


@dataclass(frozen=True)
class Act:
    """What an operator does to a market: its record, and the command it makes of the sequence and the time."""

    user_id: int
    market_id: int
    action: str
    reason: str
    details: Mapping[str, str]
    command: Callable[[int, int], SingleCommand]


class OperationsStore(Protocol):
    """Keeps what operators do. Each call is one transaction."""

    async def act(
        self, act: Act, control: Callable[[MarketControl], MarketControl], now_ms: int
    ) -> tuple[MarketControl, int]:
        """Record and log an act on the market whose control `control` changes; the new control and the sequence.

        What `control` raises ends the transaction, and nothing is kept.
        """
        ...

    async def put_quotes(self, user_id: int, quotes: Sequence[tuple[int, Quote]], most: int) -> int:
        """Store quotes by market; 0, or the number of a market that would have more than `most` sources."""
        ...

    async def entries(self, page: Page) -> list[AdminEntry]:
        """A page of the record, newest first."""
        ...

    async def index_ticks(self, market_id: int) -> int:
        """The last index of a market that is settled, 0 for none."""
        ...


class Clock(Protocol):
    """The time of day."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        ...


class Operations:
    """The operators' use cases. Who may call them is decided at the door, by scope.

    `committed` is called with the number of a market whose log grew.
    """

    def __init__(
        self, store: OperationsStore, markets: Markets, clock: Clock, committed: Callable[[int], None]
    ) -> None:
        self._store = store
        self._markets = markets
        self._clock = clock
        self._committed = committed

    async def change_state(self, user_id: int, market: Market, state: MarketState, reason: str) -> int:
        """Order a state for a market; the sequence of the command.

        Raises InvalidOrder for a reason that is empty or too long.
        """
        act = Act(
            user_id,
            market.number,
            MARKET_STATE,
            checked_reason(reason),
            {"state": state.name},
            lambda sequence, now_ms: SetMarketState(sequence, now_ms, state),
        )
        return await self._do(act, lambda _: MarketControl(state))

    async def settle_market(
        self, user_id: int, market: Market, price_ticks: int | None, reason: str
    ) -> tuple[int, int]:
        """Close every position of a perpetual at a price, its last index unless one is given.

        The price in ticks, and the sequence of the command. Raises InvalidOrder for a wrong reason, another market,
        when there is no index to take, or unless the market is in SETTLEMENT_ONLY.
        """
        self._require_perpetual(market)
        checked = checked_reason(reason)
        ticks = price_ticks or await self._store.index_ticks(market.number)
        if not ticks:
            raise InvalidOrder("price", "must be given, since the market has no index")
        act = Act(
            user_id,
            market.number,
            MARKET_SETTLEMENT,
            checked,
            {"price": market.instrument.tick.text(ticks)},
            lambda sequence, now_ms: SettlePositions(sequence, now_ms, ticks),
        )

        def settling(control: MarketControl) -> MarketControl:
            if control.state is not MarketState.SETTLEMENT_ONLY:
                raise InvalidOrder("state", "must be SETTLEMENT_ONLY before the market is settled", "SETTLEMENT_ONLY")
            return control

        return ticks, await self._do(act, settling)

    async def feed_prices(self, user_id: int, quotes: Sequence[tuple[Market, Quote]]) -> None:
        """Take prices of sources that operators feed; the newest of a source counts, an older one changes nothing.

        Raises InvalidOrder for another market, a time that has not come yet, or a source too many.
        """
        latest_ms = self._clock.now_ms() + MAX_AHEAD_MS
        for market, quote in quotes:
            self._require_perpetual(market)
            if quote.time_ms > latest_ms:
                raise InvalidOrder("time", "must not be in the future", str(latest_ms - MAX_AHEAD_MS))
        full = await self._store.put_quotes(user_id, [(market.number, quote) for market, quote in quotes], MAX_SOURCES)
        if full:
            symbol = self._markets.numbered(full).symbol
            raise InvalidOrder("source", f"must be one of the {MAX_SOURCES} that {symbol} has already")

    async def entries(self, page: Page) -> list[AdminEntry]:
        """A page of the record, newest first."""
        return await self._store.entries(page)

    async def _do(self, act: Act, control: Callable[[MarketControl], MarketControl]) -> int:
        _, sequence = await self._store.act(act, control, self._clock.now_ms())
        self._committed(act.market_id)
        return sequence

    @staticmethod
    def _require_perpetual(market: Market) -> None:
        if market.instrument.kind is not InstrumentKind.PERPETUAL:
            raise InvalidOrder("marketId", "must be a perpetual market")


def checked_reason(reason: str) -> str:
    """The reason without blanks around it. Raises InvalidOrder when it is empty or too long."""
    text = reason.strip()
    if not 1 <= len(text) <= REASON_LENGTH:
        raise InvalidOrder("reason", f"must have 1 to {REASON_LENGTH} characters")
    return text
