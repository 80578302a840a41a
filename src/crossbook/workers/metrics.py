"""What workers report about themselves, to whoever shows it."""

from typing import Protocol


class Metrics(Protocol):
    """Takes figures of one market by name; must be quick and must not raise."""

    def count(self, name: str, market: str, amount: int = 1) -> None:
        """Something happened `amount` times more."""

    def gauge(self, name: str, market: str, value: int) -> None:
        """Something stands at `value` now."""


class NoMetrics:
    """Reports to nobody."""

    def count(self, name: str, market: str, amount: int = 1) -> None:
        pass

    def gauge(self, name: str, market: str, value: int) -> None:
        pass
