"""From the ids of claimed executions to their tenants, as a worker needs them: many at once, from today's source."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.selection import Selection, find_tenants, narrow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pinstripe.clock import Clock
    from pinstripe.definition import Definition
    from pinstripe.queue import QueuedRun
    from pinstripe.tenants import Tenant, TenantSource

KEPT_SECONDS = 30.0
"""How long a narrowed source answers: as long as one that is written in Python keeps what it has read."""

KEPT_SOURCES = 16
"""How many narrowed sources are kept at once, each with at most 10,000 tenants."""


class TenantLookup:
    """Finds tenants through the filters of their job and their run.

    A source in a database is asked one query a batch. One in Python is read once in 30 seconds, where it has no more
    tenants than it may keep; for that, it is the same object that is asked again.
    """

    def __init__(self, find_source: Callable[[], TenantSource | None], active: str, clock: Clock) -> None:
        """Take what finds the project's source, and the name of the attribute that tells who is active."""
        self._find_source = find_source
        self._active = active
        self._clock = clock
        self._sources: dict[str, _Narrowed] = {}

    def key(self, run: QueuedRun) -> str:
        """Name what a run's tenants are found through: those of runs with the same key may be found together."""
        selection = run.selection
        where, forced = selection.get("where"), selection.get("force") and selection.get("tenants") is not None
        if not where and not forced:
            return run.job
        return f"{run.job} {json.dumps([where, bool(forced)])}"

    async def find(self, definition: Definition, run: QueuedRun, ids: Sequence[str]) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the source still has for the run's job and its selection.

        Raises `TenantSourceFailed` where the source fails, and `ConfigurationError` where a filter does.
        """
        return await find_tenants(self._source(definition, run), ids)

    def _source(self, definition: Definition, run: QueuedRun) -> TenantSource:
        key, now = self.key(run), self._clock.monotonic()
        kept = self._sources.get(key)
        if kept is not None and now - kept.since < KEPT_SECONDS and kept.definition is definition:
            return kept.source
        for old in [old for old, each in self._sources.items() if now - each.since >= KEPT_SECONDS]:
            del self._sources[old]
        while len(self._sources) >= KEPT_SOURCES:
            del self._sources[next(iter(self._sources))]  # the oldest: what is renewed is put in anew
        self._sources.pop(key, None)
        source = narrow(definition, Selection.from_json(run.selection), self._find_source(), self._active)
        self._sources[key] = _Narrowed(source, definition, now)
        return source


class _Narrowed(NamedTuple):
    source: TenantSource
    definition: Definition
    since: float
