"""The names of all jobs, which are looked for in folders and packages: not for each page anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinstripe.project import Project

FRESH = 5.0
"""Seconds for which it isn't looked again."""


class KnownJobs:
    """Looks for jobs' names, now and then."""

    def __init__(self, project: Project) -> None:
        """Take the open project; nothing is looked for yet."""
        self._project = project
        self._looked: float | None = None
        self._names: list[str] = []

    def names(self) -> list[str]:
        """Give the names of all jobs, in order; a new one is there after five seconds."""
        now = self._project.clock.monotonic()
        if self._looked is None or not self._looked <= now < self._looked + FRESH:
            self._names, self._looked = self._project.registry.names(), now
        return self._names
