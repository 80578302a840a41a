"""The deterministic matching engine of one market. docs/matching.md."""

from crossbook.matching.engine import Engine

__all__ = ["Engine"]
