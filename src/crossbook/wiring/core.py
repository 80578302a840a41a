"""What all parts of a venue share, and the workers that run beside requests: steps 6, 7, 8 and 10."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from crossbook.application.markets import Market, Markets
from crossbook.application.marks import Marks
from crossbook.application.pricing import PricingRules
from crossbook.domain.index import IndexRules
from crossbook.domain.instruments import InstrumentKind
from crossbook.measuring import WorkerMetrics, note_lags
from crossbook.readiness import Helper
from crossbook.server.metrics import Metrics
from crossbook.settings import Settings
from crossbook.storage.errors import StorageError
from crossbook.storage.queries import Queries
from crossbook.streams.refill import RefillSettings
from crossbook.supervisor import Work
from crossbook.venue import ALL_ROLES, Ground, Parts, Role, VenueError
from crossbook.workers.account_feed import AccountFeed
from crossbook.workers.fresh import FreshCommands
from crossbook.workers.health import Condition
from crossbook.workers.market_data import MarketFeed
from crossbook.workers.matcher import Matcher, MatcherSettings
from crossbook.workers.names import MarketName
from crossbook.workers.pauses import pause
from crossbook.workers.pricing import PricingSettings, PricingWorker
from crossbook.workers.public_prices import PublicPrice, load_venues
from crossbook.workers.relay import Relay
from crossbook.workers.settler import Settler, SettlerSettings
from crossbook.workers.wake import Wake

MATCHER_STOP_MS: Final = 1_200
SETTLEMENTS_APART_MS: Final = 10
RELAY_LOOKS_APART_MS: Final = 250
MARKS_EVERY_MS: Final = 100
LAG_EVERY_MS: Final = 1_000


class Core:
    """What the parts of one venue share. `parts` is filled while they are built; `holder` names this process."""

    def __init__(self, settings: Settings, ground: Ground, roles: frozenset[Role], holder: str) -> None:
        self.settings = settings
        self.ground = ground
        self.roles = roles
        self.holder = holder
        self.clock = ground.clock
        self.database = ground.database
        self.markets = Markets(ground.markets)
        self.names = [MarketName(market.number, market.symbol) for market in ground.markets]
        self.marks = Marks()
        self.metrics = Metrics()
        self.worker_metrics = WorkerMetrics(self.metrics)
        self.wakes = {name.market_id: Wake() for name in self.names}
        self.fresh = {name.market_id: FreshCommands() for name in self.names}
        self.parts = Parts()

    def logged_elsewhere(self, market_id: int) -> None:
        """Somebody beside the desk put commands into a market's log: let the relay look for them."""
        self.fresh[market_id].forget()
        self.wakes[market_id].set()

    def perpetual_feeds(self) -> list[MarketFeed]:
        """The feeds of perpetuals: their log states marks."""
        kinds = {market.number: market.instrument.kind for market in self.markets}
        return [feed for feed in self.parts.feeds if kinds[feed.market.market_id] is InstrumentKind.PERPETUAL]

    def repeat(self, every_ms: int, work: Callable[[], Awaitable[None]]) -> Work:
        """Does this again and again until the venue stops; what the database refuses is done the next time."""

        async def loop(stop: asyncio.Event) -> None:
            while not stop.is_set():
                with suppress(StorageError):
                    await work()
                await pause(self.clock, stop, every_ms)

        return loop


def add_workers(core: Core) -> None:
    """Build the workers that the roles need, in the order of the way of an order. Raises VenueError."""
    parts, roles = core.parts, core.roles
    if Role.RELAY in roles:
        parts.relays = [_relay(core, name) for name in core.names]  # 6
    if Role.MATCHER in roles:
        parts.matchers = [_matcher(core, name) for name in core.names]  # 7
    if Role.SETTLER in roles:
        parts.settlers = [_settler(core, name) for name in core.names]  # 8
    if roles & {Role.API, Role.MARKET_DATA}:
        parts.account_feed = AccountFeed(Queries(core.database), core.clock, metrics=core.worker_metrics)
        parts.helpers.append(Helper("accountFeed", parts.account_feed))
    if roles & {Role.API, Role.MARKET_DATA, Role.PRICING}:
        parts.feeds = [_feed(core, name) for name in core.names]  # 10
    if Role.PRICING in roles:
        parts.pricing = _pricing(core)
        parts.helpers += [Helper("pricing", worker, worker.symbol) for worker in parts.pricing]


def _relay(core: Core, name: MarketName) -> Relay:
    return Relay(
        name,
        core.database,
        core.ground.commands,
        core.clock,
        committed=core.wakes[name.market_id],
        fresh=core.fresh[name.market_id],
        metrics=core.worker_metrics,
        # Where everybody who commits is of this process, and tells, looking for others' commits can wait.
        settings=RefillSettings(idle_ms=RELAY_LOOKS_APART_MS) if core.roles == ALL_ROLES else None,
    )


def _matcher(core: Core, name: MarketName) -> Matcher:
    settings = core.settings
    return Matcher(
        name,
        core.database,
        core.ground.commands,
        core.ground.events,
        core.clock,
        core.holder,
        metrics=core.worker_metrics,
        settings=MatcherSettings(
            lease_ms=settings.lease_ms, snapshot_every=settings.snapshot_every_commands, shutdown_ms=MATCHER_STOP_MS
        ),
    )


def _settler(core: Core, name: MarketName) -> Settler:
    return Settler(
        name,
        core.database,
        core.ground.events,
        core.clock,
        metrics=core.worker_metrics,
        settings=SettlerSettings(batch_length=core.settings.settle_batch_limit, apart_ms=SETTLEMENTS_APART_MS),
    )


def _feed(core: Core, name: MarketName) -> MarketFeed:
    return MarketFeed(
        name,
        core.database,
        core.ground.commands,
        core.ground.events,
        core.clock,
        tap=core.parts.account_feed,
        metrics=core.worker_metrics,
        on_state=core.markets.set_status,
    )


# -- Prices ------------------------------------------------------------------------------------------
def _pricing(core: Core) -> list[PricingWorker]:
    """Who states the prices of each perpetual."""
    settings = core.settings
    index = IndexRules(settings.index_max_age_ms, settings.index_outlier_bp, settings.index_min_sources)
    terms = PricingSettings(settings.prices_interval_ms, settings.lease_ms, PricingRules(index, settings.mark_band_bp))
    feeds = {feed.market.market_id: feed for feed in core.parts.feeds}
    public = _public_prices(core)
    return [
        PricingWorker(
            market,
            core.database,
            feeds[market.number],
            core.clock,
            core.holder,
            core.logged_elsewhere,
            sources=public.get(market.symbol, []),
            metrics=core.worker_metrics,
            settings=terms,
        )
        for market in core.markets
        if market.instrument.kind is InstrumentKind.PERPETUAL
    ]


def _public_prices(core: Core) -> dict[str, list[PublicPrice]]:
    """The public venues that the settings name, by market."""
    found: dict[str, list[PublicPrice]] = {}
    file = core.settings.index_venues_file
    for venue in [] if file is None else load_venues(file):
        tick = _perpetual(core, venue.market).instrument.tick
        price = PublicPrice(venue, tick, core.clock, core.settings.prices_interval_ms)
        found.setdefault(venue.market, []).append(price)
        core.parts.public_prices.append(price)
    return found


def _perpetual(core: Core, symbol: str) -> Market:
    for market in core.markets:
        if market.symbol == symbol and market.instrument.kind is InstrumentKind.PERPETUAL:
            return market
    raise VenueError(f"{core.settings.index_venues_file}: there is no perpetual market {symbol}")


def follow_feeds(core: Core) -> None:
    """Tasks beside the way: marks from the logs, and the lag for the metrics."""
    feeds = core.parts.feeds
    pricing = {worker.market_id: worker for worker in core.parts.pricing}

    async def marks() -> None:
        for feed in feeds:
            if feed.health.condition is Condition.RUNNING:
                number = feed.market.market_id
                mark_ticks = _mark_of(feed, pricing.get(number))
                if mark_ticks:
                    core.marks.set(number, mark_ticks)

    async def lag() -> None:
        await note_lags(core.database, core.markets, core.metrics)

    core.parts.watches |= {"marks": core.repeat(MARKS_EVERY_MS, marks), "lag": core.repeat(LAG_EVERY_MS, lag)}


def _mark_of(feed: MarketFeed, pricing: PricingWorker | None) -> int:
    """The mark of a market, 0 for none: from its log; of a market for which nobody states prices, the last trade.

    Where pricing runs in another process, a log that has stated a mark goes on to do so.
    """
    if pricing is not None and not pricing.governs:
        return feed.last_price_ticks or 0
    return feed.mark_price_ticks or (feed.last_price_ticks or 0 if pricing is None else 0)
