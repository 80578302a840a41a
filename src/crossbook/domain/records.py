"""Gives frozen dataclasses with a hand-written `__init__` one that also runs interpreted.

Events are made by the million. Compiled, a plain assignment in a class's own `__init__` goes straight
into the object (22 ns for eight fields, where the generated `__init__` of a frozen dataclass takes
800). Interpreted, the same assignment is refused, because the class is frozen: there these classes get
an `__init__` that writes the instance's dictionary.
"""

from collections.abc import Callable
from dataclasses import fields


def initialise_without_compiler(classes: tuple[type, ...]) -> None:
    """Replace the `__init__` of each dataclass in `classes`, same parameters, same effect."""
    for cls in classes:
        cls.__init__ = _dictionary_init([field.name for field in fields(cls)])  # type: ignore[misc]


def _dictionary_init(names: list[str]) -> Callable[..., None]:
    body = "".join(f"\n    values[{name!r}] = {name}" for name in names)
    source = f"def __init__(self, {', '.join(names)}):\n    values = self.__dict__{body}"
    namespace: dict[str, Callable[..., None]] = {}
    exec(source, namespace)  # noqa: S102
    return namespace["__init__"]
