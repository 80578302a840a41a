"""The mark price of each market, as risk checks use it."""


class Marks:
    """Mark prices by market number, in ticks. Whoever feeds prices sets them; None until somebody did."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}

    def mark_ticks(self, market_id: int) -> int | None:
        """The mark price of a market, None while unknown."""
        return self._ticks.get(market_id)

    def set(self, market_id: int, price_ticks: int) -> None:
        """State the mark price of a market. Raises ValueError unless it is positive."""
        if price_ticks <= 0:
            raise ValueError(f"a mark price is positive, not {price_ticks}")
        self._ticks[market_id] = price_ticks
