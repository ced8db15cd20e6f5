"""Recording a run that this process executes: its row first, then its tenants, page by page."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe.errors import ConfigurationError, LedgerError, TenantSourceFailed
from pinstripe.ledger import NO_TENANT, NewRun
from pinstripe.retrying import retryable_pages
from pinstripe.run import Run, new_run_id
from pinstripe.selection import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from pinstripe.clock import Clock
    from pinstripe.ledger import Ledger
    from pinstripe.runs import Plan
    from pinstripe.selection import Choice
    from pinstripe.tenants import Tenant
    from pinstripe.tracing import Tracing
    from pinstripe.watcher import Watcher

LOOK_EVERY = 0.5
"""Seconds between two looks whether another process asked for the end of a run whose tenants are selected here."""

KEPT = 10_000
"""How many selected tenants are held in memory until they start; a larger selection is read once more."""


class Started(NamedTuple):
    """A recorded run whose selection is complete (or has failed: then it is closed), and its tenants, page by page."""

    run: Run
    pages: AsyncGenerator[list[Tenant | None], None]


class Interrupted(Exception):
    """A run was stopped while its tenants were being selected; `.run` is the closed run."""

    def __init__(self, run: Run) -> None:
        """Take the closed `run`."""
        super().__init__(run.id)
        self.run = run


class Recording:
    """Writes runs of this process into the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, tracing: Tracing) -> None:
        """Take the `ledger`, which is open for writing when a run is recorded; `tracing` knows the span it is in."""
        self._ledger = ledger
        self._clock = clock
        self._tracing = tracing

    async def record_retry(self, plan: Plan, watcher: Watcher, *, skipped: bool) -> Started | None:
        """Record a retry of a run that was selected to its end, for who is left in it.

        With `skipped` what was skipped is tried again too. Give None where there is nothing of that kind.
        """
        old = str(plan.retry_of)
        async with aclosing(retryable_pages(self._ledger, old, skipped=skipped, only=plan.only)) as pages:
            page = await anext(pages, None)
            if page is None:
                return None
            run = await self._create(plan, watcher)
            found = 0
            async with self._selecting(run, watcher):
                while page is not None:
                    found += await self._ledger.add(run.id, page, retry_of=old)
                    watcher.selecting(run, found)
                    page = await anext(pages, None)
                run = await self._ledger.end_selection(run.id)
        watcher.selected(run, found)
        return Started(run, self._recalled(run.id, plan.choice))

    async def record(self, plan: Plan, watcher: Watcher, *, leave_out: str | None) -> Started:
        """Record a run and the tenants that its plan chooses, but for those who succeeded in the run `leave_out`.

        The first page is read before anything is recorded, so that a choice which can't be made leaves no trace.
        """
        kept: list[list[Tenant | None]] | None = []
        found = 0
        async with aclosing(plan.choice.pages()) as pages:
            page, failure = await _next(pages)
            run = await self._create(plan, watcher)
            async with self._selecting(run, watcher):
                if not plan.definition.multi_tenant:
                    kept = [[None]]
                    found = await self._ledger.add(run.id, [NO_TENANT])
                while page is not None:
                    if leave_out is not None:
                        page = await self._not_succeeded(leave_out, page)
                    found += await self._ledger.add(run.id, [tenant.id for tenant in page], retry_of=leave_out)
                    watcher.selecting(run, found)
                    if kept is not None:
                        kept.append([*page])
                        kept = kept if found <= KEPT else None
                    page, failure = await _next(pages)
                run = await self._ledger.end_selection(run.id, error=None if failure is None else str(failure))
        watcher.selected(run, found)
        return Started(run, _each(kept) if kept is not None else _optional(plan.choice.pages()))

    async def _create(self, plan: Plan, watcher: Watcher) -> Run:
        args, kwargs = plan.written
        creating = asyncio.ensure_future(
            self._ledger.create(
                NewRun(
                    id=new_run_id(self._clock.now()),
                    job=plan.definition.name,
                    trigger=plan.trigger,
                    args=args,
                    kwargs=kwargs,
                    selection=plan.selection_json(),
                    retry_of=plan.retry_of,
                    origin=plan.origin,
                    parent=plan.parent,
                    trace=self._tracing.here(),
                    redacted=plan.all_redacted(),
                ),
            ),
        )
        try:
            run = await asyncio.shield(creating)
        except asyncio.CancelledError:
            run = await self._ledger.abandon((await creating).id)  # it is recorded all the same
            watcher.finished(run)
            raise Interrupted(run) from None
        watcher.created(run)
        return run

    @asynccontextmanager
    async def _selecting(self, run: Run, watcher: Watcher) -> AsyncIterator[None]:
        """Leave no run behind that selects for ever, whatever happens inside, and stop where its end is asked for."""
        selecting = asyncio.current_task()
        assert selecting is not None  # noqa: S101 - for the type checker: this is a coroutine
        listener = asyncio.create_task(self._listen(run, selecting))
        try:
            yield
        except ConfigurationError as error:
            await self._ledger.end_selection(run.id, error=str(error))
            message = f"{error} (run {run.id} is recorded as failed, and nothing of it ran)"
            raise ConfigurationError(message) from error
        except BaseException as error:
            abandoned = await self._ledger.abandon(run.id)
            if isinstance(error, asyncio.CancelledError):
                watcher.finished(abandoned)
                raise Interrupted(abandoned) from None
            raise
        finally:
            listener.cancel()

    async def _listen(self, run: Run, selecting: asyncio.Task[Any]) -> None:
        """Cancel the task that selects a run's tenants once another process has asked for the run's end."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(LedgerError):  # who selects finds the same
                if await self._ledger.queue.cancelled([run.id]):
                    selecting.cancel()
                    return

    async def _not_succeeded(self, run: str, page: list[Tenant]) -> list[Tenant]:
        succeeded = await self._ledger.succeeded(run, [tenant.id for tenant in page])
        return [tenant for tenant in page if tenant.id not in succeeded]

    async def _recalled(self, run: str, choice: Choice) -> AsyncGenerator[list[Tenant | None], None]:
        """Find the tenants of executions that are known by id: by id for a few, else in one reading of the source."""
        if choice.source is None:
            yield [None]
            return
        ids = await self._ledger.queued_tenants(run, after=None, limit=PAGE)
        if len(ids) < PAGE:
            yield [*await choice.by_ids(ids)]
            return
        async for page in _optional(choice.pages()):
            yield page


async def _next(pages: AsyncGenerator[list[Tenant], None]) -> tuple[list[Tenant] | None, TenantSourceFailed | None]:
    """Read the next page, None after the last; a source's failure is given, not raised: the run must record it."""
    try:
        return await anext(pages, None), None
    except TenantSourceFailed as failure:
        return None, failure


async def _each(pages: list[list[Tenant | None]]) -> AsyncGenerator[list[Tenant | None], None]:
    for page in pages:
        yield page


async def _optional(pages: AsyncGenerator[list[Tenant], None]) -> AsyncGenerator[list[Tenant | None], None]:
    async with aclosing(pages):
        async for page in pages:
            yield [*page]
