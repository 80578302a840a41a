"""The operator's limits of prices: a market's band, its price-limit window, and how it opens after a halt."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from crossbook.application.market_limits import MarketLimits
from crossbook.dialects.call import Call, Reply
from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.flux.errors import ErrorBody
from crossbook.dialects.flux.schemas import DecimalText
from crossbook.dialects.flux.services import Services
from crossbook.dialects.flux.translate import market_named
from crossbook.dialects.rate_classes import READS

ADMIN: Final = frozenset({"admin"})
TAG: Final = "Limits"
DAY_MS: Final = 86_400_000

BasisPoints = Annotated[int, Meta(ge=0, le=10_000, description="basis points from 0 to 10000; 0 for none")]
Duration = Annotated[int, Meta(ge=0, le=DAY_MS, description="milliseconds, a day at most")]


class PriceLimits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The limits of a market. A halt needs both its basis points and its window."""

    reference_price: DecimalText
    band_basis_points: BasisPoints = 0
    halt_basis_points: BasisPoints = 0
    halt_window_ms: Duration = 0
    halt_ms: Duration = 30_000
    auction_ms: Duration = 30_000


class LimitHandlers:
    """The handler of `/admin/markets/{marketId}/limits`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def put(self, call: Call[PriceLimits, None]) -> Reply:
        """Set the limits of a market; its log has the new band within a second."""
        market, body = market_named(self._services.markets, call.path["marketId"]), call.body
        reference_ticks = market.instrument.price_ticks(body.reference_price, "referencePrice")
        limits = MarketLimits(
            reference_ticks,
            body.band_basis_points,
            body.halt_basis_points,
            body.halt_window_ms,
            body.halt_ms,
            body.auction_ms,
        )
        await self._services.limits.set(market.number, limits)
        return Reply(200, body)


def table(services: Services) -> list[AnyEndpoint]:
    """The rows of this module."""
    return [
        Endpoint(
            "PUT",
            "/admin/markets/{marketId}/limits",
            "Set the price limits of a market.",
            LimitHandlers(services).put,
            {200: PriceLimits, 404: ErrorBody},
            Auth.REQUIRED,
            ADMIN,
            request=PriceLimits,
            rate_class=READS,
            tag=TAG,
            description="An order further from the midpoint than the band is rejected. A price that moves further than"
            " the halt's basis points within its window halts the market; after haltMs orders for an auction are"
            " collected, after auctionMs more it opens by that auction.",
            example=PriceLimits(reference_price="65000", band_basis_points=1_000),
        )
    ]
