"""What frozen dataclasses need beside `dataclass` to be made by the million and to be copied.

Events are made by the million, and so are the commands that enter orders. Compiled, a plain assignment
in a class's own `__init__` goes straight into the object (22 ns for eight fields, where the generated
`__init__` of a frozen dataclass takes 800). Interpreted, the same assignment is refused, because the
class is frozen: there these classes get an `__init__` that writes the instance's dictionary.
"""

import copyreg
from dataclasses import fields
from typing import Any


def initialise_without_compiler(classes: tuple[type, ...]) -> None:
    """Replace the `__init__` of each dataclass in `classes`, same parameters, same effect."""
    for cls in classes:
        made = _dictionary_init([field.name for field in fields(cls)])
        made.__defaults__ = cls.__init__.__defaults__  # type: ignore[misc]
        cls.__init__ = made  # type: ignore[misc]


def _dictionary_init(names: list[str]) -> Any:
    body = "".join(f"\n    values[{name!r}] = {name}" for name in names)
    source = f"def __init__(self, {', '.join(names)}):\n    values = self.__dict__{body}"
    namespace: dict[str, Any] = {}
    exec(source, namespace)  # noqa: S102
    return namespace["__init__"]


def make_copyable(classes: tuple[type, ...]) -> None:
    """Let `copy` and `pickle` rebuild the frozen dataclasses in `classes` through their `__init__`.

    Compiled, they have no instance dictionary, and the usual way would assign to frozen attributes.
    """
    for cls in classes:
        copyreg.pickle(cls, _rebuild)


def _rebuild(instance: Any) -> tuple[type, tuple[Any, ...]]:
    return type(instance), tuple(getattr(instance, field.name) for field in fields(instance))
