"""Runs the compiled modules from their Python source when `CROSSBOOK_INTERPRETED=1`.

The matching engine is one typed source that runs compiled or interpreted with the same result, byte
for byte. Python prefers a compiled module to the source beside it; this hook turns that around, so
that every test can run the file both ways without a second checkout.
"""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from types import ModuleType


class SourceFirst:
    """A meta path finder that gives `crossbook.*` modules from source, never compiled."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The source spec of a `crossbook` module, or None to leave it to the usual finders."""
        if not name.startswith("crossbook.") or path is None:
            return None
        for folder in path:
            spec = FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name, target)
            if spec is not None and spec.loader is not None:
                return spec
        return None


if os.environ.get("CROSSBOOK_INTERPRETED") == "1":
    sys.meta_path.insert(0, SourceFirst)
