"""The names of all jobs, and of those for tenants, which are looked for in folders and packages: not for each page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinstripe.errors import ConfigurationError, UnknownJob
from pinstripe.server.dashboard.asking import MOST_NAMES

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
        self._for_tenants: list[str] | None = None

    def names(self) -> list[str]:
        """Give the names of all jobs, in order; a new one is there after five seconds."""
        now = self._project.clock.monotonic()
        if self._looked is None or not self._looked <= now < self._looked + FRESH:
            self._names, self._looked, self._for_tenants = self._project.registry.names(), now, None
        return self._names

    def for_tenants(self) -> list[str]:
        """Give the names of the multi-tenant jobs, in order; of all jobs, where they are too many to be looked at."""
        names = self.names()
        if self._for_tenants is None:
            few = len(names) <= MOST_NAMES
            self._for_tenants = [name for name in names if self._is_for_tenants(name)] if few else names
        return self._for_tenants

    def _is_for_tenants(self, name: str) -> bool:
        try:
            return self._project.registry.find(name).multi_tenant
        except (ConfigurationError, UnknownJob):  # it can't be loaded, or has gone meanwhile
            return False
