"""The one door through which the command line, code and jobs create runs: check first, then record, then select."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pinstripe import arguments
from pinstripe.enqueueing import bind_calls, make_retry, make_works
from pinstripe.errors import ConfigurationError, LedgerError, TenantSourceFailed
from pinstripe.ledger import NO_TENANT, NewRun
from pinstripe.run import Run, Trigger, new_run_id
from pinstripe.selection import PAGE, Choice, Selection, choose
from pinstripe.tenant_sources import Tenants

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from datetime import timedelta

    from pinstripe.background_job import BackgroundJob
    from pinstripe.clock import Clock
    from pinstripe.definition import Arguments, Definition
    from pinstripe.ledger import Ledger, Selected
    from pinstripe.options import Call, Terms
    from pinstripe.registry import Registry
    from pinstripe.tenant_contexts import TenantContext
    from pinstripe.tenants import Tenant, TenantSource
    from pinstripe.watcher import Watcher

LOOK_EVERY = 0.5
"""Seconds between two looks whether another process asked for the end of a run whose tenants are selected here."""

KEPT = 10_000
"""How many selected tenants are held in memory until they start; a larger selection is read once more."""


class Request(NamedTuple):
    """What is to run: a `job` (its name or class), its `args` and `kwargs`, and for whom.

    With `text` the arguments are text from a command line, read by the annotations of `run`. `concurrency` is how many
    executions go on at once, `timeout` bounds each beside the job's own; `fail_fast` starts no more after a failure.
    """

    job: str | type[BackgroundJob]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = MappingProxyType({})
    text: bool = False
    selection: Selection = Selection()
    trigger: Trigger = Trigger.CODE
    concurrency: int | None = None
    fail_fast: bool = False
    timeout: timedelta | None = None


class Plan(NamedTuple):
    """A checked request, of which nothing is recorded yet. `written` are the arguments as the ledger keeps them."""

    definition: Definition
    written: Arguments
    selection: Selection
    choice: Choice
    trigger: Trigger
    parent: str | None = None
    retry_of: str | None = None
    origin: str | None = None

    def arguments(self) -> Arguments:
        """Give the arguments to call `run` with, made anew."""
        return arguments.restore(self.definition, *self.written)


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


class Runs:
    """Creates runs: new ones, and retries of old ones."""

    def __init__(
        self,
        registry: Registry,
        find_source: Callable[[], TenantSource | None],
        ledger: Ledger,
        clock: Clock,
        active: str,
        find_context: Callable[[], TenantContext | None] = lambda: None,
    ) -> None:
        """Take what a run is made from; `active` names the attribute that tells whether a tenant is active.

        The tenant source is found when a job first needs it, so that a broken one stops no job that has no tenants; so
        is the tenant context, which may refuse a job.
        """
        self._registry = registry
        self._find_source = find_source
        self._ledger = ledger
        self._clock = clock
        self._active = active
        self._find_context = find_context

    async def plan(self, request: Request, *, parent: str | None = None, only: Tenant | None = None) -> Plan:
        """Check a request, and record nothing.

        `only` is the tenant in whose workspace it was made: a multi-tenant job is then for that one alone. Raises
        `UnknownJob`, `InvalidJob`, `InvalidArguments`, `UnknownTenant`, `ConfigurationError` and `TenantSourceFailed`.
        """
        definition = self._find(request.job)
        return await self._plan(definition, _bind(definition, request), request, parent, only)

    async def _plan(
        self, definition: Definition, written: Arguments, request: Request, parent: str | None, only: Tenant | None
    ) -> Plan:
        selection = request.selection
        if only is not None and definition.multi_tenant:
            selection = _only(definition, selection, only)
            choice = await choose(definition, Selection(), Tenants([only]), self._active)
        else:
            choice = await choose(definition, selection, self._source(definition), self._active)
        return Plan(definition, written, selection, choice, request.trigger, parent)

    def _find(self, job: str | type[BackgroundJob]) -> Definition:
        definition = self._registry.find(job)
        context = self._find_context() if definition.multi_tenant else None
        if context is not None:
            context.check(definition)
        return definition

    async def start(self, plan: Plan, watcher: Watcher) -> Started:
        """Record the run, select its tenants, and give them.

        A tenant source that fails closes the run as failed: it never looks like "no tenants".
        """
        return await self._record(plan, watcher, leave_out=None)

    async def enqueue(
        self,
        request: Request,
        terms: Terms,
        *,
        calls: Sequence[Call] | None = None,
        parent: str | None = None,
        only: Tenant | None = None,
    ) -> list[Run]:
        """Write down a run for workers, and give it; or one for each of the `calls`, all or none, in their order.

        Each call has its own arguments; all else of `request` holds for all. A run that has the key of `terms` already
        is given instead. Raises as `plan` does, before anything is recorded, and with the number of a call.
        """
        definition = self._find(request.job)
        bound = [_bind(definition, request)] if calls is None else await bind_calls(definition, calls)
        plan = await self._plan(definition, bound[0] if bound else ((), {}), request, parent, only)
        tenant = None if only is None else only.id
        works = await make_works(plan, bound, terms, tenant=tenant, now=self._clock.now())
        return await self._ledger.queue.enqueue(works, terms.connection) if works else []

    async def enqueue_retry(self, reference: str, *, skipped: bool) -> Run | None:
        """Write down a retry, as `retry` makes it, for a worker to select; None where there is nothing to retry."""
        plan, whole = await self._plan_retry(reference)
        if whole and not await self._ledger.retryable(str(plan.retry_of), skipped=skipped, after=None, limit=1):
            return None
        (run,) = await self._ledger.queue.enqueue([make_retry(plan, skipped=skipped, now=self._clock.now())])
        return run

    async def retry(self, reference: str, *, skipped: bool, watcher: Watcher) -> tuple[Plan, Started] | None:
        """Record a run for what failed or was cancelled in another and has not succeeded in a later retry of it.

        With `skipped`, what was skipped too. Give None where there is nothing of that kind.
        A run whose selection never was complete is selected again, without the tenants that succeeded. Raises
        `UnknownRun`, and what `plan` raises.
        """
        plan, whole = await self._plan_retry(reference)
        old = str(plan.retry_of)
        if not whole:
            return plan, await self._record(plan, watcher, leave_out=old)
        page = await self._ledger.retryable(old, skipped=skipped, after=None, limit=PAGE)
        if not page:
            return None
        run = await self._create(plan, watcher)
        found = 0
        async with self._selecting(run, watcher):
            while page:
                found += await self._ledger.add(run.id, page, retry_of=old)
                watcher.selecting(run, found)
                page = await self._ledger.retryable(old, skipped=skipped, after=page[-1], limit=PAGE)
            run = await self._ledger.end_selection(run.id)
        watcher.selected(run, found)
        return plan, Started(run, self._recalled(run.id, plan.choice))

    async def _plan_retry(self, reference: str) -> tuple[Plan, bool]:
        """Check a retry, and tell whether all that the old run was for had been selected."""
        old, selected_by = await self._retried(reference)
        selection = Selection.from_json(selected_by.selection)
        definition = self._find(old.job)
        stored = (tuple(old.args), dict(old.kwargs))
        arguments.restore(definition, *stored)  # raises where the job's signature has changed meanwhile
        if selected_by.complete:
            choice = await self._choice_of_retry(definition, selection)
        else:
            choice = await choose(definition, selection, self._source(definition), self._active)
        plan = Plan(definition, stored, selection, choice, Trigger.RETRY, retry_of=old.id, origin=selected_by.origin)
        return plan, selected_by.complete

    async def _retried(self, reference: str) -> tuple[Run, Selected]:
        """Find the run to retry, and what it was selected by.

        A retry that was interrupted before it knew its own tenants stands for the run that it was to retry.
        """
        old = await self._ledger.find_run(reference)
        if not old.finished:
            message = (
                f"run {old.id} of {old.job} is still {old.status}: wait for its end, or stop it, before you retry it"
            )
            raise ConfigurationError(message)
        selected_by = await self._ledger.selected_by(old.id)
        if not selected_by.complete and old.retry_of is not None:
            return await self._retried(old.retry_of)
        return old, selected_by

    async def _choice_of_retry(self, definition: Definition, selection: Selection) -> Choice:
        """Choose from the source as it is today: who is gone or no longer matches is then skipped, not refused."""
        if not definition.multi_tenant:
            return await choose(definition, Selection(), None, self._active)
        if selection.force:
            open_selection = Selection(tenants=(), force=True, where=selection.where)
            opened = await choose(definition, open_selection, self._source(definition), self._active)
            return Choice(opened.source, None, frozenset())
        return await choose(definition, Selection(where=selection.where), self._source(definition), self._active)

    def _source(self, definition: Definition) -> TenantSource | None:
        return self._find_source() if definition.multi_tenant else None

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
                    selection=plan.selection.to_json(),
                    retry_of=plan.retry_of,
                    origin=plan.origin,
                    parent=plan.parent,
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

    async def _record(self, plan: Plan, watcher: Watcher, *, leave_out: str | None) -> Started:
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


def _bind(definition: Definition, request: Request) -> Arguments:
    bind = arguments.bind_text if request.text else arguments.bind
    return bind(definition, request.args, request.kwargs)


def _only(definition: Definition, selection: Selection, only: Tenant) -> Selection:
    """Refuse other tenants than the workspace's own, and give the selection of that one."""
    others = sorted({*(selection.tenants or ()), *selection.exclude} - {only.id})
    if others or selection.where:
        what = f"tenants {', '.join(map(repr, others))}" if others else "a choice by `where`"
        message = (
            f"{definition.name} was asked for {what} from the workspace of tenant {only.id!r}; expected that tenant "
            "alone: other tenants are chosen in a global workspace, `project.workspace(tenant=None)`"
        )
        raise ConfigurationError(message)
    return Selection(tenants=(only.id,))


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
