"""The files whose change starts the server anew: the project's Python files, and its `pyproject.toml`."""

from __future__ import annotations

import os
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import PinstripeError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from pinstripe.config import Settings

LOOK_EVERY = 2_000
"""Milliseconds between two looks where the system tells of no change: a new folder is watched a moment late."""

GROUPED = 300
"""Milliseconds in which changes that follow on one another are told together, at most."""

_IGNORED = frozenset({"__pycache__", "node_modules", "site-packages"})
"""Folders that have none of the project's code. So have hidden ones, and virtual environments of any name."""


class Seen(NamedTuple):
    """What one look found: the folders to watch, and the files, each with what tells whether it is another one."""

    folders: tuple[str, ...]
    files: dict[str, tuple[int, int, int]]


class Watched:
    """Tells which files of a project changed."""

    def __init__(self, settings: Settings) -> None:
        """Take the settings of the project."""
        self._root = settings.folder
        self._left_out: set[str] = set()
        ledger = settings.ledger_address
        if not isinstance(ledger, Path):
            return
        self._left_out.add(f"{ledger}-owners")
        if not self._root.is_relative_to(ledger.parent) and not any(ledger.parent.glob("*.py")):
            self._left_out.add(str(ledger.parent))

    def look(self) -> Seen:
        """Look at all of it, once."""
        folders, files = [], {}
        for folder, names, found in os.walk(self._root):
            names[:] = [name for name in names if self._is_watched(folder, name)]
            folders.append(folder)
            for name in found:
                if name.endswith(".py") or (name == "pyproject.toml" and folder == str(self._root)):
                    path = Path(folder, name)
                    with suppress(OSError):  # it is gone again
                        status = path.stat()
                        files[str(path.relative_to(self._root))] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return Seen(tuple(folders), files)

    async def watch(self, changed: Callable[[set[str]], None], stopped: asyncio.Event, seen: Seen) -> None:
        """Call `changed` with the names of files that are no longer as `seen`, again and again until `stopped`.

        The system only says when to look. Each folder is watched by itself, so that those which are left out cost
        nothing, however many files they have. Raises `PinstripeError` where the system can't watch so many.
        """
        from watchfiles import awatch

        while not stopped.is_set():
            folders = seen.folders
            hints = awatch(
                *folders,
                watch_filter=None,
                recursive=False,
                stop_event=stopped,
                debounce=GROUPED,
                rust_timeout=LOOK_EVERY,
                yield_on_timeout=True,
            )
            try:
                async with aclosing(hints):
                    async for _ in hints:
                        found = self.look()
                        differing = {name for name, _ in seen.files.items() ^ found.files.items()}
                        seen = found
                        if differing:
                            changed(differing)
                        if seen.folders != folders:
                            break
            except FileNotFoundError:  # a folder went in the moment before it was to be watched
                seen = seen._replace(folders=self.look().folders)
            except OSError as error:
                message = (
                    f"the project's files can't be watched ({error}): start it with WATCHFILES_FORCE_POLLING=1 in the "
                    "environment, or without --reload"
                )
                raise PinstripeError(message) from error

    def _is_watched(self, folder: str, name: str) -> bool:
        path = os.path.join(folder, name)  # noqa: PTH118 - there are many of them
        return not (
            name.startswith(".")
            or name in _IGNORED
            or path in self._left_out
            or os.path.exists(os.path.join(path, "pyvenv.cfg"))  # noqa: PTH110, PTH118 - as above
        )
