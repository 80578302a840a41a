"""Reads the settings of a process: from the command line, the environment, the settings file (TOML), the defaults.

A value comes from the first that gives one. An unknown name is refused, never ignored: a setting that is misspelled
must not leave a venue running on a default.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from crossbook.settings import RuntimeMode, Settings, SettingsError, all_settings
from crossbook.settings_fields import PREFIX, Setting

FILE_NAME: Final = PREFIX + "SETTINGS_FILE"
"""The environment's name of the settings file."""
OTHER_NAMES: Final = (FILE_NAME, PREFIX + "INTERPRETED", PREFIX + "PURE")
"""Names with the prefix that are no settings: the file, and two switches of the build."""
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True)
class LoadedSettings:
    """The settings in force, and by name where each comes from, such as "environment: CROSSBOOK_PORT"."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
    overrides: Mapping[str, object] = _NOTHING,
) -> LoadedSettings:
    """The settings of this process.

    `environment` is the process's own unless given. `file` is the one that FILE_NAME names in it, if any.
    `overrides` come from the command line, by the names of fields; None means not given. A value that is
    empty in the environment counts as not given.
    Raises SettingsError with everything that is wrong.
    """
    environment = os.environ if environment is None else environment
    if file is None and environment.get(FILE_NAME):
        file = Path(environment[FILE_NAME]).expanduser()
    found = _Found()
    found.take_overrides(overrides)
    found.take_environment(environment)
    found.take_file(file)
    return found.settled()


class _Found:
    """Values and problems, while the sources are read from the strongest to the weakest."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._problems: list[str] = []

    def take_overrides(self, overrides: Mapping[str, object]) -> None:
        known = {item.name for item in all_settings()}
        for name, value in overrides.items():
            if name not in known:
                self._problems.append(unknown_name(name, known))
            elif value is not None:
                self._keep(name, value, "command line")

    def take_environment(self, environment: Mapping[str, str]) -> None:
        known = [name for item in all_settings() for name in item.environment_names]
        for name in sorted(environment):
            if name.upper().startswith(PREFIX) and name not in known and name not in OTHER_NAMES:
                self._problems.append(unknown_name(name, [*known, FILE_NAME]))
        for item in all_settings():
            given = [name for name in item.environment_names if environment.get(name, "").strip()]
            if len({environment[name] for name in given}) > 1:
                self._problems.append(f"{' and '.join(given)} differ; set one of them.")
            elif given:
                self._take(item, item.from_text, environment[given[0]], f"environment: {given[0]}")

    def take_file(self, file: Path | None) -> None:
        if file is None:
            return
        table = self._table_in(file)
        by_name = {item.name: item for item in all_settings()}
        for name, value in table.items():
            if name in by_name:
                self._take(by_name[name], by_name[name].from_file, value, f"file: {name}")
            else:
                self._problems.append(f"{file}: {unknown_name(name, by_name)}")

    def settled(self) -> LoadedSettings:
        production = self._values.get("runtime_mode") is RuntimeMode.PRODUCTION
        for item in all_settings():
            self._keep(item.name, item.default_for(production), "default")
        if self._problems:
            raise SettingsError(self._problems)
        return LoadedSettings(Settings(**self._values), MappingProxyType(self._origins))

    def _table_in(self, file: Path) -> Mapping[str, object]:
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            self._problems.append(f"The settings file {file} can not be read: {error.strerror}.")
        except UnicodeDecodeError:
            self._problems.append(f"The settings file {file} is not UTF-8.")
        except tomllib.TOMLDecodeError as error:
            self._problems.append(f"The settings file {file} is not TOML: {error}.")
        return {}

    def _take(self, item: Setting, read: Any, raw: object, origin: str) -> None:
        try:
            self._keep(item.name, read(raw), origin)
        except ValueError as error:
            self._problems.append(f"{origin.partition(': ')[2]} {error}.")

    def _keep(self, name: str, value: object, origin: str) -> None:
        if name not in self._values:
            self._values[name] = value
            self._origins[name] = origin


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The sentence that refuses `name` and names the nearest of `known`."""
    by_upper = {other.upper(): other for other in known}
    nearest = difflib.get_close_matches(name.upper(), by_upper, n=1, cutoff=0.0)[0]
    return f"{name} is no setting; did you mean {by_upper[nearest]}?"
