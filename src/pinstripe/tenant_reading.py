"""Tenants by their ids from a source that can only be read from its beginning, for who asks in about its order.

Executions of a large run are claimed in the order in which their tenants were read. So one reading that goes on from
batch to batch finds them all, where one reading for each batch would take a time that grows with the square.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pinstripe.clock import Clock
    from pinstripe.tenant_sources import Tenants
    from pinstripe.tenants import Tenant

KEPT = 10_000
"""How many tenants are kept: those that were read last."""

KNOWN_IDS = 100_000
"""How many ids are remembered of a whole reading, to know who isn't in the source without reading it again."""

IDLE = 5.0
"""Seconds after which a reading is closed that nobody asks to go on: it may hold a connection of the author's."""


class TenantReading:
    """Answers from what one source has, as of its last reading; it is made anew for what must be newer."""

    def __init__(self, source: Tenants, clock: Clock) -> None:
        """Take the `source`, of which nothing is read before the first question, and what tells the time."""
        self._source = source
        self._clock = clock
        self._kept: dict[str, Tenant] = {}
        self._known: set[str] = set()  # all ids of the source, as it was read to its end
        self._known_as_of = -1  # when that reading began; -1 for never
        self._closed = False
        self._turn = asyncio.Lock()
        self._reader: asyncio.Task[None] | None = None
        self._go_on = asyncio.Event()
        self._wanted: set[str] = set()
        self._found: dict[str, Tenant] = {}
        self._answer: asyncio.Future[None] | None = None

    async def find(self, ids: Sequence[str], as_of: int) -> Mapping[str, Tenant]:
        """Give those of the tenants with these `ids` that the source has; raises as reading it does.

        Who isn't found wasn't there in a whole reading that began at `as_of` (microseconds UTC) or later: a tenant may
        be newer than what was read before.
        """
        async with self._turn:
            self._found = {id_: self._kept[id_] for id_ in ids if id_ in self._kept}
            self._wanted = {id_ for id_ in ids if id_ not in self._found and self._may_have(id_, as_of)}
            whole = False
            while self._wanted and not whole:
                whole = self._reader is None
                await self._read_on()
            found, self._found = self._found, {}
            return found

    async def close(self) -> None:
        """End the reading, once those who have asked have their answer."""
        self._closed = True
        async with self._turn:
            if self._reader is not None:
                self._reader.cancel()
                await asyncio.wait([self._reader])

    def _may_have(self, id_: str, as_of: int) -> bool:
        return self._known_as_of < as_of or id_ in self._known

    async def _read_on(self) -> None:
        """Read until everybody wanted is found, or to the end; from the beginning where no reading is open."""
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        if self._reader is None:
            self._reader = loop.create_task(self._read())
            self._reader.add_done_callback(self._ended)
        self._go_on.set()
        await self._answer

    async def _read(self) -> None:
        known: set[str] | None = set()
        began = self._clock.now()
        async with aclosing(self._source.pages()) as pages:
            async for page in pages:
                known = self._take(page, known)
                if self._wanted:
                    continue
                self._tell()
                if self._closed:
                    return
                self._go_on.clear()
                try:
                    async with asyncio.timeout(IDLE):
                        await self._go_on.wait()
                except TimeoutError:
                    return
        if known is not None:
            self._known, self._known_as_of = known, began

    def _take(self, page: list[Tenant], known: set[str] | None) -> set[str] | None:
        kept, wanted = self._kept, self._wanted
        for tenant in page:
            id_ = tenant.id
            kept.setdefault(id_, tenant)
            if id_ in wanted:
                wanted.discard(id_)
                self._found[id_] = tenant
        for old in list(islice(kept, max(0, len(kept) - KEPT))):
            del kept[old]
        if known is not None:
            known.update(tenant.id for tenant in page)
        return None if known is None or len(known) > KNOWN_IDS else known

    def _tell(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _ended(self, reader: asyncio.Task[None]) -> None:
        self._reader = None
        failure = None if reader.cancelled() else reader.exception()
        if failure is not None and self._answer is not None and not self._answer.done():
            self._answer.set_exception(failure)
        self._tell()
