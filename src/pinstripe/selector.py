"""Selects the tenants of runs that were enqueued without them: reads their source, and gives them to the ledger."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

from pinstripe.errors import ConfigurationError, InvalidJob, LedgerError, PinstripeError, UnknownJob
from pinstripe.ledger import NO_TENANT
from pinstripe.outcome import MAX_ERROR, cut, error_text
from pinstripe.queue import LACKS_AGAIN, LACKS_JOB
from pinstripe.retrying import ONLY, SKIPPED_TOO, retryable_pages
from pinstripe.selection import Selection, choose_again
from pinstripe.setting_keys import hide_passwords
from pinstripe.tracing import Tracing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from pinstripe.clock import Clock
    from pinstripe.definition import Definition
    from pinstripe.ledger import Ledger
    from pinstripe.queue import QueuedRun
    from pinstripe.registry import Registry
    from pinstripe.tenants import TenantSource

MAX_PUT_ASIDE = 100
"""How many such runs one process keeps from coming up again; with more it selects nothing until their time is over."""

_log = logging.getLogger("pinstripe")


class Selector:
    """Selects one run at a time. Reading a source never happens inside a transaction."""

    def __init__(
        self,
        ledger: Ledger,
        registry: Registry,
        find_source: Callable[[], TenantSource | None],
        active: str,
        clock: Clock,
        tracing: Tracing | None = None,
    ) -> None:
        """Take the `ledger`, what finds jobs and tenants, and the name of the attribute that tells who is active.

        `tracing` makes spans, where any are made.
        """
        self._ledger = ledger
        self._registry = registry
        self._find_source = find_source
        self._active = active
        self._clock = clock
        self._tracing = tracing or Tracing()
        self._aside: list[_Aside] = []

    async def go_through(self) -> bool:
        """Select until no run is left to; tell whether there was one. Cancelling this leaves the run to others."""
        found = False
        try:
            while await self.select():
                found = True
            await self._give_back(self._clock.monotonic())
        except LedgerError as error:
            _log.info("no tenants can be selected now: %s", error)  # the worker warns of it
            return False
        except Exception:  # noqa: BLE001 - a selection that fails must not be the last
            _log.exception("selecting the tenants of runs failed; it is tried again")
            return False
        return found

    async def select(self) -> bool:
        """One pass: take a run, select its tenants, end its selection. Tell whether there was one.

        A tenant source that fails fails the run: it never looks like "no tenants". Raises `LedgerError`.
        """
        if len(self._aside) >= MAX_PUT_ASIDE:
            return False
        run = await self._ledger.queue.take_selection()
        if run is None:
            return False
        try:
            definition = self._registry.find(run.job)
        except (UnknownJob, InvalidJob) as error:
            _log.warning("%s: run %s of it waits for a worker that has it (%s)", run.job, run.id, error)
            reason = f"{LACKS_JOB}: {cut(hide_passwords(str(error)), MAX_ERROR)}"
            await self._ledger.queue.note_selection(run, reason)
            self._aside.append(_Aside(run, self._clock.monotonic() + LACKS_AGAIN))
            return True
        try:
            with self._tracing.selecting(run):
                problem = await self._add_all(definition, run)
            await self._ledger.queue.end_selection(run, error=problem)
        except BaseException as failure:
            self._aside.append(_Aside(run, float("-inf")))
            await self._give_back(float("-inf"))
            if not isinstance(failure, LedgerError):
                raise
            if not await self._ledger.queue.cancelled([run.id]):
                raise
        return True

    async def close(self) -> None:
        """Give back what this process selects, for others."""
        await self._give_back(float("inf"))

    async def _add_all(self, definition: Definition, run: QueuedRun) -> str | None:
        """Give the ledger all tenants of a run; tell why that can't be done, None where it is."""
        try:
            async with aclosing(self._pages(definition, run)) as pages:
                async for page in pages:
                    if page:
                        await self._ledger.queue.add(run, page)
        except LedgerError:
            raise
        except (ConfigurationError, PinstripeError) as error:
            _log.warning("%s failed (run %s): %s", run.job, run.id, error)
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is ends this run, and not the worker
            _log.exception("selecting the tenants of run %s of %s failed", run.id, run.job)
            return error_text(error)
        return None

    async def _pages(self, definition: Definition, run: QueuedRun) -> AsyncGenerator[list[str], None]:
        """Read the ids of the tenants that a run is for."""
        old = run.retry_of
        if old is not None and (await self._ledger.selected_by(old)).complete:
            skipped, only = bool(run.selection.get(SKIPPED_TOO)), run.selection.get(ONLY)
            async with aclosing(retryable_pages(self._ledger, old, skipped=skipped, only=only)) as left:
                async for page in left:
                    yield page
            return
        if not definition.multi_tenant:
            yield [NO_TENANT]
            return
        choice = choose_again(definition, Selection.from_json(run.selection), self._find_source(), self._active)
        async with aclosing(choice.pages()) as pages:
            async for tenants in pages:
                ids = [tenant.id for tenant in tenants]
                done = set() if old is None else await self._ledger.succeeded(old, ids)
                yield [id_ for id_ in ids if id_ not in done] if done else ids

    async def _give_back(self, now: float) -> None:
        """Give back the runs that were put aside until `now`; those that can't be given back now stay aside."""
        for aside in [aside for aside in self._aside if aside.until <= now]:
            try:
                await self._ledger.queue.leave_selection(aside.run)
            except LedgerError as error:
                _log.info("the selection of run %s can't be given back now: %s", aside.run.id, error)
            else:
                self._aside.remove(aside)


class _Aside(NamedTuple):
    """A run that this process selects and doesn't: until when, in seconds of the monotonic clock."""

    run: QueuedRun
    until: float
