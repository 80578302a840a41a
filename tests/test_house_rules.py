"""The rules of the house, kept by reading the source tree.

domain and matching are deterministic: whole numbers only; no clock, randomness or I/O; no order that
depends on hashing; no state outside of objects. Every public name is documented. No file names a
machine. The checker itself is tested on small bad snippets.
"""

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "crossbook"
PURE_ROOMS = ("domain", "matching")

ALLOWED_STANDARD_LIBRARY = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "binascii",
        "bisect",
        "collections",
        "copy",
        "copyreg",
        "dataclasses",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "operator",
        "struct",
        "types",
        "typing",
        "zlib",
    }
)
ALLOWED_ELSEWHERE = {
    "domain": ("crossbook.domain",),
    "matching": ("crossbook.domain", "crossbook.matching", "librt", "mypy_extensions"),
}
BANNED_CALLS = frozenset(
    {
        "open",
        "print",
        "input",
        "eval",
        "exec",
        "compile",
        "__import__",
        "breakpoint",
        "hash",
        "id",
        "globals",
        "vars",
        "float",
    }
)
EXEC_IS_ALLOWED_IN = "domain/records.py"
MUTABLE_CONSTRUCTORS = frozenset(
    {"list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "vec", "array"}
)
ORDER_KEEPING_CALLS = frozenset({"list", "tuple", "iter", "enumerate", "map", "filter", "zip", "next", "reversed"})

Fault = tuple[int, str]


# -- Determinism -------------------------------------------------------------------------------------
def called_name(node: ast.AST) -> str:
    """The name of the function that `node` calls, without what is before its last dot; "" for none."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def imported_modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "crossbook":
                yield from ((node.lineno, f"crossbook.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, "." * node.level + (node.module or "")


def import_faults(tree: ast.AST, room: str) -> Iterator[Fault]:
    for line, name in imported_modules(tree):
        elsewhere = any(name == prefix or name.startswith(prefix + ".") for prefix in ALLOWED_ELSEWHERE[room])
        if not elsewhere and name.partition(".")[0] not in ALLOWED_STANDARD_LIBRARY:
            yield line, f"{room} must not import {name}"


def number_faults(tree: ast.AST) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield node.lineno, f"a number with a fraction: {node.value}"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield node.lineno, "true division; use //"
        elif isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "the name float"


def call_faults(tree: ast.AST, path: str) -> Iterator[Fault]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        if name in BANNED_CALLS and not (name == "exec" and path == EXEC_IS_ALLOWED_IN):
            yield node.lineno, f"a call of {name}"


def is_set_type(node: ast.expr) -> bool:
    words = re.findall(r"\w+", ast.unparse(node))
    return bool(words) and words[0] in {"set", "frozenset", "Set", "AbstractSet", "MutableSet"}


def is_set_value(node: ast.expr | None, names: frozenset[str]) -> bool:
    if isinstance(node, ast.Set | ast.SetComp) or (node is not None and called_name(node) in {"set", "frozenset"}):
        return True
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node) in names


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names_of_sets(tree: ast.AST) -> frozenset[str]:
    """The variables, attributes and parameters that hold a set."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and is_set_value(node.value, frozenset()):
            names.update(last_name(target) for target in node.targets)
        elif isinstance(node, ast.AnnAssign):
            if is_set_type(node.annotation) or is_set_value(node.value, frozenset()):
                names.add(last_name(node.target))
        elif isinstance(node, ast.arg) and node.annotation is not None and is_set_type(node.annotation):
            names.add(node.arg)
    return frozenset(names - {""})


def iterated_values(tree: ast.AST) -> Iterator[ast.expr]:
    """Every expression whose order of elements the program can see."""
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.comprehension):
            yield node.iter
        elif isinstance(node, ast.Starred):
            yield node.value
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in ORDER_KEEPING_CALLS:
                yield from node.args
            elif isinstance(node.func, ast.Attribute) and node.func.attr in {"pop", "join", "extend", "fromkeys"}:
                yield from ([] if node.args else [node.func.value])
                yield from node.args


def set_faults(tree: ast.AST, names: frozenset[str]) -> Iterator[Fault]:
    for value in iterated_values(tree):
        if is_set_value(value, names):
            yield value.lineno, f"the order of a set is seen: {ast.unparse(value)}"


def scopes_outside_functions(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    yield tree.body
    yield from (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def is_mutable(value: ast.expr | None) -> bool:
    displays = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return isinstance(value, displays) or (value is not None and called_name(value) in MUTABLE_CONSTRUCTORS)


def exports(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether this is `__all__`, which is a list by custom."""
    return isinstance(node, ast.Assign) and last_name(node.targets[0]) == "__all__"


def state_faults(tree: ast.Module) -> Iterator[Fault]:
    for body in scopes_outside_functions(tree):
        for node in body:
            final = isinstance(node, ast.AnnAssign) and "Final" in ast.unparse(node.annotation)
            if isinstance(node, ast.Assign | ast.AnnAssign) and is_mutable(node.value) and not (final or exports(node)):
                yield node.lineno, "shared state that can change and is not Final"
    yield from ((node.lineno, "the statement global") for node in ast.walk(tree) if isinstance(node, ast.Global))


def faults_of_pure_code(source: str, room: str, path: str = "", sets: frozenset[str] = frozenset()) -> list[Fault]:
    """Every breach of determinism in `source`, a module of `room`. `sets` are names of sets known elsewhere."""
    tree = ast.parse(source)
    found = [
        *import_faults(tree, room),
        *number_faults(tree),
        *call_faults(tree, path),
        *set_faults(tree, names_of_sets(tree) | sets),
        *state_faults(tree),
    ]
    return sorted(set(found))


def pure_files() -> list[Path]:
    return sorted(path for room in PURE_ROOMS for path in (PACKAGE / room).rglob("*.py"))


def constant_sets() -> frozenset[str]:
    """The upper-case names that hold a set anywhere in the pure rooms: these are imported from module to module."""
    names = frozenset[str]().union(*(names_of_sets(ast.parse(path.read_text())) for path in pure_files()))
    return frozenset(name for name in names if name.isupper())


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_domain_and_matching_are_deterministic(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    assert faults_of_pure_code(path.read_text(), relative.parts[0], relative.as_posix(), constant_sets()) == []


BAD_SNIPPETS = {
    "clock": "import time",
    "clock from": "from datetime import datetime",
    "randomness": "import random",
    "ids": "from uuid import uuid4",
    "input and output": "import os.path",
    "network": "import socket",
    "a third party": "import numpy",
    "upwards": "from crossbook.cli import main",
    "upwards from the package": "from crossbook import cli",
    "relative upwards": "from .. import cli",
    "print": "print(1)",
    "open": "data = open('x')",
    "exec": "exec('x = 1')",
    "hash": "x = hash('a')",
    "identity": "x = id('a')",
    "float literal": "x = 0.5",
    "exponent literal": "x = 1e3",
    "complex literal": "x = 2j",
    "float name": "def half(x: float) -> int: ...",
    "division": "x = 1 / 2",
    "division in place": "x = 4\nx /= 2",
    "loop over a set": "for x in {1, 2}: pass",
    "loop over set()": "for x in set([1]): pass",
    "loop over frozenset()": "y = tuple(x for x in frozenset((1, 2)))",
    "loop over a named set": "accounts: set[int]\nfor x in accounts: pass",
    "loop over a set argument": "def f(accounts: set[int]) -> None:\n    for x in accounts: pass",
    "loop over a set attribute": "def f(self):\n    self.seen = set()\n    return list(self.seen)",
    "loop over a constant from elsewhere": "for x in KNOWN: pass",
    "unpacked set": "x = (*{1, 2},)",
    "tuple of a set": "x = tuple({1, 2})",
    "pop from a set": "def f(seen: set[int]) -> int:\n    return seen.pop()",
    "global list": "cache = []",
    "global dictionary": "cache: dict[int, int] = {}",
    "global by call": "from collections import deque\nqueue = deque[int]()",
    "state of a class": "class A:\n    seen = {}",
    "global statement": "def f():\n    global n\n    n = 1",
}


@pytest.mark.parametrize("snippet", BAD_SNIPPETS.values(), ids=BAD_SNIPPETS.keys())
def test_the_checker_finds_what_is_not_deterministic(snippet: str) -> None:
    assert len(faults_of_pure_code(snippet, "domain", sets=frozenset({"KNOWN"}))) == 1


GOOD_SNIPPETS = {
    "sorted set": "x = sorted({2, 1})",
    "member of a set": "KNOWN: Final = {1}\nx = 1 in KNOWN",
    "whole division": "x = 7 // 2",
    "constant": "from typing import Final\nTABLE: Final = [1, 2]",
    "names to export": '__all__ = ["Engine"]',
    "own list": "def f():\n    rows = []\n    for row in rows: pass",
    "own method": "def f(engine):\n    return engine.id(1)",
    "columns": "from librt.vecs import vec",
    "domain": "from crossbook.domain import orders",
}


@pytest.mark.parametrize("snippet", GOOD_SNIPPETS.values(), ids=GOOD_SNIPPETS.keys())
def test_the_checker_lets_good_code_pass(snippet: str) -> None:
    assert faults_of_pure_code(snippet, "matching") == []


def test_exec_is_for_one_module() -> None:
    assert faults_of_pure_code("exec('x = 1')", "domain", EXEC_IS_ALLOWED_IN) == []
    assert faults_of_pure_code("exec('x = 1')", "domain", "domain/orders.py") == [(1, "a call of exec")]


def test_domain_does_not_know_the_columns() -> None:
    assert faults_of_pure_code("from librt.vecs import vec", "domain") != []


def test_every_allowed_module_is_of_the_standard_library() -> None:
    assert sys.stdlib_module_names >= ALLOWED_STANDARD_LIBRARY


# -- Documentation -----------------------------------------------------------------------------------
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_overload(node: ast.AST) -> bool:
    decorators = [ast.unparse(item) for item in getattr(node, "decorator_list", [])]
    return any(item.endswith(("overload", ".setter", ".deleter")) for item in decorators)


def classes_of(tree: ast.AST) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)


def methods_of_protocols(tree: ast.AST) -> frozenset[str]:
    """What the module's protocols ask for: said once, at the protocol, not again by every class that does it."""
    bodies = [protocol.body for protocol in classes_of(tree) if is_protocol(protocol)]
    return frozenset(node.name for body in bodies for node in body if isinstance(node, Documented))


def undocumented(source: str) -> list[str]:
    """The public names of a module, and its methods', that have no docstring."""
    tree = ast.parse(source)
    found = [] if ast.get_docstring(tree) else ["the module"]
    asked = methods_of_protocols(tree)
    waiting: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    while waiting:
        prefix, parent = waiting.pop()
        for node in parent.body:
            if not isinstance(node, Documented) or node.name.startswith("_") or is_overload(node):
                continue
            if not ast.get_docstring(node) and not (prefix and node.name in asked):
                found.append(prefix + node.name)
            if isinstance(node, ast.ClassDef):
                waiting.append((f"{prefix}{node.name}.", node))
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_public_name_is_documented(path: Path) -> None:
    assert undocumented(path.read_text()) == []


def test_the_checker_finds_missing_docstrings() -> None:
    source = 'class A:\n    """Yes."""\n    def b(self): ...\n    def _c(self): ...\ndef d(): ...\nasync def e(): ...\n'
    assert undocumented(source) == ["the module", "d", "e", "A.b"]


def test_a_method_that_a_protocol_asks_for_is_documented_there() -> None:
    source = '"""M."""\nclass P(Protocol):\n    """P."""\n    def a(self): ...\n'
    assert undocumented(source + 'class A:\n    """A."""\n    def a(self): ...\n') == []
    assert undocumented(source + 'class A:\n    """A."""\n    def b(self): ...\n') == ["A.b"]
    assert undocumented(source + "def a(): ...\n") == ["a"]


# -- Traces of a machine -----------------------------------------------------------------------------
MACHINE_FOLDERS = ("work", "root", "tmp", "home", "opt", "Users")
MACHINE_PATH = re.compile(r"(?<![\w.*)}-])/(?:" + "|".join(MACHINE_FOLDERS) + r")(?:/|(?=['\"`\s]))")
PACKAGE_HOST = re.compile("pypi" + r"\.org|pythonhosted" + r"\.org")
MADE_FOLDERS = frozenset({".git", ".venv", "build", "dist", "__pycache__", "node_modules"})
TEXTLESS = (".so", ".png", ".pyc")


def repository_files(root: Path) -> Iterator[Path]:
    """The files that belong to the repository: everything but what make and the tools put there."""
    for folder, folders, files in os.walk(root):
        folders[:] = [
            name
            for name in sorted(folders)
            if name not in MADE_FOLDERS and not name.endswith((".egg-info", "_cache")) and name != ".hypothesis"
        ]
        # In a worktree of git, .git is a file.
        yield from (Path(folder) / name for name in files if not name.endswith(TEXTLESS) and name not in MADE_FOLDERS)


def traces(text: str) -> list[Fault]:
    """The lines that name a folder of somebody's machine, or a host that packages come from."""
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line) or PACKAGE_HOST.search(line)
    ]


def test_no_file_names_a_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in repository_files(ROOT)
        if (lines := traces(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize("folder", MACHINE_FOLDERS)
def test_the_checker_finds_machine_paths(folder: str) -> None:
    assert traces(f"data in /{folder}/somewhere") != []
    assert traces(f'path = "/{folder}"') != []
    assert traces(f"file:///{folder}/x") != []
    assert traces(f"see ../{folder}/x and https://example.com/{folder}/x") == []


def test_the_checker_finds_package_hosts() -> None:
    assert traces("https://pypi" + ".org/simple") != []


def test_the_checker_reads_the_whole_repository() -> None:
    files = {str(path.relative_to(ROOT)) for path in repository_files(ROOT)}
    assert {"README.md", "Makefile", ".ci/run", "src/crossbook/__init__.py", "tests/test_house_rules.py"} <= files
