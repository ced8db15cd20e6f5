"""Runs that are watched: how far each is, read from the ledger once for all who look at it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from pinstripe.errors import LedgerError, UnknownRun
from pinstripe.server.access.confining import confined_run
from pinstripe.server.problems import OUT_OF_REACH
from pinstripe.views.waits import why

if TYPE_CHECKING:
    from pinstripe.project import Project
    from pinstripe.run import Run
    from pinstripe.server.access.identity import Access

LOOK_EVERY = 0.5
"""Seconds between two looks at a run that goes on."""

SLOWEST = 3.0
"""Seconds between two looks at a run of which nothing has changed for a while."""

SLOWER = 1.5
"""By which factor the next look is later where nothing has changed."""

SHARE = 5
"""How many times as long as a look took nothing is read after it: a slow ledger has others to serve."""

ASK_EVERY = 2.0
"""Seconds between two questions why nothing of a run goes on."""

RESCUE_EVERY = 10.0
"""Seconds between two looks whether processes that ran something have died."""

PACE_OVER = 10.0
"""Over how many of the last seconds the rate is told."""

MOST_VIEWERS = 200
"""How many may watch at once, over all runs."""

_log = logging.getLogger("pinstripe")


class Look(NamedTuple):
    """How far a run is: the `run` without failures, and why it waits, None where it doesn't.

    `rate` is how many executions came to their end in a second, lately, and `left` in how many seconds the others will
    have at that rate; None where that can't be told. `trouble` says why the ledger couldn't be read just now. With
    `gone` the run isn't there any more.
    """

    run: Run
    rate: float | None = None
    left: float | None = None
    waiting: str | None = None
    trouble: str | None = None
    gone: bool = False

    @property
    def is_last(self) -> bool:
        """Whether nothing more will be seen of it."""
        return self.gone or self.run.finished


class TooManyViewers(Exception):
    """As many watch runs as may, or nobody may any more, for the server ends."""


class LiveRuns:
    """All runs that somebody watches; one reader for each run that goes on, which ends with its last viewer."""

    def __init__(
        self,
        project: Project,
        stopping: asyncio.Event | None = None,
        *,
        most: int = MOST_VIEWERS,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Take the open project, and how many may watch at once; `look_every` is in seconds.

        All watching ends once `stopping` is set.
        """
        self._project = project
        self._most = most
        self._look_every = look_every
        self._watched: dict[tuple[str, frozenset[str] | None], Watched] = {}
        self._rescued_at = float("-inf")
        self._closed = False
        self._stopping = stopping
        self._ending: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        """How many watch, over all runs."""
        return sum(watched.viewers for watched in self._watched.values())

    @property
    def readers(self) -> int:
        """How many runs are read again and again."""
        return sum(watched.is_read for watched in self._watched.values())

    def watch(self, run: Run, access: Access) -> Viewer:
        """Give a viewer of a `run`, as somebody with this `access` may see it: to be entered, and asked for looks.

        Raises `TooManyViewers`.
        """
        if self._closed or self.viewers >= self._most:
            raise TooManyViewers
        return Viewer(self, run, access)

    def close(self) -> None:
        """End all watching at once, and let nobody watch any more. On the event loop's thread. Idempotent."""
        self._closed = True
        for watched in self._watched.values():
            watched.close()

    async def _end(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.close()

    def enter(self, run: Run, access: Access) -> Watched:
        """Have a viewer more of a run; its `Viewer` calls this."""
        key = (run.id, access.tenants)
        watched = self._watched.get(key)
        if watched is None:
            watched = self._watched[key] = Watched(run, access)
        watched.viewers += 1
        if self._ending is None and self._stopping is not None:
            self._ending = asyncio.create_task(self._end(self._stopping), name="pinstripe live runs")
        if self._closed:
            watched.close()
        elif watched.reader is None and not watched.look.is_last:
            watched.reader = asyncio.create_task(self._read(watched), name="pinstripe live run")
        return watched

    def leave(self, watched: Watched) -> None:
        """Have a viewer less; the reader ends with the last one."""
        watched.viewers -= 1
        if not watched.viewers:
            watched.close()
            self._watched.pop((watched.look.run.id, watched.access.tenants), None)
        if not self._watched and self._ending is not None:
            self._ending.cancel()
            self._ending = None

    async def _read(self, watched: Watched) -> None:
        """Look at a run until it has finished, or nobody watches it any more."""
        clock, pause = self._project.clock, self._look_every
        try:
            while not watched.look.is_last:
                began = clock.monotonic()
                look, before = await self._look(watched, began), watched.look
                watched.tell(look)
                changed = (look.run, look.waiting, look.trouble) != (before.run, before.waiting, before.trouble)
                pause = self._look_every if changed else min(pause * SLOWER, max(SLOWEST, self._look_every))
                await asyncio.sleep(max(pause, SHARE * (clock.monotonic() - began)))
        except Exception:  # noqa: BLE001 - it is told, and its viewers don't wait for ever
            _log.exception("how far run %s is can't be told", watched.look.run.id)
            watched.close()  # who looks comes again, and asks anew

    async def _look(self, watched: Watched, now: float) -> Look:
        before = watched.look
        ledger = self._project.ledger
        try:
            if now - self._rescued_at >= RESCUE_EVERY:
                self._rescued_at = now
                await ledger.rescue()  # nobody else need be there to notice
            run = await ledger.find_run(before.run.id, failures=False)
            if watched.access.is_confined:
                run = await confined_run(ledger, run, watched.access)
            rate, left = watched.pace(run, now)
            return Look(run, rate, left, await self._why(watched, run, now))
        except UnknownRun:
            return before._replace(gone=True)
        except LedgerError as error:
            return before._replace(
                trouble=OUT_OF_REACH if watched.access.is_confined else str(error), rate=None, left=None
            )

    async def _why(self, watched: Watched, run: Run, now: float) -> str | None:
        """Tell why nothing of a run goes on; of others' tenants nothing is told."""
        if run.finished or run.executions.running or watched.access.is_confined:
            return None
        if now - watched.asked_at >= ASK_EVERY:
            watched.asked_at = now
            watched.reason = await why(self._project, run)
        return watched.reason


class Viewer:
    """One who watches a run. `async with` it; inside, `next` gives look after look."""

    def __init__(self, live: LiveRuns, run: Run, access: Access) -> None:
        """Be made by `LiveRuns.watch`."""
        self._live = live
        self._run = run
        self._access = access
        self._watched: Watched | None = None
        self._seen = 0

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        self._watched = self._live.enter(self._run, self._access)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End watching."""
        watched, self._watched = self._watched, None
        if watched is not None:
            self._live.leave(watched)

    async def next(self, patience: float) -> Look | None:
        """Give the next look that there is, the first one at once; None where `patience` seconds bring none.

        Without one it also ends with all watching (see `is_closed`).
        """
        watched = self._watched
        if watched is None:
            return None
        if watched.number == self._seen and not watched.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await watched.changed.wait()
        if watched.number == self._seen:
            return None
        self._seen = watched.number
        return watched.look

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will be told."""
        return self._watched is None or self._watched.is_closed


class Watched:
    """A run that is watched, as somebody with a certain access sees it: its last look, and who waits for the next."""

    def __init__(self, run: Run, access: Access) -> None:
        """Begin with the `run` as it was found."""
        self.access = access
        self.look = Look(run)
        self.number = 1
        """The number of the last look."""
        self.changed = asyncio.Event()
        self.viewers = 0
        self.reader: asyncio.Task[None] | None = None
        self.is_closed = False
        self.asked_at = float("-inf")
        self.reason: str | None = None
        self._done: deque[tuple[float, int]] = deque()

    @property
    def is_read(self) -> bool:
        """Whether it is looked at again and again."""
        return self.reader is not None and not self.reader.done()

    def tell(self, look: Look) -> None:
        """Let all viewers see a look that differs from the last one."""
        if look != self.look:
            self.look = look
            self.number += 1
            self._wake()

    def close(self) -> None:
        """Look no more, and let its viewers go."""
        self.is_closed = True
        if self.reader is not None:
            self.reader.cancel()
        self._wake()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def pace(self, run: Run, now: float) -> tuple[float | None, float | None]:
        """Tell how many executions a second came to their end lately, and how many seconds the others will take."""
        done = run.executions.done
        self._done.append((now, done))
        while len(self._done) > 2 and now - self._done[0][0] > PACE_OVER:  # noqa: PLR2004 - two make a pace
            self._done.popleft()
        since, before = self._done[0]
        if run.finished or now <= since or done <= before:
            return None, None
        rate = (done - before) / (now - since)
        return rate, None if run.selecting else (run.executions.total - done) / rate
