"""Opening a project: on the running event loop by `async with`, or with plain calls by `with`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

from pinstripe.config import find_project, load_settings
from pinstripe.errors import LedgerError
from pinstripe.project import Project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from pinstripe.config import Settings
    from pinstripe.plain import PlainProject

OPENED: WeakSet[Project | PlainProject] = WeakSet()
"""What was opened in this process and is still there: a test leads all of it to a ledger of its own."""


def open_project(folder: str | Path | None = None, *, flags: Mapping[str, object] | None = None) -> Opening:
    """Find a project and its settings; the answer is opened by `async with`, or with plain calls by `with`.

    `folder` is the project's own, or one inside it; by default it is found from the working directory. `flags` are
    settings that come before all others, by dotted name. Raises `ConfigurationError` where there is no project or a
    setting is wrong.
    """
    return Opening(load_settings(find_project(folder), flags=flags))


class Opening:
    """A project that is opened by `async with` (giving a `Project`) or by `with` (giving a `PlainProject`)."""

    def __init__(self, settings: Settings) -> None:
        """Take the `settings`; nothing happens before it is entered."""
        self.settings = settings
        self._project: Project | None = None
        self._plain: PlainProject | None = None

    async def __aenter__(self) -> Project:
        """Open the project on the running event loop."""
        self._project = Project(self.settings)
        await self._project.open()
        OPENED.add(self._project)
        return self._project

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Close it."""
        if self._project is not None:
            OPENED.discard(self._project)
            await self._project.close(prune=not isinstance(error, LedgerError))

    def __enter__(self) -> PlainProject:
        """Open the project on an event loop of its own, in a thread of its own."""
        from pinstripe.plain import PlainProject

        self._plain = PlainProject(self.settings)
        self._plain.open()
        OPENED.add(self._plain)
        return self._plain

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Close it."""
        if self._plain is not None:
            OPENED.discard(self._plain)
            self._plain.close(prune=not isinstance(error, LedgerError))
