"""Crossbook: a self-hosted exchange. One venue core behind three public APIs."""

from crossbook import _interpreted as _interpreted

__version__ = "0.1.0"
