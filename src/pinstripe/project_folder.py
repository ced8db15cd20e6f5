"""Where a project is, and what its `pyproject.toml` says of it."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinstripe.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_project(start: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Find the project's folder: the first, from `start` upwards, that is one.

    A folder is a project if its `pyproject.toml` has `[tool.pinstripe]`, or if it has `lib/background_jobs/`. Without
    `start` the environment's `PINSTRIPE_PROJECT` is taken, else the search begins at the working directory. Raises
    `ConfigurationError` where there is none.
    """
    named = environment.get("PINSTRIPE_PROJECT") if start is None else None
    try:
        begin = Path(named or start or ".").absolute()
    except FileNotFoundError:
        raise ConfigurationError(
            "the working directory is gone; go to the project's folder, or name it with --project"
        ) from None
    asked = f"PINSTRIPE_PROJECT is {named!r}: " if named else ""
    if not begin.is_dir():
        message = f"{asked}expected a project's folder, but there is no folder {begin}"
        raise ConfigurationError(message)
    for folder in (begin, *begin.parents):
        if _is_project(folder):
            return folder
    message = (
        f"{asked}found no project in {begin} or above it: looked for a pyproject.toml with [tool.pinstripe], and for a "
        "folder lib/background_jobs; make a new one with `pinstripe generate-project NAME`, or name one with --project"
    )
    raise ConfigurationError(message)


def _is_project(folder: Path) -> bool:
    if (folder / "lib" / "background_jobs").is_dir():
        return True
    path = folder / "pyproject.toml"
    # Only a file that speaks of Pinstripe is parsed: others on the way up may be large or broken, and not our business.
    return path.is_file() and b"pinstripe" in _bytes(path) and read_table(path) is not None


def read_table(path: Path) -> dict[str, Any] | None:
    """Read `[tool.pinstripe]` of the `pyproject.toml` at `path`; None where it has none.

    Raises `ConfigurationError` where the file can't be read or is not valid TOML, with the line.
    """
    try:
        text = _bytes(path).decode()
    except UnicodeDecodeError as error:
        message = f"it is not UTF-8 text: {error.reason} at byte {error.start}"
        raise ConfigurationError(message, path=path) from error
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"at line (\d+)", str(error))
        message = f"it is not valid TOML: {error}"
        raise ConfigurationError(message, path=path, line=int(at[1]) if at else text.count("\n") + 1) from error
    table = tool.get("pinstripe") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        message = f"expected a table [tool.pinstripe], found {table!r}"
        raise ConfigurationError(message, path=path)
    return table


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"it can't be read: {error.strerror}"
        raise ConfigurationError(message, path=path) from error
