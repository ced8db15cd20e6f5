"""From the ids of claimed executions to their tenants, as a worker needs them: many at once, from today's source."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.selection import Selection, find_tenants, narrow
from pinstripe.tenant_reading import TenantReading
from pinstripe.tenant_sources import Tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pinstripe.clock import Clock
    from pinstripe.definition import Definition
    from pinstripe.queue import QueuedRun
    from pinstripe.tenants import Tenant, TenantSource

KEPT_SECONDS = 30.0
"""How long a narrowed source answers: what it has read, if it keeps that, may be as old."""

KEPT_SOURCES = 16
"""How many narrowed sources are kept at once, each with at most 10,000 tenants."""


class TenantLookup:
    """Finds tenants through the filters of their job and their run.

    A source in a database is asked one query a batch. One in Python is read at least once in 30 seconds, in a reading
    that goes on from batch to batch.
    """

    def __init__(self, find_source: Callable[[], TenantSource | None], active: str, clock: Clock) -> None:
        """Take what finds the project's source, and the name of the attribute that tells who is active."""
        self._find_source = find_source
        self._active = active
        self._clock = clock
        self._sources: dict[str, _Narrowed] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def key(self, run: QueuedRun) -> str:
        """Name what a run's tenants are found through: those of runs with the same key may be found together."""
        selection = run.selection
        where, forced = selection.get("where"), selection.get("force") and selection.get("tenants") is not None
        if not where and not forced:
            return run.job
        return f"{run.job} {json.dumps([where, bool(forced)])}"

    async def find(
        self, definition: Definition, run: QueuedRun, ids: Sequence[str], as_of: int
    ) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the source still has for the run's job and its selection.

        Who isn't found isn't there any more, provided that it was at `as_of` (microseconds UTC), when it was enqueued.
        Raises `TenantSourceFailed` where the source fails, and `ConfigurationError` where a filter does.
        """
        asked = self._asked(definition, run)
        return await (asked.find(ids, as_of) if isinstance(asked, TenantReading) else find_tenants(asked, ids))

    async def close(self, limit: float | None = None) -> None:
        """End what is being read, and wait for that for at most `limit` seconds."""
        while self._sources:
            self._forget(next(iter(self._sources)))
        if self._closing:
            await asyncio.wait(self._closing, timeout=limit)

    def _asked(self, definition: Definition, run: QueuedRun) -> TenantSource | TenantReading:
        key, now = self.key(run), self._clock.monotonic()
        kept = self._sources.get(key)
        if kept is not None and now - kept.since < KEPT_SECONDS and kept.definition is definition:
            return kept.asked
        for old in [old for old, each in self._sources.items() if now - each.since >= KEPT_SECONDS]:
            self._forget(old)
        if key in self._sources:
            self._forget(key)
        while len(self._sources) >= KEPT_SOURCES:
            self._forget(next(iter(self._sources)))  # the oldest: what is renewed is put in anew
        source = narrow(definition, Selection.from_json(run.selection), self._find_source(), self._active)
        asked = TenantReading(source, self._clock) if isinstance(source, Tenants) else source
        self._sources[key] = _Narrowed(asked, definition, now)
        return asked

    def _forget(self, key: str) -> None:
        """Forget a source, and end its reading if there is one."""
        asked = self._sources.pop(key).asked
        if isinstance(asked, TenantReading):
            closing = asyncio.get_running_loop().create_task(asked.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


class _Narrowed(NamedTuple):
    asked: TenantSource | TenantReading
    definition: Definition
    since: float
