"""The engine's building material: columns of unboxed 64-bit numbers, in both ways of running.

Compiled, a column is `librt.vecs.vec[i64]`: contiguous, bounds-checked, invisible to the garbage
collector. Interpreted, the same source uses plain lists, which the interpreter indexes fastest, and
needs nothing but the standard library.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from librt.vecs import append as append
    from librt.vecs import extend as extend
    from librt.vecs import vec as vec
    from mypy_extensions import i64 as i64
else:
    from crossbook.matching.interpreted import append, extend, i64, vec
