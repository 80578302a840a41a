"""Writes `docs/settings.md` from the settings themselves: `python -m crossbook.settings_page > docs/settings.md`."""

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from crossbook.settings import all_settings
from crossbook.settings_fields import Secrecy, Setting
from crossbook.settings_loading import FILE_NAME

_INTRODUCTION: Final = f"""\
# Settings

Made from `src/crossbook/settings.py` by `python -m crossbook.settings_page`; change it there.

A value comes from the first of these that gives one: the command line, the environment, the settings file, the
default. The settings file is TOML with the names of the first column; `{FILE_NAME}` says where it is. In the
environment an empty value counts as not given, `true` can be `1`, `yes` or `on`, and lists are parted by commas. An
unknown name with the prefix, or an unknown name in the file, stops the start and names the nearest known one.
`crossbook config` prints the settings in force.
"""
_HEAD: Final = "| Name | Environment | Value | Default | Meaning |\n|---|---|---|---|---|"
_SECRECY_WORDS: Final = {
    Secrecy.OPEN: "",
    Secrecy.SECRET: " Secret.",
    Secrecy.SECRET_IN_URL: " Its password is secret.",
}


def settings_page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for section, items in groupby(all_settings(), key=lambda item: item.terms.section):
        yield f"## {section}\n\n{_HEAD}\n" + "".join(map(_row, items))


def _row(item: Setting) -> str:
    names = ", ".join(f"`{name}`" for name in item.environment_names)
    meaning = item.terms.doc + _SECRECY_WORDS[item.terms.secrecy]
    return f"| `{item.name}` | {names} | {item.type_words} | {_default(item)} | {meaning} |\n"


def _default(item: Setting) -> str:
    usual, production = (_code(item, item.default_for(mode)) for mode in (False, True))
    return usual if usual == production else f"{usual}; in production {production}"


def _code(item: Setting, value: object) -> str:
    text = item.shown(value)
    return f"`{text}`" if text else "none"


if __name__ == "__main__":
    sys.stdout.write(settings_page())
