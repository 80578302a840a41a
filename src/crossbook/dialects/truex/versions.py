"""The versions of TrueX, and the deprecation of the singular paths."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from crossbook.dialects.versions import Retirement, Version, Versions

HEADER: Final = "x-truex-version"
V2024: Final = "v2024_01_01"
V2026: Final = "v2026_01_23"
SINGULAR: Final = Retirement(date(2026, 1, 27), date(2028, 1, 27))
"""v1.0.3 made all paths plural. Programs still call the singular ones: they are served two years at least."""
_NONE: Final[Mapping[str, Retirement]] = MappingProxyType({})


def versions_of(retired: Mapping[str, Retirement] = _NONE) -> Versions:
    """Both versions, the older first and by default; those in `retired` are deprecated.

    Raises ValueError for a name that is no version.
    """
    unknown = sorted(retired.keys() - {V2024, V2026})
    if unknown:
        raise ValueError(f"TrueX has no version {unknown[0]}; it has {V2024} and {V2026}")
    older = Version(V2024, retirement=retired.get(V2024))
    newer = Version(V2026, enveloped=True, retirement=retired.get(V2026))
    return Versions(HEADER, [older, newer])
