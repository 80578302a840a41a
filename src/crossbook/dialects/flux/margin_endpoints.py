"""The rows of Flux's table about margin and risk."""

from collections.abc import Mapping
from typing import Final

from crossbook.dialects.endpoint import AnyEndpoint, Auth, Endpoint
from crossbook.dialects.flux import schemas
from crossbook.dialects.flux.errors import ErrorBody
from crossbook.dialects.flux.margin import MarginHandlers

_TAG: Final = "Margin"
_REFUSALS: Final[Mapping[int, object]] = {400: ErrorBody, 404: ErrorBody}


def margin_endpoints(margin: MarginHandlers, reads_class: str) -> list[AnyEndpoint]:
    """Leverage, margin mode, isolated margin, and the preview of an order."""
    return [
        Endpoint(
            "PUT",
            "/positions/{marketId}/leverage",
            "Choose the leverage of a market.",
            margin.set_leverage,
            {200: schemas.Position, **_REFUSALS},
            Auth.REQUIRED,
            request=schemas.SetLeverage,
            rate_class=reads_class,
            tag=_TAG,
            description="It holds for the position at once, and for orders that name none."
            " A lower one needs more margin.",
            example=schemas.SetLeverage(leverage=10),
        ),
        Endpoint(
            "PUT",
            "/positions/{marketId}/margin-mode",
            "Back a market's position by the whole wallet or by margin of its own.",
            margin.set_mode,
            {200: schemas.Position, **_REFUSALS},
            Auth.REQUIRED,
            request=schemas.SetMarginMode,
            rate_class=reads_class,
            tag=_TAG,
            example=schemas.SetMarginMode(margin_mode="ISOLATED"),
        ),
        Endpoint(
            "POST",
            "/positions/{marketId}/margin",
            "Add margin to an isolated position, or take some out.",
            margin.move_margin,
            {200: schemas.Position, **_REFUSALS},
            Auth.REQUIRED,
            request=schemas.MoveMargin,
            rate_class=reads_class,
            tag=_TAG,
            description="What is left must cover the initial margin and what the position has lost so far.",
            example=schemas.MoveMargin(action="ADD", amount="100"),
        ),
        Endpoint(
            "GET",
            "/liquidations",
            "Everybody's liquidations, newest first.",
            margin.liquidations,
            {200: list[schemas.Liquidation], 400: ErrorBody},
            query=schemas.LiquidationsQuery,
            rate_class=reads_class,
            tag=_TAG,
            description="Without their owners. The Link header leads to the next page.",
        ),
        Endpoint(
            "GET",
            "/me/liquidations",
            "Own liquidations, newest first.",
            margin.own_liquidations,
            {200: list[schemas.Liquidation], 400: ErrorBody},
            Auth.REQUIRED,
            query=schemas.LiquidationsQuery,
            rate_class=reads_class,
            tag=_TAG,
            description="The Link header leads to the next page.",
        ),
        Endpoint(
            "POST",
            "/orders/preview",
            "What an order would hold, cost and do to the liquidation price.",
            margin.preview,
            {200: schemas.OrderPreview, **_REFUSALS},
            Auth.REQUIRED,
            request=schemas.SubmitOrder,
            rate_class=reads_class,
            tag=_TAG,
            description="Nothing is entered or held. The position is the one after the whole order traded"
            " at its limit.",
            example=schemas.SubmitOrder(
                market_id="BTC-PERP", side="BUY", type="LIMIT", quantity="1.25", price="65000", leverage=10
            ),
        ),
    ]
