"""Compiles the modules listed in pyproject.toml ([tool.crossbook] compiled) with mypyc.

Without a working C compiler, or with CROSSBOOK_PURE=1, nothing is compiled: the same modules then run
from their source, with the same results, only slower.
"""

import os
import tempfile
import tomllib
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent


def compiled_modules() -> list[str]:
    """The files to compile, as paths from the project's root."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        names: list[str] = tomllib.load(file)["tool"]["crossbook"]["compiled"]
    return [name for name in names if (ROOT / name).exists()]


def reason_for_pure_python() -> str | None:
    """Why this build cannot compile, or None when it can. Tries the compiler on a file of one line."""
    if os.environ.get("CROSSBOOK_PURE") == "1":
        return "CROSSBOOK_PURE=1"
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "crossbook_probe.c"
        probe.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_crossbook_probe(void) { return NULL; }\n")
        command = build_ext(Distribution({"ext_modules": [Extension("crossbook_probe", [str(probe)])]}))
        command.build_lib = command.build_temp = folder
        try:
            command.ensure_finalized()
            command.run()
        except Exception as error:
            return f"no working C compiler ({type(error).__name__}: {error})"
    return None


def extensions() -> list[Extension]:
    """The native group, or nothing where Python has to do."""
    modules = compiled_modules()
    reason = reason_for_pure_python()
    if reason is not None or not modules:
        print(f"crossbook: building pure Python: {reason or 'nothing to compile'}", flush=True)
        return []
    from mypyc.build import mypycify

    made: list[Extension] = mypycify(modules, opt_level="3", debug_level="0", group_name="crossbook")
    for extension in made:
        if os.name == "posix":  # gcc and clang: calls inside the group need no detour through a table
            extension.extra_compile_args.append("-fno-semantic-interposition")
    print(f"crossbook: compiling {len(modules)} modules", flush=True)
    return made


setup(ext_modules=extensions())
